/* The kernel refuses. mmap, munmap, mprotect and madvise are the linker's wrapped ones here (suites.def), and fail with ENOMEM when
 * the plan says so: the N-th call, ten from the N-th on, or all of them until further notice, for N up to 200, each in a process of
 * its own (this program, with a plan as its arguments), from the heap's very first call on. N is every number, but every 6th where
 * ten calls fail and every 10th where advice is refused; under sanitizers, of advice and of calls of all kinds, every 13th of those.
 * Each allocation then returns NULL with ENOMEM, or memory in another way; every block keeps its contents; nothing hangs; and once
 * the calls succeed there is full service and all invariants hold. The last part lets 16 threads race while the kernel refuses from
 * time to time.
 *
 * The address space is said to be limited. With HAKMEM_RESERVE set (stress/faults_tight) it is to so little that the heap needs
 * further reservations, and big blocks are packed. */
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base.h"
#include "lib/hakmem.h"

#define LAST_CALL 200
#define ITEMS 48
#define ROUNDS 9
#define RACERS 16
#define SAID_LIMIT ((rlim_t)8 << 30)
#if HAK_TSAN
#define SAID_TIGHT_LIMIT ((rlim_t)1 << 30) /* the heap lies where it can't grow */
#else
#define SAID_TIGHT_LIMIT ((rlim_t)96 << 20)
#endif
#define NO_END UINT32_MAX
#if HAK_TSAN || defined(__SANITIZE_ADDRESS__)
#define STEP_OF_N 13 /* slow: every 13th call, others in each plan */
#define FIRST_N(number) (1 + (number) * 2)
#define SECONDS_EACH 60
#else
#define STEP_OF_N 1
#define FIRST_N(number) 1
#define SECONDS_EACH 10
#endif

#define FAIL(...) (fprintf(stderr, __VA_ARGS__), fputc('\n', stderr), exit(1))

/* ---- The plans ---- */

enum { MMAP = 1, MUNMAP = 2, MPROTECT = 4, MADVISE = 8, ANY = 15 };

static const struct planned {
	const char *name;
	uint32_t kinds, number, step;
	bool many; /* there are at least LAST_CALL such calls */
} plans[] = {
	{"one call fails", ANY, 1, 1, true},
	{"ten calls fail", ANY, 10, 6, true},
	{"all calls fail for a while", ANY, NO_END, 1, true},
	{"mprotect is refused for a while, as by strict overcommit", MPROTECT, NO_END, 1, false},
	{"mappings are refused for a while", MMAP | MUNMAP, NO_END, 1, false},
	{"advice is refused for a while", MADVISE, NO_END, 10, true},
	{"sixteen threads race", ANY, 0, 1, false},
};
#define RACE (HAK_COUNT_OF(plans) - 1)

/* ---- The calls that fail ---- */

static uint32_t kinds, from, end; /* calls of these kinds from this one on, up to that one, fail */

/* In memory that the process shares with the one that runs it. */
static struct counts {
	uint32_t calls, failed, refused;
} *counts;
#define COUNTS_FILE 100

static bool fails(uint32_t kind)
{
	if (!(kinds & kind))
		return false;
	uint32_t call = __atomic_add_fetch(&counts->calls, 1, __ATOMIC_RELAXED);
	if (call < from || call >= __atomic_load_n(&end, __ATOMIC_RELAXED))
		return false;
	__atomic_add_fetch(&counts->failed, 1, __ATOMIC_RELAXED);
	errno = ENOMEM;
	return true;
}

/* NOLINTBEGIN(bugprone-reserved-identifier): names by the linker's rule */
void *__real_mmap(void *address, size_t bytes, int protection, int flags, int file, off_t offset);
int __real_munmap(void *address, size_t bytes);
int __real_mprotect(void *address, size_t bytes, int protection);
int __real_madvise(void *address, size_t bytes, int advice);
int __real_getrlimit(__rlimit_resource_t kind, struct rlimit *limit);
void *__wrap_mmap(void *address, size_t bytes, int protection, int flags, int file, off_t offset);
int __wrap_munmap(void *address, size_t bytes);
int __wrap_mprotect(void *address, size_t bytes, int protection);
int __wrap_madvise(void *address, size_t bytes, int advice);
int __wrap_getrlimit(__rlimit_resource_t kind, struct rlimit *limit);
/* NOLINTEND(bugprone-reserved-identifier) */

