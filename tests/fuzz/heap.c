/* The heap under calls that the input spells out, byte by byte: every call of the API, sizes up to 32 MiB, alignments
 * up to 4 MiB, single blocks and bursts of up to 256, from three threads that take turns, some of which end. Every
 * block holds a pattern of its own, which is looked at before it is freed and after it was moved; the input calls the
 * auditors, and so does its end, when everything has been freed.
 *
 * Only one thread runs at a time, so that an input always makes the same calls in the same order. The heap itself
 * lives on from input to input, as does the clock: a finding that doesn't come again by itself may need the inputs
 * before it (the same -seed again). */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "lib/front_cache.h"
#include "lib/hakmem.h"
#include "lib/settings.h"
#include "tests/fuzz/fuzz.h"

#define PLACES 64
#define BURST_MAX 256
#define LIVE_MAX ((size_t)40 << 20)
#define BURST_BYTES ((size_t)256 << 10) /* in all: page faults would take the time */
#define ACTORS 3
#define EXPONENTS 25      /* sizes reach from 1 to 2^25 - 1 */
#define ALIGNMENTS 19     /* 16 to 4 MiB */
#define WHOLE_PATTERN 2048 /* longer blocks are written to at both ends and once a page */

struct place {
	unsigned count;
	size_t bytes, alignment;
	unsigned char *block[BURST_MAX];
	uint64_t salt[BURST_MAX];
};

/* The state of one input. Who has the turn owns all of it. */
static struct {
	const uint8_t *data, *end;
	size_t live_bytes;
	uint64_t salts;
	unsigned turn; /* the actor that runs; 0 is the thread that libFuzzer calls */
	bool alive[ACTORS];
	pthread_t thread[ACTORS];
	struct place places[PLACES];
} run;
static pthread_mutex_t turn_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turn_changed = PTHREAD_COND_INITIALIZER;

static unsigned next_byte(void)
{
	return run.data < run.end ? *run.data++ : 0;
}

/* One byte says how many bits the size has, another which. One in four is above 64 KiB. */
static size_t next_size(void)
{
	unsigned bits = next_byte();
	size_t top = (size_t)1 << (bits % 4 ? bits / 4 % 16 : 16 + bits / 4 % (EXPONENTS - 16));

	return top + (top * next_byte() >> 8);
}

/* ---- Patterns ---- */

static size_t pattern_step(size_t i, size_t bytes)
{
	return bytes <= WHOLE_PATTERN || i < 64 || i + 64 >= bytes ? 1 : i + 4096 < bytes - 64 ? 4096 : bytes - 64 - i;
}

static unsigned char pattern(uint64_t salt, size_t i)
{
	return (unsigned char)(salt * 37 + salt / 256 + i * 11 + i / 256);
}

static void fill(unsigned char *block, size_t bytes, uint64_t salt)
{
	for (size_t i = 0; i < bytes; i += pattern_step(i, bytes))
		block[i] = pattern(salt, i);
}

/* The first `bytes` of a block that was filled when it had `filled`. */
static void verify(const unsigned char *block, size_t bytes, size_t filled, uint64_t salt)
{
	for (size_t i = 0; i < bytes; i += pattern_step(i, filled))
		FUZZ_CHECK(block[i] == pattern(salt, i));
}

/* ---- Calls ---- */

static void keep(struct place *place, void *block, size_t bytes, size_t alignment)
{
	FUZZ_CHECK(block != NULL);
	FUZZ_CHECK((uintptr_t)block % alignment == 0);
	FUZZ_CHECK(hak_usable_size(block) >= bytes);
	place->block[place->count] = block;
	place->salt[place->count] = run.salts++;
	fill(block, bytes, place->salt[place->count]);
	place->count++;
}

