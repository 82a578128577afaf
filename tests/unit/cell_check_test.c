/* What is to stand in cells: every stray write is reported once, of the block that it belongs to, and what it left is put right. */
#include "lib/cell_check.h"

#include "lib/hakmem.h"
#include "lib/report.h"
#include "lib/settings.h"
#include "lib/zone.h"
#include "tests/unit/unit.h"

#define CLASS 9u /* blocks of 192 bytes */
#define CELLS 8u
#define BYTES 100u /* of each block: 16 before it, 76 behind it */

static struct hak_cell cells[CELLS];
static char said[8192];

/* What the sink is told, in few words: kind, block, offset, bytes written over. */
static void print(const struct hak_report_details *details)
{
	unsigned number = 0;

	while (number < CELLS && hak_cell_block(&cells[number]) != details->block.address)
		number++;
	fprintf(stderr, "%s of %u at %d, %zu\n",
		details->kind == HAK_REPORT_OVERFLOW                ? "overflow"
			: details->kind == HAK_REPORT_UNDERFLOW      ? "underflow"
			: details->kind == HAK_REPORT_USE_AFTER_FREE ? "freed"
								      : "?",
		number, (int)(details->address - details->block.address), details->damage);
	if (details->block.bytes != BYTES || details->block.class != HAK_CLASS_OF_BIN(hak_bin_of_size(BYTES)))
		fprintf(stderr, "of another size\n");
}

static const struct hak_sink sink = {.report = print};

static void make(unsigned number, enum hak_cell_state state)
{
	struct hak_cell_record *record = cells[number].record;

	record->before = 1;
	record->after = (uint32_t)(cells[number].bytes - HAK_ALIGNMENT - BYTES) & HAK_CELL_AFTER_MAX;
	record->alloc_tid = 7;
	record->flags = state == HAK_CELL_QUARANTINED ? HAK_CELL_FILLED : 0;
	record->state = (uint8_t)state;
	hak_cell_fill_zones(&cells[number]);
	if (state == HAK_CELL_QUARANTINED)
		hak_zone_fill(hak_cell_block(&cells[number]), BYTES, HAK_FREED_BYTE);
}

/* Neighbours: five that live, a free one, one that lives, and one in quarantine. */
static void set_the_scene(void)
{
	static const uint8_t states[CELLS] = {HAK_CELL_LIVE, HAK_CELL_LIVE, HAK_CELL_LIVE, HAK_CELL_LIVE, HAK_CELL_LIVE,
		HAK_CELL_FREE, HAK_CELL_LIVE, HAK_CELL_QUARANTINED};

	hak_settings.on_error = HAK_ON_ERROR_REPORT;
	hak_trace_set_sink(&sink);
	hak_free(hak_malloc(1));
	if (!hak_cell_begin())
		_exit(9);
	for (unsigned i = 0; i < CELLS; i++) {
		if (!hak_cell_take(CLASS, 0, &cells[i])) /* side by side: each the first free one */
			_exit(9);
	}
	for (unsigned i = 0; i < CELLS; i++)
		make(i, (enum hak_cell_state)states[i]);
}

struct scene {
	int block, offset, bytes; /* what is written over, from a block's beginning on */
	int verified;             /* the block that is looked at first */
	const char *said;
};

static void play(void *argument)
{
	const struct scene *scene = argument;
	struct hak_cell_checked sums;

	set_the_scene();
	memset((char *)hak_cell_block(&cells[scene->block]) + scene->offset, 0x11, (size_t)scene->bytes);
	if (scene->verified >= 0 && hak_cell_verify(&cells[scene->verified]))
		fprintf(stderr, "nothing found\n");
	hak_cell_verify_all(&sums);
	if (sums.live != 6 || sums.kept != 1)
		fprintf(stderr, "live %u kept %u\n", (unsigned)sums.live, (unsigned)sums.kept);
	/* It was put right. */
	hak_cell_verify_all(&sums);
	if (sums.damaged)
		fprintf(stderr, "again\n");
	hak_trace_flush();
	_exit(0);
}

