#include "introspect/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "introspect/memory.h"
#include "introspect/protocol.h"

ssize_t hak_proc_read(const char *path, char *out, size_t size)
{
	size_t length = 0;
	ssize_t got = 0;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	while (length + 1 < size) {
		got = read(fd, out + length, size - 1 - length);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		length += (size_t)got;
	}
	close(fd);
	if (got < 0)
		return -1;
	out[length] = 0;
	return (ssize_t)length;
}

void hak_proc_exe(char *out, size_t size)
{
	ssize_t length = readlink("/proc/self/exe", out, size - 1);
	const char *given;

	if (length > 0) {
		out[length] = 0;
		return;
	}
	given = (const char *)getauxval(AT_EXECFN);
	hak_copy_text(out, size, given);
}

const char *hak_proc_basename(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

void hak_proc_cmdline(char *out, size_t size)
{
	ssize_t length = hak_proc_read("/proc/self/cmdline", out, size);

	if (length < 0)
		length = 0;
	while (length && out[length - 1] == 0)
		length--;
	for (ssize_t i = 0; i < length; i++) {
		if (out[i] == 0)
			out[i] = ' ';
	}
	out[length] = 0;
}

/* The number in field `index` (from 0) of words separated by spaces, 0 if it isn't there. */
static uint64_t field_number(const char *text, unsigned index)
{
	uint64_t number = 0;

	for (; index && text; index--) {
		text = strchr(text, ' ');
		text = text ? text + 1 : NULL;
	}
	if (!text || !hak_protocol_read_number(text, &number))
		return 0;
	return number;
}

/* Reads the stat file of a process in /proc. */
static void read_stat(const char *path, struct hak_proc_stat *out)
{
	char text[1024];
	const char *rest;

	*out = (struct hak_proc_stat){0};
	if (hak_proc_read(path, text, sizeof(text)) < 0)
		return;
	/* The program's name stands in brackets and may hold anything, brackets too: what follows the last one is safe
	 * to count. */
	rest = strrchr(text, ')');
	if (!rest || rest[1] != ' ')
		return;
	rest += 2; /* at field 3 of proc(5)'s numbering */
	out->threads = field_number(rest, 20 - 3);
	out->start_time = field_number(rest, 22 - 3);
}

void hak_proc_stat(struct hak_proc_stat *out)
{
	read_stat("/proc/self/stat", out);
}

bool hak_proc_is_gone(pid_t pid, uint64_t start_time)
{
	char path[64];
	struct hak_protocol_text text = {path, sizeof(path), 0, false};
	struct hak_proc_stat stat;

	if (kill(pid, 0) != 0 && errno == ESRCH)
		return true;
	hak_protocol_put(&text, "/proc/");
	hak_protocol_put_number(&text, (uint64_t)pid);
	hak_protocol_put(&text, "/stat");
	read_stat(path, &stat);
	return stat.start_time && stat.start_time != start_time;
}

uint64_t hak_proc_resident(void)
{
	char text[256];

	if (hak_proc_read("/proc/self/statm", text, sizeof(text)) < 0)
		return 0;
	return field_number(text, 1) * (uint64_t)sysconf(_SC_PAGESIZE);
}

void hak_proc_thread_name(pid_t tid, char out[HAK_PROC_NAME_MAX])
{
	char path[64];
	struct hak_protocol_text text = {path, sizeof(path), 0, false};
	ssize_t length;

	hak_protocol_put(&text, "/proc/self/task/");
	hak_protocol_put_number(&text, (uint64_t)tid);
	hak_protocol_put(&text, "/comm");
	length = hak_proc_read(path, out, HAK_PROC_NAME_MAX);
	if (length > 0 && out[length - 1] == '\n')
		length--;
	out[length > 0 ? length : 0] = 0;
}

/* Reads a hex number and moves on to behind it. */
static uint64_t take_hex(const char **text)
{
	uint64_t value = 0;

	for (;; (*text)++) {
		char c = **text;

		if (c >= '0' && c <= '9')
			value = value * 16 + (uint64_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			value = value * 16 + (uint64_t)(c - 'a' + 10);
		else
			return value;
	}
}

/* Takes a line apart: "start-end perms offset device inode   path". */
static void read_mapping(const char *line, struct hak_proc_mapping *out)
{
	*out = (struct hak_proc_mapping){.path = ""};
	out->start = take_hex(&line);
	line += *line == '-';
	out->end = take_hex(&line);
	line += *line == ' ';
	for (unsigned i = 0; i < 4 && *line; i++)
		out->permissions[i] = *line++;
	line += *line == ' ';
	out->offset = take_hex(&line);
	line += *line == ' ';
	line += strcspn(line, " ");
	line += *line == ' ';
	for (; *line >= '0' && *line <= '9'; line++)
		out->inode = out->inode * 10 + (uint64_t)(*line - '0');
	line += strspn(line, " ");
	out->path = line;
}

/* Gives out the whole lines at the front of `text`, and moves the rest there. Returns false once `each` has enough. */
static bool give_lines(char *text, size_t *length, bool (*each)(void *, const struct hak_proc_mapping *), void *argument)
{
	struct hak_proc_mapping mapping;
	char *line = text, *end;

	while ((end = memchr(line, '\n', *length - (size_t)(line - text)))) {
		*end = 0;
		read_mapping(line, &mapping);
		if (!each(argument, &mapping))
			return false;
		line = end + 1;
	}
	*length -= (size_t)(line - text);
	memmove(text, line, *length);
	return true;
}

bool hak_proc_mappings(bool (*each)(void *argument, const struct hak_proc_mapping *mapping), void *argument)
{
	char text[2 * HAK_PROC_TEXT_MAX];

	return hak_proc_mappings_by(text, sizeof(text), each, argument);
}

bool hak_proc_mappings_by(char *text, size_t size, bool (*each)(void *argument, const struct hak_proc_mapping *mapping),
	void *argument)
{
	size_t length = 0;
	ssize_t got;
	int fd;

	fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	do {
		got = read(fd, text + length, size - length);
		if (got > 0)
			length += (size_t)got;
	} while ((got < 0 && errno == EINTR) ||
		(got > 0 && give_lines(text, &length, each, argument) && length < size));
	close(fd);
	return got >= 0;
}