static void *zeroed(size_t bytes)
{
	unsigned char *block = hak_calloc(bytes % 4 == 0 ? bytes / 4 : 1, bytes % 4 == 0 ? 4 : bytes);

	for (size_t i = 0; block && i < bytes; i += pattern_step(i, bytes))
		FUZZ_CHECK(block[i] == 0);
	return block;
}

/* Fills an empty place with one block, or several of a size. */
static void allocate(struct place *place, unsigned count)
{
	unsigned kind = next_byte();
	size_t bytes = next_size();
	size_t alignment = kind % 4 == 2 ? (size_t)16 << next_byte() % ALIGNMENTS : 16;

	if (place->count)
		return;
	place->bytes = bytes;
	while (place->count < count && run.live_bytes + bytes < LIVE_MAX && place->count * bytes < BURST_BYTES) {
		void *block = kind % 4 == 1 ? zeroed(bytes) : kind % 4 == 2 ? hak_memalign(alignment, bytes) : hak_malloc(bytes);

		keep(place, block, bytes, alignment);
		run.live_bytes += bytes;
	}
}

/* Frees the blocks whose number is not a multiple of `spare`, from the last to the first or the other way round. */
static void release(struct place *place, unsigned spare, bool backwards)
{
	unsigned count = place->count, kept = 0;

	for (unsigned i = 0; i < count; i++) {
		unsigned j = backwards ? count - 1 - i : i;

		if (spare && j % spare == 0)
			continue;
		verify(place->block[j], place->bytes, place->bytes, place->salt[j]);
		hak_free(place->block[j]);
		place->block[j] = NULL;
		run.live_bytes -= place->bytes;
	}
	for (unsigned i = 0; i < count; i++) {
		if (place->block[i] == NULL)
			continue;
		place->block[kept] = place->block[i];
		place->salt[kept++] = place->salt[i];
	}
	place->count = kept;
}

static void resize(struct place *place)
{
	size_t before = place->bytes, bytes = next_size();
	size_t common = before < bytes ? before : bytes;

	if (run.live_bytes + place->count * bytes >= LIVE_MAX)
		return;
	for (unsigned i = 0; i < place->count; i++) {
		unsigned char *block = hak_realloc(place->block[i], bytes);

		FUZZ_CHECK(block != NULL && (uintptr_t)block % 16 == 0 && hak_usable_size(block) >= bytes);
		verify(block, common, before, place->salt[i]);
		fill(block, bytes, place->salt[i]);
		place->block[i] = block;
	}
	run.live_bytes = run.live_bytes - place->count * before + place->count * bytes;
	place->bytes = bytes;
}

/* Calls that must fail, and change nothing. */
static void refuse(void)
{
	size_t bytes = (size_t)PTRDIFF_MAX + next_size();

	errno = 0;
	FUZZ_CHECK(hak_malloc(bytes) == NULL && errno == ENOMEM);
	errno = 0;
	FUZZ_CHECK(hak_calloc(bytes / 2, 3) == NULL && errno == ENOMEM);
	errno = 0;
	FUZZ_CHECK(hak_memalign(4096, bytes) == NULL && errno == ENOMEM);
	errno = 0;
	FUZZ_CHECK(hak_memalign(48, 1) == NULL && errno == EINVAL);
	for (unsigned i = 0; i < PLACES; i++) {
		if (run.places[i].count) {
			errno = 0;
			FUZZ_CHECK(hak_realloc(run.places[i].block[0], bytes) == NULL && errno == ENOMEM);
			return;
		}
	}
}

static void check_heap(void)
{
	const char *broken = hak_audit_all();

	if (broken)
		fprintf(stderr, "%s\n", broken);
	FUZZ_CHECK(broken == NULL);
}

/* A setting takes another value in the middle of the run. Those that are read once at the start are left alone. */
static void set(void)
{
	unsigned which = next_byte(), value = next_byte();

	switch (which % 6) {
	case 0: hak_settings.purge_delay_ms = value % 2 ? 0 : 1000; break;
	case 1: hak_settings.ss_lru = value % 8; break;
	case 2: hak_settings.ss_free_list = value % 16; break;
	case 3: hak_settings.drain_interval = 16 + value; break;
	case 4: hak_settings.cache_bytes = (uint64_t)64 << 10 << value % 6; break;
	case 5: hak_settings.ss_affinity = value % 2; break;
	}
}

