#include "viewer/family.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "viewer/discover.h"
#include "viewer/format.h"
#include "viewer/procfs.h"

#define ROWS_MAX 1024       /* shown; building the tree takes their number squared */
#define MAPS_A_LOOK 16      /* processes whose maps are read at a time */
#define KNOWN_FOR 30        /* looks after which they are read again: a process may have run another program */

/* All processes of this user, by pid, while the tree is made. */
struct census {
	struct relative *rows;
	size_t count, room;
};

static bool is_own(pid_t pid)
{
	char path[64];
	struct stat status;
	snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	return stat(path, &status) == 0 && status.st_uid == geteuid();
}

static bool take(struct census *census, pid_t pid)
{
	struct procfs_stat stat;
	char path[512];
	if (!is_own(pid) || !procfs_stat(pid, &stat))
		return true;
	if (census->count == census->room) {
		size_t room = census->room > 0 ? 2 * census->room : 256;
		struct relative *rows = realloc(census->rows, room * sizeof(*rows));
		if (rows == NULL)
			return false;
		census->rows = rows;
		census->room = room;
	}
	struct relative *row = &census->rows[census->count++];
	*row = (struct relative){
		.pid = pid, .parent = stat.parent, .start_time = stat.start_time, .state = stat.state,
		.threads = stat.threads, .resident_bytes = stat.resident_bytes,
	};
	row->state = (char)(isalpha((unsigned char)stat.state) ? stat.state : '?');
	row->open = pid != getpid() && discover_own_socket(pid, stat.start_time, path, sizeof(path));
	/* The short name: most rows are never shown, and those that are get their command line then. */
	format_printable(row->command, sizeof(row->command), stat.name);
	return true;
}

static int by_pid(const void *a, const void *b)
{
	const struct relative *left = a, *right = b;
	return (left->pid > right->pid) - (left->pid < right->pid);
}

static bool count_all(struct census *census)
{
	DIR *dir = opendir("/proc");
	bool good = dir != NULL;
	for (struct dirent *entry; good && (entry = readdir(dir)) != NULL;) {
		pid_t pid = isdigit((unsigned char)entry->d_name[0]) ? (pid_t)strtol(entry->d_name, NULL, 10) : 0;
		if (pid > 0)
			good = take(census, pid);
	}
	if (dir != NULL)
		closedir(dir);
	if (census->count > 0)
		qsort(census->rows, census->count, sizeof(*census->rows), by_pid);
	return good;
}

static struct relative *find(const struct census *census, pid_t pid)
{
	const struct relative wanted = {.pid = pid};
	return census->count > 0 ? bsearch(&wanted, census->rows, census->count, sizeof(wanted), by_pid) : NULL;
}

static const struct family_known *known_of(const struct family *family, const struct relative *row)
{
	size_t low = 0, high = family->known_count;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (family->known[middle].pid < row->pid)
			low = middle + 1;
		else
			high = middle;
	}
	const struct family_known *known = low < family->known_count ? &family->known[low] : NULL;
	return known != NULL && known->pid == row->pid && known->start_time == row->start_time ? known : NULL;
}

/* Says of each process whether it runs on HAKMEM, as far as that is known, and keeps what is known of those that live. */
static bool learn(struct family *family, struct census *census)
{
	struct family_known *known = calloc(census->count + 1, sizeof(*known));
	size_t count = 0;
	int read = 0;
	if (known == NULL)
		return false;
	family->whole = true;
	for (size_t i = 0; i < census->count; i++) {
		struct relative *row = &census->rows[i];
		const struct family_known *before = known_of(family, row);
		struct family_known now = {row->pid, row->start_time, row->open, 0};
		if (row->pid == getpid())
			continue;
		if (before != NULL && (before->age < KNOWN_FOR || read >= MAPS_A_LOOK)) {
			now.hakmem = before->hakmem;
			now.age = before->age + 1;
		} else if (!row->open && read++ < MAPS_A_LOOK) {
			now.hakmem = procfs_has_hakmem(row->pid);
		} else if (!row->open) {
			family->whole = false;
			continue;
		}
		row->hakmem = now.hakmem || row->open;
		known[count++] = now;
	}
	free(family->known);
	family->known = known;
	family->known_count = count;
	return true;
}

