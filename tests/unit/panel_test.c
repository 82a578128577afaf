#include "viewer/panel.h"

#include <locale.h>

#include "tests/unit/sample_guards.h"
#include "tests/unit/sample_profile.h"
#include "tests/unit/sample_snapshot.h"
#include "tests/unit/unit.h"
#include "viewer/batch.h"
#include "viewer/family.h"
#include "viewer/frame.h"
#include "viewer/slotmap_zoom.h"
#include "viewer/slots.h"

static struct watch watch;
static struct output output;
static struct canvas canvas;
static struct panel_place place;

static void fill_watch(void)
{
	memset(&watch, 0, sizeof(watch));
	CU_ASSERT_EQUAL_FATAL(watch_take(&watch, sample_snapshot, strlen(sample_snapshot), NULL), WATCH_SNAPSHOT);
	const char *events =
		"{\"type\":\"events\",\"lost\":0,\"events\":[{\"name\":\"stage1\",\"group\":\"acquire\",\"tid\":5,"
		"\"time_us\":77,\"class\":6}]}";
	watch_take(&watch, events, strlen(events), NULL);
	CU_ASSERT_EQUAL_FATAL(watch_take(&watch, sample_profile, strlen(sample_profile), NULL), WATCH_PROFILE);
	output_add(&output, "first\nsecond\n", 13);
	watch.output = &output;
}

static void end(void)
{
	watch_free(&watch);
	output_free(&output);
	canvas_free(&canvas);
}

static const char *row(int y)
{
	static char text[2048];
	canvas_row(&canvas, y, text, sizeof(text));
	return text;
}

static bool shows(const char *text)
{
	for (int y = 0; y < canvas.height; y++) {
		if (strstr(row(y), text) != NULL)
			return true;
	}
	for (int y = 0; y < canvas.height; y++)
		fprintf(stderr, "    |%s\n", row(y));
	fprintf(stderr, "    doesn't show \"%s\"\n", text);
	return false;
}

static void draw(enum panel_id id, int width, int height, enum glyph_set glyphs)
{
	canvas_free(&canvas);
	CU_ASSERT_TRUE_FATAL(canvas_init(&canvas, width, height, glyphs));
	panels[id]->draw(canvas_area(&canvas), &watch, &place, true);
}

static void start(enum panel_id id)
{
	fill_watch();
	panel_place_init(panels[id], &place);
}

static void overview(void)
{
	start(PANEL_overview);
	draw(PANEL_overview, 80, 24, GLYPHS_ASCII);
	CU_ASSERT_TRUE(shows("2.00M committed"));
	CU_ASSERT_TRUE(shows("# live 1.00M  * cached 256K  = slack 128K  - idle 640K  frag 27%"));
	CU_ASSERT_TRUE(shows("10 acquired"));
	CU_ASSERT_TRUE(shows("stage 1 60.0%"));
	CU_ASSERT_TRUE(shows("1 SuperSlab   1 slots EMPTY   LRU 0/16   4 releases"));
	CU_ASSERT_TRUE(shows("   3  #===##o........................."));
	CU_ASSERT_TRUE(shows("1 C1   6144B     120K   60.0K      20       2"));
	draw(PANEL_overview, 80, 40, GLYPHS_ASCII);
	CU_ASSERT_TRUE(shows("Resident 2.86M"));
	CU_ASSERT_TRUE(shows("Slack    128K"));
	end();
}

static void slot_map(void)
{
	start(PANEL_slotmap);
	place.column = 2;
	draw(PANEL_slotmap, 100, 10, GLYPHS_ASCII);
	CU_ASSERT_TRUE(shows("   3  7f5a00000000   ##======####o . . ."));
	CU_ASSERT_TRUE(shows("0x7f5a00000000 slot 2: ACTIVE C1 6144B, 8/32 out (25.0%), run of 3, for 200ms"));
	CU_ASSERT_TRUE(canvas.cells[100 + 21 + 4].reversed);
	place.column = 5;
	place.mode = SLOT_CLASS;
	draw(PANEL_slotmap, 100, 10, GLYPHS_ASCII);
	CU_ASSERT_TRUE(shows("0#1=1=1=@#@#o . . "));
	CU_ASSERT_TRUE(shows("ACTIVE large allocation of 128K, run of 2, for 1m39s"));
	place.mode = SLOT_AGE;
	draw(PANEL_slotmap, 40, 8, GLYPHS_ASCII);
	CU_ASSERT_TRUE(shows("   3  =---**o...."));
	CU_ASSERT_TRUE(shows("3.5 ACTIVE large allocation of 128K"));
	end();
}

