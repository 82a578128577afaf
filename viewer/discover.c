#include "viewer/discover.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "introspect/protocol.h"
#include "viewer/client.h"
#include "viewer/format.h"
#include "viewer/procfs.h"

#define HELLO_TIMEOUT_MS 1000
#define ASK_TOGETHER 32

bool discover_start_time(pid_t pid, uint64_t *start_time)
{
	struct procfs_stat stat;
	if (!procfs_stat(pid, &stat))
		return false;
	*start_time = stat.start_time;
	return true;
}

/* The program's path, or its short name in brackets where the path can't be read. */
static void read_exe(pid_t pid, char *out, size_t size)
{
	char path[64], target[256], name[64];
	snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
	ssize_t length = readlink(path, target, sizeof(target) - 1);
	if (length > 0) {
		target[length] = '\0';
		format_printable(out, size, target);
	} else if (procfs_read(pid, "comm", name, sizeof(name)) > 0) {
		name[strcspn(name, "\n")] = '\0';
		format_printable(out, size, name);
	} else {
		snprintf(out, size, "?");
	}
}

/* The user ids of a process: real, effective, saved, file system. Its folder in /proc shows root instead for a process
 * that can't be dumped. */
static bool read_uids(pid_t pid, uid_t uids[4])
{
	char status[4096];
	const char *line = procfs_read(pid, "status", status, sizeof(status)) > 0 ? strstr(status, "\nUid:") : NULL;
	/* NOLINTNEXTLINE(cert-err34-c): the kernel wrote these numbers */
	return line != NULL && sscanf(line, "\nUid: %u %u %u %u", &uids[0], &uids[1], &uids[2], &uids[3]) == 4;
}

static bool owner_of(pid_t pid, uid_t *uid)
{
	char path[64];
	struct stat stat_buffer;
	uid_t uids[4];
	if (read_uids(pid, uids)) {
		*uid = uids[1];
		return true;
	}
	snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	if (stat(path, &stat_buffer) != 0)
		return false;
	*uid = stat_buffer.st_uid;
	return true;
}

bool discover_speaks_for(uid_t peer, pid_t pid)
{
	uid_t uids[4];
	if (peer == 0)
		return true;
	if (!read_uids(pid, uids))
		return false;
	return peer == uids[0] || peer == uids[1] || peer == uids[2] || peer == uids[3];
}

