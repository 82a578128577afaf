/* The table of samples (lib/sample_table.c), as far as it needs no lock: a place is one part's, and none is lost; who reads a sample
 * gets one, whole, with its stack; who looks a block of its own up finds its place whatever happens beside it; who finds the table
 * finds all of it. */
#include <string.h>

#include "tests/model/atomic.h"

#include <linux/futex.h>

#include "lib/lock.h"
#include "lib/os.h"

static void *map(void);

/* One lock for all parts: lock.c has a model of its own. */
static uint32_t held;

static void acquire(void)
{
	while (hak_exchange_acquire(&held, 1u) != 0)
		model_futex(&held, FUTEX_WAIT_PRIVATE, 1);
}

static void release(void)
{
	hak_exchange_release(&held, 0u);
	model_futex(&held, FUTEX_WAKE_PRIVATE, 1);
}

#define hak_lock_acquire(lock) ((void)(lock), acquire())
#define hak_lock_release(lock) ((void)(lock), release())

#define hak_os_map(bytes) map()
#define SAMPLE_WORDS 3 /* the address, and its lengths */
#define READ_TRIES 2
#define PARTS 3u
#include "lib/sample_table.c"

static struct hak_sample_place table[4];
static uint32_t heads[PAGE_CHAINS];
static uint32_t numbers[3];
static char stack[3]; /* stand for what its number leads to, as each sample found it */
#define STACK 5

static void setup_room(uint32_t room)
{
	memset(table, 0, sizeof(table));
	memset(heads, 0, sizeof(heads));
	memset(numbers, 0, sizeof(numbers));
	places = table;
	chains = heads;
	page_count = 1;
	capacity = room;
	used = 0;
	held = 0;
	reserved = 0;
	full = 0;
	for (unsigned i = 0; i < PARTS; i++)
		parts[i].free = 0;
}

/* ---- Places are given ---- */

static void setup_one(void)
{
	setup_room(1);
}

static void setup_two(void)
{
	setup_room(2);
}

/* Under a lock each, but not the same one. */
static void take_0(void)
{
	numbers[0] = take_number(&parts[0]);
}

static void take_1(void)
{
	numbers[1] = take_number(&parts[1]);
}

static void take_2(void)
{
	numbers[2] = take_number(&parts[2]);
}

static void check_taken(unsigned takers)
{
	unsigned given = 0;

	for (unsigned i = 0; i < takers; i++) {
		given += numbers[i] != NO_PLACE;
		for (unsigned j = 0; j < i; j++)
			model_require(numbers[i] == NO_PLACE || numbers[i] != numbers[j], "a place is given to one part");
		model_require(numbers[i] == NO_PLACE || numbers[i] < capacity, "it is one of the table's");
	}
	model_require(given == capacity && used == capacity, "all places are given");
}

static void check_two(void)
{
	check_taken(2);
}

static void check_three(void)
{
	check_taken(3);
}

/* ---- Places are looked for everywhere ---- */

static void setup_full(void)
{
	setup_room(2);
	for (unsigned i = 0; i < 2; i++)
		numbers[i] = hak_sample_place_number(hak_sample_place_take(0x1000 + i * HAK_ALIGNMENT, HAK_SAMPLE_LARGE));
	numbers[2] = NO_PLACE;
}

static void look_for_one(void)
{
	numbers[2] = take_elsewhere();
}

static void give_first_back(void)
{
	hak_sample_place_return(&table[numbers[0]], HAK_SAMPLE_LARGE);
}

static void give_both_back(void)
{
	give_first_back();
	hak_sample_place_return(&table[numbers[1]], HAK_SAMPLE_LARGE);
}

static void give_both_back_and_look(void)
{
	give_both_back();
	numbers[1] = take_elsewhere();
}

static void check_none_forgotten(void)
{
	model_require(numbers[2] != NO_PLACE || take_elsewhere() != NO_PLACE, "what has come back is found by the next one");
}

/* What one finds doesn't make the other think that there is no more. */
static void check_both_to_be_had(void)
{
	unsigned found = (numbers[2] != NO_PLACE) + (numbers[1] != NO_PLACE);

	while (found < 2 && take_elsewhere() != NO_PLACE)
		found++;
	model_require(found == 2, "both are found, now or then");
}

/* Another who looks doesn't keep one from finding what is there. */
static void setup_two_free(void)
{
	setup_full();
	give_both_back();
	numbers[0] = numbers[1] = NO_PLACE;
}

static void look_0(void)
{
	numbers[0] = take_elsewhere();
}

static void look_1(void)
{
	numbers[1] = take_elsewhere();
}

static void check_both_found(void)
{
	model_require(numbers[0] != NO_PLACE && numbers[1] != NO_PLACE, "two who look find two");
}

