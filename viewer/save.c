#include "viewer/save.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool save_place(const char *path, char out[PATH_MAX])
{
	char folder[PATH_MAX], real[PATH_MAX];
	struct stat status;
	if (stat(path, &status) == 0)
		return S_ISREG(status.st_mode) && realpath(path, out) != NULL;
	if (lstat(path, &status) == 0)
		return false;
	const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;
	size_t length = slash == path ? 1 : slash != NULL ? (size_t)(slash - path) : 1;
	if (*name == '\0' || length >= sizeof(folder))
		return false;
	memcpy(folder, slash != NULL ? path : ".", length);
	folder[length] = '\0';
	if (realpath(folder, real) == NULL)
		return false;
	const char *between = strcmp(real, "/") != 0 ? "/" : "";
	return (size_t)snprintf(out, PATH_MAX, "%s%s%s", real, between, name) < PATH_MAX;
}

/* Takes over `fd`. Returns 0, or what went wrong. */
static int write_and_close(int fd, const void *text, size_t length, bool newline)
{
	FILE *file = fdopen(fd, "w");
	if (file == NULL) {
		int error = errno;
		close(fd);
		return error;
	}
	errno = 0;
	bool written = fwrite(text, 1, length, file) == length && (!newline || fputc('\n', file) != EOF) && fflush(file) == 0;
	int error = written ? 0 : errno != 0 ? errno : EIO;
	if (fclose(file) != 0 && error == 0)
		error = errno;
	return error;
}

static int replace(const char *place, const void *text, size_t length, bool newline)
{
	char temporary[PATH_MAX + 32];
	snprintf(temporary, sizeof(temporary), "%s.%d.part", place, (int)getpid());
	int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return errno;
	int error = write_and_close(fd, text, length, newline);
	if (error == 0 && rename(temporary, place) != 0)
		error = errno;
	if (error != 0)
		unlink(temporary);
	return error;
}

/* What isn't a regular file must stay what it is: nothing is renamed over it. */
static int write_into(const char *path, const void *text, size_t length, bool newline)
{
	struct stat status;
	int create = stat(path, &status) != 0 ? O_CREAT : 0;
	int fd = open(path, O_WRONLY | O_TRUNC | O_NOCTTY | O_CLOEXEC | create, 0600);
	return fd < 0 ? errno : write_and_close(fd, text, length, newline);
}

static bool save(const char *path, const void *bytes, size_t length, bool newline, struct problem *problem)
{
	char place[PATH_MAX];
	int error = save_place(path, place) ? replace(place, bytes, length, newline) : write_into(path, bytes, length, newline);
	return error == 0 || problem_set(problem, "%s: %s", path, strerror(error));
}

bool save_text(const char *path, const char *text, size_t length, struct problem *problem)
{
	return save(path, text, length, true, problem);
}

bool save_bytes(const char *path, const void *bytes, size_t length, struct problem *problem)
{
	return save(path, bytes, length, false, problem);
}