bool discover_is_private(const char *directory, uid_t owner)
{
	struct stat status;
	/* As the endpoint demands it of a directory before it serves there. */
	return lstat(directory, &status) == 0 && S_ISDIR(status.st_mode) && status.st_uid == owner &&
		(status.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

static struct found *add_row(struct discovery *discovery, pid_t pid)
{
	struct found *rows = realloc(discovery->rows, (discovery->count + 1) * sizeof(*rows));
	if (rows == NULL)
		return NULL;
	discovery->rows = rows;
	memset(&rows[discovery->count], 0, sizeof(*rows));
	rows[discovery->count].pid = pid;
	return &rows[discovery->count++];
}

/* Nobody listens on the socket. Removes it if its process is gone and the file is ours. */
static void judge_absent(struct found *row)
{
	uint64_t start_time;
	struct stat stat_buffer;
	if (discover_start_time(row->pid, &start_time) && start_time == row->start_time) {
		row->state = FOUND_CLOSED;
		snprintf(row->reason, sizeof(row->reason),
			"its endpoint is gone: it ran another program, or closed the socket");
		return;
	}
	row->state = FOUND_DEAD;
	if (lstat(row->path, &stat_buffer) == 0 && S_ISSOCK(stat_buffer.st_mode) && stat_buffer.st_uid == geteuid() &&
		unlink(row->path) == 0)
		snprintf(row->reason, sizeof(row->reason), "the process has ended; its socket was removed");
	else
		snprintf(row->reason, sizeof(row->reason), "the process has ended; its socket is left");
}

static void judge(struct found *row, enum client_connect_result result, struct client *client,
	const struct problem *problem)
{
	uint64_t start_time;
	read_exe(row->pid, row->exe, sizeof(row->exe));
	if (result == CLIENT_ABSENT) {
		judge_absent(row);
		return;
	}
	row->state = FOUND_CLOSED;
	if (result != CLIENT_CONNECTED) {
		snprintf(row->reason, sizeof(row->reason), "%.255s", problem->text);
	} else if (discover_start_time(row->pid, &start_time) && start_time == row->start_time &&
		!discover_speaks_for(client->peer_uid, row->pid)) {
		snprintf(row->reason, sizeof(row->reason), "its socket is another user's (uid %u)",
			(unsigned)client->peer_uid);
	} else {
		row->state = FOUND_OPEN;
		snprintf(row->exe, sizeof(row->exe), "%s", client->exe);
		snprintf(row->version, sizeof(row->version), "%s", client->version);
	}
	client_close(client);
}

/* Asks several at once, so that any number of silent ones costs one time-out. */
static void ask(struct found *rows, size_t count)
{
	struct client clients[ASK_TOGETHER];
	struct problem problems[ASK_TOGETHER];
	enum client_connect_result results[ASK_TOGETHER];
	for (size_t i = 0; i < count; i++)
		results[i] = client_open(&clients[i], rows[i].path, &problems[i]);
	int64_t deadline = client_now_ms() + HELLO_TIMEOUT_MS;
	for (size_t i = 0; i < count; i++) {
		if (results[i] == CLIENT_CONNECTED)
			results[i] = client_greet(&clients[i], rows[i].path, deadline, &problems[i]);
		judge(&rows[i], results[i], &clients[i], &problems[i]);
	}
}

/* Removes the socket of a process that is gone. Its process id may mean nothing here, where a directory is shared with
 * a container: so nobody may listen either. */
static void sweep_one(const char *path, pid_t pid, uint64_t start_time)
{
	struct client client;
	struct stat status;
	uint64_t now;
	/* A name of our own is from before main left HAKMEM: see leave_hakmem there. */
	if (pid != getpid() && discover_start_time(pid, &now) && now == start_time)
		return;
	if (client_open(&client, path, NULL) == CLIENT_ABSENT && lstat(path, &status) == 0 &&
		S_ISSOCK(status.st_mode) && status.st_uid == geteuid())
		unlink(path);
	client_close(&client);
}

/* One of our own candidate directories. */
static DIR *open_candidate(unsigned candidate, char directory[HAK_PROTOCOL_PATH_MAX], bool *exists)
{
	*exists = hak_protocol_directory(candidate, getenv("HAKMEM_DIR"), getenv("XDG_RUNTIME_DIR"), geteuid(),
		directory, HAK_PROTOCOL_PATH_MAX) > 0;
	return *exists && discover_is_private(directory, geteuid()) ? opendir(directory) : NULL;
}

void discover_sweep(void)
{
	char directory[HAK_PROTOCOL_PATH_MAX];
	bool exists = true;
	for (unsigned i = 0; exists; i++) {
		DIR *dir = open_candidate(i, directory, &exists);
		for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
			char path[HAK_PROTOCOL_PATH_MAX + NAME_MAX + 2];
			pid_t pid;
			uint64_t start_time;
			snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
			if (hak_protocol_parse_name(entry->d_name, &pid, &start_time))
				sweep_one(path, pid, start_time);
		}
		if (dir != NULL)
			closedir(dir);
	}
}

bool discover_own_socket(pid_t pid, uint64_t start_time, char *path, size_t size)
{
	char directory[HAK_PROTOCOL_PATH_MAX], name[HAK_PROTOCOL_NAME_MAX];
	struct stat stat_buffer;
	hak_protocol_socket_name(pid, start_time, name, sizeof(name));
	for (unsigned i = 0; hak_protocol_directory(i, getenv("HAKMEM_DIR"), getenv("XDG_RUNTIME_DIR"), geteuid(),
		directory, sizeof(directory)) > 0; i++) {
		if ((size_t)snprintf(path, size, "%s/%s", directory, name) < size && lstat(path, &stat_buffer) == 0 &&
			S_ISSOCK(stat_buffer.st_mode) && discover_is_private(directory, geteuid()))
			return true;
	}
	return false;
}

/* Adds a row for each socket; they are asked later. */
static bool scan_directory(struct discovery *discovery, DIR *dir, const char *directory, struct problem *problem)
{
	for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
		pid_t pid;
		uint64_t start_time;
		if (!hak_protocol_parse_name(entry->d_name, &pid, &start_time) || pid == getpid())
			continue;
		struct found *row = add_row(discovery, pid);
		if (row == NULL)
			return problem_set(problem, "out of memory while listing %s", directory);
		row->start_time = start_time;
		if ((size_t)snprintf(row->path, sizeof(row->path), "%s/%s", directory, entry->d_name) >=
			sizeof(row->path))
			discovery->count--; /* no endpoint makes a name that long */
	}
	return true;
}

