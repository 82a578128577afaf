/* The table: a stack is a run of words in one array; its record says where, and a hash table of record numbers finds
 * it. All three only grow, so no lock is needed: a record is complete before its number is stored, by compare-and-swap,
 * where it can be found. Who comes second with the same stack takes the first one's number, and leaves a record that
 * nobody finds. */
#include "introspect/stack_table.h"

#include <string.h>

#include "introspect/memory.h"
#include "lib/atomic.h"

#define WORDS_A_STACK 32 /* on the average: deeper ones fill the table sooner */

struct record {
	uint32_t hash;
	uint32_t first, count; /* words of the stack */
};

static struct record *records; /* number 0 is unused */
static uintptr_t *words;
static uint32_t *table;                   /* numbers by hash, 0: free */
static uint32_t capacity, table_size;     /* the latter a power of two */
static uint64_t records_used, words_used; /* may run beyond the ends: then there is no room */
static uint64_t stacks, lost;

bool hak_stack_table_begin(uint32_t wanted)
{
	for (table_size = 1024; table_size < 2 * wanted;)
		table_size *= 2;
	records = hak_memory_map(((size_t)wanted + 1) * sizeof(*records), HAK_MEMORY_INHERIT);
	words = hak_memory_map((size_t)wanted * WORDS_A_STACK * sizeof(*words), HAK_MEMORY_INHERIT);
	table = hak_memory_map(table_size * sizeof(*table), HAK_MEMORY_INHERIT);
	if (!records || !words || !table)
		return false;
	hak_store_release(&capacity, wanted); /* pairs with the acquire in hak_stack_table_end */
	return true;
}

/* Two frames at a time: a step waits for one multiplication. */
static uint32_t hash_of(const uintptr_t *frames, unsigned count)
{
	const uint64_t factor = 0x9e3779b97f4a7c15u;
	uint64_t hash = count;
	unsigned i = 0;

	for (; i + 1 < count; i += 2)
		hash = hash * (factor * factor) + frames[i] * factor + frames[i + 1];
	if (i < count)
		hash = hash * factor + frames[i];
	hash ^= hash >> 32;
	return (uint32_t)(hash * factor >> 32);
}

static bool is_stack(uint32_t number, uint32_t hash, const uintptr_t *frames, unsigned count)
{
	const struct record *record = &records[number];

	return record->hash == hash && record->count == count &&
		memcmp(words + record->first, frames, count * sizeof(*frames)) == 0;
}

/* Writes a record that nobody finds yet. Returns its number, 0 if there is no room. */
static uint32_t make_record(uint32_t hash, const uintptr_t *frames, unsigned count)
{
	uint64_t number, first;

	if (hak_load_relaxed(&records_used) >= capacity ||
		hak_load_relaxed(&words_used) + count > (uint64_t)capacity * WORDS_A_STACK)
		return 0;
	number = hak_add_relaxed(&records_used, 1u) + 1;
	first = hak_add_relaxed(&words_used, count);
	if (number > capacity || first + count > (uint64_t)capacity * WORDS_A_STACK)
		return 0;
	memcpy(words + first, frames, count * sizeof(*frames));
	records[number] = (struct record){hash, (uint32_t)first, count};
	return (uint32_t)number;
}

uint32_t hak_stack_table_number(const uintptr_t *frames, unsigned count)
{
	uint32_t hash = hash_of(frames, count), made = 0;

	for (uint32_t i = hash & (table_size - 1), steps = 0; steps < table_size;
		i = (i + 1) & (table_size - 1), steps++) {
		uint32_t found = hak_load_acquire(&table[i]); /* pairs with the release below: the record is whole */

		if (!found) {
			if (!made)
				made = make_record(hash, frames, count);
			if (!made)
				break;
			if (__atomic_compare_exchange_n(
				    &table[i], &found, made, false, __ATOMIC_RELEASE, __ATOMIC_ACQUIRE)) {
				hak_add_relaxed(&stacks, 1u);
				return made;
			}
		}
		if (is_stack(found, hash, frames, count))
			return found;
	}
	hak_add_relaxed(&lost, 1u);
	return 0;
}

uint32_t hak_stack_table_end(void)
{
	uint32_t most = hak_load_acquire(&capacity);
	uint64_t used = hak_load_relaxed(&records_used);

	return most ? (uint32_t)(used < most ? used : most) + 1 : 0;
}

unsigned hak_stack_table_frames(uint32_t number, const uintptr_t **frames)
{
	if (number == 0 || number >= hak_stack_table_end())
		return 0;
	*frames = words + records[number].first;
	return records[number].count;
}

void hak_stack_table_count(uint64_t *kept, uint64_t *most, uint64_t *lost_ones)
{
	*kept = hak_load_relaxed(&stacks);
	*most = hak_load_relaxed(&capacity);
	*lost_ones = hak_load_relaxed(&lost);
}
