/* The dump that needs no memory: once a process, whole. What dumps of signals hold, death/crashes.py sees to. */
#include "introspect/crash.h"

#include <fcntl.h>

#include "tests/unit/folder.h"
#include "tests/unit/unit.h"

static char pattern[256];

/* Whether the dump is there, and is one of `bytes` that were refused. Removes it. */
static bool take_dump(uint64_t bytes)
{
	char text[4096] = "", expected[80];
	int fd = open(pattern, O_RDONLY);
	ssize_t got = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
	close(fd);
	unlink(pattern);
	snprintf(expected, sizeof(expected), "{\"type\":\"dump\",\"reason\":\"oom\",\"refused\":{\"bytes\":%llu,\"tid\":",
		(unsigned long long)bytes);
	return got > 0 && strncmp(text, expected, strlen(expected)) == 0;
}

static void memory_is_out_once(void)
{
	make_folder();
	snprintf(pattern, sizeof(pattern), "%s", below("d.json"));
	CU_ASSERT_TRUE_FATAL(hak_crash_prepare(pattern));
	hak_crash_out_of_memory(123);
	CU_ASSERT_TRUE(take_dump(123));
	hak_crash_out_of_memory(124);
	CU_ASSERT_FALSE(take_dump(124));
	hak_crash_after_fork();
	hak_crash_out_of_memory(UINT64_MAX);
	CU_ASSERT_TRUE(take_dump(9007199254740991));
	UNIT_EQUAL(rmdir(folder), 0);
}

UNIT_MAIN("crash", UNIT(memory_is_out_once))
