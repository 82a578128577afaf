/* The public functions that need introspection: the document they make, and what they answer where there is no room. */
#include "introspect/api.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "introspect/config.h"
#include "introspect/memory.h"
#include "tests/unit/folder.h"

static char text[8 << 20];

static void a_snapshot_in_a_buffer(void)
{
	uint64_t mapped = hak_memory_mapped();
	int64_t length = hak_snapshot(text, sizeof(text));
	CU_ASSERT_TRUE_FATAL(length > 1000);
	UNIT_EQUAL(strlen(text), length);
	CU_ASSERT_TRUE(strncmp(text, "{\"type\":\"snapshot\",", 19) == 0);
	UNIT_EQUAL(text[length - 1], '}');
	/* Without room it says how much there must be, and writes nothing. */
	memset(text, 'x', 100);
	CU_ASSERT_TRUE(hak_snapshot(text, 50) > 1000);
	UNIT_EQUAL(text[0], 0);
	UNIT_EQUAL(text[1], 'x');
	CU_ASSERT_TRUE(hak_snapshot(NULL, 0) > 1000);
	UNIT_EQUAL(hak_memory_mapped(), mapped);
}

static void a_snapshot_to_a_descriptor(void)
{
	make_folder();
	int fd = open(below("snapshot"), O_RDWR | O_CREAT, 0600);
	errno = 77;
	UNIT_EQUAL(hak_snapshot_to(fd), 0);
	UNIT_EQUAL(errno, 77);
	ssize_t length = pread(fd, text, sizeof(text), 0);
	CU_ASSERT_TRUE_FATAL(length > 1000);
	UNIT_EQUAL(text[length - 1], '\n');
	UNIT_EQUAL(text[length - 2], '}');
	close(fd);
	unlink(below("snapshot"));
	rmdir(folder);
	UNIT_EQUAL(hak_snapshot_to(-1), -EBADF);
	UNIT_EQUAL(errno, 77);
	/* A pipe whose other end is closed: an error, and no signal. */
	int ends[2];
	CU_ASSERT_EQUAL_FATAL(pipe(ends), 0);
	close(ends[0]);
	UNIT_EQUAL(hak_snapshot_to(ends[1]), -EPIPE);
	close(ends[1]);
}

static void a_dump(void)
{
	struct stat stat_;
	make_folder();
	UNIT_EQUAL(hak_dump(below("dump")), 0);
	CU_ASSERT_TRUE(stat(below("dump"), &stat_) == 0 && stat_.st_size > 1000);
	unlink(below("dump"));
	UNIT_EQUAL(hak_dump(below("no/dump")), -ENOENT);
	/* Without a path the setting says where. */
	snprintf(hak_config.dump_path, sizeof(hak_config.dump_path), "%s/%%p", folder);
	UNIT_EQUAL(hak_dump(NULL), 0);
	char name[32];
	snprintf(name, sizeof(name), "%d", (int)getpid());
	UNIT_EQUAL(unlink(below(name)), 0);
	rmdir(folder);
}

UNIT_MAIN("api", UNIT(a_snapshot_in_a_buffer), UNIT(a_snapshot_to_a_descriptor), UNIT(a_dump))
