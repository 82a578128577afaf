/* What settings attach, and what is left of it in children: each case in a child of its own, as a process attaches
 * once. */
#include "introspect/attach.h"

#include <dirent.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "introspect/memory.h"
#include "introspect/ring.h"
#include "lib/hakmem.h"
#include "lib/trace.h"
#include "tests/unit/unit.h"

static char folder[64];

static void make_folder(void)
{
	strcpy(folder, "/tmp/hakmem-test-XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
}

/* The files in the folder whose name ends with `suffix`. */
static int files(const char *suffix)
{
	DIR *directory = opendir(folder);
	int count = 0;
	for (struct dirent *entry; directory && (entry = readdir(directory));) {
		size_t length = strlen(entry->d_name);
		if (length > strlen(suffix) && strcmp(entry->d_name + length - strlen(suffix), suffix) == 0)
			count++;
	}
	closedir(directory);
	return count;
}

static void remove_folder(void)
{
	char command[128];
	snprintf(command, sizeof(command), "rm -r '%s'", folder);
	UNIT_EQUAL(system(command), 0);
}

/* Builds an environment of the folder's settings and `more`, and attaches. */
static bool attach(const char *more)
{
	static char dir[128], dump[128], extra[128];
	char *environment[] = {dir, dump, extra, NULL};
	snprintf(dir, sizeof(dir), "HAKMEM_DIR=%s", folder);
	snprintf(dump, sizeof(dump), "HAKMEM_DUMP_PATH=%s/%%p.json", folder);
	snprintf(extra, sizeof(extra), "%s", more);
	return hak_attach(environment);
}

static void run_default(void *argument)
{
	(void)argument;
	uint64_t mapped = hak_memory_mapped();
	unsigned descriptors = unit_descriptors();
	fprintf(stderr, "%d ", attach("OTHER=1"));
	fprintf(stderr, "%d %d ", hak_trace_sink() != NULL, (int)(hak_memory_mapped() - mapped));
	fprintf(stderr, "%d %d ", unit_descriptors() == descriptors, files(".sock"));
	hak_detach();
	fprintf(stderr, "%d", files(".json"));
}

static void run_endpoint(void *argument)
{
	(void)argument;
	unsigned descriptors = unit_descriptors();
	fprintf(stderr, "%d ", attach("HAKMEM_INTROSPECT=1"));
	fprintf(stderr, "%d ", unit_descriptors() == descriptors);
	fprintf(stderr, "%d %d %d ", hak_trace_sink() != NULL, files(".sock"), files(".trace"));
	hak_detach();
	fprintf(stderr, "%d %d", files(".sock"), files(".trace"));
}

static void run_dump(void *argument)
{
	(void)argument;
	fprintf(stderr, "%d ", attach("HAKMEM_DUMP_ON=exit"));
	fprintf(stderr, "%d ", files(".sock"));
	hak_detach();
	fprintf(stderr, "%d", files(".json"));
}

static void run_trace(void *argument)
{
	struct hak_ring_totals totals;
	(void)argument;
	fprintf(stderr, "%d ", attach("HAKMEM_TRACE=large"));
	fprintf(stderr, "%d ", hak_trace_groups() == HAK_GROUP_LARGE);
	for (int i = 0; i < 10; i++)
		hak_free(hak_malloc(3000000)); /* longer than what a thread keeps */
	hak_ring_totals(&totals);
	fprintf(stderr, "%d %d", totals.emitted >= 20, (int)totals.unrecorded);
}

static void cases_of_one_setting(void)
{
	char seen[256];
	make_folder();
	UNIT_EQUAL(unit_in_child(run_default, NULL, seen, sizeof(seen)), 0);
	UNIT_STRING(seen, "0 0 0 1 0 0");
	UNIT_EQUAL(unit_in_child(run_endpoint, NULL, seen, sizeof(seen)), 0);
	UNIT_STRING(seen, "1 1 1 1 1 0 0");
	UNIT_EQUAL(unit_in_child(run_dump, NULL, seen, sizeof(seen)), 0);
	UNIT_STRING(seen, "1 0 1");
	if (HAK_TRACE) {
		UNIT_EQUAL(unit_in_child(run_trace, NULL, seen, sizeof(seen)), 0);
		UNIT_STRING(seen, "1 1 1 0");
	}
	remove_folder();
}

/* Attached, then forked: what the grandchild has. The allocations are those that lead to slow paths. */
static void run_fork(void *argument)
{
	(void)argument;
	unsigned descriptors = unit_descriptors();
	attach("HAKMEM_INTROSPECT=1");
	hak_free(hak_malloc(300000));
	int before = files(".sock");
	fflush(NULL);
	pid_t child = fork();
	if (child == 0) {
		/* Nothing of the parent's, and nothing to see of its own; its own endpoint comes by itself, at a slow path, after a while. */
		long long deadline = unit_now_ms() + 20000;
		long long began = unit_now_ms();
		while (files(".sock") < 2 && unit_now_ms() < deadline)
			hak_free(hak_malloc(300000));
		fprintf(stderr, "%d %d %d ", unit_descriptors() == descriptors, files(".sock"), unit_now_ms() - began >= 95);
		hak_detach(); /* its own socket only */
		_exit(0);
	}
	waitpid(child, NULL, 0);
	fprintf(stderr, "%d %d ", before, files(".sock"));
	/* A child that exits at once leaves nothing and takes nothing. */
	child = fork();
	if (child == 0) {
		hak_detach();
		_exit(0);
	}
	waitpid(child, NULL, 0);
	fprintf(stderr, "%d ", files(".sock"));
	hak_detach();
	fprintf(stderr, "%d", files(".sock"));
}

static void children(void)
{
	UNIT_LEAVE_IF(unit_is_emulated(), "the emulator dies in a child of a process with threads");
	char seen[256];
	if (HAK_TSAN) {
		printf("skipped: a thread sanitizer allows no new threads in a child of fork\n");
		return;
	}
	make_folder();
	UNIT_EQUAL(unit_in_child(run_fork, NULL, seen, sizeof(seen)), 0);
	UNIT_STRING(seen, "1 2 1 1 1 1 0");
	remove_folder();
}

/* The whole of the only trace file in the folder. */
static size_t trace_file(char *bytes, size_t size)
{
	DIR *directory = opendir(folder);
	char path[400] = "";
	for (struct dirent *entry; directory && (entry = readdir(directory));) {
		if (strstr(entry->d_name, ".trace"))
			snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
	}
	closedir(directory);
	FILE *file = fopen(path, "r");
	size_t length = file ? fread(bytes, 1, size, file) : 0;
	if (file)
		fclose(file);
	return length;
}

/* A child that no handler prepared: it emits, and a thread of it ends, as far as the sink can tell. */
static void run_unprepared(void *argument)
{
	static char before[2 << 20], after[2 << 20];
	char *environment[] = {argument, "HAKMEM_TRACE=all", "HAKMEM_TRACE_BYTES=256K", NULL};
	fprintf(stderr, "%d ", hak_attach(environment));
	hak_free(hak_malloc(3 << 20));
	size_t length = trace_file(before, sizeof(before));
	pid_t child = _Fork();
	if (child == 0) {
		struct hak_event event = {1, 2, HAK_EVENT_ID_large_free, 0, {0}};
		hak_trace_sink()->event(&event);
		hak_free(hak_malloc(3 << 20));
		hak_trace_sink()->thread_death();
		_exit(0);
	}
	waitpid(child, NULL, 0);
	fprintf(stderr, "%d ", length > 0 && trace_file(after, sizeof(after)) == length && memcmp(before, after, length) == 0);
	hak_free(hak_malloc(3 << 20));
	fprintf(stderr, "%d ", trace_file(after, sizeof(after)) == length && memcmp(before, after, length) != 0);
	hak_detach();
	fprintf(stderr, "%d", files(".trace"));
}

static void unprepared_children_leave_the_file_alone(void)
{
	UNIT_LEAVE_IF(unit_is_emulated(), "the emulator ignores MADV_WIPEONFORK");
	char seen[256], variable[128];
	UNIT_LEAVE_IF(!HAK_TRACE, "no tracepoints");
	make_folder();
	snprintf(variable, sizeof(variable), "HAKMEM_TRACE_FILE=%s/x.trace", folder);
	UNIT_EQUAL(unit_in_child(run_unprepared, variable, seen, sizeof(seen)), 0);
	UNIT_STRING(seen, "1 1 1 1");
	remove_folder();
}

static volatile bool disturbing;
static volatile int handled;

/* A system call of the endpoint's thread, while it is waited for: here a signal whose handler forks comes in, for the
 * thread that waits and would be cancelled. */
int bind(int fd, const struct sockaddr *address, socklen_t length)
{
	if (disturbing) {
		disturbing = false;
		kill(getpid(), SIGUSR1);
	}
	return (int)syscall(SYS_bind, fd, address, length);
}

static void fork_in_handler(int signal)
{
	(void)signal;
	pid_t child = fork();
	if (child == 0)
		_exit(0);
	waitpid(child, NULL, 0);
	handled++;
}

/* In a child of fork whose first thread is about to be cancelled: allocates until its endpoint is there. */
static void run_disturbed(void *argument)
{
	(void)argument;
	attach("HAKMEM_INTROSPECT=1");
	fflush(NULL);
	pid_t child = fork();
	if (child == 0) {
		long long deadline = unit_now_ms() + 20000;
		alarm(60); /* a fork that waits for ever ends here */
		signal(SIGUSR1, fork_in_handler);
		disturbing = true;
		pthread_cancel(pthread_self());
		while (files(".sock") < 2 && unit_now_ms() < deadline)
			hak_free(hak_malloc(300000));
		pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
		fprintf(stderr, "%d %d %d", files(".sock"), disturbing, handled);
		hak_detach();
		_exit(0);
	}
	waitpid(child, NULL, 0);
	hak_detach();
}

static void cancelled_and_interrupted(void)
{
	UNIT_LEAVE_IF(unit_is_emulated(), "the emulator dies in a child of a process with threads");
	char seen[256];
	UNIT_LEAVE_IF(HAK_TSAN, "a thread sanitizer allows no new threads in a child of fork");
	make_folder();
	UNIT_EQUAL(unit_in_child(run_disturbed, NULL, seen, sizeof(seen)), 0);
	UNIT_STRING(seen, "2 0 1");
	remove_folder();
}

UNIT_MAIN("attach", UNIT(cases_of_one_setting), UNIT(children), UNIT(unprepared_children_leave_the_file_alone),
	UNIT(cancelled_and_interrupted))
