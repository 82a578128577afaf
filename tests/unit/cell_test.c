/* Cells: where guarded blocks lie, and the records that are found from an address. */
#include "lib/cell.h"

#include "lib/large.h"
#include "tests/unit/heap.h"

#define MANY 3000

static struct hak_cell cells[MANY];

static uint64_t random_number(void)
{
	static uint64_t state = 88172645463325252ull;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state * 0x2545f4914f6cdd1du;
}

static void begin(void)
{
	hak_free(hak_malloc(1));
	CU_ASSERT_TRUE_FATAL(hak_cell_begin());
	CU_ASSERT_TRUE(hak_cell_is_begun());
}

/* What every cell that was taken must be, from its first byte to its last. */
static void look_at(const struct hak_cell *cell)
{
	size_t places[] = {0, 1, cell->bytes / 2, cell->bytes - 1};
	struct hak_cell found;

	for (unsigned i = 0; i < 4; i++) {
		CU_ASSERT_TRUE_FATAL(hak_cell_find(cell->start + places[i], &found));
		CU_ASSERT_PTR_EQUAL(found.record, cell->record);
		UNIT_EQUAL(found.start, cell->start);
		UNIT_EQUAL(found.bytes, cell->bytes);
		UNIT_EQUAL(found.slab, cell->slab);
		UNIT_EQUAL(found.bin, cell->bin);
	}
	UNIT_EQUAL(hak_bin_of_address((void *)cell->start), HAK_BIN_SAMPLED);
}

static void every_cell_is_found_by_its_addresses(void)
{
	begin();
	for (unsigned class = 1; class < HAK_CLASS_COUNT; class += 3) {
		unsigned count = 3 * hak_size_classes[class].capacity < MANY ? 3 * hak_size_classes[class].capacity : MANY;
		uint64_t handed_out = hak_depots[class].handed_out;
		for (unsigned i = 0; i < count; i++) {
			CU_ASSERT_TRUE_FATAL(hak_cell_take(class, random_number(), &cells[i]));
			look_at(&cells[i]);
			UNIT_EQUAL(hak_cell_state(&cells[i]), HAK_CELL_TAKEN);
			cells[i].record->alloc_stack = i;
		}
		/* Nobody's record is another's. */
		for (unsigned i = 0; i < count; i++)
			UNIT_EQUAL(cells[i].record->alloc_stack, i);
		UNIT_EQUAL(hak_depots[class].handed_out, handed_out + count);
		for (unsigned i = 0; i < count; i++)
			hak_cell_return(&cells[i]);
		UNIT_EQUAL(hak_depots[class].handed_out, handed_out);
	}
	CU_ASSERT_PTR_NULL(hak_audit_all());
}

/* A slab whose cells are all free is the pool's again, and its addresses lead to no cell. */
static void an_empty_slab_goes_back(void)
{
	struct hak_cell found;
	uintptr_t start;
	uint64_t metadata = 0;
	begin();
	for (unsigned round = 0; round < 50; round++) {
		CU_ASSERT_TRUE_FATAL(hak_cell_take(5, random_number(), &cells[0]));
		start = cells[0].start;
		hak_cell_return(&cells[0]);
		CU_ASSERT_FALSE(hak_cell_find(start, &found));
		UNIT_EQUAL(hak_bin_of_address((void *)start), HAK_BIN_NONE);
		if (round == 0)
			metadata = hak_arena_metadata_bytes();
	}
	UNIT_EQUAL(hak_arena_metadata_bytes(), metadata); /* records are used again */
}

/* Of the cells that are free, each may be the next: the distances between two that follow each other are of many kinds. */
static void places_are_random(void)
{
	unsigned followed = 0, lower = 0;
	begin();
	CU_ASSERT_TRUE_FATAL(hak_cell_take(4, random_number(), &cells[0]));
	for (unsigned i = 1; i < 400; i++) {
		CU_ASSERT_TRUE_FATAL(hak_cell_take(4, random_number(), &cells[i]));
		followed += cells[i].start == cells[i - 1].start + cells[i].bytes;
		lower += cells[i].start < cells[i - 1].start;
	}
	CU_ASSERT_TRUE(followed < 40);
	CU_ASSERT_TRUE(lower > 130 && lower < 270);
	for (unsigned i = 0; i < 400; i++)
		hak_cell_return(&cells[i]);
}

