/* Dumps: where they go, that they are whole or not there, and what they add to a snapshot. */
#include "introspect/dump.h"

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "introspect/memory.h"
#include "introspect/ring.h"
#include "tests/unit/folder.h"
#include "tests/unit/unit.h"

/* The file as a string, which the caller frees. */
static char *contents(const char *path)
{
	struct stat status;
	int fd = open(path, O_RDONLY);
	CU_ASSERT_TRUE_FATAL(fd >= 0 && fstat(fd, &status) == 0);
	char *text = calloc(1, (size_t)status.st_size + 1);
	UNIT_EQUAL(read(fd, text, (size_t)status.st_size), status.st_size);
	close(fd);
	return text;
}

static void patterns(void)
{
	char out[HAK_DUMP_PATH_MAX], cwd[1024], expected[2048];
	CU_ASSERT_TRUE(hak_dump_expand("/d/%e.%p.json", "/usr/bin/prog", 12, out, sizeof(out)));
	UNIT_STRING(out, "/d/prog.12.json");
	CU_ASSERT_TRUE(hak_dump_expand("/%%%x%", "prog", 12, out, sizeof(out)));
	UNIT_STRING(out, "/%%x%");
	CU_ASSERT_PTR_NOT_NULL_FATAL(getcwd(cwd, sizeof(cwd)));
	snprintf(expected, sizeof(expected), "%s/%s", strcmp(cwd, "/") == 0 ? "" : cwd, "a b.json");
	CU_ASSERT_TRUE(hak_dump_expand("a b.json", "x", 1, out, sizeof(out)));
	UNIT_STRING(out, expected);
	CU_ASSERT_TRUE(hak_dump_resolve("a b.json", out, sizeof(out)));
	UNIT_STRING(out, expected);
	CU_ASSERT_FALSE(hak_dump_resolve("/0123456789", out, 11));
	CU_ASSERT_TRUE(hak_dump_resolve("/0123456789", out, 12));
	CU_ASSERT_FALSE(hak_dump_resolve("relative", out, 3));
}

static void a_whole_document(void)
{
	uint64_t bytes = 0;
	struct stat status;
	unsigned descriptors = unit_descriptors();
	make_folder();
	UNIT_EQUAL(hak_dump_write(below("d.json"), "request", &bytes), 0);
	UNIT_EQUAL(stat(below("d.json"), &status), 0);
	UNIT_EQUAL(status.st_size, bytes);
	UNIT_EQUAL(status.st_mode & 07777, 0600);
	char *text = contents(below("d.json"));
	CU_ASSERT_TRUE(strncmp(text, "{\"type\":\"dump\",\"reason\":\"request\",\"protocol\":1,", 47) == 0);
	UNIT_EQUAL(text[bytes - 1], '\n');
	UNIT_EQUAL(text[bytes - 2], '}');
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "\"superslabs\":["));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "\"events\":["));
	free(text);
	/* A second one replaces it; nothing else is left. */
	UNIT_EQUAL(hak_dump_write(below("d.json"), "exit", &bytes), 0);
	text = contents(below("d.json"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "\"reason\":\"exit\""));
	free(text);
	UNIT_EQUAL(unlink(below("d.json")), 0);
	UNIT_EQUAL(rmdir(folder), 0);
	UNIT_EQUAL(unit_descriptors(), descriptors);
}

/* In a child: files may have 1000 bytes, as on a full disk. */
static void write_without_room(void *argument)
{
	struct rlimit limit = {1000, 1000};
	uint64_t bytes;
	(void)argument;
	setrlimit(RLIMIT_FSIZE, &limit);
	fprintf(stderr, "%d", hak_dump_write(below("d.json"), "exit", &bytes));
}

static void failures(void)
{
	uint64_t bytes, mapped = hak_memory_mapped();
	char seen[64], old[] = "old";
	make_folder();
	UNIT_EQUAL(hak_dump_write(below("missing/d.json"), "exit", &bytes), -ENOENT);
	UNIT_EQUAL(hak_dump_write(folder, "exit", &bytes), -EISDIR);
	int fd = open(below("d.json"), O_CREAT | O_WRONLY, 0600);
	UNIT_EQUAL(write(fd, old, 3), 3);
	close(fd);
	/* The older dump outlives a failure, and no half file lies beside it. */
	UNIT_EQUAL(unit_in_child(write_without_room, NULL, seen, sizeof(seen)), 0);
	char expected[16];
	snprintf(expected, sizeof(expected), "%d", -EFBIG);
	UNIT_STRING(seen, expected);
	char *text = contents(below("d.json"));
	UNIT_STRING(text, "old");
	free(text);
	unlink(below("d.json"));
	UNIT_EQUAL(rmdir(folder), 0);
	UNIT_EQUAL(hak_memory_mapped(), mapped);
}

