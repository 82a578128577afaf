/* A tally is a table that a thread adds to alone, so it needs no locked instruction: its entries are found by the stack's number,
 * which are dense, so that stacks that come up together seldom meet. Tallies hang in a list that only grows: readers follow it
 * without a lock, and what a thread has added counts on when it is gone, in its heir's hands. */
#include "introspect/tally.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "introspect/memory.h"
#include "lib/atomic.h"

#define ENTRIES 128u
#define UNTALLIED 500u /* that a thread adds before it gets a tally: for one that adds few that would be memory wasted */
#ifndef MISSES_MAX
#define MISSES_MAX 16u /* additions of other stacks to an entry, before one gets it: that costs more than adding to the sums of all */
#endif
#define YIELDS 100u     /* of one who waits for another thread, before it sleeps */
#define SLEEP_NS 100000 /* at a time */
#define FORK_WAITS 10000u
#define READ_TRIES 1000u       /* of a reader who waits */
#define READ_TRIES_AT_ONCE 10u /* of one who doesn't */

/* Sums are doubles, kept as their bits. What most blocks add to comes first, so that it lies in one cache line of an entry. */
enum { BYTES, TEMPORARY, LIFETIMES, VARIANCE = LIFETIMES + HAK_TALLY_LIFETIMES, SUMS };

/* The sums of all: each is added to by any thread, by compare-and-swap. */
static struct sums {
	uint64_t sum[SUMS];
} *all; /* by the stack's number. Set once, before anything is added. */
static uint32_t all_count;

struct entry {
	uint32_t stack;
	uint32_t sequence; /* odd while the sums move to those of all, and another stack comes */
	uint64_t sum[SUMS];
	uint32_t misses; /* the thread's alone */
} __attribute__((aligned(32)));

struct tally {
	struct tally *next;
	uint32_t taken;   /* by a thread */
	uint32_t folding; /* its thread moves sums, or is about to see that it mustn't */
	struct entry entry[ENTRIES];
};
static struct tally *tallies; /* the newest first */

static uint32_t forking; /* threads that are about to fork, or in it */

/* The thread's tally; up to UNTALLIED, what it has added without one. One word for both, for thread-local memory is scarce. */
static HAK_TLS uintptr_t own;

bool hak_tally_begin(uint32_t stacks)
{
	struct sums *made = hak_memory_map(stacks * sizeof(*made), HAK_MEMORY_INHERIT);

	if (!made)
		return false;
	all_count = stacks;
	all = made;
	return true;
}

/* ---- Adding ---- */

HAK_INLINE double number_of(uint64_t bits)
{
	double number;

	memcpy(&number, &bits, sizeof(number));
	return number;
}

HAK_INLINE uint64_t bits_of(double number)
{
	uint64_t bits;

	memcpy(&bits, &number, sizeof(bits));
	return bits;
}

static void add_to_all(uint64_t *sum, double amount)
{
	uint64_t old = hak_load_relaxed(sum);

	/* The release pairs with the acquire fence in read_all: who finds a sum finds the stack that it is of. */
	while (!__atomic_compare_exchange_n(sum, &old, bits_of(number_of(old) + amount), true, __ATOMIC_RELEASE, __ATOMIC_RELAXED))
		;
}

/* The sum is in the calling thread's tally. */
HAK_INLINE uint64_t plus(const uint64_t *sum, double amount)
{
	return bits_of(number_of(hak_load_relaxed(sum)) + amount);
}

/* Whether sums may be moved now: not while a fork is coming, whose child would have half of it. */
static bool begin_folding(struct tally *tally)
{
	/* Either a fork sees that we are at it, or we see that it is coming: both are told in one order. */
	__atomic_store_n(&tally->folding, 1u, __ATOMIC_SEQ_CST);
	if (HAK_LIKELY(!__atomic_load_n(&forking, __ATOMIC_SEQ_CST)))
		return true;
	hak_store_release(&tally->folding, 0u); /* as in change_hands: what was folded before is to be seen */
	return false;
}

/* Moves what the entry has to the sums of all, and gives it to another stack, which has come often enough. Returns false if it stays
 * as it is. */
