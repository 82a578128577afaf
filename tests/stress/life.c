/* Lives of threads: 10,000 short ones, some that only free, and signals that arrive while malloc runs. Blocks pass between threads, and
 * whoever frees one looks at its content first. life [CASE] runs one case; without a name, all.
 *
 * Two programs are made of it: one on libc's names, to run on the preloaded or linked library, and one on the core's own names, which
 * runs under sanitizers and checks the invariants after each case. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/preload/check.h"

#ifdef HAK_AUDIT
#include "lib/hakmem.h"
#define malloc hak_malloc
#define free hak_free
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

#define SHORT_THREADS (SANITIZED ? 1000u : 10000u)
#define AT_ONCE 8u
#define BLOCKS 40u
#define PARCELS 256u
#define SIGNALS (SANITIZED ? 300u : 5000u)

/* A block knows its length, and is filled with a byte that depends on its address. */
struct block {
	size_t bytes;
	unsigned char content[];
};

static _Atomic(struct block *) parcels[PARCELS];
static atomic_uint seeds;

static unsigned char mark_of(const struct block *block)
{
	return (unsigned char)((uintptr_t)block >> 4);
}

static struct block *make(size_t bytes)
{
	struct block *block = malloc(sizeof(*block) + bytes);
	CHECK(block != NULL);
	block->bytes = bytes;
	memset(block->content, mark_of(block), bytes);
	return block;
}

static void look_and_free(struct block *block)
{
	if (block == NULL)
		return;
	for (size_t i = 0; i < block->bytes; i++)
		CHECK(block->content[i] == mark_of(block));
	free(block);
}

static unsigned next_random(unsigned *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 8;
}

static size_t random_bytes(unsigned *state)
{
	unsigned r = next_random(state);
	return r % 100 == 0 ? 40000 + r % 200000 : r % 1500;
}

static void free_parcels(void)
{
	for (unsigned i = 0; i < PARCELS; i++)
		look_and_free(atomic_exchange(&parcels[i], NULL));
}

static size_t resident_kib(void)
{
	unsigned long pages[2] = {0, 0};
	FILE *file = fopen("/proc/self/statm", "r");
	CHECK(file != NULL && fscanf(file, "%lu %lu", &pages[0], &pages[1]) == 2);
	fclose(file);
	return pages[1] * (size_t)sysconf(_SC_PAGESIZE) / 1024;
}

/* Memory must not grow with what has been. A sanitizer's own memory does, and an emulator's. */
static void check_growth(const char *what, size_t before, size_t allowed_kib)
{
	size_t after = resident_kib();
	if (SANITIZED || getenv("HAK_EMULATED") != NULL) {
		printf("left out: %s: resident memory, which a sanitizer's or an emulator's own grows with\n", what);
		return;
	}
	if (after > before + allowed_kib) {
		fprintf(stderr, "%s: resident memory grew from %zu to %zu KiB\n", what, before, after);
		_Exit(1);
	}
}

/* ---- Short threads ---- */

static void *short_life(void *ending)
{
	unsigned state = atomic_fetch_add(&seeds, 1) * 2654435761u;
	struct block *own[BLOCKS];
	for (unsigned i = 0; i < BLOCKS; i++)
		own[i] = make(random_bytes(&state));
	for (unsigned i = 0; i < BLOCKS; i++) {
		if (i % 2)
			own[i] = atomic_exchange(&parcels[next_random(&state) % PARCELS], own[i]);
		look_and_free(own[i]);
	}
	if (ending != NULL)
		pthread_exit(NULL);
	return NULL;
}