/* ---- Turns ---- */

/* Gives the turn to `actor`; 0 when the input is at its end. */
static void give_turn(unsigned actor)
{
	pthread_mutex_lock(&turn_lock);
	run.turn = actor;
	pthread_cond_broadcast(&turn_changed);
	pthread_mutex_unlock(&turn_lock);
}

static void await_turn(unsigned actor)
{
	pthread_mutex_lock(&turn_lock);
	while (run.turn != actor)
		pthread_cond_wait(&turn_changed, &turn_lock);
	pthread_mutex_unlock(&turn_lock);
}

/* Makes calls until the turn goes to another actor, which is returned. */
static unsigned act(void)
{
	while (run.data < run.end) {
		unsigned what = next_byte();
		struct place *place = &run.places[what / 16 * 4 % PLACES + next_byte() % 4];

		switch (what % 16) {
		case 0: case 1: case 2: allocate(place, 1); break;
		case 3: case 4: allocate(place, next_byte() + 1); break;
		case 5: case 6: release(place, 0, false); break;
		case 7: release(place, 0, true); break;
		case 8: release(place, 2 + next_byte() % 60, next_byte() % 2); break;
		case 9: case 10: resize(place); break;
		case 11: set(); break;
		case 12: next_byte() % 4 ? hak_cache_request_drain() : (void)hak_trim(); break;
		case 13: next_byte() % 32 ? refuse() : check_heap(); break;
		case 14: case 15: return next_byte() % ACTORS;
		}
	}
	return 0;
}

static void *actor_main(void *number)
{
	unsigned self = (unsigned)(uintptr_t)number;

	/* An actor that gives the turn to itself ends: its successor begins with an empty cache. */
	for (;;) {
		await_turn(self);
		if (!run.alive[self])
			return NULL;
		unsigned next = act();
		if (next == self) {
			run.alive[self] = false;
			give_turn(0);
			return NULL;
		}
		give_turn(next);
	}
}

static void join_actor(unsigned actor)
{
	pthread_join(run.thread[actor], NULL);
	run.thread[actor] = 0;
}

/* The main actor's loop: its own turns, and the births and deaths of the others. */
static void play(void)
{
	while (run.data < run.end) {
		unsigned next = act();

		if (next == 0)
			continue;
		for (unsigned i = 1; i < ACTORS; i++) {
			if (run.thread[i] && !run.alive[i])
				join_actor(i);
			/* All exist before the turn goes to one: it may pass it on to another. */
			if (!run.thread[i]) {
				run.alive[i] = true;
				FUZZ_CHECK(pthread_create(&run.thread[i], NULL, actor_main, (void *)(uintptr_t)i) == 0);
			}
		}
		give_turn(next);
		await_turn(0);
		for (unsigned i = 1; i < ACTORS; i++) {
			if (run.thread[i] && !run.alive[i])
				join_actor(i);
		}
	}
	for (unsigned i = 1; i < ACTORS; i++) {
		if (!run.thread[i])
			continue;
		run.alive[i] = false;
		give_turn(i);
		join_actor(i);
	}
	run.turn = 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hak_settings settings = hak_settings;
	static unsigned runs;

	run.data = data;
	run.end = data + size;
	run.salts = 0;
	play();
	hak_settings = settings;
	for (unsigned i = 0; i < PLACES; i++)
		release(&run.places[i], 0, false);
	FUZZ_CHECK(run.live_bytes == 0);
	/* Mostly the next input begins with full caches. */
	if (size % 16 == 0)
		hak_trim();
	if (runs++ % 8 == 0)
		check_heap();
	return 0;
}