static bool scan_sockets(struct discovery *discovery, struct problem *problem)
{
	char directory[HAK_PROTOCOL_PATH_MAX];
	bool good = true, exists = true;
	for (unsigned i = 0; good && exists; i++) {
		DIR *dir = open_candidate(i, directory, &exists);
		good = scan_directory(discovery, dir, directory, problem);
		if (dir != NULL)
			closedir(dir);
	}
	for (size_t i = 0; good && i < discovery->count; i += ASK_TOGETHER) {
		size_t left = discovery->count - i;
		ask(discovery->rows + i, left < ASK_TOGETHER ? left : ASK_TOGETHER);
	}
	return good;
}

static bool is_listed(const struct discovery *discovery, pid_t pid)
{
	for (size_t i = 0; i < discovery->count; i++) {
		if (discovery->rows[i].pid == pid && discovery->rows[i].state != FOUND_DEAD)
			return true;
	}
	return false;
}

/* The value of a variable in a process's environment as it was at exec; NULL if it isn't there. */
static const char *find_variable(const char *environment, size_t length, const char *name)
{
	size_t name_length = strlen(name);
	for (const char *p = environment; p < environment + length; p += strlen(p) + 1) {
		if (strncmp(p, name, name_length) == 0 && p[name_length] == '=')
			return p + name_length + 1;
	}
	return NULL;
}

/* The pid that the process has in its own pid namespace: the last one in NSpid of its status. */
static pid_t inner_pid(pid_t pid)
{
	char status[4096];
	pid_t inner = pid;
	if (procfs_read(pid, "status", status, sizeof(status)) <= 0)
		return pid;
	const char *line = strstr(status, "\nNSpid:");
	if (line != NULL) {
		const char *end = strchr(line + 1, '\n');
		for (const char *p = line + 7; end != NULL && p < end;) {
			char *next;
			long value = strtol(p, &next, 10);
			if (next == p || next > end)
				break;
			inner = (pid_t)value;
			p = next;
		}
	}
	return inner > 0 ? inner : pid;
}

/* Looks for the socket in the directories that these variables lead to, below `root` ("" or /proc/PID/root). They have
 * to be `uid`'s, or root's for one who was root when it began to serve. */
static bool look(const char *root, pid_t pid, const char *hakmem_dir, const char *xdg, uid_t uid, char *path,
	size_t size)
{
	char directory[HAK_PROTOCOL_PATH_MAX];
	for (unsigned i = 0; hak_protocol_directory(i, hakmem_dir, xdg, uid, directory, sizeof(directory)) > 0; i++) {
		char joined[HAK_PROTOCOL_PATH_MAX + 64];
		snprintf(joined, sizeof(joined), "%s%s", root, directory);
		DIR *dir = discover_is_private(joined, uid) || (uid != 0 && discover_is_private(joined, 0)) ?
			opendir(joined) : NULL;
		for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
			pid_t entry_pid;
			uint64_t start, now;
			if (!hak_protocol_parse_name(entry->d_name, &entry_pid, &start) || entry_pid != pid)
				continue;
			/* Start times are the same in every pid namespace; a time namespace shifts them. */
			if (*root == '\0' && discover_start_time(pid, &now) && now != start)
				continue;
			snprintf(path, size, "%s/%s", joined, entry->d_name);
			closedir(dir);
			return true;
		}
		if (dir != NULL)
			closedir(dir);
	}
	return false;
}

