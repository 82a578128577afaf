/* Every byte of every block is checked: threads fill blocks of all sizes and alignments with a pattern of the block's own, pass some
 * of them to each other, grow and shrink others, and look at the pattern before each free and after each realloc. Two owners of
 * the same byte can't both find theirs. Between rounds, of which every other one has a single thread, all invariants are checked.
 *
 *   stress_integrity [OPERATIONS]   in all, about; some hundred million for a long run by hand
 *
 * tests/preload/integrity.c is the same under libc's names. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/atomic.h"
#include "lib/base.h"
#include "lib/hakmem.h"

#ifdef INTEGRITY_LIBC
#include <malloc.h>
#define hak_malloc malloc
#define hak_calloc calloc
#define hak_realloc realloc
#define hak_free free
#define hak_usable_size malloc_usable_size
#define hak_trim() malloc_trim(0)
#define hak_memalign aligned_by_turns
#endif

#define THREADS 4
#define PLACES 1024
#define SHARED 512
#if HAK_TSAN /* sees a race the first time, and takes its time */
#define OPERATIONS 60000
#elif defined(__SANITIZE_ADDRESS__)
#define OPERATIONS 120000
#elif defined(INTEGRITY_LIBC) /* nothing is checked between rounds, and it runs under many settings */
#define OPERATIONS 500000
#else
#define OPERATIONS 2000000
#endif
#define ROUNDS 6
#define HUGE_BYTES ((size_t)24 << 20)  /* the largest sizes: up to this */
#define HUGE_LIVE_MAX ((size_t)256 << 20) /* and so much of them at a time, in all threads */
#define ALIGNMENT_BITS 19              /* 16 to 4 MiB */

struct item {
	unsigned char *block;
	size_t bytes;
	uint64_t salt;
};

/* Places through which blocks pass from thread to thread: whoever exchanges an item out of one owns it. */
static struct item *passing[SHARED];
static uint64_t salts;      /* gives each block's pattern a number of its own */
static uint64_t huge_bytes; /* live, in blocks above 1 MiB */
static uint32_t steps;      /* a thread's, in a round */

_Noreturn static void fail(const char *what, const struct item *item, size_t i)
{
	fprintf(stderr, "%s: byte %zu of %zu at %p\n", what, i, item->bytes, (void *)item->block);
	exit(1);
}

/* ---- Patterns: words, as bytes would take most of the time ---- */

static uint64_t pattern(uint64_t salt, size_t word)
{
	return (salt + word) * UINT64_C(0x9e3779b97f4a7c15);
}

static void fill(struct item *item)
{
	size_t words = item->bytes / 8;

	for (size_t i = 0; i < words; i++) {
		uint64_t word = pattern(item->salt, i);

		memcpy(item->block + i * 8, &word, 8);
	}
	for (size_t i = words * 8; i < item->bytes; i++)
		item->block[i] = (unsigned char)(pattern(item->salt, words) >> i % 8 * 8);
}

/* The first `bytes` of it; if the block had another length when it was filled, that is `filled`. */
static void verify(const struct item *item, size_t bytes, size_t filled)
{
	size_t words = filled / 8;

	for (size_t i = 0; i < bytes;) {
		uint64_t want = pattern(item->salt, i / 8), have = want;

		if (i / 8 < words && i + 8 <= bytes) {
			memcpy(&have, item->block + i, 8);
			if (have != want)
				fail("overwritten", item, i);
			i += 8;
		} else {
			if (item->block[i] != (unsigned char)(want >> i % 8 * 8))
				fail("overwritten", item, i);
			i++;
		}
	}
}

static void verify_zero(const struct item *item)
{
	for (size_t i = 0; i < item->bytes; i++) {
		if (item->block[i] != 0)
			fail("calloc: not zero", item, i);
	}
}

/* ---- Sizes ---- */

