#include "viewer/binaries.h"

#include <elfutils/libdwelf.h>
#include <errno.h>
#include <fcntl.h>
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

int binaries_open(const struct binaries_where *where, const struct profile_module *module, char path[PATH_MAX],
	struct problem *problem)
{
	struct search search = {.module = module, .path = path};
	char root[32];
	int fd = try_folders(&search, where->folders, false);
	if (fd < 0 && where->pid != 0 && *module->path == '/') {
		snprintf(root, sizeof(root), "/proc/%d/root", (int)where->pid);
		fd = try_in(&search, root, strlen(root), module->path);
	}
	/* The vdso and the like have names that are no paths. */
	if (fd < 0 && *module->path == '/') {
		snprintf(path, PATH_MAX, "%s", module->path);
		fd = try(&search);
	}
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