static void large_runs_become_cells_and_runs_again(void)
{
	struct hak_cell cell, found;
	bool zero;
	begin();
	for (size_t bytes = 100000; bytes < 10 << 20; bytes *= 3) {
		void *run = hak_large_alloc(bytes, 16, &zero);
		CU_ASSERT_TRUE_FATAL(hak_cell_take_large(run, &cell));
		look_at(&cell);
		UNIT_EQUAL(cell.bytes, hak_slot(cell.slab)->span * HAK_SLOT_BYTES);
		CU_ASSERT_TRUE(cell.bytes >= bytes);
		CU_ASSERT_FALSE(hak_large_free(run)); /* it is no large block to others */
		hak_cell_return_large(&cell);
		CU_ASSERT_FALSE(hak_cell_find((uintptr_t)run, &found));
		CU_ASSERT_TRUE(hak_large_free(run));
	}
	CU_ASSERT_PTR_NULL(hak_audit_all());
}

static unsigned visited;

static void visit(const struct hak_cell *cell, void *argument)
{
	visited++;
	*(size_t *)argument += cell->bytes;
}

static void visits_and_neighbours_are_of_blocks(void)
{
	struct hak_cell neighbour;
	size_t bytes = 0;
	begin();
	for (unsigned i = 0; i < 64; i++)
		CU_ASSERT_TRUE_FATAL(hak_cell_take(9, 0, &cells[i])); /* each the first free one */
	hak_cell_visit(visit, &bytes);
	UNIT_EQUAL(visited, 0);
	cells[10].record->state = HAK_CELL_LIVE;
	cells[20].record->state = HAK_CELL_QUARANTINED;
	cells[30].record->state = HAK_CELL_LEAVING; /* its zones stand */
	hak_cell_visit(visit, &bytes);
	UNIT_EQUAL(visited, 3);
	UNIT_EQUAL(bytes, 3 * hak_size_classes[9].block_bytes);
	CU_ASSERT_TRUE(hak_cell_next(&cells[10], &neighbour));
	UNIT_EQUAL(neighbour.start, cells[20].start);
	CU_ASSERT_TRUE(hak_cell_next(&cells[20], &neighbour));
	UNIT_EQUAL(neighbour.start, cells[30].start);
	CU_ASSERT_FALSE(hak_cell_next(&cells[30], &neighbour));
	CU_ASSERT_TRUE(hak_cell_previous(&cells[30], &neighbour));
	UNIT_EQUAL(neighbour.start, cells[20].start);
	CU_ASSERT_FALSE(hak_cell_previous(&cells[10], &neighbour));
	for (unsigned i = 0; i < 64; i++)
		hak_cell_return(&cells[i]);
}

static void other_addresses_lead_nowhere(void)
{
	struct hak_cell cell;
	int local;
	char *block = hak_malloc(100), *large = hak_malloc(200000);
	begin();
	CU_ASSERT_FALSE(hak_cell_find((uintptr_t)&local, &cell));
	CU_ASSERT_FALSE(hak_cell_find(0, &cell));
	CU_ASSERT_FALSE(hak_cell_find(UINTPTR_MAX, &cell));
	CU_ASSERT_FALSE(hak_cell_find((uintptr_t)block, &cell));
	CU_ASSERT_FALSE(hak_cell_find((uintptr_t)large + 100000, &cell));
	hak_free(block);
	hak_free(large);
}

UNIT_MAIN("cell", UNIT(every_cell_is_found_by_its_addresses), UNIT(an_empty_slab_goes_back), UNIT(places_are_random),
	UNIT(large_runs_become_cells_and_runs_again), UNIT(visits_and_neighbours_are_of_blocks), UNIT(other_addresses_lead_nowhere))