/* Guards are told of where there are any: on the overview, and which blocks a slot holds where it is looked at from near. */
static void guards(void)
{
	start(PANEL_overview);
	draw(PANEL_overview, 100, 24, GLYPHS_ASCII);
	for (int y = 0; y < 24; y++)
		CU_ASSERT_PTR_NULL(strstr(row(y), "Guards"));
	char *text = sample_with("\"syscalls\":", "\"guard\":{\"level\":\"sample\",\"rate\":50000,\"slots\":128,\"armed\":3,\"taken\":1200,"
		"\"lost\":1,\"quarantined_blocks\":7,\"quarantined_bytes\":2048,\"checked\":5,\"reports\":1},\"syscalls\":");
	UNIT_EQUAL(watch_take(&watch, text, strlen(text), NULL), WATCH_SNAPSHOT);
	free(text);
	draw(PANEL_overview, 100, 24, GLYPHS_ASCII);
	CU_ASSERT_TRUE(shows("Guards   sample   3/128 armed   1200 guarded   7 in quarantine (2.00K)   1 report   1 lost"));
	draw(PANEL_overview, 50, 24, GLYPHS_ASCII);
	CU_ASSERT_TRUE(shows("Guards   sample   3/128 armed   7 kept   1 report"));
	/* Great numbers leave the last one its place. */
	text = sample_with("\"syscalls\":", "\"guard\":{\"level\":\"sample\",\"rate\":1,\"slots\":8192,\"armed\":8000,\"taken\":123400000,"
		"\"lost\":0,\"quarantined_blocks\":1234,\"quarantined_bytes\":123456789,\"checked\":5,\"reports\":123},\"syscalls\":");
	UNIT_EQUAL(watch_take(&watch, text, strlen(text), NULL), WATCH_SNAPSHOT);
	free(text);
	draw(PANEL_overview, 80, 24, GLYPHS_ASCII);
	CU_ASSERT_TRUE(shows("Guards   sample   8000/8192 armed   123M guarded   1234 kept   123 reports"));
	UNIT_EQUAL(watch_take(&watch, sample_guards, strlen(sample_guards), NULL), WATCH_GUARDED);
	panel_place_init(&panel_slotmap, &place);
	draw(PANEL_slotmap, 120, 30, GLYPHS_ASCII);
	uint64_t from, to;
	CU_ASSERT_FALSE(slotmap_looks_at(&watch, &place, &from, &to));
	panel_act(&panel_slotmap, &place, ACT_ENTER);
	panel_act(&panel_slotmap, &place, ACT_ENTER);
	draw(PANEL_slotmap, 120, 30, GLYPHS_ASCII);
	CU_ASSERT_TRUE(slotmap_looks_at(&watch, &place, &from, &to));
	CU_ASSERT_TRUE(from == 0x7f5a00000000 && to == 0x7f5a00010000);
	CU_ASSERT_TRUE(shows("Guarded blocks: 2"));
	CU_ASSERT_TRUE(shows("  write beyond a block's end  0x7f5a0000009a by thread 6, thing+0x1000"));
	CU_ASSERT_TRUE(shows(" 0x7f5a00000080     24B live     1.0s  libthing.so+0x122"));
	CU_ASSERT_TRUE(shows(" 0x7f5a00000100      1B freed    2.0s  thing+0x100f; freed by (no stack)"));
	/* Of another slot there is none. */
	panel_act(&panel_slotmap, &place, ACT_DOWN);
	draw(PANEL_slotmap, 120, 30, GLYPHS_ASCII);
	CU_ASSERT_TRUE(slotmap_looks_at(&watch, &place, &from, &to));
	CU_ASSERT_TRUE(from == 0x7f5a00010000 && to == 0x7f5a00040000);
	for (int y = 0; y < 30; y++)
		CU_ASSERT_PTR_NULL(strstr(row(y), "Guarded"));
	/* With little room there are fewer rows. */
	panel_act(&panel_slotmap, &place, ACT_UP);
	for (int height = 2; height < 20; height++)
		draw(PANEL_slotmap, 30, height, GLYPHS_ASCII);
	end();
}

