#include "viewer/procfs.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

ssize_t procfs_read(pid_t pid, const char *name, char *out, size_t size)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	size_t length = 0;
	ssize_t count;
	while (length + 1 < size && (count = read(fd, out + length, size - 1 - length)) > 0)
		length += (size_t)count;
	close(fd);
	out[length] = '\0';
	return (ssize_t)length;
}

bool procfs_stat(pid_t pid, struct procfs_stat *stat)
{
	char text[1024];
	uint64_t fields[25] = {0};
	if (procfs_read(pid, "stat", text, sizeof(text)) <= 0)
		return false;
	/* The name in field 2 may hold blanks and parentheses, so the fields are counted from its last one. */
	char *begin = strchr(text, '('), *end = strrchr(text, ')');
	if (begin == NULL || end == NULL || end < begin || end[1] != ' ')
		return false;
	snprintf(stat->name, sizeof(stat->name), "%.*s", (int)(end - begin - 1), begin + 1);
	stat->state = end[2];
	const char *p = end + 3;
	for (int field = 4; field < 25; field++) {
		char *next;
		fields[field] = strtoull(p, &next, 10);
		if (next == p)
			return false;
		p = next;
	}
	stat->parent = (pid_t)fields[4];
	stat->threads = (unsigned)fields[20];
	stat->start_time = fields[22];
	stat->resident_bytes = fields[24] * (uint64_t)sysconf(_SC_PAGESIZE);
	return true;
}

bool procfs_has_hakmem(pid_t pid)
{
	char path[64], line[4352];
	bool found = false;
	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	FILE *maps = fopen(path, "re");
	while (maps != NULL && !found && fgets(line, sizeof(line), maps) != NULL)
		found = strstr(line, "/libhakmem.so") != NULL || strstr(line, "/libhakmem-core.so") != NULL;
	if (maps != NULL)
		fclose(maps);
	return found;
}