/* Looks where a process may serve that was started with another environment, by another user, or in a container. */
static bool look_elsewhere(pid_t pid, uid_t uid, char *path, size_t size)
{
	char root[32];
	size_t room = 1 << 20;
	char *environment = malloc(room);
	ssize_t length = environment != NULL ? procfs_read(pid, "environ", environment, room) : -1;
	const char *dir = length > 0 ? find_variable(environment, (size_t)length, "HAKMEM_DIR") : NULL;
	const char *xdg = length > 0 ? find_variable(environment, (size_t)length, "XDG_RUNTIME_DIR") : NULL;
	snprintf(root, sizeof(root), "/proc/%d/root", (int)pid);
	bool found = look("", pid, dir, xdg, uid, path, size) || look(root, inner_pid(pid), dir, xdg, uid, path, size);
	free(environment);
	return found;
}

/* Processes of this user that have HAKMEM in them, but no socket where we look. */
static bool scan_processes(struct discovery *discovery, struct problem *problem)
{
	char path[HAK_PROTOCOL_PATH_MAX];
	DIR *dir = opendir("/proc");
	bool good = true;
	for (struct dirent *entry; good && dir != NULL && (entry = readdir(dir)) != NULL;) {
		uid_t uid;
		pid_t pid = isdigit((unsigned char)entry->d_name[0]) ? (pid_t)strtol(entry->d_name, NULL, 10) : 0;
		if (pid <= 0 || pid == getpid() || !owner_of(pid, &uid) || uid != geteuid() ||
			is_listed(discovery, pid) ||
			!procfs_has_hakmem(pid))
			continue;
		struct found *row = add_row(discovery, pid);
		if (row == NULL) {
			good = problem_set(problem, "out of memory while listing processes");
		} else {
			row->state = FOUND_CLOSED;
			read_exe(pid, row->exe, sizeof(row->exe));
			if (look_elsewhere(pid, uid, path, sizeof(path)))
				snprintf(row->reason, sizeof(row->reason),
					"it serves in another directory, or in a container: hakmem-top %d opens it", (int)pid);
			else
				snprintf(row->reason, sizeof(row->reason),
					"its endpoint is off: start it with HAKMEM_INTROSPECT=1 or by hakmem-top -- COMMAND");
		}
	}
	if (dir != NULL)
		closedir(dir);
	return good;
}

static int by_pid(const void *a, const void *b)
{
	const struct found *left = a, *right = b;
	return (left->pid > right->pid) - (left->pid < right->pid);
}

bool discover_all(struct discovery *discovery, struct problem *problem)
{
	memset(discovery, 0, sizeof(*discovery));
	bool good = scan_sockets(discovery, problem) && scan_processes(discovery, problem);
	if (discovery->count > 0)
		qsort(discovery->rows, discovery->count, sizeof(*discovery->rows), by_pid);
	for (size_t i = 0; i < discovery->count; i++)
		discovery->open += discovery->rows[i].state == FOUND_OPEN;
	if (!good)
		discover_free(discovery);
	return good;
}

void discover_free(struct discovery *discovery)
{
	free(discovery->rows);
	memset(discovery, 0, sizeof(*discovery));
}

bool discover_pid(pid_t pid, char *path, size_t size, struct problem *problem)
{
	uid_t uid;
	if (!owner_of(pid, &uid))
		return problem_set(problem, "no process %d; 'hakmem-top --list' shows what there is", (int)pid);
	if (look("", pid, getenv("HAKMEM_DIR"), getenv("XDG_RUNTIME_DIR"), geteuid(), path, size))
		return true;
	if (look_elsewhere(pid, uid, path, size))
		return true;
	if (geteuid() != 0 && uid != geteuid())
		return problem_set(problem,
			"process %d belongs to another user (uid %u); only that user or root may watch it",
			(int)pid, (unsigned)uid);
	if (procfs_has_hakmem(pid))
		return problem_set(problem,
			"process %d runs on HAKMEM, but its endpoint is off; start it with HAKMEM_INTROSPECT=1 or "
			"by 'hakmem-top -- COMMAND'", (int)pid);
	return problem_set(problem, "process %d doesn't run on HAKMEM; start it by 'hakmem-top -- COMMAND'", (int)pid);
}
