#include "introspect/trail.h"

#include "introspect/memory.h"

#define SETS 256u
#define WAYS 8u

/* What tells trails of a set from each other, side by side: most of those that are looked for are found by it at once. */
struct key {
	uint32_t sp;     /* its lower half */
	uint32_t offset; /* from there to a word, in words */
	uintptr_t word;
};

struct hak_trails {
	struct key key[SETS][WAYS]; /* word 0: none is kept */
	uint8_t oldest[SETS];
	struct hak_trail trail[SETS][WAYS];
};

struct hak_trails *hak_trails_make(void)
{
	return hak_memory_map(sizeof(struct hak_trails), HAK_MEMORY_INHERIT);
}

void hak_trails_free(struct hak_trails *trails)
{
	hak_memory_unmap(trails, sizeof(*trails));
}

static unsigned set_of(uintptr_t sp)
{
	return (unsigned)((sp >> 4) * 0x9e3779b97f4a7c15u >> 56);
}
_Static_assert(SETS == 1u << (64 - 56), "a set is eight bits of a product");

/* A sanitizer must not ask about words of the stack that may be anything by now, local variables for instance. */
#define READS_STACKS __attribute__((no_sanitize("address", "thread")))

/* Whether the words are what they were. */
READS_STACKS static bool holds(const struct hak_trail *trail)
{
	const uintptr_t *stack = (const uintptr_t *)trail->sp;
	unsigned i = 0;

	for (; i + 4 <= trail->count; i += 4) {
		const uint16_t *at = &trail->offset[i];
		const uintptr_t *word = &trail->word[i];

		if (((stack[at[0]] ^ word[0]) | (stack[at[1]] ^ word[1]) | (stack[at[2]] ^ word[2]) | (stack[at[3]] ^ word[3])) != 0)
			return false;
	}
	while (i < trail->count && stack[trail->offset[i]] == trail->word[i])
		i++;
	return i == trail->count;
}

READS_STACKS uint32_t hak_trail_find(const struct hak_trails *trails, uintptr_t sp, uintptr_t fp, uint64_t unloads)
{
	unsigned set = set_of(sp);
	const struct key *keys = trails->key[set];

	for (unsigned i = 0; i < WAYS; i++) {
		const struct hak_trail *trail = &trails->trail[set][i];

		if (keys[i].sp != (uint32_t)sp || !keys[i].word || ((const uintptr_t *)sp)[keys[i].offset] != keys[i].word)
			continue;
		if (trail->sp == sp && trail->unloads == unloads && (!trail->by_fp || trail->fp == fp) && holds(trail))
			return trail->result;
	}
	return 0;
}

struct hak_trail *hak_trail_begin(struct hak_trails *trails, uintptr_t sp, uintptr_t fp, uint64_t unloads)
{
	unsigned set = set_of(sp), way = trails->oldest[set]++ % WAYS;
	struct hak_trail *trail = &trails->trail[set][way];

	trails->key[set][way].word = 0;
	trail->sp = sp;
	trail->fp = fp;
	trail->unloads = unloads;
	trail->result = 0;
	trail->by_fp = false;
	trail->count = 0;
	return trail;
}

void hak_trail_end(struct hak_trails *trails, struct hak_trail *trail, uint32_t result, uintptr_t leaf)
{
	unsigned set = set_of(trail->sp), way = (unsigned)(trail - trails->trail[set]), at = 0;

	if (trail->count == 0 || trail->count > HAK_TRAIL_WORDS)
		return;
	while (trail->word[at] != leaf && at + 1u < trail->count)
		at++;
	trail->result = result;
	trails->key[set][way] = (struct key){.sp = (uint32_t)trail->sp, .offset = trail->offset[at], .word = trail->word[at]};
}