static HAK_NOINLINE bool change_hands(struct tally *tally, struct entry *entry, uint32_t stack)
{
	uint32_t sequence = hak_load_relaxed(&entry->sequence);
	uint64_t *sums = all[hak_load_relaxed(&entry->stack)].sum;

	if (++entry->misses < MISSES_MAX || !begin_folding(tally))
		return false;
	entry->misses = 0;
	hak_store_relaxed(&entry->sequence, sequence + 1);
	hak_fence_release(); /* pairs with the acquire fence in read_all: who sees anything that follows sees the odd sequence */
	for (unsigned i = 0; i < SUMS; i++) {
		double amount = number_of(hak_load_relaxed(&entry->sum[i]));

		if (amount == 0)
			continue;
		add_to_all(&sums[i], amount);
		hak_store_relaxed(&entry->sum[i], 0u);
	}
	hak_store_relaxed(&entry->stack, stack);
	hak_store_release(&entry->sequence, sequence + 2); /* pairs with the acquire in sequences_of: all of it is to be seen */
	hak_store_release(&tally->folding, 0u);            /* pairs with the load in hak_tally_fork_prepare */
	return true;
}

/* Relaxed: who found the tally by an acquire finds what it leads to. */
HAK_INLINE struct tally *next_of(const struct tally *tally)
{
	return hak_load_relaxed(&tally->next);
}

static struct tally *take_tally(void)
{
	struct tally *tally, *first = hak_load_acquire(&tallies); /* pairs with the push below: what it leads to is there */
	uint32_t taken;

