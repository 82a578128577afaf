/* Places lie in one array, numbered; those of blocks hang in chains by a hash of their address. Pages of chains, and the places that
 * are free, are parted, each part with a lock of its own. A part takes free places from its own list, else from the array's end that
 * no part has had, else from other parts' lists. */
#include "sample_table.h"

#include "lock.h"
#include "os.h"

#ifndef PARTS /* the model has its own */
#define PARTS 64u
#endif
#define PAGE_CHAINS 1024u
#define SMALLEST 1024u
#define NO_PLACE UINT32_MAX
#define FULL ((uintptr_t)1)
#define KEPT_PART 8u   /* one place in so many is for blocks that threads keep */
#define STEPS 64u      /* of a search without a lock: two are the average of a full table */
#ifndef READ_TRIES /* the same */
#define READ_TRIES 100 /* a sample that comes or goes as often meanwhile is not there to be seen */
#endif

struct part {
	struct hak_lock lock;
	uint32_t free; /* places plus 1 */
	uint32_t held[HAK_CLASS_COUNT];
} __attribute__((aligned(64)));

static struct part parts[PARTS] = {[0 ... PARTS - 1] = {.lock = HAK_LOCK_INIT(HAK_RANK_SAMPLES)}};
static struct hak_sample_place *places; /* set once, before anybody samples */
static uint32_t *chains;                /* places plus 1, by hash */
static uint32_t page_count;             /* of chains, a power of two */
static uint32_t capacity, used;         /* places that there are, and that some part has had */
static uint32_t reserved;               /* places that threads may keep */
static uintptr_t full;                  /* FULL: no part had a free place, and none has come back since. Else whoever looked last */

/* ---- Making it ---- */

bool hak_sample_table_make(uint32_t wanted)
{
	if (places)
		return true;
	for (wanted = wanted < SMALLEST ? SMALLEST : wanted; wanted >= SMALLEST; wanted /= 2) {
		uint32_t pages = 1;
		struct hak_sample_place *made = hak_os_map((size_t)wanted * sizeof(*made));

		while (pages * PAGE_CHAINS < wanted / 2)
			pages *= 2;
		chains = made ? hak_os_map((size_t)pages * PAGE_CHAINS * sizeof(*chains)) : NULL;
		if (chains) {
			page_count = pages;
			capacity = wanted;
			hak_store_release(&places, made); /* pairs with the acquire in is_made */
			return true;
		}
		if (made)
			hak_os_unmap(made, (size_t)wanted * sizeof(*made));
	}
	return false;
}

static bool is_made(void)
{
	return hak_load_acquire(&places) != NULL; /* pairs with the release in hak_sample_table_make */
}

uint32_t hak_sample_table_capacity(void)
{
	return is_made() ? capacity : 0;
}

uint32_t hak_sample_table_used(void)
{
	uint32_t count;

	if (!is_made())
		return 0;
	count = hak_load_relaxed(&used);
	return count < capacity ? count : capacity;
}

struct hak_sample_place *hak_sample_place_at(uint32_t number)
{
	return &places[number];
}

uint32_t hak_sample_place_number(const struct hak_sample_place *place)
{
	return (uint32_t)(place - places);
}

/* ---- Chains ---- */

/* The blocks of a slot have their chains in one page, so that few samples touch few pages; which page it is, and where in it the first
 * block's chain lies, is the slot's hash. */
static uint32_t chain_number(uintptr_t address)
{
	uint32_t hash = (uint32_t)((address >> HAK_SLOT_SHIFT) * 0x9e3779b97f4a7c15u >> 32);
	uint32_t within = (uint32_t)(address % HAK_SLOT_BYTES / (HAK_SLOT_BYTES / PAGE_CHAINS)) + (hash >> 16);

	return (hash & (page_count - 1)) * PAGE_CHAINS + within % PAGE_CHAINS;
}

static struct part *part_of(uintptr_t address)
{
	return &parts[chain_number(address) / PAGE_CHAINS % PARTS];
}

static uint32_t *chain_of(uintptr_t address)
{
	return &chains[chain_number(address)];
}

/* The link that leads to the place of `address`, or the chain's last. The part's lock is held. */
static uint32_t *find_link(uintptr_t address)
{
	uint32_t *link = chain_of(address);

	while (*link && places[*link - 1].sample.address != address)
		link = &places[*link - 1].next;
	return link;
}

static HAK_NOINLINE struct hak_sample_place *find_locked(uintptr_t address)
{
	struct part *part = part_of(address);
	uint32_t number;

	hak_lock_acquire(&part->lock);
	number = *find_link(address);
	hak_lock_release(&part->lock);
	return number ? &places[number - 1] : NULL;
}

/* The place that is looked for stays where it is in its chain meanwhile: its block is the caller's. Others of the chain may come
 * and go, and lead astray, into a list of free places or another chain; then it is looked for again with the lock. */
struct hak_sample_place *hak_sample_place_find(uintptr_t address)
{
	uint32_t number;

	if (!is_made())
		return NULL;
	number = hak_load_relaxed(chain_of(address));
	for (unsigned steps = 0; number && steps < STEPS; steps++) {
		struct hak_sample_place *place = &places[number - 1];

		if (HAK_LIKELY(hak_load_relaxed(&place->sample.address) == address))
			return place;
		number = hak_load_relaxed(&place->next);
	}
	return find_locked(address);
}

/* ---- Places ---- */

