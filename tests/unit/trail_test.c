/* Trails: a walk that would be the same is known, and one word that differs makes it another. */
#include "introspect/trail.h"

#include "tests/unit/unit.h"

#define WORDS 70000

static uintptr_t stack[WORDS]; /* stands for a thread's */
static struct hak_trails *trails;

static void begin(void)
{
	hak_trails_free(trails);
	trails = hak_trails_make();
	CU_ASSERT_PTR_NOT_NULL_FATAL(trails);
	for (unsigned i = 0; i < WORDS; i++)
		stack[i] = i;
}

/* A walk from word `from` on that goes by every third one. */
static struct hak_trail *walk(unsigned from, unsigned words, uint32_t result)
{
	struct hak_trail *trail = hak_trail_begin(trails, (uintptr_t)&stack[from], 7, 1);

	for (unsigned i = 0; i < words; i++)
		hak_trail_note(trail, (uintptr_t)&stack[from + 2 * i + 1], stack[from + 2 * i + 1]);
	hak_trail_end(trails, trail, result, stack[from + 3]);
	return trail;
}

static uint32_t find(unsigned from)
{
	return hak_trail_find(trails, (uintptr_t)&stack[from], 7, 1);
}

static void every_word_counts(void)
{
	for (unsigned words = 2; words < 24; words++) {
		begin();
		UNIT_EQUAL(find(0), 0);
		walk(0, words, 5);
		UNIT_EQUAL(find(0), 5);
		UNIT_EQUAL(find(2), 0);
		for (unsigned i = 0; i < 2 * words; i++) {
			stack[i]++;
			UNIT_EQUAL(find(0), i % 2 ? 0 : 5); /* it went by the odd ones */
			stack[i]--;
		}
		UNIT_EQUAL(find(0), 5);
	}
}

static void the_first_frame_pointer_counts_if_it_was_used(void)
{
	struct hak_trail *trail;
	begin();
	trail = walk(0, 3, 5);
	UNIT_EQUAL(hak_trail_find(trails, (uintptr_t)stack, 8, 1), 5);
	trail->by_fp = true;
	UNIT_EQUAL(hak_trail_find(trails, (uintptr_t)stack, 8, 1), 0);
	UNIT_EQUAL(hak_trail_find(trails, (uintptr_t)stack, 7, 1), 5);
}

static void files_that_are_gone_end_it(void)
{
	begin();
	walk(0, 3, 5);
	UNIT_EQUAL(hak_trail_find(trails, (uintptr_t)stack, 7, 2), 0);
}

/* From one stack pointer several ways may lead up: some are kept, the oldest goes first. */
static void several_of_a_kind(void)
{
	begin();
	for (uint32_t i = 1; i <= 9; i++) {
		stack[3] = 1000 + i;
		walk(0, 3, i);
	}
	for (uint32_t i = 1; i <= 9; i++) {
		stack[3] = 1000 + i;
		UNIT_EQUAL(find(0), i == 1 ? 0 : i);
	}
}

static void what_was_not_ended_or_is_too_long_is_not_known(void)
{
	begin();
	hak_trail_begin(trails, (uintptr_t)stack, 7, 1);
	UNIT_EQUAL(find(0), 0);
	walk(0, HAK_TRAIL_WORDS, 6);
	UNIT_EQUAL(find(0), 6);
	walk(2, HAK_TRAIL_WORDS + 1, 7);
	UNIT_EQUAL(find(2), 0);
	walk(4, HAK_TRAIL_WORDS + 30, 8);
	UNIT_EQUAL(find(4), 0);
	/* Too far up the stack. */
	struct hak_trail *trail = hak_trail_begin(trails, (uintptr_t)&stack[6], 7, 1);
	hak_trail_note(trail, (uintptr_t)&stack[6 + 65536], stack[6 + 65536]);
	hak_trail_end(trails, trail, 9, 0);
	UNIT_EQUAL(find(6), 0);
}

UNIT_MAIN("trail", UNIT(every_word_counts), UNIT(the_first_frame_pointer_counts_if_it_was_used), UNIT(files_that_are_gone_end_it),
	UNIT(several_of_a_kind), UNIT(what_was_not_ended_or_is_too_long_is_not_known))
