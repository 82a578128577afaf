#include "superslab.h"

#include "mirror.h"
#include "os.h"

bool hak_ss_followed;

uint32_t hak_slot_first(uint32_t slot)
{
	/* Each further SuperSlab of a large run knows only that there is one before it. */
	while (hak_slot(slot)->distance == HAK_DISTANCE_FAR && slot >= HAK_SLOTS_PER_SS)
		slot = hak_slot_ss(slot) * HAK_SLOTS_PER_SS - 1;
	return hak_slot(slot)->distance <= slot ? slot - hak_slot(slot)->distance : slot;
}

/* Sets. A bit in level 1 says that the word below it in level 0 is not zero, likewise level 2. */

/* The set's word number `word` of a level. */
static uint64_t *set_word(unsigned set, unsigned level, uint32_t word)
{
	return &hak_group(word << (6 * level))->sets[level][set];
}

bool hak_set_has(unsigned set, uint32_t index)
{
	return *set_word(set, 0, index / 64) >> (index % 64) & 1;
}

void hak_set_add(unsigned set, uint32_t index)
{
	for (unsigned level = 0; level < 3; level++) {
		uint64_t *word = set_word(set, level, index / 64);
		uint64_t before = *word;

		*word |= 1ull << (index % 64);
		if (before)
			return; /* the summaries above know of this word already */
		index /= 64;
	}
}

void hak_set_remove(unsigned set, uint32_t index)
{
	for (unsigned level = 0; level < 3; level++) {
		uint64_t *word = set_word(set, level, index / 64);

		*word &= ~(1ull << (index % 64));
		if (*word)
			return;
		index /= 64;
	}
}

/* Words of `level` that can hold anything, no more being accessible. A SuperSlab has been taken. */
static uint32_t words_at(unsigned level)
{
	return ((hak_arena_taken() - 1) >> (6 * (level + 1))) + 1;
}

/* The first word index at or above `from` that is not zero at `level`, searched through the summary above; UINT32_MAX
 * if none. */
/* NOLINTNEXTLINE(misc-no-recursion): there are three levels */
static uint32_t next_word(unsigned set, unsigned level, uint32_t from)
{
	uint32_t word = from / 64;
	uint64_t bits;

	if (level == 2) {
		for (; from < words_at(2); from++) {
			if (*set_word(set, 2, from))
				return from;
		}
		return UINT32_MAX;
	}
	if (from >= words_at(level))
		return UINT32_MAX;
	bits = *set_word(set, level + 1, word) & (~0ull << (from % 64));
	if (!bits) {
		word = next_word(set, level + 1, word + 1);
		if (word == UINT32_MAX)
			return UINT32_MAX;
		bits = *set_word(set, level + 1, word);
	}
	return word * 64 + (uint32_t)__builtin_ctzll(bits);
}

uint32_t hak_set_next(unsigned set, uint32_t from)
{
	uint32_t taken = hak_arena_taken();
	uint32_t word = from / 64;
	uint64_t bits;

	if (from >= taken)
		return HAK_NO_SUPERSLAB;
	bits = *set_word(set, 0, word) & (~0ull << (from % 64));
	if (!bits) {
		word = next_word(set, 0, word + 1);
		if (word == UINT32_MAX)
			return HAK_NO_SUPERSLAB;
		bits = *set_word(set, 0, word);
	}
	return word * 64 + (uint32_t)__builtin_ctzll(bits);
}

uint32_t hak_set_next_in_neither(unsigned a, unsigned b, uint32_t from)
{
	uint32_t taken = hak_arena_taken();

	for (from++; from < taken; from = (from | 63) + 1) {
		uint64_t members = *set_word(a, 0, from / 64) | *set_word(b, 0, from / 64);
		uint64_t others = ~members & (~0ull << (from % 64));

		if (others) {
			from = (from & ~63u) + (uint32_t)__builtin_ctzll(others);
			return from < taken ? from : taken;
		}
	}
	return taken;
}