	for (tally = first; tally; tally = next_of(tally)) {
		taken = 0;
		/* The acquire pairs with the release in hak_tally_thread_death: we go on from its last sums. */
		if (!hak_load_relaxed(&tally->taken) && hak_cas_acquire_u32(&tally->taken, &taken, 1))
			return tally;
	}
	tally = hak_memory_map(sizeof(*tally), HAK_MEMORY_INHERIT);
	if (!tally)
		return NULL;
	tally->taken = 1;
	/* One order with begin_folding: a fork that isn't seen there finds this tally. */
	do {
		hak_store_relaxed(&tally->next, first);
	} while (!__atomic_compare_exchange_n(&tallies, &first, tally, true, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
	return tally;
}

/* The thread has no tally: it gets one with the last addition that it makes without. */
static HAK_NOINLINE struct tally *count_untallied(void)
{
	struct tally *tally;

	if (own == UNTALLIED || ++own < UNTALLIED)
		return NULL;
	tally = take_tally();
	if (tally)
		own = (uintptr_t)tally;
	return tally;
}

HAK_INLINE void add_to_entry(struct entry *entry, double blocks, double bytes, double variance, unsigned lifetime, bool temporary)
{
	hak_store_relaxed(&entry->sum[BYTES], plus(&entry->sum[BYTES], bytes));
	if (variance != 0)
		hak_store_relaxed(&entry->sum[VARIANCE], plus(&entry->sum[VARIANCE], variance));
	hak_store_relaxed(&entry->sum[LIFETIMES + lifetime], plus(&entry->sum[LIFETIMES + lifetime], blocks));
	if (temporary) /* the release pairs with the acquire in read_sums: the block was counted before */
		hak_store_release(&entry->sum[TEMPORARY], plus(&entry->sum[TEMPORARY], blocks));
}

/* The thread has no tally, or another stack has the place in it. */
static HAK_NOINLINE void add_slowly(
	uint32_t stack, double blocks, double bytes, double variance, unsigned lifetime, bool temporary)
{
	struct tally *tally = own > UNTALLIED ? (struct tally *)own : count_untallied();
	struct entry *entry = tally ? &tally->entry[stack % ENTRIES] : NULL;
	uint64_t *sums = all[stack].sum;

	if (entry && (hak_load_relaxed(&entry->stack) == stack || change_hands(tally, entry, stack))) {
		add_to_entry(entry, blocks, bytes, variance, lifetime, temporary);
		return;
	}
	add_to_all(&sums[BYTES], bytes);
	if (variance != 0)
		add_to_all(&sums[VARIANCE], variance);
	add_to_all(&sums[LIFETIMES + lifetime], blocks);
	if (temporary)
		add_to_all(&sums[TEMPORARY], blocks);
}

void hak_tally_add(uint32_t stack, double blocks, double bytes, double variance, unsigned lifetime, bool temporary)
{
	uint32_t number = HAK_LIKELY(stack < all_count) ? stack : 0;
	struct tally *tally = HAK_LIKELY(own > UNTALLIED) ? (struct tally *)own : NULL;

	if (HAK_LIKELY(tally && hak_load_relaxed(&tally->entry[number % ENTRIES].stack) == number))
		add_to_entry(&tally->entry[number % ENTRIES], blocks, bytes, variance, lifetime, temporary);
	else
		add_slowly(number, blocks, bytes, variance, lifetime, temporary);
}

void hak_tally_thread_death(void)
{
	if (own > UNTALLIED)
		hak_store_release(&((struct tally *)own)->taken, 0u);
	own = UNTALLIED; /* no other one, for destructors that come later */
}

/* ---- Reading ---- */

/* Lets other threads run. By a bare system call: it is no point where a thread is cancelled. */
static void wait_for_others(unsigned times_before)
{
	const struct timespec moment = {.tv_nsec = SLEEP_NS};
	int kept = errno;

	if (times_before < YIELDS)
		sched_yield();
	else
		syscall(SYS_nanosleep, &moment, NULL);
	errno = kept;
}

static void read_sums(const uint64_t *sums, struct hak_tally_sums *out)
{
	out->temporary += number_of(hak_load_acquire(&sums[TEMPORARY])); /* first, for it is added last */
	out->bytes += number_of(hak_load_relaxed(&sums[BYTES]));
	out->variance += number_of(hak_load_relaxed(&sums[VARIANCE]));
	for (unsigned i = 0; i < HAK_TALLY_LIFETIMES; i++)
		out->lifetimes[i] += number_of(hak_load_relaxed(&sums[LIFETIMES + i]));
}

/* The sequences of a stack's place in the tallies, added up: as they only grow, the sum is the same only if each of them is. *moving:
 * one is odd. */
static uint64_t sequences_of(const struct tally *first, uint32_t stack, bool *moving)
{
	uint64_t sum = 0;

	*moving = false;
	for (const struct tally *tally = first; tally; tally = next_of(tally)) {
		uint32_t sequence = hak_load_acquire(&tally->entry[stack % ENTRIES].sequence);

		*moving |= sequence & 1;
		sum += sequence;
	}
	return sum;
}

/* Adds up what a stack has, here and there. Returns false if some of it moved meanwhile, and may have been seen twice or not. A tally
 * that comes up meanwhile has only what is added meanwhile. */
static bool read_all(uint32_t stack, struct hak_tally_sums *out)
{
	const struct tally *first = hak_load_acquire(&tallies); /* pairs with the push in take_tally: what it leads to is there */
	bool moving, still_moving;
	uint64_t before = sequences_of(first, stack, &moving);

	*out = (struct hak_tally_sums){0};
	read_sums(all[stack].sum, out);
	for (const struct tally *tally = first; tally; tally = next_of(tally)) {
		const struct entry *entry = &tally->entry[stack % ENTRIES];

		if (hak_load_relaxed(&entry->stack) == stack)
			read_sums(entry->sum, out);
	}
	hak_fence_acquire();
	return sequences_of(first, stack, &still_moving) == before && !moving;
}

void hak_tally_read(uint32_t stack, bool wait, struct hak_tally_sums *out)
{
	for (unsigned i = 0; !read_all(stack, out) && i < (wait ? READ_TRIES : READ_TRIES_AT_ONCE); i++) {
		if (wait)
			wait_for_others(i);
	}
}

/* ---- Fork ---- */

void hak_tally_fork_prepare(void)
{
	unsigned waits = 0;

	__atomic_fetch_add(&forking, 1u, __ATOMIC_SEQ_CST);
	for (struct tally *tally = __atomic_load_n(&tallies, __ATOMIC_SEQ_CST); tally; tally = next_of(tally)) {
		/* Our own is being folded if it is a signal's handler that forks: that goes on in the child too. */
		while ((uintptr_t)tally != own && __atomic_load_n(&tally->folding, __ATOMIC_SEQ_CST) && waits < FORK_WAITS)
			wait_for_others(waits++);
	}
}

void hak_tally_fork_parent(void)
{
	/* Pairs with the load in begin_folding: who folds again does so behind all forks, of which none may end for another. */
	__atomic_fetch_sub(&forking, 1u, __ATOMIC_RELEASE);
}

void hak_tally_fork_child(void)
{
	/* The other threads aren't there any more. What one was in the midst of, where waiting for it took too long, is at its end. */
	for (struct tally *tally = tallies; tally; tally = next_of(tally)) {
		if ((uintptr_t)tally == own)
			continue;
		for (unsigned i = 0; tally->folding && i < ENTRIES; i++)
			tally->entry[i].sequence += tally->entry[i].sequence & 1;
		tally->folding = 0;
		tally->taken = 0;
	}
	hak_store_relaxed(&forking, 0u);
}
