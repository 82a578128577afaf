#include "viewer/binaries.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>

#include "tests/unit/folder.h"
#include "tests/unit/here.h"

static char self[PATH_MAX];

/* This program as a module that lay at `path`. */
static struct profile_module module_at(const char *path)
{
	struct here here = here_find();
	struct profile_module module = {.path = (char *)path, .base = here.base, .end = here.end};
	for (const char *at = here.build_id; at[0] != '\0' && at[1] != '\0'; at += 2) {
		char digits[3] = {at[0], at[1], '\0'};
		module.build_id[module.build_id_bytes++] = (uint8_t)strtoul(digits, NULL, 16);
	}
	return module;
}

static void start(void)
{
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
	CU_ASSERT_TRUE_FATAL(length > 0);
	self[length] = '\0';
	make_folder();
}

/* Whether the file is found, and where. */
static const char *found(const struct binaries_where *where, const char *module_path, struct problem *problem)
{
	static char path[PATH_MAX];
	struct profile_module module = module_at(module_path);
	int fd = binaries_open(where, &module, path, problem);
	if (fd < 0)
		return "";
	close(fd);
	return path;
}

static void where_it_was(void)
{
	struct problem problem = {""};
	start();
	UNIT_STRING(found(&(struct binaries_where){.folders = NULL}, self, &problem), self);
	char seen[PATH_MAX];
	snprintf(seen, sizeof(seen), "/proc/%d/root%.4000s", (int)getpid(), self);
	UNIT_STRING(found(&(struct binaries_where){.pid = getpid()}, self, &problem), seen);
	UNIT_STRING(found(&(struct binaries_where){.folders = NULL}, "/no/such/file", &problem), "");
	CU_ASSERT_PTR_NOT_NULL(strstr(problem.text, "/no/such/file: there is no such file here"));
	UNIT_STRING(found(&(struct binaries_where){.folders = NULL}, "linux-vdso.so.1", &problem), "");
	rmdir(folder);
}

/* A folder with copies: by the whole path, by the name alone, by the build-id. */
static void in_folders(void)
{
	char list[256], id[96], deep[32];
	struct problem problem = {""};
	start();
	struct here here = here_find();
	CU_ASSERT_TRUE_FATAL(strlen(here.build_id) > 8);
	snprintf(list, sizeof(list), "/no/such:%s:", folder);
	const struct binaries_where where = {.folders = list};
	CU_ASSERT_EQUAL(symlink(self, below("thing")), 0);
	UNIT_STRING(found(&where, "/elsewhere/bin/thing", &problem), below("thing"));
	unlink(below("thing"));
	mkdir(below("bin"), 0700);
	CU_ASSERT_EQUAL(symlink(self, below("bin/thing")), 0);
	UNIT_STRING(found(&where, "/bin/thing", &problem), below("bin/thing"));
	unlink(below("bin/thing"));
	rmdir(below("bin"));
	mkdir(below(".build-id"), 0700);
	snprintf(deep, sizeof(deep), ".build-id/%.2s", here.build_id);
	mkdir(below(deep), 0700);
	snprintf(id, sizeof(id), "%.16s/%.60s.debug", deep, here.build_id + 2);
	CU_ASSERT_EQUAL(symlink(self, below(id)), 0);
	UNIT_STRING(found(&where, "/bin/thing", &problem), below(id));
	UNIT_STRING(found(&(struct binaries_where){.debug = folder}, "/bin/thing", &problem), below(id));
	unlink(below(id));
	rmdir(below(deep));
	rmdir(below(".build-id"));
	rmdir(folder);
}

/* A file of the right name is not taken for what it isn't. */
static void another_version(void)
{
	struct problem problem = {""};
	start();
	const struct binaries_where where = {.folders = folder};
	CU_ASSERT_EQUAL(symlink("/proc/self/status", below("thing")), 0);
	UNIT_STRING(found(&where, "/bin/thing", &problem), "");
	CU_ASSERT_PTR_NOT_NULL(strstr(problem.text, "another version"));
	unlink(below("thing"));
	CU_ASSERT_EQUAL(symlink("/bin/true", below("thing")), 0);
	UNIT_STRING(found(&where, "/bin/thing", &problem), "");
	unlink(below("thing"));
	/* Nobody is waited for at a FIFO. */
	CU_ASSERT_EQUAL(mkfifo(below("thing"), 0600), 0);
	UNIT_STRING(found(&where, "/bin/thing", &problem), "");
	unlink(below("thing"));
	rmdir(folder);
}

