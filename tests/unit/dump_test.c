/* Dumps: where they go, that they are whole or not there, and what they add to a snapshot. */
#include "introspect/dump.h"

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "introspect/descriptor.h"
#include "introspect/memory.h"
#include "introspect/ring.h"
#include "tests/unit/unit.h"

static char folder[64];

static const char *below(const char *name)
{
	static char path[256];
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return path;
}

static void make_folder(void)
{
	strcpy(folder, "/tmp/hakmem-test-XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
}

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
	UNIT_EQUAL(hak_fd_count(), 0);
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

UNIT_MAIN("dump", UNIT(patterns), UNIT(a_whole_document), UNIT(failures), UNIT(last_events), UNIT(modules))