/* A link stays, and the file behind it is replaced, or made; links that lead nowhere are an error. */
static void links(void)
{
	uint64_t bytes;
	struct stat status;
	make_folder();
	CU_ASSERT_EQUAL(mkdir(below("sub"), 0700), 0);
	CU_ASSERT_EQUAL(symlink("sub/second", below("first")), 0);
	CU_ASSERT_EQUAL(symlink("file", below("sub/second")), 0);
	for (int i = 0; i < 2; i++) {
		UNIT_EQUAL(hak_dump_write(below("first"), "request", &bytes), 0);
		UNIT_EQUAL(lstat(below("first"), &status), 0);
		CU_ASSERT_TRUE(S_ISLNK(status.st_mode));
		UNIT_EQUAL(lstat(below("sub/second"), &status), 0);
		CU_ASSERT_TRUE(S_ISLNK(status.st_mode));
		UNIT_EQUAL(lstat(below("sub/file"), &status), 0);
		CU_ASSERT_TRUE(S_ISREG(status.st_mode));
		UNIT_EQUAL(status.st_size, bytes);
	}
	CU_ASSERT_EQUAL(symlink("loop", below("loop")), 0);
	UNIT_EQUAL(hak_dump_write(below("loop"), "request", &bytes), -ELOOP);
	if (geteuid() == 0) {
		/* A stranger's link might lead anywhere. */
		CU_ASSERT_EQUAL(lchown(below("first"), 1, (gid_t)-1), 0);
		UNIT_EQUAL(hak_dump_write(below("first"), "request", &bytes), -EACCES);
	}
	unlink(below("loop"));
	unlink(below("first"));
	unlink(below("sub/second"));
	unlink(below("sub/file"));
	UNIT_EQUAL(rmdir(below("sub")), 0);
	UNIT_EQUAL(rmdir(folder), 0);
}

struct draining {
	int fd;
	uint64_t bytes;
	char first, last;
};

/* Reads until the other end is closed. */
static void *drain(void *argument)
{
	struct draining *draining = argument;
	char piece[4096];
	for (ssize_t got; (got = read(draining->fd, piece, sizeof(piece))) > 0; draining->bytes += (uint64_t)got) {
		if (draining->bytes == 0)
			draining->first = piece[0];
		draining->last = piece[got - 1];
	}
	return NULL;
}

/* Pipes and devices are written to, never replaced. */
static void pipes_and_devices(void)
{
	uint64_t bytes;
	struct stat status;
	pthread_t reader;
	struct draining draining = {0};
	unsigned descriptors = unit_descriptors();
	make_folder();
	CU_ASSERT_EQUAL(mkfifo(below("pipe"), 0600), 0);
	UNIT_EQUAL(hak_dump_write(below("pipe"), "request", &bytes), -ENXIO);
	draining.fd = open(below("pipe"), O_RDONLY | O_NONBLOCK);
	CU_ASSERT_TRUE_FATAL(draining.fd >= 0);
	fcntl(draining.fd, F_SETFL, 0);
	int keeper = open(below("pipe"), O_WRONLY); /* so that the reader waits until all is over */
	pthread_create(&reader, NULL, drain, &draining);
	UNIT_EQUAL(hak_dump_write(below("pipe"), "request", &bytes), 0);
	close(keeper);
	pthread_join(reader, NULL);
	close(draining.fd);
	UNIT_EQUAL(draining.bytes, bytes);
	UNIT_EQUAL(draining.first, '{');
	UNIT_EQUAL(draining.last, '\n');
	/* Not by one that may not wait, even though somebody might read. */
	draining.fd = open(below("pipe"), O_RDONLY | O_NONBLOCK);
	UNIT_EQUAL(hak_dump_write_file(below("pipe"), "request", &bytes), -ESPIPE);
	UNIT_EQUAL(bytes, 0);
	UNIT_EQUAL(read(draining.fd, &draining.first, 1), 0);
	close(draining.fd);
	UNIT_EQUAL(lstat(below("pipe"), &status), 0);
	CU_ASSERT_TRUE(S_ISFIFO(status.st_mode));
	unlink(below("pipe"));
	UNIT_EQUAL(hak_dump_write_file(below("d.json"), "request", &bytes), 0);
	CU_ASSERT_TRUE(bytes > 0);
	unlink(below("d.json"));
	if (mknod(below("null"), S_IFCHR | 0600, makedev(1, 3)) == 0) {
		/* A file system may hold devices and yet not let them be opened (nodev). */
		int opened = open(below("null"), O_WRONLY);
		UNIT_EQUAL(hak_dump_write(below("null"), "request", &bytes), opened >= 0 ? 0 : -EACCES);
		close(opened);
		UNIT_EQUAL(lstat(below("null"), &status), 0);
		CU_ASSERT_TRUE(S_ISCHR(status.st_mode));
		unlink(below("null"));
	} else {
		fprintf(stderr, "(no device node: %s) ", strerror(errno));
	}
	if (mknod(below("disk"), S_IFBLK | 0600, makedev(7, 200)) == 0) {
		UNIT_EQUAL(hak_dump_write(below("disk"), "request", &bytes), -EPERM);
		unlink(below("disk"));
	}
	UNIT_EQUAL(rmdir(folder), 0);
	UNIT_EQUAL(unit_descriptors(), descriptors);
}