/* ---- Blocks are kept ---- */

static bool keeps[2];

static void setup_kept(void)
{
	setup_room(2 * KEPT_PART);
	keeps[0] = keeps[1] = false;
}

static void keep_0(void)
{
	keeps[0] = hak_sample_table_reserve(2);
}

static void keep_1(void)
{
	keeps[1] = hak_sample_table_reserve(2);
}

static void check_kept(void)
{
	model_require(!(keeps[0] && keeps[1]), "no more are kept than may be");
	model_require(reserved == (keeps[0] || keeps[1] ? 2 : 0), "what was refused isn't reserved");
}

/* ---- Samples are read ---- */

static void setup_sample(void)
{
	setup_room(1);
	table[0].sample.address = 0x1000;
}

static void live(uint64_t bytes)
{
	hak_store_relaxed(&table[0].sample.bytes, bytes);
	hak_store_relaxed(&table[0].sample.decided, bytes);
	model_plain(&stack[bytes]);
	hak_sample_place_tell(&table[0], STACK);
}

/* Two samples that the same stack allocated, of different lengths: only the other half of the seqlock tells them apart. */
static void live_twice(void)
{
	live(1);
	hak_sample_place_untell(&table[0]);
	live(2);
}

static void read_one(void)
{
	struct hak_sample sample;

	if (!hak_sample_place_read(&table[0], &sample))
		return;
	model_require(sample.address == 0x1000 && sample.bytes == sample.decided && sample.stack == STACK, "it is one sample, and whole");
	model_plain(&stack[sample.bytes]);
}

/* ---- A block is looked up ---- */

/* All of one chain. */
static uintptr_t in_chain(unsigned i)
{
	uintptr_t address = 0x1000 + i * HAK_ALIGNMENT;

	model_require(chain_of(address) == chain_of(0x1000), "they are of one chain");
	return address;
}

static void setup_chain(void)
{
	setup_room(4);
	for (unsigned i = 0; i < 2; i++)
		numbers[i] = hak_sample_place_number(hak_sample_place_take(in_chain(i), HAK_SAMPLE_LARGE));
}

/* The owner of the first, which lies behind the other. */
static void look_up(void)
{
	struct hak_sample_place *place = hak_sample_place_find(in_chain(0));

	model_require(place == &table[numbers[0]], "who has a block finds its place");
}

static void give_other_back(void)
{
	hak_sample_place_return(&table[numbers[1]], HAK_SAMPLE_LARGE);
}

/* The place becomes another block's, or none's. */
static void other_comes_back(void)
{
	hak_sample_place_return(&table[numbers[1]], HAK_SAMPLE_LARGE);
	hak_sample_place_take(in_chain(2), HAK_SAMPLE_LARGE);
}

static void take_another(void)
{
	hak_sample_place_take(in_chain(3), HAK_SAMPLE_LARGE);
}

/* ---- The table is made ---- */

static char mapped; /* stands for the table */

static void *map(void)
{
	model_plain(&mapped);
	return table;
}

static void setup_nothing(void)
{
	setup_room(0);
	places = NULL;
	used = 1; /* as soon as there is one */
}

static void make(void)
{
	model_require(hak_sample_table_make(SMALLEST), "there is memory for a table");
}

static void find_table(void)
{
	if (hak_sample_table_used())
		model_plain(&mapped);
}

int main(void)
{
	static const struct model models[] = {
		{"two take one place", setup_one, {take_0, take_1}, check_two, {0}},
		{"three take two places", setup_two, {take_0, take_1, take_2}, check_three, {0}},
		{"a place comes back while one looks for it", setup_full, {look_for_one, give_first_back}, check_none_forgotten, {0}},
		{"two come back, and another looks", setup_full, {look_for_one, give_both_back_and_look}, check_both_to_be_had, {0}},
		{"two look where two are", setup_two_free, {look_0, look_1}, check_both_found, {0}},
		{"two keep blocks", setup_kept, {keep_0, keep_1}, check_kept, {0}},
		{"a place has two samples, one after the other", setup_sample, {live_twice, read_one}, NULL, {0}},
		{"the one before it in its chain goes", setup_chain, {look_up, give_other_back}, NULL, {0}},
		{"it comes back as another", setup_chain, {look_up, other_comes_back}, NULL, {0}},
		{"one goes and one comes", setup_chain, {look_up, give_other_back, take_another}, NULL, {0}},
		{"the table is made", setup_nothing, {make, find_table}, NULL, {0}},
		{0},
	};
	static const struct model_spare spares[] = {
		{"acquire", 0, NULL, 0, "the lock's own model needs it (lock.c); that it is exclusive is all that these do"},
		{"release", 0, NULL, 0, "the same"},
		{0},
	};

	return model_main(models, spares);
}