/* From the rows out to one cell a SuperSlab, in to one SuperSlab and to one slot. */
static void slot_map_zooms(void)
{
	start(PANEL_slotmap);
	draw(PANEL_slotmap, 80, 20, GLYPHS_ASCII);
	UNIT_EQUAL(panel_situation(&panel_slotmap, &place) & (KEY_ENTERS | KEY_LEAVES), KEY_ENTERS | KEY_LEAVES);
	panel_act(&panel_slotmap, &place, ACT_LEAVE);
	draw(PANEL_slotmap, 80, 20, GLYPHS_ASCII);
	UNIT_STRING(row(1), "    3 -"); /* less than a quarter of it is used */
	CU_ASSERT_TRUE(shows("SuperSlab 3: 12.5% of it used, 6 slots ACTIVE, 1 EMPTY, 25 UNUSED, most of C1"));
	CU_ASSERT_FALSE(panel_situation(&panel_slotmap, &place) & KEY_LEAVES);
	panel_act(&panel_slotmap, &place, ACT_ENTER);
	panel_act(&panel_slotmap, &place, ACT_ENTER);
	place.mode = SLOT_CLASS;
	draw(PANEL_slotmap, 80, 20, GLYPHS_ASCII);
	CU_ASSERT_TRUE(shows("SuperSlab 3 0x7f5a00000000"));
	CU_ASSERT_TRUE(shows(" 1-3   ACTIVE 1 C1 6144B      25.0%"));
	CU_ASSERT_TRUE(shows(" 4-5   ACTIVE @ large 128K"));
	CU_ASSERT_TRUE(canvas.cells[80 * 2].reversed);
	panel_act(&panel_slotmap, &place, ACT_DOWN);
	panel_act(&panel_slotmap, &place, ACT_DOWN);
	draw(PANEL_slotmap, 80, 20, GLYPHS_ASCII);
	UNIT_EQUAL(place.column, 4);
	panel_act(&panel_slotmap, &place, ACT_UP);
	panel_act(&panel_slotmap, &place, ACT_ENTER);
	draw(PANEL_slotmap, 80, 20, GLYPHS_ASCII);
	UNIT_EQUAL(place.column, 1);
	CU_ASSERT_TRUE(shows("slot 1"));
	CU_ASSERT_TRUE(shows("Blocks    8 of 32 handed out (25.0%)"));
	CU_ASSERT_TRUE(shows("Memory    48.0K handed out, 144K free"));
	CU_ASSERT_TRUE(shows("Memory at 0x7f5a00010000 to 0x7f5a00040000"));
	CU_ASSERT_TRUE(shows("None among those that are kept."));
	const char *touched =
		"{\"type\":\"events\",\"lost\":0,\"events\":[{\"name\":\"release\",\"group\":\"release\",\"tid\":5,"
		"\"time_us\":88,\"ss\":\"0x7f5a00000000\",\"slab\":1},{\"name\":\"purge\",\"group\":\"memory\",\"tid\":5,"
		"\"time_us\":89,\"address\":\"0x7f5a00030000\",\"bytes\":4096},{\"name\":\"lru_push\",\"group\":\"lru\","
		"\"tid\":5,\"time_us\":90,\"ss\":\"0x7f5a00200000\"},{\"name\":\"release\",\"group\":\"release\",\"tid\":5,"
		"\"time_us\":91,\"ss\":\"0x7f5a00000000\",\"slab\":7}]}";
	watch_take(&watch, touched, strlen(touched), NULL);
	draw(PANEL_slotmap, 80, 20, GLYPHS_ASCII);
	CU_ASSERT_PTR_NOT_NULL(strstr(row(12), "purge"));
	CU_ASSERT_PTR_NOT_NULL(strstr(row(13), "slab=1"));
	UNIT_STRING(row(14), "");
	end();
}

