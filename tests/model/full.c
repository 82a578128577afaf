/* The states of a guarded block (lib/full.c, table in lib/cell.h): of two that free one block one has it, who frees a block
 * or looks at its zones finds them written, and who reads QUARANTINED finds it filled. */
#include "tests/model/atomic.h"

#include "lib/cell_check.h"
#include "lib/quarantine.h"
#include "lib/report.h"
#include "lib/zone.h"

#define BLOCK_BYTES 32

static struct hak_cell_record the_record;
static struct hak_cell the_cell;
static char zones, contents; /* stand for what lies in the cell */
static bool freeing_looks_at_zones;
static unsigned quarantined, refused;

static bool find_cell(struct hak_cell *out)
{
	*out = the_cell;
	return true;
}

static void verify_zones(void)
{
	if (freeing_looks_at_zones)
		model_plain(&zones);
}

static bool keep_block(void)
{
	return ++quarantined > 0;
}

/* All but the record's state is stood in for. */
#define hak_cell_find(address, out) ((void)(address), find_cell(out))
#define hak_cell_fill_zones(cell) ((void)(cell), model_plain(&zones))
#define hak_cell_verify(cell) ((void)(cell), verify_zones())
#define hak_zone_fill(from, length, byte) model_plain(&contents)
#define hak_quarantine_put(what) ((void)(what), keep_block())
#define hak_quarantine_take(limit, out) ((void)(limit), (void)(out), false)
#define hak_report(kind, address) ((void)(kind), (void)(address), (void)refused++)
#define hak_report_guarded(kind, address, block) ((void)(block), hak_report(kind, address))
#include "lib/full.c"

static void begin(enum hak_cell_state state)
{
	the_record = (struct hak_cell_record){.before = 1, .after = HAK_ALIGNMENT, .state = (uint8_t)state, .alloc_tid = 1};
	the_cell = (struct hak_cell){.record = &the_record, .start = 0x10000, .bytes = BLOCK_BYTES + 2 * HAK_ALIGNMENT, .bin = HAK_BIN_OF_CLASS(3)};
	quarantined = refused = 0;
	on = true;
	hak_settings.quarantine_bytes = 4096;
	hak_settings.fill = HAK_FILL_BOTH;
}

static void setup_live(void)
{
	begin(HAK_CELL_LIVE);
	freeing_looks_at_zones = true;
}

static void setup_taken(void)
{
	begin(HAK_CELL_TAKEN);
	freeing_looks_at_zones = true;
}

/* The zones are the looker's alone to look at: that two of them do so at once is no conflict. */
static void setup_looked_at(void)
{
	begin(HAK_CELL_TAKEN);
	freeing_looks_at_zones = false;
}

static void make_block(void)
{
	furnish(&the_cell, HAK_ALIGNMENT, BLOCK_BYTES, HAK_ALIGNMENT, 0);
}

static void free_block(void)
{
	unsigned bin;

	hak_full_free((void *)hak_cell_block(&the_cell), &bin);
}

static void look(void)
{
	switch (hak_cell_state(&the_cell)) {
	case HAK_CELL_LIVE:
	case HAK_CELL_LEAVING: model_plain(&zones); break;
	case HAK_CELL_QUARANTINED:
		model_plain(&zones);
		model_plain(&contents);
		break;
	default: break;
	}
}

static void check_two(void)
{
	model_require(quarantined == 1 && refused == 1, "one frees the block, and the other is told that it is gone");
	model_require(the_record.state == HAK_CELL_QUARANTINED, "it is in quarantine");
}

static void check_one(void)
{
	model_require(quarantined + refused == 1, "it is freed, or wasn't there yet");
	model_require(the_record.state == (quarantined ? HAK_CELL_QUARANTINED : HAK_CELL_LIVE), "its state is the last that it was given");
}

int main(void)
{
	static const struct model models[] = {
		{"two free one block", setup_live, {free_block, free_block}, check_two, {0}},
		{"one makes the block, another frees it", setup_taken, {make_block, free_block}, check_one, {0}},
		{"a third one looks", setup_looked_at, {make_block, free_block, look}, check_one, {0}},
		{0},
	};
	static const struct model_spare spares[] = {
		{"claim", 0, "hak_cell_state", 0, "the state was loaded before"},
		{0},
	};

	return model_main(models, spares);
}