/* The names that appear in the folder while a dump is written for the first time: the last one only, so that a process
 * that ends meanwhile leaves nothing behind. */
static void no_name_before_the_end(void)
{
	char events[4096];
	uint64_t bytes;
	make_folder();
	int probe = open(folder, O_WRONLY | O_TMPFILE, 0600);
	if (probe < 0)
		rmdir(folder);
	UNIT_LEAVE_IF(probe < 0, "the file system has no files without a name");
	close(probe);
	int watch = inotify_init1(IN_NONBLOCK);
	CU_ASSERT_TRUE_FATAL(inotify_add_watch(watch, folder, IN_CREATE | IN_MOVED_TO) >= 0);
	UNIT_EQUAL(hak_dump_write(below("d.json"), "request", &bytes), 0);
	ssize_t got = read(watch, events, sizeof(events));
	unsigned seen = 0;
	for (ssize_t at = 0; at < got;) {
		struct inotify_event event;
		memcpy(&event, events + at, sizeof(event));
		UNIT_STRING(events + at + sizeof(event), "d.json");
		at += (ssize_t)(sizeof(event) + event.len);
		seen++;
	}
	UNIT_EQUAL(seen, 1);
	close(watch);
	unlink(below("d.json"));
	UNIT_EQUAL(rmdir(folder), 0);
}

static void last_events(void)
{
	static char text[8 << 20];
	struct hak_json json;
	CU_ASSERT_TRUE_FATAL(hak_ring_start(16u << 20)); /* rings of 1024 records or more */
	for (unsigned i = 0; i < 100; i++) {
		struct hak_event event = {
			.time_ns = 1000000 + i * 1000, .tid = 1, .id = HAK_EVENT_ID_drain, .arg = {i, 2, 3}};
		hak_ring_record(&event);
	}
	hak_json_to_memory(&json, text, sizeof(text));
	hak_json_object(&json);
	hak_dump_events(&json);
	hak_json_end(&json);
	CU_ASSERT_TRUE_FATAL(hak_json_finish(&json));
	text[json.length] = 0;
	unsigned count = 0;
	for (const char *at = text; (at = strstr(at, "\"time_us\":")); at += 10, count++)
		UNIT_EQUAL(strtoull(at + 10, NULL, 10), 1000 + count);
	UNIT_EQUAL(count, 100);
}

/* dl_iterate_phdr's callback: the base of the object that holds this function. */
static int own_base(struct dl_phdr_info *info, size_t size, void *base)
{
	(void)size;
	*(uint64_t *)base = info->dlpi_addr;
	return 1; /* the program comes first */
}

static void modules(void)
{
	static char text[1 << 20];
	char expected[128];
	uint64_t base = 0;
	struct hak_json json;
	hak_json_to_memory(&json, text, sizeof(text));
	hak_json_object(&json);
	hak_dump_modules(&json, "/the/program");
	hak_json_end(&json);
	CU_ASSERT_TRUE_FATAL(hak_json_finish(&json));
	text[json.length] = 0;
	dl_iterate_phdr(own_base, &base);
	snprintf(expected, sizeof(expected),
		"{\"modules\":[{\"path\":\"/the/program\",\"base\":\"0x%llx\",\"end\":\"0x", (unsigned long long)base);
	CU_ASSERT_TRUE(strncmp(text, expected, strlen(expected)) == 0);
	const char *libc = strstr(text, "/libc.so.6\"");
	CU_ASSERT_PTR_NOT_NULL_FATAL(libc);
	const char *build_id = strstr(libc, "\"build_id\":\"");
	CU_ASSERT_PTR_NOT_NULL_FATAL(build_id);
	UNIT_EQUAL(strspn(build_id + 12, "0123456789abcdef"), 40); /* Debian's libc has a SHA-1 one */
}

UNIT_MAIN("dump", UNIT(patterns), UNIT(a_whole_document), UNIT(failures), UNIT(links), UNIT(pipes_and_devices),
	UNIT(no_name_before_the_end), UNIT(last_events), UNIT(modules))