static void look_for(const char *words, int row_wanted, int column_wanted)
{
	snprintf(place.find, sizeof(place.find), "%s", words);
	place.find_step = 1;
	place.find_here = true;
	draw(PANEL_slotmap, 80, 20, GLYPHS_ASCII);
	UNIT_EQUAL(place.missed, row_wanted < 0);
	if (row_wanted >= 0) {
		UNIT_EQUAL(place.row, row_wanted);
		UNIT_EQUAL(place.column, column_wanted);
	}
}

static void slot_map_is_searched(void)
{
	start(PANEL_slotmap);
	look_for("C1", 0, 1);
	look_for("c0", 0, 0);
	look_for("large", 0, 4);
	look_for("EMPTY", 0, 6);
	look_for("unused", 0, 7);
	look_for("0x7f5a00050010", 0, 5);
	look_for("0x7f5a00200000", -1, 0);
	look_for("3", 0, 5);
	look_for("C2", -1, 0);
	look_for("lru", -1, 0);
	end();
}

static void classes_are_sorted(void)
{
	start(PANEL_classes);
	draw(PANEL_classes, 110, 6, GLYPHS_ASCII);
	CU_ASSERT_PTR_NOT_NULL(strstr(row(1), "C1    6144   120K"));
	CU_ASSERT_PTR_NOT_NULL(strstr(row(2), "C0      16  62.5K"));
	CU_ASSERT_TRUE(panel_act(&panel_classes, &place, ACT_REVERSE));
	draw(PANEL_classes, 110, 6, GLYPHS_ASCII);
	CU_ASSERT_PTR_NOT_NULL(strstr(row(1), "C0"));
	CU_ASSERT_TRUE(panel_act(&panel_classes, &place, ACT_NEXT_SORT));
	draw(PANEL_classes, 110, 6, GLYPHS_ASCII);
	CU_ASSERT_PTR_NOT_NULL(strstr(row(0), "vSlack"));
	CU_ASSERT_PTR_NOT_NULL(strstr(row(1), "1 C1    6144   120K  60.0K    62"));
	/* Every column, both ways. */
	for (int i = 0; i < 2 * place.sorts; i++) {
		panel_act(&panel_classes, &place, i % 2 == 0 ? ACT_REVERSE : ACT_PREVIOUS_SORT);
		draw(PANEL_classes, 110, 6, GLYPHS_ASCII);
		CU_ASSERT_TRUE(strstr(row(1), "C0") != NULL || strstr(row(1), "C1") != NULL);
	}
	panel_place_init(&panel_classes, &place);
	UNIT_EQUAL(panel_classes.column_at(&place, 110, 0), 0);
	UNIT_EQUAL(panel_classes.column_at(&place, 110, 14), 2);
	CU_ASSERT_EQUAL(panel_classes.column_at(&place, 110, 1000), -1);
	/* The column that decides the order is shown, however narrow it is. */
	place.sort = 13;
	draw(PANEL_classes, 40, 6, GLYPHS_ASCII);
	CU_ASSERT_PTR_NOT_NULL(strstr(row(0), "vStage3"));
	UNIT_EQUAL(panel_classes.column_at(&place, 40, (int)(strstr(row(0), "Stage3") - row(0))), 13);
	end();
}

static void the_other_panels(void)
{
	start(PANEL_stages);
	draw(PANEL_stages, 80, 22, GLYPHS_ASCII);
	CU_ASSERT_TRUE(shows("# depot          100   90.9%      50/s")); /* the mean since the start */
	CU_ASSERT_TRUE(shows("madvise             2"));
	end();
	start(PANEL_lru);
	draw(PANEL_lru, 80, 22, GLYPHS_ASCII);
	CU_ASSERT_TRUE(shows("length     0 of 16"));
	CU_ASSERT_TRUE(shows("32.0 blocks on average"));
	end();
	start(PANEL_threads);
	draw(PANEL_threads, 80, 5, GLYPHS_ASCII);
	CU_ASSERT_TRUE(shows("4711  sample             11.7K         -        -    5000    1030     3970"));
	CU_ASSERT_TRUE(shows("512B         -        -      50      60      -10"));
	end();
	start(PANEL_events);
	draw(PANEL_events, 80, 5, GLYPHS_ASCII);
	CU_ASSERT_TRUE(shows("1 events, 0 lost   groups: acquire,lru"));
	CU_ASSERT_TRUE(shows("stage1            class=6"));
	end();
	start(PANEL_output);
	draw(PANEL_output, 80, 5, GLYPHS_ASCII);
	CU_ASSERT_TRUE(shows("first"));
	CU_ASSERT_TRUE(shows("second"));
	end();
}

