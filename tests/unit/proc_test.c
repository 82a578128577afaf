/* The facts about a process, against what libc says of it. */
#include "introspect/proc.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "tests/unit/unit.h"

static void files(void)
{
	UNIT_LEAVE_IF(unit_is_emulated(), "the emulator gives processes its own name");
	char text[64];
	CU_ASSERT_TRUE(hak_proc_read("/proc/self/comm", text, sizeof(text)) > 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "proc"));
	UNIT_EQUAL(hak_proc_read("/proc/self/status", text, sizeof(text)), sizeof(text) - 1);
	UNIT_EQUAL(text[sizeof(text) - 1], 0);
	UNIT_EQUAL(hak_proc_read("/nonexistent", text, sizeof(text)), -1);
	UNIT_EQUAL(errno, ENOENT);
	UNIT_EQUAL(hak_proc_read("/proc/self", text, sizeof(text)), -1);
	UNIT_EQUAL(errno, EISDIR);
}

static void names(void)
{
	char exe[HAK_PROC_TEXT_MAX], cmdline[HAK_PROC_TEXT_MAX];
	hak_proc_exe(exe, sizeof(exe));
	UNIT_EQUAL(exe[0], '/');
	UNIT_STRING(hak_proc_basename(exe), program_invocation_short_name);
	UNIT_STRING(hak_proc_basename("plain"), "plain");
	UNIT_STRING(hak_proc_basename("/a/b/"), "");
	hak_proc_cmdline(cmdline, sizeof(cmdline));
	CU_ASSERT_PTR_NOT_NULL(strstr(cmdline, program_invocation_short_name));
	CU_ASSERT_TRUE(cmdline[strlen(cmdline) - 1] != ' ');
	/* Cut, but terminated. */
	hak_proc_cmdline(cmdline, 5);
	UNIT_EQUAL(strlen(cmdline), 4);
}

/* The threads of this process, counted in another place: a sanitizer may have added its own. */
static unsigned tasks(void)
{
	DIR *directory = opendir("/proc/self/task");
	unsigned count = 0;
	for (struct dirent *entry; directory && (entry = readdir(directory));)
		count += entry->d_name[0] != '.';
	closedir(directory);
	return count;
}

static void *name_itself(void *argument)
{
	pid_t *tid = argument;
	prctl(PR_SET_NAME, "fifteen bytes ok");
	*tid = (pid_t)syscall(SYS_gettid);
	char name[HAK_PROC_NAME_MAX];
	struct hak_proc_stat stat;
	hak_proc_thread_name(*tid, name);
	UNIT_STRING(name, "fifteen bytes o");
	hak_proc_stat(&stat);
	UNIT_EQUAL(stat.threads, tasks());
	CU_ASSERT_TRUE(stat.threads >= 2);
	return NULL;
}

static void threads(void)
{
	UNIT_LEAVE_IF(unit_is_emulated(), "the emulator leaves out most of /proc/self/stat");
	pthread_t thread;
	pid_t tid = 0;
	char name[HAK_PROC_NAME_MAX];
	struct hak_proc_stat stat;
	/* A name with everything that could mislead whoever counts the fields of stat. */
	prctl(PR_SET_NAME, "a) 1 (b) 2");
	hak_proc_stat(&stat);
	CU_ASSERT_TRUE(stat.threads >= 1);
	CU_ASSERT_TRUE(stat.start_time > 0);
	double since_boot;
	char uptime[64];
	hak_proc_read("/proc/uptime", uptime, sizeof(uptime));
	since_boot = strtod(uptime, NULL);
	CU_ASSERT_TRUE((double)stat.start_time / (double)sysconf(_SC_CLK_TCK) <= since_boot + 1);
	CU_ASSERT_TRUE((double)stat.start_time / (double)sysconf(_SC_CLK_TCK) >= since_boot - 600);
	pthread_create(&thread, NULL, name_itself, &tid);
	pthread_join(thread, NULL);
	hak_proc_thread_name(INT32_MAX, name);
	UNIT_STRING(name, "");
}

static void resident_memory_grows(void)
{
	UNIT_LEAVE_IF(unit_is_emulated(), "the emulator ignores MAP_POPULATE");
	size_t bytes = 64u << 20;
	uint64_t before = hak_proc_resident();
	char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	CU_ASSERT_TRUE_FATAL(memory != MAP_FAILED);
	CU_ASSERT_TRUE(hak_proc_resident() >= before + bytes / 2);
	munmap(memory, bytes);
}

struct mapping_search {
	uint64_t address;
	bool writable, named;
	unsigned seen;
};

static bool look_at_mapping(void *argument, const struct hak_proc_mapping *mapping)
{
	struct mapping_search *search = argument;
	search->seen++;
	if (search->address < mapping->start || search->address >= mapping->end)
		return true;
	search->writable = strcmp(mapping->permissions, "rw-p") == 0;
	search->named = strstr(mapping->path, "proc") != NULL && mapping->path[0] == '/' && mapping->inode;
	return false;
}

static void mappings(void)
{
	static int variable = 1;
	int local;
	struct mapping_search search = {.address = (uintptr_t)&variable};
	CU_ASSERT_TRUE(hak_proc_mappings(look_at_mapping, &search));
	CU_ASSERT_TRUE(search.writable && search.named);
	search = (struct mapping_search){.address = (uintptr_t)&local};
	CU_ASSERT_TRUE(hak_proc_mappings(look_at_mapping, &search));
	CU_ASSERT_TRUE(search.writable && !search.named && search.seen > 3);
}

UNIT_MAIN("proc", UNIT(files), UNIT(names), UNIT(threads), UNIT(resident_memory_grows), UNIT(mappings))
