#include "viewer/panel.h"

#include <locale.h>

#include "tests/unit/sample_snapshot.h"
#include "tests/unit/unit.h"
#include "viewer/batch.h"
#include "viewer/frame.h"

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
	CU_ASSERT_TRUE(shows("# live 1.00M   * cached 256K   = slack 128K   - idle 640K"));
	CU_ASSERT_TRUE(shows("10 acquired"));
	CU_ASSERT_TRUE(shows("stage 1 60.0%"));
	CU_ASSERT_TRUE(shows("1 SuperSlabs   1 slots EMPTY   LRU 0/16   4 releases"));
	CU_ASSERT_TRUE(shows("   3  #===##o........................."));
	CU_ASSERT_TRUE(shows("1 C1   6144B     120K      20       2      1"));
	end();
}

static void slot_map(void)
{
	start(PANEL_slotmap);
	place.column = 2;
	draw(PANEL_slotmap, 100, 10, GLYPHS_ASCII);
	CU_ASSERT_TRUE(shows("   3  7f5a00000000   ##======####o . . ."));
	CU_ASSERT_TRUE(shows("0x7f5a00000000 slot 2: ACTIVE class 1 (6144B) "
		"8/32 blocks out (25.0%) run of 3 for 200ms"));
	CU_ASSERT_TRUE(canvas.cells[100 + 21 + 4].reversed);
	place.column = 5;
	place.mode = SLOT_BY_CLASS;
	draw(PANEL_slotmap, 100, 10, GLYPHS_ASCII);
	CU_ASSERT_TRUE(shows("0#1=1=1=@#@#0o. . "));
	CU_ASSERT_TRUE(shows("ACTIVE large allocation of 128K run of 2 for 1m39s"));
	place.mode = SLOT_BY_AGE;
	draw(PANEL_slotmap, 40, 8, GLYPHS_ASCII);
	CU_ASSERT_TRUE(shows("   3  =---**-...."));
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
	CU_ASSERT_PTR_NOT_NULL(strstr(row(0), "vBlocks"));
	CU_ASSERT_PTR_NOT_NULL(strstr(row(1), "C0"));
	/* Every column, both ways. */
	for (int i = 0; i < 2 * place.sorts; i++) {
		panel_act(&panel_classes, &place, i % 2 == 0 ? ACT_REVERSE : ACT_PREVIOUS_SORT);
		draw(PANEL_classes, 110, 6, GLYPHS_ASCII);
		CU_ASSERT_TRUE(strstr(row(1), "C0") != NULL || strstr(row(1), "C1") != NULL);
	}
	UNIT_EQUAL(panel_classes.column_at(0), 0);
	UNIT_EQUAL(panel_classes.column_at(14), 2);
	CU_ASSERT_EQUAL(panel_classes.column_at(1000), -1);
	end();
}

static void the_other_panels(void)
{
	start(PANEL_stages);
	draw(PANEL_stages, 80, 22, GLYPHS_ASCII);
	CU_ASSERT_TRUE(shows("# depot          100   90.9%"));
	CU_ASSERT_TRUE(shows("madvise             2"));
	end();
	start(PANEL_threads);
	draw(PANEL_threads, 80, 5, GLYPHS_ASCII);
	CU_ASSERT_TRUE(shows("4711  sample              11.7K      5000      1030     3970"));
	CU_ASSERT_TRUE(shows("512B        50        60      -10"));
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
	frame_tabs(area, 1, PANEL_slotmap, true);
	UNIT_STRING(row(1), " 1 Overview  2 Slots  3 Classes  4 Stages  5 Threads  6 Events  7 Output");
	CU_ASSERT_EQUAL(frame_tab_at(80, PANEL_slotmap, true, 0), 0);
	CU_ASSERT_EQUAL(frame_tab_at(80, PANEL_slotmap, true, 14), 1);
	CU_ASSERT_EQUAL(frame_tab_at(80, PANEL_slotmap, true, 79), -1);
	CU_ASSERT_EQUAL(frame_tab_at(40, PANEL_slotmap, true, 4), 1);
	unsigned situation = frame_situation(&watch, &panel_classes);
	frame_keys(area, 2, situation);
	UNIT_STRING(row(2), "F1Help  SpcPause F6Sort  F10Quit");
	UNIT_EQUAL(frame_key_at(80, situation, 0), ACT_HELP);
	UNIT_EQUAL(frame_key_at(80, situation, 9), ACT_PAUSE);
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

UNIT_MAIN("panel", UNIT(overview), UNIT(slot_map), UNIT(classes_are_sorted), UNIT(the_other_panels),
	UNIT(every_panel_at_every_size),
	UNIT(scrolling), UNIT(frame_parts), UNIT(batch_frames_are_plain_text), UNIT(json_frames_are_one_line))