static void rows_are_filtered_and_found(void)
{
	start(PANEL_threads);
	strcpy(place.filter, "HELP");
	draw(PANEL_threads, 80, 5, GLYPHS_ASCII);
	CU_ASSERT_PTR_NOT_NULL(strstr(row(1), "helper"));
	UNIT_STRING(row(2), "");
	strcpy(place.filter, "nobody");
	draw(PANEL_threads, 80, 5, GLYPHS_ASCII);
	CU_ASSERT_TRUE(shows("Nothing passes the filter."));
	place.filter[0] = '\0';
	strcpy(place.find, "4712");
	place.find_step = 1;
	place.find_here = true;
	draw(PANEL_threads, 80, 5, GLYPHS_ASCII);
	UNIT_EQUAL(place.row, 1);
	CU_ASSERT_TRUE(canvas.cells[80 * 2].reversed);
	strcpy(place.find, "none such");
	place.find_step = 1;
	draw(PANEL_threads, 80, 5, GLYPHS_ASCII);
	CU_ASSERT_TRUE(place.missed);
	UNIT_EQUAL(place.row, 1);
	end();
	CU_ASSERT_TRUE(panel_matches("stage1 group=acquire thread=5 class=12", "class=12 ACQUIRE"));
	CU_ASSERT_FALSE(panel_matches("stage1 group=acquire thread=5 class=12", "class=1"));
	CU_ASSERT_FALSE(panel_matches("stage1 group=acquire", "lru"));
	CU_ASSERT_TRUE(panel_matches("", "  "));
}

static void add_events(int from, int to)
{
	char json[256];
	for (int i = from; i < to; i++) {
		snprintf(json, sizeof(json), "{\"type\":\"events\",\"lost\":0,\"events\":[{\"name\":\"%s\",\"group\":\"lru\","
			"\"tid\":%d,\"time_us\":%d,\"class\":%d}]}", i % 10 == 0 ? "lru_evict" : "lru_pop", i, 100 + i, i);
		watch_take(&watch, json, strlen(json), NULL);
	}
}

/* A view that was scrolled away stands still while events come, beyond what the ring holds too; a filter leaves out the
 * rest; a search goes backwards and forwards. */
static void events_stand_still(void)
{
	start(PANEL_events);
	add_events(1, 3000);
	draw(PANEL_events, 80, 11, GLYPHS_ASCII);
	CU_ASSERT_PTR_NOT_NULL(strstr(row(10), "class=2999"));
	panel_act(&panel_events, &place, ACT_PAGE_UP);
	draw(PANEL_events, 80, 11, GLYPHS_ASCII);
	CU_ASSERT_PTR_NOT_NULL(strstr(row(10), "class=2990"));
	add_events(3000, 6000); /* the ring has 4096 */
	draw(PANEL_events, 80, 11, GLYPHS_ASCII);
	CU_ASSERT_PTR_NOT_NULL(strstr(row(10), "class=2990"));
	strcpy(place.filter, "evict");
	draw(PANEL_events, 80, 11, GLYPHS_ASCII);
	CU_ASSERT_TRUE(shows("409 pass"));
	CU_ASSERT_PTR_NOT_NULL(strstr(row(1), "class=2990"));
	place.filter[0] = '\0';
	strcpy(place.find, "class=5990");
	place.find_step = -1;
	draw(PANEL_events, 80, 11, GLYPHS_ASCII);
	CU_ASSERT_TRUE(shows("class=5990"));
	panel_act(&panel_events, &place, ACT_LAST);
	draw(PANEL_events, 80, 11, GLYPHS_ASCII);
	CU_ASSERT_PTR_NOT_NULL(strstr(row(10), "class=5999"));
	end();
}