static uint32_t next_random(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

/* Mostly small, some of each larger kind: every class, runs of slots, and a few of several SuperSlabs. */
static size_t random_size(uint32_t *state)
{
	uint32_t r = next_random(state) % 16000;

	if (r == 0 && hak_load_relaxed(&huge_bytes) < HUGE_LIVE_MAX)
		return 1 + next_random(state) % HUGE_BYTES;
	if (r < 80)
		return 1 + next_random(state) % (1 << 20);
	if (r < 800)
		return 1 + next_random(state) % 40000;
	return 1 + next_random(state) % 600;
}

static void count_huge(const struct item *item, bool live)
{
	if (item->bytes > 1 << 20)
		hak_add_relaxed(&huge_bytes, live ? item->bytes : -(uint64_t)item->bytes);
}

/* ---- Calls ---- */

#ifdef INTEGRITY_LIBC
/* libc has three names for it; aligned_alloc's size need not be a multiple of the alignment here. */
static void *aligned_by_turns(size_t alignment, size_t bytes)
{
	void *block = NULL;

	switch (hak_load_relaxed(&salts) % 3) {
	case 0: return memalign(alignment, bytes);
	case 1: return aligned_alloc(alignment, bytes);
	default: return posix_memalign(&block, alignment, bytes) == 0 ? block : NULL;
	}
}
#endif

/* The largest alignments make a block cost more than its bytes: they are rare. */
static size_t random_alignment(uint32_t *state)
{
	uint32_t r = next_random(state);

	return (size_t)16 << (r % 64 == 0 ? r / 64 % ALIGNMENT_BITS : r / 64 % 9);
}

static void allocate(struct item *item, uint32_t *state)
{
	size_t alignment = 16;
	uint32_t r = next_random(state);

	item->bytes = random_size(state);
	item->salt = hak_add_relaxed(&salts, 1);
	if (r % 8 == 0) {
		alignment = random_alignment(state);
		item->block = hak_memalign(alignment, item->bytes);
	} else if (r % 8 == 1) {
		item->block = hak_calloc(1, item->bytes);
	} else if (r % 8 == 2) {
		item->block = hak_realloc(NULL, item->bytes);
	} else {
		item->block = hak_malloc(item->bytes);
	}
	if (item->block == NULL)
		fail("out of memory", item, 0);
	if ((uintptr_t)item->block % alignment != 0)
		fail("not aligned", item, 0);
	if (hak_usable_size(item->block) < item->bytes)
		fail("too small", item, 0);
	if (r % 8 == 1)
		verify_zero(item);
	count_huge(item, true);
	fill(item);
}

static void release(struct item *item)
{
	errno = 77;
	verify(item, item->bytes, item->bytes);
	count_huge(item, false);
	hak_free(item->block);
	if (errno != 77)
		fail("free changed errno", item, 0);
	item->block = NULL;
}

/* A chain of reallocs: to any size, or in small steps, as strings grow. */
static void resize(struct item *item, uint32_t *state)
{
	bool by_steps = next_random(state) % 4 == 0;
	unsigned count = by_steps ? 8 : 1 + next_random(state) % 3;

	for (unsigned i = 0; i < count; i++) {
		size_t before = item->bytes;
		size_t bytes = by_steps ? before + before / 8 + 1 : random_size(state);
		unsigned char *block = hak_realloc(item->block, bytes);

		if (block == NULL)
			fail("out of memory", item, 0);
		count_huge(item, false);
		*item = (struct item){block, bytes, item->salt};
		count_huge(item, true);
		if ((uintptr_t)block % 16 != 0 || hak_usable_size(block) < bytes)
			fail("realloc: not aligned, or too small", item, 0);
		verify(item, before < bytes ? before : bytes, before);
		fill(item);
	}
}

/* Leaves the item for another thread, and frees what lay there. The exchange is both acquire and release, since the item goes one way
 * and another comes back. */
static void pass_on(struct item *item, uint32_t *state)
{
	struct item *parcel = hak_malloc(sizeof(*parcel));

	if (parcel == NULL)
		fail("out of memory", item, 0);
	*parcel = *item;
	item->block = NULL;
	parcel = __atomic_exchange_n(&passing[next_random(state) % SHARED], parcel, __ATOMIC_ACQ_REL);
	if (parcel != NULL) {
		release(parcel);
		hak_free(parcel);
	}
}

/* ---- Rounds ---- */

static void *work(void *seed)
{
	static HAK_TLS struct item items[PLACES];
	uint32_t state = (uint32_t)(uintptr_t)seed;

	for (uint32_t step = 0; step < steps; step++) {
		struct item *item = &items[next_random(&state) % PLACES];
		uint32_t choice = next_random(&state) % 10;

		if (item->block == NULL)
			allocate(item, &state);
		else if (choice < 5)
			release(item);
		else if (choice < 8)
			resize(item, &state);
		else
			pass_on(item, &state);
	}
	for (int i = 0; i < PLACES; i++) {
		if (items[i].block != NULL)
			release(&items[i]);
	}
	return NULL;
}

#ifdef INTEGRITY_LIBC
static void check_heap(unsigned round)
{
	(void)round;
}
#else
static void check_heap(unsigned round)
{
	const char *broken = hak_audit_all();

	if (broken != NULL) {
		fprintf(stderr, "round %u: %s\n", round, broken);
		exit(1);
	}
}
#endif

/* What was passed and not taken. */
static void empty_places(void)
{
	for (unsigned i = 0; i < SHARED; i++) {
		if (passing[i] == NULL)
			continue;
		release(passing[i]);
		hak_free(passing[i]);
		passing[i] = NULL;
	}
}

int main(int argc, char **argv)
{
	unsigned long usual = getenv("HAK_EMULATED") != NULL ? OPERATIONS / 4 : OPERATIONS; /* an emulator takes its time */
	unsigned long operations = argc > 1 ? strtoul(argv[1], NULL, 10) : usual;
	pthread_t threads[THREADS];

	for (unsigned round = 0; round < ROUNDS; round++) {
		unsigned count = round % 2 ? 1 : THREADS;

		steps = (uint32_t)(operations / ROUNDS / count);
		for (uintptr_t i = 0; i < count; i++)
			pthread_create(&threads[i], NULL, work, (void *)(round * THREADS + i + 1));
		for (unsigned i = 0; i < count; i++)
			pthread_join(threads[i], NULL);
		check_heap(round);
		if (round % 3 == 1)
			hak_trim();
		/* In the last round but one too, so that the last begins with nothing live. */
		if (round >= ROUNDS - 2)
			empty_places();
		check_heap(round);
	}
	if (huge_bytes != 0) {
		fprintf(stderr, "%llu bytes of large blocks are still counted\n", (unsigned long long)huge_bytes);
		return 1;
	}
	printf("no byte was touched by two, in %lu operations\n", operations);
	return 0;
}