void *__wrap_mmap(void *address, size_t bytes, int protection, int flags, int file, off_t offset)
{
	return fails(MMAP) ? MAP_FAILED : __real_mmap(address, bytes, protection, flags, file, offset);
}

int __wrap_munmap(void *address, size_t bytes)
{
	return fails(MUNMAP) ? -1 : __real_munmap(address, bytes);
}

int __wrap_mprotect(void *address, size_t bytes, int protection)
{
	return fails(MPROTECT) ? -1 : __real_mprotect(address, bytes, protection);
}

int __wrap_madvise(void *address, size_t bytes, int advice)
{
	return fails(MADVISE) ? -1 : __real_madvise(address, bytes, advice);
}

int __wrap_getrlimit(__rlimit_resource_t kind, struct rlimit *limit)
{
	if (kind != RLIMIT_AS)
		return __real_getrlimit(kind, limit);
	rlim_t said = getenv("HAKMEM_RESERVE") != NULL ? SAID_TIGHT_LIMIT : SAID_LIMIT;
	*limit = (struct rlimit){said, said};
	return 0;
}

static void let_all_succeed(void)
{
	__atomic_store_n(&end, 0, __ATOMIC_RELAXED);
}

static void map_counts(void)
{
	counts = __real_mmap(NULL, sizeof(*counts), PROT_READ | PROT_WRITE, MAP_SHARED, COUNTS_FILE, 0);
	if (counts == MAP_FAILED)
		FAIL("no shared memory");
}

/* Runs before the heap's own constructor, which makes its first calls. */
__attribute__((constructor(101))) static void read_plan(int argc, char **argv)
{
	if (argc < 3)
		return;
	const struct planned *planned = &plans[atoi(argv[1])];
	map_counts();
	from = (uint32_t)atoi(argv[2]);
	end = planned->number == NO_END ? NO_END : from + planned->number;
	kinds = planned->kinds;
}

/* ---- The load ---- */

struct item {
	unsigned char *block;
	size_t bytes;
	uint32_t seed;
};