/* A free place; NO_PLACE if there is none. The part's lock is held. */
static uint32_t take_number(struct part *part)
{
	uint32_t number;

	if (part->free) {
		number = part->free - 1;
		hak_store_relaxed(&part->free, places[number].next);
		return number;
	}
	if (hak_load_relaxed(&used) >= capacity)
		return NO_PLACE;
	number = hak_add_relaxed(&used, 1u);
	if (number < capacity)
		return number;
	hak_add_relaxed(&used, -1u);
	return NO_PLACE;
}

/* A free place of any part's. No lock is held. */
static HAK_NOINLINE uint32_t take_elsewhere(void)
{
	uint32_t number = NO_PLACE;
	uintptr_t mine = (uintptr_t)&number; /* nobody else's while we look */

	if (hak_sample_table_is_full())
		return NO_PLACE;
	/* Either we find what comes back, or who brings it finds that somebody looks: both are told in one order. */
	__atomic_store_n(&full, mine, __ATOMIC_SEQ_CST);
	for (unsigned i = 0; i < PARTS && number == NO_PLACE; i++) {
		if (!__atomic_load_n(&parts[i].free, __ATOMIC_SEQ_CST))
			continue;
		hak_lock_acquire(&parts[i].lock);
		number = take_number(&parts[i]);
		hak_lock_release(&parts[i].lock);
	}
	if (number == NO_PLACE) /* unless something came back, or another looks */
		__atomic_compare_exchange_n(&full, &mine, FULL, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
	return number;
}

bool hak_sample_table_is_full(void)
{
	return hak_load_relaxed(&full) == FULL;
}

static void count_held(struct part *part, unsigned class, uint32_t by)
{
	if (class < HAK_CLASS_COUNT)
		hak_single_writer_add(&part->held[class], by);
}

struct hak_sample_place *hak_sample_place_take(uintptr_t address, unsigned class)
{
	struct part *part = part_of(address);
	uint32_t *chain = chain_of(address), number;
	struct hak_sample_place *place;

	hak_lock_acquire(&part->lock);
	number = take_number(part);
	if (HAK_UNLIKELY(number == NO_PLACE)) {
		hak_lock_release(&part->lock);
		number = take_elsewhere();
		if (number == NO_PLACE)
			return NULL;
		hak_lock_acquire(&part->lock);
	}
	place = &places[number];
	hak_store_relaxed(&place->sample.address, address);
	hak_store_relaxed(&place->next, *chain);
	hak_store_relaxed(chain, number + 1);
	count_held(part, class, 1);
	hak_lock_release(&part->lock);
	return place;
}

void hak_sample_place_return(struct hak_sample_place *place, unsigned class)
{
	uintptr_t address = place->sample.address;
	struct part *part = part_of(address);

	hak_lock_acquire(&part->lock);
	hak_store_relaxed(find_link(address), place->next);
	hak_store_relaxed(&place->sample.address, 0);
	hak_store_relaxed(&place->next, part->free);
	__atomic_store_n(&part->free, hak_sample_place_number(place) + 1, __ATOMIC_SEQ_CST); /* before the look at full */
	if (HAK_UNLIKELY(__atomic_load_n(&full, __ATOMIC_SEQ_CST)))
		hak_store_relaxed(&full, (uintptr_t)0);
	count_held(part, class, -1u);
	hak_lock_release(&part->lock);
}

bool hak_sample_table_reserve(uint32_t count)
{
	uint32_t most = hak_sample_table_capacity() / KEPT_PART;

	if (hak_load_relaxed(&reserved) + count > most)
		return false;
	if (hak_add_relaxed(&reserved, count) + count <= most)
		return true;
	hak_sample_table_unreserve(count);
	return false;
}

void hak_sample_table_unreserve(uint32_t count)
{
	hak_add_relaxed(&reserved, -count);
}

uint64_t hak_sample_table_held(unsigned class)
{
	uint64_t count = 0;

	for (unsigned i = 0; i < PARTS; i++)
		count += hak_load_relaxed(&parts[i].held[class]);
	return count;
}

/* ---- Looking at it ---- */

#ifndef SAMPLE_WORDS /* the same */
#define SAMPLE_WORDS (sizeof(struct hak_sample) / sizeof(uint64_t))
#endif
_Static_assert(sizeof(struct hak_sample) % sizeof(uint64_t) == 0, "a sample is whole words");
typedef uint64_t __attribute__((may_alias)) sample_word;

bool hak_sample_place_read(const struct hak_sample_place *place, struct hak_sample *out)
{
	const sample_word *from = (const sample_word *)&place->sample;
	sample_word *to = (sample_word *)out;

	for (unsigned tries = 0; tries < READ_TRIES; tries++) {
		uint64_t told = hak_load_acquire(&place->told); /* pairs with the release in hak_sample_place_tell */

		if (!(uint32_t)told)
			return false;
		for (unsigned i = 0; i < SAMPLE_WORDS; i++)
			to[i] = hak_load_relaxed(&from[i]);
		hak_fence_acquire(); /* pairs with the release in hak_sample_place_untell */
		if (hak_load_relaxed(&place->told) == told) {
			out->stack = (uint32_t)told - 1;
			return true;
		}
	}
	return false;
}

/* ---- Fork ---- */

void hak_sample_table_fork_lock(void)
{
	for (unsigned i = 0; i < PARTS; i++)
		hak_lock_acquire(&parts[i].lock);
}

void hak_sample_table_fork_unlock(void)
{
	for (unsigned i = PARTS; i-- > 0;)
		hak_lock_release(&parts[i].lock);
}