/* Runs of slots. */

unsigned hak_longest_run(uint32_t mask)
{
	unsigned length = 0;

	for (; mask; length++)
		mask &= mask << 1;
	return length;
}

unsigned hak_find_run(uint32_t mask, unsigned count, unsigned alignment)
{
	uint32_t starts = mask;
	uint32_t aligned = 0;

	for (unsigned i = 1; i < count; i++)
		starts &= mask >> i;
	for (unsigned i = 0; i < HAK_SLOTS_PER_SS; i += alignment)
		aligned |= 1u << i;
	starts &= aligned;
	return starts ? (unsigned)__builtin_ctz(starts) : HAK_SLOTS_PER_SS;
}

/* Keeping the sets in agreement with a SuperSlab's record. */

static unsigned slots_needed(unsigned bin)
{
	return bin == HAK_BIN_LARGE ? 1 : hak_size_classes[HAK_CLASS_OF_BIN(bin)].slots_per_slab;
}

static void set_affinity(uint32_t index, unsigned bin, unsigned longest)
{
	const struct hak_superslab *ss = hak_ss(index);

	if (ss->class_slots[bin] && longest >= slots_needed(bin))
		hak_set_add(HAK_SET_AFFINITY + bin, index);
	else
		hak_set_remove(HAK_SET_AFFINITY + bin, index);
}

static unsigned run_set(unsigned longest)
{
	return HAK_SET_RUN + (longest > HAK_LARGE_RUN_MAX ? HAK_LARGE_RUN_MAX : longest) - 1;
}

/* Recomputes the longest UNUSED run and moves the SuperSlab between the sets that depend on it. `also` names bins that
 * may have lost their last slot here, and whose affinity therefore ends. */
static void refresh(uint32_t index, uint64_t also)
{
	struct hak_superslab *ss = hak_ss(index);
	unsigned longest = ss->place == HAK_PLACE_IN_USE ? hak_longest_run(ss->unused) : 0;

	if (longest != ss->longest_unused) {
		if (ss->longest_unused)
			hak_set_remove(run_set(ss->longest_unused), index);
		if (longest)
			hak_set_add(run_set(longest), index);
		ss->longest_unused = (uint8_t)longest;
		also |= ss->bins;
	}
	for (; also; also &= also - 1)
		set_affinity(index, (unsigned)__builtin_ctzll(also), longest);
}

static void count_slots(struct hak_superslab *ss, unsigned bin, int change)
{
	ss->class_slots[bin] = (uint8_t)(ss->class_slots[bin] + change);
	if (ss->class_slots[bin])
		ss->bins |= 1ull << bin;
	else
		ss->bins &= ~(1ull << bin);
}

static void write_map(uint32_t index, unsigned first, unsigned count, unsigned bin)
{
	uint8_t *map = hak_heap.class_map + (size_t)index * HAK_SLOTS_PER_SS + first;

	for (unsigned i = 0; i < count; i++)
		hak_store_relaxed(&map[i], (uint8_t)bin);
}

void hak_slots_activate(uint32_t index, unsigned first, unsigned count, unsigned bin)
{
	struct hak_superslab *ss = hak_ss(index);
	uint32_t mask = hak_slot_mask(first, count);
	uint32_t now = hak_os_clock_ms();

	HAK_ASSERT((ss->unused & mask) == mask);
	hak_mirror_moves(index, bin);
	ss->unused &= ~mask;
	ss->active |= mask;
	for (unsigned i = 0; i < count; i++) {
		struct hak_slot *slot = &ss->slots[first + i];

		*slot = (struct hak_slot){.bin = (uint8_t)bin, .distance = (uint8_t)i, .since_ms = now};
	}
	ss->slots[first].span = count;
	count_slots(ss, bin, (int)count);
	write_map(index, first, count, bin);
	refresh(index, 1ull << bin);
	hak_ss_touch(index);
}

