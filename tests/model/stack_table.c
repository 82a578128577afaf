/* The table of stacks (introspect/stack_table.c): the same stack has one number, whoever asks, and different stacks have
 * different ones; who is handed a number finds the whole stack; who finds the table finds all of it. */
#include <string.h>

#include "introspect/memory.h"
#include "tests/model/atomic.h"

/* A stack's words are seen as the memory model allows, not only as they are. */
static void copy_words(uintptr_t *to, const uintptr_t *from, size_t bytes)
{
	for (size_t i = 0; i < bytes / sizeof(*to); i++)
		hak_store_relaxed(&to[i], from[i]);
}

static int compare_words(const uintptr_t *words, const uintptr_t *frames, size_t bytes)
{
	int differ = 0;

	for (size_t i = 0; i < bytes / sizeof(*words); i++)
		differ |= hak_load_relaxed(&words[i]) != frames[i];
	return differ;
}

static void *map(size_t bytes);

#define memcpy(to, from, bytes) copy_words(to, from, bytes)
#define memcmp(words, frames, bytes) compare_words(words, frames, bytes)
#define hak_memory_map(bytes, fork) map(bytes)
#include "introspect/stack_table.c"

#define STACKS 2

static char region[16384], mapped; /* `mapped` stands for what is in it */
static size_t region_used;
static uint32_t numbers[2], passed;

/* Memory of a mapping is zero before anybody is told of it. */
static void *map(size_t bytes)
{
	void *at = region + region_used;

	model_plain(&mapped);
	region_used += bytes;
	return region_used <= sizeof(region) ? at : NULL;
}

static void setup_nothing(void)
{
	region_used = 0;
	memset(region, 0, sizeof(region));
	records_used = words_used = stacks = lost = 0;
	capacity = table_size = 0;
	numbers[0] = numbers[1] = passed = 0;
}

/* Two entries, so that each stack comes by the other's. */
static void setup(void)
{
	setup_nothing();
	model_require(hak_stack_table_begin(STACKS), "the table is made");
	table_size = 2;
}

static const uintptr_t stack_a[] = {0x1000}, stack_b[] = {0x2000};

static void first_a(void)
{
	numbers[0] = hak_stack_table_number(stack_a, 1);
}

static void second_a(void)
{
	numbers[1] = hak_stack_table_number(stack_a, 1);
}

static void second_b(void)
{
	numbers[1] = hak_stack_table_number(stack_b, 1);
}

static void check_same(void)
{
	uint64_t kept, most, refused;

	model_require(numbers[0] != 0 && numbers[0] == numbers[1], "the same stack has one number");
	hak_stack_table_count(&kept, &most, &refused);
	model_require(kept == 1 && refused == 0, "it is kept once");
}

static void check_different(void)
{
	const uintptr_t *frames;

	model_require(numbers[0] != 0 && numbers[1] != 0 && numbers[0] != numbers[1], "each stack has a number of its own");
	model_require(hak_stack_table_frames(numbers[0], &frames) == 1 && *frames == stack_a[0], "the first one's leads to it");
	model_require(hak_stack_table_frames(numbers[1], &frames) == 1 && *frames == stack_b[0], "the second one's leads to it");
}

/* A number is told as events and samples tell it: behind a release. The stack may be another thread's. */
static void pass_on(void)
{
	hak_store_release(&passed, hak_stack_table_number(stack_a, 1));
}

static void look(void)
{
	const uintptr_t *frames = NULL;
	uint32_t number = hak_load_acquire(&passed);

	if (!number)
		return;
	model_require(hak_stack_table_frames(number, &frames) == 1, "there is a stack of the number");
	model_require(hak_load_relaxed(frames) == stack_a[0], "it is the whole stack");
}

static void begin(void)
{
	model_require(hak_stack_table_begin(STACKS), "the table is made");
}

static void find(void)
{
	if (hak_stack_table_end())
		model_plain(&mapped);
}

int main(void)
{
	static const struct model models[] = {
		{"two with the same stack", setup, {first_a, second_a}, check_same, {0}},
		{"two with different stacks", setup, {first_a, second_b}, check_different, {0}},
		{"a number is passed on", setup, {first_a, pass_on, look}, NULL, {0}},
		{"the table is made", setup_nothing, {begin, find}, NULL, {0}},
		{0},
	};
	static const struct model_spare spares[] = {
		{0},
	};

	return model_main(models, spares);
}