static void one_write_is_one_report(void)
{
	static const struct scene scenes[] = {
		{0, 100, 1, 0, "overflow of 0 at 100, 1\n"},
		{0, 110, 3, 0, "overflow of 0 at 110, 3\n"},
		{0, 175, 1, 0, "overflow of 0 at 175, 1\n"}, /* the cell's last byte */
		{1, -1, 1, 1, "underflow of 1 at -1, 1\n"},
		{1, -7, 3, 1, "underflow of 1 at -7, 3\n"},
		{1, -16, 16, 1, "underflow of 1 at -16, 16\n"}, /* all of its zone, but nothing of the one before it */
		{1, -1, 102, 1, "underflow of 1 at -1, 1\noverflow of 1 at 100, 1\n"},
		{7, 3, 1, 7, "freed of 7 at 3, 1\n"},
		{7, -4, 110, 7, "freed of 7 at -4, 110\n"},
		{0, 100, 1, -1, "overflow of 0 at 100, 1\n"}, /* found on request */
		{7, 99, 1, -1, "freed of 7 at 99, 1\n"},
		/* Beyond the cell: the block that it began in is named, whichever is looked at first. */
		{0, 100, 80, 0, "overflow of 0 at 100, 80\n"},
		{0, 100, 80, 1, "overflow of 0 at 100, 80\n"},
		{0, 100, 3 * 192, 0, "overflow of 0 at 100, 476\n"},
		{0, 100, 3 * 192, 3, "overflow of 0 at 100, 476\n"},
		{0, 100, 3 * 192, 2, "overflow of 0 at 100, 476\n"},
		{0, 100, 3 * 192, -1, "overflow of 0 at 100, 476\n"},
		{7, 90, 200, 7, "freed of 7 at 90, 86\n"},
		/* Over a free cell into one that lives, and one in quarantine. */
		{4, 100, 2 * 192, 6, "overflow of 4 at 100, 284\n"},
		{4, 100, 3 * 192, 7, "overflow of 4 at 100, 576\n"},
		{4, 100, 3 * 192, 4, "overflow of 4 at 100, 576\n"},
	};

	for (unsigned i = 0; i < HAK_COUNT_OF(scenes); i++) {
		struct scene scene = scenes[i];
		int status = unit_in_child(play, &scene, said, sizeof(said));
		if (status || strcmp(said, scene.said) != 0)
			fprintf(stderr, "\n    scene %u:", i);
		UNIT_EQUAL(status, 0);
		UNIT_STRING(said, scene.said);
	}
}

/* The program may write what it was given, to the last byte. */
static void what_is_the_programs_is_not_looked_at(void)
{
	struct scene scene = {0, 0, BYTES, -1, ""};
	int status = unit_in_child(play, &scene, said, sizeof(said));
	UNIT_EQUAL(status, 0);
	UNIT_STRING(said, "");
}

static void what_is_told_of_a_block(void)
{
	struct hak_guarded block;
	set_the_scene();
	cells[0].record->alloc_stack = 3;
	cells[7].record->free_stack = 4;
	hak_cell_describe(&cells[0], &block);
	UNIT_EQUAL(block.address, cells[0].start + 16);
	UNIT_EQUAL(block.bytes, BYTES);
	UNIT_EQUAL(block.level, HAK_GUARD_FULL);
	UNIT_EQUAL(block.state, HAK_GUARDED_LIVE);
	UNIT_EQUAL(block.alloc_stack, 3);
	UNIT_EQUAL(block.alloc_tid, 7);
	hak_cell_describe(&cells[7], &block);
	UNIT_EQUAL(block.state, HAK_GUARDED_FREED);
	UNIT_EQUAL(block.free_stack, 4);
	cells[0].record->state = HAK_CELL_LEAVING; /* being freed: it was live until now */
	hak_cell_describe(&cells[0], &block);
	UNIT_EQUAL(block.state, HAK_GUARDED_LIVE);
	CU_ASSERT_TRUE(hak_cell_is_known(&cells[0]));
	UNIT_EQUAL(hak_cell_class_of(HAK_MAX_SMALL + 1), HAK_SAMPLE_LARGE);
}

UNIT_MAIN("cell_check", UNIT(one_write_is_one_report), UNIT(what_is_the_programs_is_not_looked_at), UNIT(what_is_told_of_a_block))