static uint32_t next_random(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

/* Every byte of a small block is marked; of a big one some, and the last. */
static size_t stride(size_t bytes)
{
	return bytes <= 4096 ? 1 : bytes <= 65536 ? 61 : 24593;
}

static unsigned char pattern(uint32_t seed, size_t i)
{
	return (unsigned char)((seed + i * 7) | 1);
}

static void fill(struct item *item, size_t bytes)
{
	item->bytes = bytes;
	for (size_t i = 0; i < bytes; i += stride(bytes))
		item->block[i] = pattern(item->seed, i);
	item->block[bytes - 1] = pattern(item->seed, bytes - 1);
}

/* Looks at what was marked when the block had `marked` bytes, of which it has `bytes` now. */
static void verify(const struct item *item, size_t marked, size_t bytes)
{
	for (size_t i = 0; i < bytes; i += stride(marked)) {
		if (item->block[i] != pattern(item->seed, i))
			FAIL("byte %zu of %zu at %p was overwritten", i, marked, (void *)item->block);
	}
	if (bytes == marked && item->block[bytes - 1] != pattern(item->seed, bytes - 1))
		FAIL("the last byte of %zu at %p was overwritten", marked, (void *)item->block);
}

/* Of every kind that there is: classes, runs of slots, whole SuperSlabs. */
static size_t random_bytes(uint32_t *state)
{
	uint32_t r = next_random(state);
	unsigned kind = r % 16;
	size_t most = kind == 0 ? 3u << 20 : kind == 1 ? 1200000 : kind < 4 ? 250000 : kind < 8 ? 33000 : 1500;
	return 1 + (r >> 8) % most;
}

/* Whether there is a block; if not, that must have been said the right way, and there must have been a reason. */
static bool given(const void *block)
{
	if (block != NULL)
		return true;
	if (errno != ENOMEM)
		FAIL("NULL with errno %d", errno);
	if (__atomic_load_n(&counts->failed, __ATOMIC_RELAXED) == 0)
		FAIL("NULL though no call has failed");
	__atomic_add_fetch(&counts->refused, 1, __ATOMIC_RELAXED);
	return false;
}

static void check_zero(const struct item *item, size_t bytes)
{
	for (size_t i = 0; i < bytes; i += stride(bytes)) {
		if (item->block[i] != 0)
			FAIL("calloc: byte %zu of %zu is not zero", i, bytes);
	}
}

static void allocate(struct item *item, uint32_t *state)
{
	size_t bytes = random_bytes(state);
	uint32_t r = next_random(state);
	size_t alignment = (size_t)16 << (r >> 8) % 19;
	errno = 0;
	item->seed = r;
	if (r % 6 == 0)
		item->block = hak_memalign(alignment, bytes);
	else if (r % 6 == 1)
		item->block = hak_calloc(1, bytes);
	else
		item->block = hak_malloc(bytes);
	if (!given(item->block))
		return;
	if (hak_usable_size(item->block) < bytes || (r % 6 == 0 && (uintptr_t)item->block % alignment != 0))
		FAIL("a block of %zu bytes is not what was asked for", bytes);
	if (r % 6 == 1)
		check_zero(item, bytes);
	fill(item, bytes);
}

static void release(struct item *item)
{
	verify(item, item->bytes, item->bytes);
	errno = 4711;
	hak_free(item->block);
	if (errno != 4711)
		FAIL("free changed errno to %d", errno);
	item->block = NULL;
}

static void resize(struct item *item, uint32_t *state)
{
	size_t before = item->bytes, bytes = random_bytes(state);
	errno = 0;
	unsigned char *block = hak_realloc(item->block, bytes);
	if (!given(block)) {
		verify(item, before, before);
		return;
	}
	item->block = block;
	verify(item, before, before < bytes ? before : bytes);
	fill(item, bytes);
}

static void steps(struct item *items, uint32_t *state, unsigned number)
{
	for (unsigned i = 0; i < number; i++) {
		struct item *item = &items[next_random(state) % ITEMS];
		if (item->block == NULL)
			allocate(item, state);
		else if (next_random(state) % 4 == 0)
			resize(item, state);
		else
			release(item);
	}
}

static void release_all(struct item *items)
{
	for (unsigned i = 0; i < ITEMS; i++) {
		if (items[i].block != NULL)
			release(&items[i]);
	}
}

static void *short_life(void *seed)
{
	struct item items[ITEMS] = {{0}};
	uint32_t state = (uint32_t)(uintptr_t)seed;
	steps(items, &state, 60);
	release_all(items);
	return NULL;
}

static void load(struct item *items)
{
	uint32_t state = 4242;
	for (uintptr_t round = 1; round <= ROUNDS; round++) {
		pthread_t thread;
		steps(items, &state, 100);
		if (round % 3 == 0 && pthread_create(&thread, NULL, short_life, (void *)round) == 0)
			pthread_join(thread, NULL);
		if (round % 2)
			hak_trim();
	}
}

/* The calls succeed again: nothing is refused any more, what lived through it all is as it was, and the records are right. */
static void full_service(struct item *items)
{
	struct item more[ITEMS] = {{0}};
	uint32_t refused = counts->refused, state = 99;
	for (unsigned i = 0; i < ITEMS; i++)
		allocate(&more[i], &state);
	steps(more, &state, 100);
	if (counts->refused != refused)
		FAIL("refused although the calls succeed again");
	release_all(items);
	release_all(more);
	hak_trim();
	const char *broken = hak_audit_all();
	if (broken != NULL)
		FAIL("%s", broken);
}

/* ---- The race ---- */

static void *racer(void *seed)
{
	static HAK_TLS struct item items[ITEMS];
	uint32_t state = (uint32_t)(uintptr_t)seed;
	steps(items, &state, STEP_OF_N == 1 ? 1500 : 300);
	release_all(items);
	return NULL;
}

static void run_race(void)
{
	static struct item items[ITEMS];
	pthread_t threads[RACERS];
	for (uintptr_t i = 0; i < RACERS; i++) {
		/* Each thread more comes with fifty failures, from its very first call on. */
		__atomic_store_n(&end, __atomic_load_n(&counts->calls, __ATOMIC_RELAXED) + 50, __ATOMIC_RELAXED);
		if (pthread_create(&threads[i], NULL, racer, (void *)(i + 1)) != 0)
			FAIL("no thread");
		usleep(2000);
	}
	for (int i = 0; i < RACERS; i++)
		pthread_join(threads[i], NULL);
	let_all_succeed();
	full_service(items);
	printf("%d threads: %u calls failed, %u allocations were refused\n", RACERS, counts->failed, counts->refused);
}

/* ---- The N-th call ---- */

static void run_plan(void)
{
	static struct item items[ITEMS];
	load(items);
	let_all_succeed();
	full_service(items);
}

static void run_child(unsigned number)
{
	alarm(number == RACE ? SECONDS_EACH * 6 : SECONDS_EACH);
	if (number == RACE)
		run_race();
	else
		run_plan();
}

/* Runs a plan from the n-th call on. Returns whether there was one. */
static bool nth_call(unsigned number, uint32_t n)
{
	char plan_text[16], n_text[16];
	int status;
	memset(counts, 0, sizeof(*counts));
	snprintf(plan_text, sizeof(plan_text), "%u", number);
	snprintf(n_text, sizeof(n_text), "%u", n);
	pid_t child = fork();
	if (child == 0) {
		execl("/proc/self/exe", "faults", plan_text, n_text, NULL);
		_exit(127);
	}
	if (child < 0 || waitpid(child, &status, 0) != child)
		FAIL("fork: %s", strerror(errno));
	if (status != 0)
		FAIL("%s, from number %u on: the program ended with status 0x%x%s", plans[number].name, n, (unsigned)status,
			WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM ? ": it hung" : "");
	return counts->failed != 0;
}

static void every_call(unsigned number)
{
	/* NOLINTBEGIN(bugprone-branch-clone): they differ under sanitizers */
	uint32_t first = plans[number].many ? FIRST_N(number) : 1;
	uint32_t n, step = plans[number].step * (plans[number].many ? STEP_OF_N : 1), failed = 0, refused = 0;
	/* NOLINTEND(bugprone-branch-clone) */
	for (n = first; n <= LAST_CALL && nth_call(number, n); n += step) {
		failed += counts->failed;
		refused += counts->refused;
	}
	printf("%s, from number %u to %u: %u calls failed, %u allocations were refused\n", plans[number].name,
		first, n - step, failed, refused);
	if (n <= LAST_CALL && plans[number].many)
		FAIL("there are only %u calls", n);
	if (plans[number].number == NO_END && plans[number].kinds != MADVISE && refused == 0)
		FAIL("nothing was ever refused");
}

int main(int argc, char **argv)
{
	if (argc == 3) {
		run_child((unsigned)atoi(argv[1]));
		return 0;
	}
	if (getenv("HAK_EMULATED") != NULL) {
		puts("SKIP: this program runs itself anew, and the kernel can't where it takes an emulator");
		return 77;
	}
	int file = memfd_create("counts", 0);
	if (file < 0 || ftruncate(file, sizeof(struct counts)) != 0 || dup2(file, COUNTS_FILE) < 0)
		FAIL("no shared memory");
	map_counts();
	/* Idle memory goes back at once, so that there are many calls. */
	setenv("HAKMEM_SS_LRU", "2", 1);
	setenv("HAKMEM_PURGE_DELAY_MS", "0", 1);
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (unsigned number = 0; number < RACE; number++)
		every_call(number);
	nth_call(RACE, 1);
	return 0;
}