/* Moves slots that keep their slab from one state's bits to another's. `bin` is what free finds in the class map. */
static void change_state(uint32_t index, unsigned first, unsigned count, uint32_t *from, uint32_t *to, unsigned bin)
{
	uint32_t mask = hak_slot_mask(first, count);
	uint32_t now = hak_os_clock_ms();

	HAK_ASSERT((*from & mask) == mask);
	hak_mirror_moves(index, hak_ss(index)->slots[first].bin);
	*from &= ~mask;
	*to |= mask;
	for (unsigned i = 0; i < count; i++)
		hak_ss(index)->slots[first + i].since_ms = now;
	write_map(index, first, count, bin);
	hak_ss_touch(index);
}

void hak_slots_empty(uint32_t index, unsigned first, unsigned count)
{
	struct hak_superslab *ss = hak_ss(index);

	change_state(index, first, count, &ss->active, &ss->empty, HAK_BIN_NONE);
}

void hak_slots_reactivate(uint32_t index, unsigned first, unsigned count)
{
	struct hak_superslab *ss = hak_ss(index);

	change_state(index, first, count, &ss->empty, &ss->active, ss->slots[first].bin);
}

void hak_slots_sample(uint32_t index, unsigned first, unsigned count, enum hak_slot_blocks blocks)
{
	struct hak_superslab *ss = hak_ss(index);

	HAK_ASSERT((ss->active & hak_slot_mask(first, count)) == hak_slot_mask(first, count));
	for (unsigned i = 0; i < count; i++)
		ss->slots[first + i].sampled = (uint8_t)blocks;
	write_map(index, first, count, blocks ? HAK_BIN_SAMPLED : ss->slots[first].bin);
}

void hak_slots_form(uint32_t index, unsigned first, unsigned count)
{
	struct hak_superslab *ss = hak_ss(index);
	uint32_t now = hak_os_clock_ms();

	hak_mirror_moves(index, ss->slots[first].bin);
	for (unsigned i = 0; i < count; i++) {
		ss->slots[first + i].distance = (uint8_t)i;
		ss->slots[first + i].span = 0;
		ss->slots[first + i].since_ms = now;
	}
	ss->slots[first].span = count;
	hak_ss_touch(index);
}

void hak_slots_reset(uint32_t index, unsigned first, unsigned count)
{
	struct hak_superslab *ss = hak_ss(index);
	uint32_t mask = hak_slot_mask(first, count);
	uint32_t now = hak_os_clock_ms();
	uint64_t lost = ss->bins;

	hak_mirror_moves(index, HAK_BIN_NONE);
	for (unsigned i = 0; i < count; i++) {
		struct hak_slot *slot = &ss->slots[first + i];

		if (slot->bin != HAK_BIN_NONE) {
			hak_mirror_moves(index, slot->bin);
			count_slots(ss, slot->bin, -1);
		}
		*slot = (struct hak_slot){.bin = HAK_BIN_NONE, .since_ms = now};
	}
	ss->active &= ~mask;
	ss->empty &= ~mask;
	ss->unused |= mask;
	write_map(index, first, count, HAK_BIN_NONE);
	refresh(index, lost & ~ss->bins);
	hak_ss_touch(index);
}

void hak_ss_set_place(uint32_t index, enum hak_place place)
{
	struct hak_superslab *ss = hak_ss(index);

	hak_mirror_moves(index, HAK_BIN_NONE);
	if (ss->place == HAK_PLACE_LRU)
		hak_set_remove(HAK_SET_LRU, index);
	else if (ss->place == HAK_PLACE_RETIRED)
		hak_set_remove(HAK_SET_RETIRED, index);
	ss->place = (uint8_t)place;
	ss->since_ms = hak_os_clock_ms();
	if (place == HAK_PLACE_LRU)
		hak_set_add(HAK_SET_LRU, index);
	else if (place == HAK_PLACE_RETIRED)
		hak_set_add(HAK_SET_RETIRED, index);
	refresh(index, 0);
	hak_ss_touch(index);
}
