/* The directory of guarded blocks (lib/cell.c): who finds a slab's records by it finds all that leads to them, and them. */
#include "tests/model/atomic.h"

#include "lib/arena.h"

static void *new_memory(size_t bytes);

#define hak_arena_metadata(bytes) new_memory(bytes)
#include "lib/cell.c"

#define SLOT 0

static struct leaf *leaves[1];
static struct leaf leaf, no_leaf;
static struct hak_cell_record records[1], no_records[1];
static char written; /* stands for the records */

/* Gives the memory for the directory, and then for the leaf. Nobody may see what was in there before: it would lead to what are
 * no records. */
static void *new_memory(size_t bytes)
{
	(void)bytes;
	hak_store_relaxed(&leaves[0], NULL);
	return (void *)leaves;
}

static void setup_nothing(void)
{
	directory = NULL;
	no_leaf.records[SLOT] = no_records;
	leaf.records[SLOT] = no_records;
	leaves[0] = &no_leaf;
	chunk_from = (uintptr_t)&leaf;
	chunk_to = (uintptr_t)(&leaf + 1);
}

/* The leaf is there because of another slab. */
static void setup_leaf(void)
{
	setup_nothing();
	model_require(hak_cell_begin() && has_leaf(SLOT), "there is memory for them");
	leaf.records[SLOT] = NULL;
}

/* As attach_records does it, under locks that the reader doesn't take. What carve gives is zero. */
static void attach(void)
{
	if (!leaves[0])
		hak_store_relaxed(&leaf.records[SLOT], NULL);
	model_plain(&written);
	model_require(has_leaf(SLOT), "there is memory for a leaf");
	set_records(SLOT, records);
}

static void begin_and_attach(void)
{
	model_require(hak_cell_begin(), "there is memory for it");
	attach();
}

static void attach_and_detach(void)
{
	attach();
	set_records(SLOT, NULL);
}

static void find(void)
{
	struct hak_cell_record *found = records_of(SLOT);

	model_require(!found || found == records, "what is found are the slab's records");
	if (found)
		model_plain(&written);
}

static void find_begun(void)
{
	if (hak_cell_is_begun())
		model_require(hak_load_relaxed(&leaves[0]) != &no_leaf, "who is told that there is a directory finds it empty");
}

int main(void)
{
	static const struct model models[] = {
		{"the directory is made, and its first slab's records", setup_nothing, {begin_and_attach, find}, NULL, {0}},
		{"a slab gets records, and loses them", setup_leaf, {attach_and_detach, find}, NULL, {0}},
		{"the directory is asked for", setup_nothing, {begin_and_attach, find_begun}, NULL, {0}},
		{0},
	};
	static const struct model_spare spares[] = {{0}};

	return model_main(models, spares);
}