static void read_command(struct relative *row)
{
	char raw[1024], name[64];
	ssize_t length = procfs_read(row->pid, "cmdline", raw, sizeof(raw));
	while (length > 0 && raw[length - 1] == '\0')
		length--;
	for (ssize_t i = 0; i < length; i++)
		raw[i] = (char)(raw[i] == '\0' ? ' ' : raw[i]);
	if (length > 0) {
		raw[length] = '\0';
		format_printable(row->command, sizeof(row->command), raw);
	} else {
		snprintf(name, sizeof(name), "%.60s", row->command);
		snprintf(row->command, sizeof(row->command), "[%s]", name);
	}
}

/* A process whose turn comes, and what leads to it. */
struct turn {
	size_t chosen;
	int depth;
	bool last;
	uint64_t lines;
};

/* Puts the children of process `parent`, or, without one, those whose parent isn't among the chosen, on the stack, so that
 * the one with the lowest id comes off it first. A process is put there once. */
static size_t push_children(struct turn *stack, size_t height, struct relative *const *chosen, bool *taken, size_t count,
	const struct relative *parent, int depth, uint64_t lines)
{
	bool last = true;
	for (size_t i = count; i-- > 0;) {
		bool child = parent != NULL && chosen[i]->parent == parent->pid;
		if (parent == NULL) {
			child = true;
			for (size_t j = 0; j < count && child; j++)
				child = chosen[j]->pid != chosen[i]->parent;
		}
		if (!child || taken[i])
			continue;
		taken[i] = true;
		stack[height++] = (struct turn){i, depth, last, lines};
		last = false;
	}
	return height;
}

static void order(struct family *family, struct relative *const *chosen, size_t count)
{
	struct turn stack[ROWS_MAX];
	bool taken[ROWS_MAX] = {false};
	size_t height = push_children(stack, 0, chosen, taken, count, NULL, 0, 0);
	while (height > 0) {
		struct turn turn = stack[--height];
		struct relative *row = &family->rows[family->count++];
		*row = *chosen[turn.chosen];
		row->depth = turn.depth;
		row->last = turn.last;
		row->lines = turn.lines;
		read_command(row);
		/* Roots have no line to their left. */
		uint64_t line = turn.depth > 0 && turn.depth < 64 && !turn.last ? UINT64_C(1) << turn.depth : 0;
		height = push_children(stack, height, chosen, taken, count, row, turn.depth + 1, turn.lines | line);
	}
}

/* Marks a HAKMEM process, its parent, and all up to the next HAKMEM process among its ancestors, if there is one: the rest
 * of the way to init says nothing. */
static void want(const struct census *census, const struct relative *row, bool *wanted)
{
	const struct relative *above = row, *parent = find(census, row->parent);
	int steps = 0;
	do
		above = find(census, above->parent);
	while (above != NULL && !above->hakmem && ++steps < ROWS_MAX);
	wanted[row - census->rows] = true;
	if (parent != NULL)
		wanted[parent - census->rows] = true;
	for (; above != NULL && above->hakmem && row != above; row = find(census, row->parent))
		wanted[row - census->rows] = true;
}

static bool plant(struct family *family, struct census *census)
{
	struct relative *chosen[ROWS_MAX];
	bool *wanted = calloc(census->count + 1, sizeof(*wanted));
	size_t count = 0;
	if (wanted == NULL)
		return false;
	for (size_t i = 0; i < census->count; i++) {
		if (census->rows[i].hakmem)
			want(census, &census->rows[i], wanted);
	}
	for (size_t i = 0; i < census->count && count < ROWS_MAX; i++) {
		if (wanted[i])
			chosen[count++] = &census->rows[i];
	}
	free(wanted);
	struct relative *rows = calloc(count + 1, sizeof(*rows));
	if (rows == NULL)
		return false;
	free(family->rows);
	family->rows = rows;
	family->count = 0;
	order(family, chosen, count);
	return true;
}

void family_look(struct family *family)
{
	struct census census = {.rows = NULL};
	if (count_all(&census) && learn(family, &census))
		plant(family, &census);
	free(census.rows);
}

void family_free(struct family *family)
{
	free(family->rows);
	free(family->known);
	memset(family, 0, sizeof(*family));
}
