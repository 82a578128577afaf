#include "viewer/binaries.h"

#include <elfutils/libdwelf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What was found on the way, for the sentence that says why there is nothing. */
struct search {
	const struct profile_module *module;
	char *path;
	bool other; /* a file of this name, but another version */
};

static bool is_the_one(int fd, const struct profile_module *module)
{
	const void *id = NULL;
	elf_version(EV_CURRENT);
	Elf *elf = elf_begin(fd, ELF_C_READ, NULL);
	bool is_elf = elf != NULL && elf_kind(elf) == ELF_K_ELF;
	ssize_t length = is_elf && module->build_id_bytes > 0 ? dwelf_elf_gnu_build_id(elf, &id) : 0;
	bool same = module->build_id_bytes == 0 ? is_elf :
		length == (ssize_t)module->build_id_bytes && memcmp(id, module->build_id, (size_t)length) == 0;
	elf_end(elf);
	return same;
}

/* The names come from a document: whatever stands there is opened only to read, and only if it is a regular file. */
static int try(struct search *search)
{
	struct stat facts;
	int fd = open(search->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return -1;
	if (fstat(fd, &facts) == 0 && S_ISREG(facts.st_mode)) {
		if (is_the_one(fd, search->module))
			return fd;
		search->other = true;
	}
	close(fd);
	return -1;
}

static int try_in(struct search *search, const char *folder, size_t length, const char *name)
{
	int count = snprintf(search->path, PATH_MAX, "%.*s/%s", (int)length, folder, name + (*name == '/'));
	return count < PATH_MAX ? try(search) : -1;
}

/* folder/.build-id/ab/cdef… with that behind it. */
static int try_build_id(struct search *search, const char *folder, size_t length, const char *suffix)
{
	char name[2 * PROFILE_BUILD_ID_MAX + 32] = ".build-id/";
	size_t at = strlen(name);
	for (unsigned i = 0; i < search->module->build_id_bytes; i++)
		at += (size_t)sprintf(name + at, "%02x%s", search->module->build_id[i], i == 0 ? "/" : "");
	snprintf(name + at, sizeof(name) - at, "%s", suffix);
	return search->module->build_id_bytes > 1 ? try_in(search, folder, length, name) : -1;
}

static int try_folders(struct search *search, const char *folders, bool only_build_ids)
{
	int fd = -1;
	for (size_t length; fd < 0 && folders != NULL && *folders != '\0'; folders += length + (folders[length] == ':')) {
		length = strcspn(folders, ":");
		if (!only_build_ids && (fd = try_in(search, folders, length, search->module->path)) < 0)
			fd = try_in(search, folders, length, profile_module_name(search->module));
		if (fd < 0 && !only_build_ids)
			fd = try_build_id(search, folders, length, "");
		if (fd < 0)
			fd = try_build_id(search, folders, length, ".debug");
	}
	return fd;
}

/* By its path: of a live process as that sees it. The vdso and the like have names that are no paths. */
static int try_path(struct search *search, pid_t pid)
{
	const char *name = search->module->path;
	char link[32];
	int fd = -1;
	if (strchr(name, '/') == NULL)
		return -1;
	if (pid != 0) {
		snprintf(link, sizeof(link), "/proc/%d/%s", (int)pid, *name == '/' ? "root" : "cwd");
		fd = try_in(search, link, strlen(link), name);
	}
	/* What a relative path was relative to is not known here: only the very same file will do. */
	if (fd >= 0 || (*name != '/' && search->module->build_id_bytes == 0))
		return fd;
	snprintf(search->path, PATH_MAX, "%s", name);
	return try(search);
}

/* The file that the module is mapped from, be it deleted or replaced since: the kernel opens it for those who may trace the process
 * (/proc/PID/exe), or for administrators. */
static int try_mapping(struct search *search, pid_t pid)
{
	char line[PATH_MAX + 128], maps_path[32];
	int fd = -1;
	if (pid == 0 || search->module->build_id_bytes == 0)
		return -1;
	if (search->module->is_main) {
		snprintf(search->path, PATH_MAX, "/proc/%d/exe", (int)pid);
		fd = try(search);
	}
	snprintf(maps_path, sizeof(maps_path), "/proc/%d/maps", (int)pid);
	FILE *maps = fd < 0 ? fopen(maps_path, "re") : NULL;
	while (maps != NULL && fd < 0 && fgets(line, sizeof(line), maps) != NULL) {
		char *behind;
		uint64_t start = strtoull(line, &behind, 16), end = *behind == '-' ? strtoull(behind + 1, NULL, 16) : 0;
		if (search->module->base < start || search->module->base >= end)
			continue;
		snprintf(search->path, PATH_MAX, "/proc/%d/map_files/%" PRIx64 "-%" PRIx64, (int)pid, start, end);
		fd = try(search);
	}
	if (maps != NULL)
		fclose(maps);
	return fd;
}

/* Looks for it everywhere, but not for debug files. */
static int try_everywhere(struct search *search, const struct binaries_where *where)
{
	int fd = try_folders(search, where->folders, false);
	return fd < 0 ? try_path(search, where->pid) : fd;
}

/* The name that a file had before it was deleted, to be freed; NULL: it was not, or its build-id isn't known, without which another
 * file of this name could be taken for it. */
static char *name_before_deletion(const struct profile_module *module)
{
	static const char mark[] = " (deleted)"; /* the kernel's, behind what /proc/PID/exe leads to */
	size_t length = strlen(module->path), kept = length - (sizeof(mark) - 1);
	if (module->build_id_bytes == 0 || length < sizeof(mark) || strcmp(module->path + kept, mark) != 0)
		return NULL;
	return strndup(module->path, kept);
}

int binaries_open(const struct binaries_where *where, const struct profile_module *module, char path[PATH_MAX],
	struct problem *problem)
{
	struct search search = {.module = module, .path = path};
	struct profile_module before = *module;
	int fd = try_everywhere(&search, where);
	before.path = name_before_deletion(module);
	if (fd < 0 && before.path != NULL) {
		search.module = &before;
		fd = try_everywhere(&search, where);
		search.module = module;
	}
	free(before.path);
	if (fd < 0)
		fd = try_mapping(&search, where->pid);
	if (fd < 0)
		fd = try_folders(&search, where->debug != NULL ? where->debug : BINARIES_DEBUG_DEFAULT, true);
	if (fd < 0)
		problem_set(problem, search.other ? "%s: what is here is another version (its build-id differs)" :
			"%s: there is no such file here", module->path);
	return fd;
}

char *binaries_debug_path(const struct binaries_where *where)
{
	char *path = NULL;
	const char *folders = where->folders != NULL ? where->folders : "";
	/* A plus sign asks for the check of a file's CRC; the relative name is that of a folder beside each binary. */
	if (asprintf(&path, "+:.debug:%s%s%s", where->debug != NULL ? where->debug : BINARIES_DEBUG_DEFAULT, *folders != '\0' ? ":" : "",
		folders) < 0)
		return NULL;
	return path;
}
