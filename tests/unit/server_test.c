/* The endpoint's thread: over its socket, beside threads that allocate. */
#include "introspect/server.h"

#include <errno.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "introspect/memory.h"
#include "lib/hakmem.h"
#include "tests/unit/unit.h"

#if defined(__SANITIZE_THREAD__)
/* TSan takes a descriptor's number for one thing in all threads. Here two of the same number may be open, in the
 * program's table and in that of the endpoint's thread. */
__attribute__((visibility("default"))) const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
	return "race_top:fclose\nrace_top:close\nrace_top:connect\nrace_top:socket\nrace_top:fdopen\n"
	       "race_top:accept4\nrace_top:dup\nrace_top:fcntl\n";
}
#endif

static char folder[64], path[512];
static unsigned descriptors; /* open while it runs: nothing of it is among them */

static struct hak_server *start(uint64_t stuck_ms)
{
	struct hak_server_options options = {
		.hakmem_dir = folder, .dump_pattern = "/nonexistent/x", .trace_bytes = 1 << 20, .stuck_ms = stuck_ms};
	int error;
	descriptors = unit_descriptors();
	strcpy(folder, "/tmp/hakmem-test-XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
	struct hak_server *server = hak_server_start(&options, &error, path, sizeof(path));
	UNIT_EQUAL(error, 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(server);
	CU_ASSERT_TRUE(strncmp(path, folder, strlen(folder)) == 0);
	UNIT_EQUAL(unit_descriptors(), descriptors);
	return server;
}

static void stop(struct hak_server *server, uint64_t mapped)
{
	hak_server_stop(server);
	UNIT_EQUAL(hak_memory_mapped(), mapped);
	UNIT_EQUAL(rmdir(folder), 0); /* it is empty: the socket is gone */
}

/* Connects; the greeting is read. */
static FILE *connect_client(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	static char greeting[1024];
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%.100s", path);
	CU_ASSERT_EQUAL_FATAL(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	FILE *file = fdopen(fd, "r+");
	CU_ASSERT_PTR_NOT_NULL_FATAL(fgets(greeting, sizeof(greeting), file));
	CU_ASSERT_TRUE(strncmp(greeting, "{\"type\":\"hello\",", 16) == 0);
	return file;
}

/* Asks and reads the answer, which stays valid until the next one. */
static char *ask(FILE *file, const char *line)
{
	static char *answer;
	static size_t capacity;
	CU_ASSERT_TRUE(dprintf(fileno(file), "%s\n", line) > 0);
	CU_ASSERT_TRUE_FATAL(getline(&answer, &capacity, file) > 0);
	return answer;
}

/* The number behind "name": in `text`. */
static unsigned long long number(const char *text, const char *name)
{
	char quoted[64];
	snprintf(quoted, sizeof(quoted), "\"%s\":", name);
	const char *at = strstr(text, quoted);
	CU_ASSERT_PTR_NOT_NULL_FATAL(at);
	return strtoull(at + strlen(quoted), NULL, 10);
}

static void it_answers_and_cleans_up(void)
{
	uint64_t mapped = hak_memory_mapped();
	struct hak_server *server = start(10000);
	FILE *first = connect_client(), *second = connect_client();
	CU_ASSERT_TRUE(strncmp(ask(first, "ping"), "{\"type\":\"pong\"", 14) == 0);
	UNIT_EQUAL(number(ask(second, "stats"), "clients"), 2);
	UNIT_EQUAL(number(ask(second, "snapshot"), "pid"), getpid());
	fclose(first);
	UNIT_EVENTUALLY(number(ask(second, "stats"), "clients") == 1);
	stop(server, mapped);
	char rest[64];
	CU_ASSERT_PTR_NULL(fgets(rest, sizeof(rest), second)); /* a connection that was open is closed */
	fclose(second);
}

static void the_mask_of_the_caller_is_restored(void)
{
	uint64_t mapped = hak_memory_mapped();
	sigset_t mask, before, after;
	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR2);
	pthread_sigmask(SIG_SETMASK, &mask, &before);
	struct hak_server *server = start(10000);
	pthread_sigmask(SIG_SETMASK, &before, &after);
	for (int signal = 1; signal < 32; signal++)
		UNIT_EQUAL(sigismember(&after, signal), signal == SIGUSR2);
	/* The program's signals never reach the thread: this one would end the process, were it delivered to anyone. */
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
	kill(getpid(), SIGUSR2);
	FILE *client = connect_client();
	ask(client, "ping");
	fclose(client);
	signal(SIGUSR2, SIG_IGN); /* which discards the pending one */
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	signal(SIGUSR2, SIG_DFL);
	stop(server, mapped);
}

static void a_stuck_client_is_thrown_out(void)
{
	uint64_t mapped = hak_memory_mapped();
	struct hak_server *server = start(50);
	FILE *stuck = connect_client(), *other = connect_client();
	/* Until nothing more is taken. */
	while (send(fileno(stuck), "snapshot\n", 9, MSG_DONTWAIT | MSG_NOSIGNAL) == 9)
		continue;
	UNIT_EVENTUALLY(number(ask(other, "stats"), "disconnected") == 1);
	UNIT_EQUAL(number(ask(other, "stats"), "clients"), 1);
	/* One who is merely silent stays. */
	UNIT_EQUAL(number(ask(other, "stats"), "disconnected"), 1);
	fclose(stuck);
	fclose(other);
	stop(server, mapped);
}

static int ending;

static void *allocate(void *argument)
{
	void *blocks[64] = {0};
	uint32_t random = (uint32_t)(uintptr_t)argument;
	while (!__atomic_load_n(&ending, __ATOMIC_RELAXED)) {
		random = random * 1664525u + 1013904223u;
		void **block = &blocks[random >> 26];
		hak_free(*block);
		*block = hak_malloc(random >> 12 & 0x3FFF);
	}
	for (int i = 0; i < 64; i++)
		hak_free(blocks[i]);
	return NULL;
}

/* Snapshots are streamed while four threads allocate (events need the sink, which attach installs). Under a thread
 * sanitizer this is the race test. */
static void streams_beside_allocating_threads(void)
{
	uint64_t mapped = hak_memory_mapped();
	struct hak_server *server = start(10000);
	FILE *client = connect_client();
	pthread_t threads[4];
	unsigned snapshots = 0;
	unsigned long long last = 0;
	ending = 0;
	for (uintptr_t i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, allocate, (void *)(i + 1));
	ask(client, "subscribe what=snapshot,events interval_ms=10");
	char *line = NULL;
	size_t capacity = 0;
	while (snapshots < 20) {
		CU_ASSERT_TRUE_FATAL(getline(&line, &capacity, client) > 0);
		if (strncmp(line, snapshots ? "{\"type\":\"delta\"" : "{\"type\":\"snapshot\"", snapshots ? 15 : 18) ==
			0) {
			CU_ASSERT_TRUE(snapshots++ == 0 || number(line, "base") == last);
			CU_ASSERT_TRUE(number(line, "seq") > last);
			last = number(line, "seq");
		}
	}
	free(line);
	__atomic_store_n(&ending, 1, __ATOMIC_RELAXED);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	fclose(client);
	hak_server_stop(server);
	CU_ASSERT_TRUE(hak_memory_mapped() >= mapped); /* the rings stay */
	UNIT_EQUAL(rmdir(folder), 0);
}

static void no_directory(void)
{
	struct hak_server_options options = {.hakmem_dir = "/nonexistent/x", .stuck_ms = 1000};
	uint64_t mapped = hak_memory_mapped();
	int error = 0;
	CU_ASSERT_PTR_NULL(hak_server_start(&options, &error, path, sizeof(path)));
	UNIT_EQUAL(error, -ENOENT);
	UNIT_STRING(path, "/nonexistent/x");
	UNIT_EQUAL(hak_memory_mapped(), mapped);
}

UNIT_MAIN("server", UNIT(it_answers_and_cleans_up), UNIT(the_mask_of_the_caller_is_restored),
	UNIT(a_stuck_client_is_thrown_out), UNIT(streams_beside_allocating_threads), UNIT(no_directory))