static void processes_are_a_tree(void)
{
	struct relative rows[] = {
		{.pid = 100, .command = "shell", .state = 'S'},
		{.pid = 4711, .parent = 100, .start_time = 99, .hakmem = true, .open = true, .depth = 1, .state = 'R',
			.command = "sample -x", .resident_bytes = 1 << 20, .threads = 2},
		{.pid = 4712, .parent = 4711, .hakmem = true, .open = true, .depth = 2, .lines = 2, .last = true, .state = 'S',
			.command = "child"},
		{.pid = 4713, .parent = 100, .hakmem = true, .depth = 1, .last = true, .state = 'T', .command = "off"},
	};
	const struct family family = {.rows = rows, .count = 4, .whole = true};
	start(PANEL_processes);
	draw(PANEL_processes, 80, 8, GLYPHS_ASCII);
	CU_ASSERT_TRUE(shows("Looking for processes"));
	watch.family = &family;
	place.row = 2;
	draw(PANEL_processes, 80, 8, GLYPHS_ASCII);
	CU_ASSERT_TRUE(shows("     4711 R  watched      1.00M    2 |-sample -x"));
	CU_ASSERT_TRUE(shows("| `-child"));
	CU_ASSERT_TRUE(shows("`-off"));
	UNIT_EQUAL(panel_processes.process(&watch, &place), 4712);
	place.row = 3;
	draw(PANEL_processes, 40, 8, GLYPHS_ASCII);
	UNIT_EQUAL(panel_processes.process(&watch, &place), 0); /* it has no endpoint */
	place.row = 2;
	draw(PANEL_processes, 40, 8, GLYPHS_ASCII);
	/* The cursor stays on its process when one above it goes. */
	const struct family fewer = {.rows = rows + 1, .count = 3, .whole = true};
	watch.family = &fewer;
	draw(PANEL_processes, 40, 8, GLYPHS_ASCII);
	UNIT_EQUAL(place.row, 1);
	end();
}

static void call_sites(void)
{
	start(PANEL_sites);
	draw(PANEL_sites, 100, 24, GLYPHS_ASCII);
	CU_ASSERT_TRUE(shows("400K +- 338K live in 15 blocks; 40 samples, one every 64.0K; 3 lost"));
	CU_ASSERT_TRUE(shows("   400K   338K    290K              20 libthing.so+0x122"));
	CU_ASSERT_TRUE(shows("Stack --freed after: <1ms 58%, <10ms 19%, longer 23%"));
	CU_ASSERT_TRUE(shows(" thing+0x101f"));
	draw(PANEL_sites, 130, 24, GLYPHS_ASCII);
	CU_ASSERT_TRUE(shows("3.7s #- -      libthing.so+0x122"));
	/* Wherever there is little room the place is shown. */
	draw(PANEL_sites, 40, 8, GLYPHS_ASCII);
	CU_ASSERT_TRUE(shows("   400K libthing.so+0x122"));
	strcpy(place.filter, "thread=5 usr");
	draw(PANEL_sites, 100, 24, GLYPHS_ASCII);
	CU_ASSERT_TRUE(shows("9.79K +- 9.26K live in 11 blocks that pass"));
	strcpy(place.filter, "class=3");
	draw(PANEL_sites, 100, 24, GLYPHS_ASCII);
	CU_ASSERT_TRUE(shows("Nothing passes the filter."));
	UNIT_STRING(place.filter, "class=3");
	strcpy(place.filter, "class=C7");
	draw(PANEL_sites, 100, 24, GLYPHS_ASCII);
	CU_ASSERT_TRUE(shows(" class=C7 is left out: class= takes a number from 0 to 255, or large"));
	CU_ASSERT_FALSE(shows("that pass"));
	place.filter[0] = '\0';
	/* The tree, its root closed and open. */
	CU_ASSERT_TRUE(panel_act(&panel_sites, &place, ACT_TREE));
	draw(PANEL_sites, 100, 24, GLYPHS_ASCII);
	CU_ASSERT_TRUE(shows("   400K   338K    290K     20 - thing+0x101f"));
	CU_ASSERT_TRUE(shows("     libthing.so+0x122"));
	CU_ASSERT_TRUE(panel_act(&panel_sites, &place, ACT_ENTER));
	draw(PANEL_sites, 100, 24, GLYPHS_ASCII);
	CU_ASSERT_TRUE(shows("+ thing+0x101f"));
	CU_ASSERT_TRUE(panel_act(&panel_sites, &place, ACT_TREE));
	draw(PANEL_sites, 100, 24, GLYPHS_ASCII);
	CU_ASSERT_TRUE(shows("+ libthing.so+0x122"));
	/* A stack that may go on beyond what is kept. */
	char *deep = sample_profile_deep(128);
	CU_ASSERT_EQUAL(watch_take(&watch, deep, strlen(deep), NULL), WATCH_PROFILE);
	free(deep);
	CU_ASSERT_TRUE(panel_act(&panel_sites, &place, ACT_TREE));
	draw(PANEL_sites, 100, 24, GLYPHS_ASCII);
	CU_ASSERT_TRUE(shows("Stack (cut: 128 frames are kept) --freed after: <1ms 58%"));
	/* Without a profile it says what it takes. */
	profile_free(watch.profile);
	watch.profile = NULL;
	watch.state = WATCH_FILE;
	draw(PANEL_sites, 100, 24, GLYPHS_ASCII);
	CU_ASSERT_TRUE(shows("HAKMEM_PROF=1 starts it with the program; a request to its socket while it runs:"));
	CU_ASSERT_TRUE(shows("printf 'set prof_rate=524288\\n' | socat - UNIX-CONNECT:PATH"));
	end();
}

