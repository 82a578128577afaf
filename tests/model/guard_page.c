/* Records of guarded blocks (lib/guard_page.c): who looks into a place gets facts of one block, and of the one before it, however
 * they are written meanwhile; who finds the places finds all of them. */
#include <string.h>

#include "tests/model/atomic.h"

#include "lib/os.h"
#include "lib/trace.h"

static void *map(void);

#define hak_os_map(bytes) map()
#define hak_os_reserve(at, bytes, accessible) ((void)(bytes), (uintptr_t)1 << 20)
#define hak_os_dump(start, bytes) ((void)(start), (void)(bytes))
#include "lib/guard_page.h"
static bool holds(const void *address);
#define hak_guard_page_holds(address) holds(address)
#include "lib/guard_page.c"

static struct place place;
static char mapped; /* stands for all that a start makes */

static void *map(void)
{
	model_plain(&mapped);
	return &place;
}

/* A block's facts: its number in each byte, those between the members too. */
static void fill(struct hak_guarded *facts, int number)
{
	memset(facts, number, sizeof(*facts));
}

static int number_of(const struct hak_guarded *facts)
{
	const unsigned char *bytes = (const unsigned char *)facts;

	model_require(memcmp(bytes, bytes + 1, sizeof(*facts) - 1) == 0, "what is read is of one block");
	return *bytes;
}

static void setup(void)
{
	memset(&place, 0, sizeof(place));
	fill(&place.block, 1);
}

/* The block is freed, as only its owner may. */
static void free_block(void)
{
	struct hak_guarded block;

	fill(&block, 2);
	write_record(&place, &block, false);
}

static void take_place_again(void)
{
	struct hak_guarded block;

	fill(&block, 2);
	write_record(&place, &block, true);
}

static void read_freed(void)
{
	struct hak_guarded block, earlier;

	if (try_to_read(&place, &block, &earlier))
		model_require(number_of(&block) != 0 && number_of(&earlier) == 0, "there is one block in the place");
}

static void read_next(void)
{
	struct hak_guarded block, earlier;

	if (try_to_read(&place, &block, &earlier))
		model_require(number_of(&block) == number_of(&earlier) + 1, "the earlier one is the one before");
}

static void setup_nothing(void)
{
	memset(&place, 0, sizeof(place));
	places = NULL;
	place_count = 0;
	hak_guard_pages = (struct hak_guard_pages){0};
}

static void start(void)
{
	model_require(hak_guard_page_start(1, 1), "there is memory for a place");
}

/* Asked by who has seen that there are places. */
static bool holds(const void *address)
{
	(void)address;
	model_plain(&mapped);
	return true;
}

static void find(void)
{
	struct hak_guarded block;

	model_require(!hak_guard_page_find(((uintptr_t)1 << 20) + HAK_MAX_SMALL, &block), "the place is empty");
}

int main(void)
{
	static const struct model models[] = {
		{"a block is freed", setup, {free_block, read_freed}, NULL, {0}},
		{"another block comes", setup, {take_place_again, read_next}, NULL, {0}},
		{"the places are made", setup_nothing, {start, find}, NULL, {0}},
		{0},
	};
	static const struct model_spare spares[] = {
		{"hak_guard_page_start", 0, NULL, 0, "who holds a block sees the mapping's bounds by what handed it over"},
		{0},
	};

	return model_main(models, spares);
}