static void short_threads(void)
{
	pthread_t threads[AT_ONCE];
	size_t before = 0;
	for (unsigned i = 0; i < SHORT_THREADS; i++) {
		if (i >= AT_ONCE)
			CHECK(pthread_join(threads[i % AT_ONCE], NULL) == 0);
		if (i == SHORT_THREADS / 5)
			before = resident_kib();
		CHECK(pthread_create(&threads[i % AT_ONCE], NULL, short_life, i % 2 ? threads : NULL) == 0);
	}
	for (unsigned i = 0; i < AT_ONCE; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
	/* 150 KiB pass through each of the 8,000 threads in between: a hundredth of it lost would be 12 MiB. */
	check_growth("short threads", before, 6 << 10);
	free_parcels();
}

/* ---- Threads that only free ---- */

#define ROUNDS (SANITIZED ? 18u : 60u)
#define ROUND_BLOCKS 16384u
#define FREERS 2u

static struct block *round_blocks[ROUND_BLOCKS];
static pthread_barrier_t filled, emptied;

static void *only_free(void *index)
{
	for (unsigned round = 0; round < ROUNDS; round++) {
		pthread_barrier_wait(&filled);
		for (unsigned i = (unsigned)(uintptr_t)index; i < ROUND_BLOCKS; i += FREERS)
			look_and_free(round_blocks[i]);
		pthread_barrier_wait(&emptied);
	}
	return NULL;
}

static void only_freeing_threads(void)
{
	pthread_t threads[FREERS];
	size_t before = 0;
	pthread_barrier_init(&filled, NULL, FREERS + 1);
	pthread_barrier_init(&emptied, NULL, FREERS + 1);
	for (uintptr_t i = 0; i < FREERS; i++)
		CHECK(pthread_create(&threads[i], NULL, only_free, (void *)i) == 0);
	for (unsigned round = 0; round < ROUNDS; round++) {
		for (unsigned i = 0; i < ROUND_BLOCKS; i++)
			round_blocks[i] = make(100 + i % 4 * 100);
		if (round == ROUNDS / 6)
			before = resident_kib();
		if (round == ROUNDS - 1)
			check_growth("threads that only free", before, 3 << 10); /* of 200 MiB that passed through */
		pthread_barrier_wait(&filled);
		pthread_barrier_wait(&emptied);
	}
	for (unsigned i = 0; i < FREERS; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
	pthread_barrier_destroy(&filled);
	pthread_barrier_destroy(&emptied);
}

/* ---- Signals ---- */

static atomic_bool stop;
static atomic_uint handled;

/* What a careful handler may do: it keeps errno, uses some stack, and now and then makes a child and waits for it. It
 * must not call malloc. */
static void handler(int number)
{
	unsigned char scratch[2000];
	int saved = errno, status;
	memset(scratch, number, sizeof(scratch));
	if (!SANITIZED && atomic_load(&handled) % 256 == scratch[number]) {
		pid_t child = _Fork();
		if (child == 0)
			_exit(6);
		CHECK(child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 6);
	}
	atomic_fetch_add(&handled, 1);
	errno = saved;
}

static void *allocate_without_pause(void *seed)
{
	struct block *own[200] = {0};
	unsigned state = (unsigned)(uintptr_t)seed;
	errno = 4711;
	while (!atomic_load(&stop)) {
		unsigned place = next_random(&state) % 200;
		look_and_free(own[place]);
		own[place] = next_random(&state) % 3 ? make(random_bytes(&state)) : NULL;
		if (next_random(&state) % 16 == 0)
			own[place] = atomic_exchange(&parcels[next_random(&state) % PARCELS], own[place]);
		CHECK(errno == 4711);
	}
	for (unsigned i = 0; i < 200; i++)
		look_and_free(own[i]);
	return NULL;
}

/* A timer that sends the calling thread a signal a few thousand times a second: it arrives wherever the thread is just then. */
static timer_t start_timer(void)
{
	struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR1};
	struct itimerspec often = {{0, 150000}, {0, 150000}};
	timer_t timer;
	event._sigev_un._tid = gettid();
	CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0 && timer_settime(timer, 0, &often, NULL) == 0);
	return timer;
}

static void *allocate_under_signals(void *seed)
{
	timer_t timer = start_timer();
	allocate_without_pause(seed);
	CHECK(timer_delete(timer) == 0);
	return NULL;
}

static void signals_during_malloc(void)
{
	struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
	pthread_t threads[3];
	CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
	for (uintptr_t i = 0; i < 3; i++)
		CHECK(pthread_create(&threads[i], NULL, allocate_under_signals, (void *)(i + 1)) == 0);
	while (atomic_load(&handled) < SIGNALS)
		usleep(1000);
	atomic_store(&stop, true);
	for (int i = 0; i < 3; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
	free_parcels();
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} cases[] = {{"short_threads", short_threads}, {"only_freeing_threads", only_freeing_threads},
		{"signals_during_malloc", signals_during_malloc}};
	unsigned ran = 0;
	alarm(280); /* a lock that is never released shows as a signal */
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (argc > 1 && strcmp(argv[1], cases[i].name) != 0)
			continue;
		cases[i].run();
		ran++;
#ifdef HAK_AUDIT
		const char *broken = hak_audit_all();
		if (broken != NULL) {
			fprintf(stderr, "%s: %s\n", cases[i].name, broken);
			return 1;
		}
#endif
	}
	CHECK(ran > 0);
	puts("all lived");
	return 0;
}
