/* trail.h: by which words of the stack a walk went, and what came of it. Where a thread finds them unchanged it need not walk
 * again: a program that asks at every malloc asks from the same places again and again.
 *
 * A walk (walk.h) is determined by the stack pointer that it begins with, the rules, the return addresses, and those values of
 * the frame pointer that a rule went by. A trail holds these words, and is true as long as each of them is what it was. A
 * thread's trails are its own: no lock is taken. */
#ifndef HAK_TRAIL_H
#define HAK_TRAIL_H

#include "lib/base.h"

#define HAK_TRAIL_WORDS 96u /* of a trail: longer ones are not kept */

struct hak_trail {
	uintptr_t sp, fp; /* that it begins with */
	uint64_t unloads; /* files that had been unloaded: rules are others afterwards */
	uint32_t result;  /* what the walk's user made of it; 0: it isn't kept */
	bool by_fp;       /* a rule went by the first frame pointer */
	uint8_t count;    /* words; HAK_TRAIL_WORDS + 1: more than there is room for */
	uint16_t offset[HAK_TRAIL_WORDS]; /* from sp, in words */
	uintptr_t word[HAK_TRAIL_WORDS];
};

/* A thread's trails: some for each of several kinds of stack pointer. */
struct hak_trails;

/* Maps a thread's trails. NULL if memory is refused. */
struct hak_trails *hak_trails_make(void);
void hak_trails_free(struct hak_trails *trails);

/* What came of a walk from here, if it would be the same again; else 0. The words are read, so the stack must reach as far as it
 * did. */
uint32_t hak_trail_find(const struct hak_trails *trails, uintptr_t sp, uintptr_t fp, uint64_t unloads);

/* A trail to be filled while walking, in the place of the oldest of its kind. */
struct hak_trail *hak_trail_begin(struct hak_trails *trails, uintptr_t sp, uintptr_t fp, uint64_t unloads);

/* The walk went by the word at `address`, above sp. */
HAK_INLINE void hak_trail_note(struct hak_trail *trail, uintptr_t address, uintptr_t word)
{
	size_t offset = (address - trail->sp) / sizeof(word);

	if (trail->count >= HAK_TRAIL_WORDS || offset > UINT16_MAX) {
		trail->count = HAK_TRAIL_WORDS + 1;
		return;
	}
	trail->offset[trail->count] = (uint16_t)offset;
	trail->word[trail->count++] = word;
}

/* It came to its end, and `result` > 0 of it. `leaf` is the word by which most others differ: the return address to the caller
 * of whoever asks, where there are many. */
void hak_trail_end(struct hak_trails *trails, struct hak_trail *trail, uint32_t result, uintptr_t leaf);

#endif