/* Nothing to show yet, and sizes from one cell to very wide: no panel may draw outside or crash. */
static void every_panel_at_every_size(void)
{
	static const int sizes[][2] = {{1, 1}, {2, 3}, {10, 2}, {39, 9}, {40, 7}, {63, 5}, {80, 21}, {120, 1},
		{300, 97}};
	for (int id = 0; id < PANEL_COUNT; id++) {
		for (int filled = 0; filled < 2; filled++) {
			memset(&watch, 0, sizeof(watch));
			if (filled)
				fill_watch();
			panel_place_init(panels[id], &place);
			for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
				for (int act = ACT_NONE; act < ACT_COUNT; act++) {
					panel_act(panels[id], &place, (enum act)act);
					draw((enum panel_id)id, sizes[i][0], sizes[i][1],
						(enum glyph_set)(i % GLYPHS_COUNT));
				}
			}
			CU_ASSERT_TRUE(place.row >= 0 && place.first >= 0);
			end();
		}
	}
}

static void scrolling(void)
{
	const struct panel table = {.sorts = 0}, tail = {.grows = true};
	panel_place_init(&table, &place);
	panel_scroll(&table, &place, 100, 10);
	panel_act(&table, &place, ACT_PAGE_DOWN);
	panel_act(&table, &place, ACT_PAGE_DOWN);
	panel_scroll(&table, &place, 100, 10);
	UNIT_EQUAL(place.row, 18);
	UNIT_EQUAL(place.first, 9);
	panel_act(&table, &place, ACT_LAST);
	panel_scroll(&table, &place, 100, 10);
	UNIT_EQUAL(place.first, 90);
	panel_scroll(&table, &place, 5, 10); /* rows went away under the cursor */
	UNIT_EQUAL(place.row, 4);
	UNIT_EQUAL(place.first, 0);
	panel_scroll(&table, &place, 0, 10);
	UNIT_EQUAL(place.row, 0);

	panel_place_init(&tail, &place);
	panel_scroll(&tail, &place, 100, 10);
	UNIT_EQUAL(place.first, 90);
	panel_act(&tail, &place, ACT_UP);
	CU_ASSERT_TRUE(place.unfollowed);
	panel_scroll(&tail, &place, 200, 10);
	UNIT_EQUAL(place.first, 89);
	panel_act(&tail, &place, ACT_LAST);
	panel_scroll(&tail, &place, 300, 10);
	UNIT_EQUAL(place.first, 290);
}