/* Where a program is that was loaded by a relative path: below the process's working directory, or below ours, if it is the same. */
static void relative(void)
{
	struct problem problem = {""};
	char before[PATH_MAX], seen[PATH_MAX];
	start();
	CU_ASSERT_PTR_NOT_NULL_FATAL(getcwd(before, sizeof(before)));
	CU_ASSERT_EQUAL(symlink(self, below("thing.so")), 0);
	CU_ASSERT_EQUAL(chdir(folder), 0);
	UNIT_STRING(found(&(struct binaries_where){.folders = NULL}, "./thing.so", &problem), "./thing.so");
	snprintf(seen, sizeof(seen), "/proc/%d/cwd/./thing.so", (int)getpid());
	UNIT_STRING(found(&(struct binaries_where){.pid = getpid()}, "./thing.so", &problem), seen);
	UNIT_STRING(found(&(struct binaries_where){.folders = NULL}, "thing.so", &problem), "");
	struct profile_module unknown = {.path = (char *)"./thing.so"};
	CU_ASSERT_EQUAL(binaries_open(&(struct binaries_where){.folders = NULL}, &unknown, seen, &problem), -1);
	unlink(below("thing.so"));
	CU_ASSERT_EQUAL(symlink("/bin/true", below("thing.so")), 0);
	UNIT_STRING(found(&(struct binaries_where){.folders = NULL}, "./thing.so", &problem), "");
	CU_ASSERT_PTR_NOT_NULL(strstr(problem.text, "another version"));
	unlink(below("thing.so"));
	CU_ASSERT_EQUAL(chdir(before), 0);
	rmdir(folder);
}

/* What was deleted: there is a copy, or the process still has it. */
static void deleted(void)
{
	struct problem problem = {""};
	char path[PATH_MAX], seen[PATH_MAX];
	start();
	UNIT_STRING(found(&(struct binaries_where){.folders = folder}, "/bin/gone (deleted)", &problem), "");
	CU_ASSERT_PTR_NOT_NULL(strstr(problem.text, "/bin/gone (deleted): there is no such file here"));
	CU_ASSERT_EQUAL(symlink(self, below("gone")), 0);
	UNIT_STRING(found(&(struct binaries_where){.folders = folder}, "/bin/gone (deleted)", &problem), below("gone"));
	UNIT_STRING(found(&(struct binaries_where){.folders = folder}, "/bin/gone(deleted)", &problem), "");
	struct profile_module module = module_at("/bin/gone (deleted)");
	/* Without a build-id any file of this name would do. */
	module.build_id_bytes = 0;
	CU_ASSERT_EQUAL(binaries_open(&(struct binaries_where){.folders = folder}, &module, path, &problem), -1);
	unlink(below("gone"));
	module = module_at("/bin/gone (deleted)");
	module.is_main = true;
	int fd = binaries_open(&(struct binaries_where){.pid = getpid()}, &module, path, &problem);
	snprintf(seen, sizeof(seen), "/proc/%d/exe", (int)getpid());
	UNIT_STRING(path, seen);
	CU_ASSERT_TRUE(fd >= 0 && close(fd) == 0);
	/* A library: by its mapping, which only administrators may open. */
	module.is_main = false;
	fd = binaries_open(&(struct binaries_where){.pid = getpid()}, &module, path, &problem);
	snprintf(seen, sizeof(seen), "/proc/%d/map_files/%" PRIx64 "-", (int)getpid(), module.base);
	CU_ASSERT_TRUE(fd < 0 ? strstr(problem.text, "there is no such file here") != NULL : strncmp(path, seen, strlen(seen)) == 0);
	printf("(map_files: %s) ", fd < 0 ? "not for us" : "opened");
	if (fd >= 0)
		close(fd);
	rmdir(folder);
}

static void debug_path(void)
{
	char *path = binaries_debug_path(&(struct binaries_where){.folders = NULL});
	UNIT_STRING(path, "+:.debug:/usr/lib/debug");
	free(path);
	path = binaries_debug_path(&(struct binaries_where){.folders = "/a:/b", .debug = "/c"});
	UNIT_STRING(path, "+:.debug:/c:/a:/b");
	free(path);
}

UNIT_MAIN("binaries", UNIT(where_it_was), UNIT(in_folders), UNIT(another_version), UNIT(relative), UNIT(deleted), UNIT(debug_path))
