/* Every byte of every block is checked: threads fill blocks of all sizes with a pattern that depends on the block's address, pass some of
 * them to each other, grow and shrink others, and look at the pattern before each free. Two owners of the same byte can't both find
 * theirs. Between rounds all invariants are checked. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/atomic.h"
#include "lib/base.h"
#include "lib/hakmem.h"

#define THREADS 4
#define PLACES 1024
#define SHARED 512
#if HAK_TSAN || defined(__SANITIZE_ADDRESS__)
#define STEPS 12000
#else
#define STEPS 60000
#endif
#define ROUNDS 4

struct item {
	unsigned char *block;
	size_t bytes;
};

/* Places through which blocks pass from thread to thread: whoever exchanges an item out of one owns it. */
static struct item *passing[SHARED];

static unsigned char pattern(const unsigned char *block, size_t i)
{
	return (unsigned char)(((uintptr_t)block >> 4) * 31 + i * 7);
}

static void fill(struct item *item, size_t from)
{
	for (size_t i = from; i < item->bytes; i++)
		item->block[i] = pattern(item->block, i);
}

static void verify(const struct item *item, const unsigned char *written_at, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++) {
		if (item->block[i] != pattern(written_at, i)) {
			fprintf(stderr, "byte %zu of %zu at %p was overwritten\n", i, item->bytes, (void *)item->block);
			exit(1);
		}
	}
}

static uint32_t next_random(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

/* Mostly small, some of each larger kind. */
static size_t random_size(uint32_t *state)
{
	uint32_t r = next_random(state);
	if (r % 200 == 0)
		return 1 + next_random(state) % (1 << 20);
	if (r % 20 == 0)
		return 1 + next_random(state) % 40000;
	return 1 + next_random(state) % 600;
}

static void allocate(struct item *item, uint32_t *state)
{
	item->bytes = random_size(state);
	uint32_t r = next_random(state);
	if (r % 8 == 0) {
		size_t alignment = (size_t)16 << r / 8 % 9;
		item->block = hak_memalign(alignment, item->bytes);
		if ((uintptr_t)item->block % alignment != 0)
			abort();
	} else if (r % 8 == 1) {
		item->block = hak_calloc(1, item->bytes);
		for (size_t i = 0; item->block != NULL && i < item->bytes; i++) {
			if (item->block[i] != 0) {
				fprintf(stderr, "calloc: byte %zu of %zu is not zero\n", i, item->bytes);
				exit(1);
			}
		}
	} else {
		item->block = hak_malloc(item->bytes);
	}
	if (item->block == NULL || (uintptr_t)item->block % 16 != 0 || hak_usable_size(item->block) < item->bytes)
		abort();
	fill(item, 0);
}

static void release(struct item *item)
{
	verify(item, item->block, item->bytes);
	hak_free(item->block);
	item->block = NULL;
}

static void resize(struct item *item, uint32_t *state)
{
	unsigned char *old = item->block;
	size_t before = item->bytes, bytes = random_size(state);
	item->block = hak_realloc(old, bytes);
	if (item->block == NULL)
		abort();
	item->bytes = bytes;
	verify(item, old, before < bytes ? before : bytes);
	fill(item, 0);
}

/* Leaves the item for another thread, and frees what lay there. The exchange is both acquire and release, since the item goes one way
 * and another comes back. */
static void pass_on(struct item *item, uint32_t *state)
{
	struct item *parcel = hak_malloc(sizeof(*parcel));
	*parcel = *item;
	item->block = NULL;
	parcel = __atomic_exchange_n(&passing[next_random(state) % SHARED], parcel, __ATOMIC_ACQ_REL);
	if (parcel != NULL) {
		release(parcel);
		hak_free(parcel);
	}
}

static void *work(void *seed)
{
	static HAK_TLS struct item items[PLACES];
	uint32_t state = (uint32_t)(uintptr_t)seed;
	for (int step = 0; step < STEPS; step++) {
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

int main(void)
{
	pthread_t threads[THREADS];
	for (uintptr_t round = 0; round < ROUNDS; round++) {
		for (uintptr_t i = 0; i < THREADS; i++)
			pthread_create(&threads[i], NULL, work, (void *)(round * THREADS + i + 1));
		for (int i = 0; i < THREADS; i++)
			pthread_join(threads[i], NULL);
		const char *broken = hak_audit_all();
		if (broken != NULL) {
			fprintf(stderr, "round %u: %s\n", (unsigned)round, broken);
			return 1;
		}
		if (round % 2)
			hak_trim();
	}
	puts("no byte was touched by two");
	return 0;
}