static void frame_parts(void)
{
	start(PANEL_overview);
	canvas_free(&canvas);
	CU_ASSERT_TRUE_FATAL(canvas_init(&canvas, 80, 3, GLYPHS_ASCII));
	struct area area = canvas_area(&canvas);
	frame_header(area, 0, &watch);
	UNIT_STRING(row(0), " hakmem-top  sample (4711)  up 0:02  2 threads                             live");
	frame_tabs(area, 1, PANEL_slotmap, false);
	UNIT_STRING(row(1), "1Overview 2Slots 3Classes 4Stages 5LRU 6Threads 7Events 8Procs 9Changes 0Sites");
	CU_ASSERT_EQUAL(frame_tab_at(80, PANEL_slotmap, false, 0), 0);
	CU_ASSERT_EQUAL(frame_tab_at(80, PANEL_slotmap, false, 14), 1);
	CU_ASSERT_EQUAL(frame_tab_at(80, PANEL_slotmap, false, 79), -1);
	CU_ASSERT_EQUAL(frame_tab_at(200, PANEL_slotmap, false, 14), 1);
	CU_ASSERT_EQUAL(frame_tab_at(40, PANEL_slotmap, true, 4), 1);
	panel_place_init(&panel_classes, &place);
	unsigned situation = frame_situation(&watch, &panel_classes, &place);
	frame_keys(area, 2, situation);
	UNIT_STRING(row(2), "F1Help  F2Save  F3SearchF4FilterF6Sort  SpcPause F10Quit");
	UNIT_EQUAL(frame_key_at(80, situation, 0), ACT_HELP);
	UNIT_EQUAL(frame_key_at(80, situation, 9), ACT_SAVE);
	UNIT_EQUAL(frame_key_at(80, situation, 79), ACT_NONE);
	watch_lose(&watch, "ended with status 3");
	canvas_clear(&canvas);
	frame_header(area, 0, &watch);
	CU_ASSERT_TRUE(shows("ended with status 3"));
	CU_ASSERT_TRUE(shows("ENDED"));
	end();
}

/* What the header of batch.h promises: plain text, 80 columns, an empty line behind it. */
static void batch_frames_are_plain_text(void)
{
	static const char *const locales[] = {"C", "C.UTF-8"};
	for (size_t i = 0; i < 2; i++) {
		char *text = NULL;
		size_t size;
		setlocale(LC_CTYPE, locales[i]);
		start(PANEL_overview);
		FILE *stream = open_memstream(&text, &size);
		CU_ASSERT_TRUE(batch_text(stream, &watch));
		fclose(stream);
		CU_ASSERT_PTR_NOT_NULL(strstr(text, "Slot map"));
		CU_ASSERT_PTR_NOT_NULL(strstr(text, "Top classes"));
		CU_ASSERT_TRUE(size > 2 && strcmp(text + size - 2, "\n\n") == 0);
		for (size_t at = 0; at < size; at++)
			CU_ASSERT_TRUE(text[at] == '\n' || (unsigned char)text[at] >= 0x20);
		for (size_t at = 0; i == 0 && at < size; at++)
			CU_ASSERT_TRUE((unsigned char)text[at] < 0x7f);
		for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n"))
			CU_ASSERT_TRUE(area_columns(line) <= BATCH_WIDTH);
		free(text);
		end();
	}
}

static void json_frames_are_one_line(void)
{
	char *text = NULL;
	size_t size;
	FILE *stream = open_memstream(&text, &size);
	CU_ASSERT_TRUE(batch_json(stream, "{\n\"a\":\r\n1}", 10));
	fclose(stream);
	UNIT_STRING(text, "{ \"a\":  1}\n");
	free(text);
	FILE *full = fopen("/dev/full", "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(full);
	CU_ASSERT_FALSE(batch_json(full, "{}", 2));
	fclose(full);
}

UNIT_MAIN("panel", UNIT(overview), UNIT(slot_map), UNIT(slot_map_zooms), UNIT(guards), UNIT(slot_map_is_searched), UNIT(classes_are_sorted),
	UNIT(the_other_panels), UNIT(rows_are_filtered_and_found), UNIT(events_stand_still), UNIT(processes_are_a_tree),
	UNIT(call_sites), UNIT(every_panel_at_every_size),
	UNIT(scrolling), UNIT(frame_parts), UNIT(batch_frames_are_plain_text), UNIT(json_frames_are_one_line))
