#include "viewer/ui.h"

#include <string.h>

#include "tests/unit/sample_snapshot.h"
#include "tests/unit/unit.h"
#include "viewer/slots.h"

static struct ui ui;
static struct watch watch;
static struct canvas canvas;

static void start(int width, int height)
{
	memset(&watch, 0, sizeof(watch));
	CU_ASSERT_EQUAL_FATAL(watch_take(&watch, sample_snapshot, strlen(sample_snapshot), NULL), WATCH_SNAPSHOT);
	CU_ASSERT_TRUE_FATAL(canvas_init(&canvas, width, height, GLYPHS_ASCII));
	ui_init(&ui);
	ui.interval_ms = 500;
	ui_paint(&ui, &canvas, &watch);
}

static void end(void)
{
	watch_free(&watch);
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
	return false;
}

static void key(int code)
{
	const struct input input = {.kind = INPUT_KEY, .key = code};
	ui_take(&ui, &watch, &canvas, &input);
	ui_paint(&ui, &canvas, &watch);
}

static void type(const char *text)
{
	for (; *text != '\0'; text++)
		key(*text);
}

static void click(int x, int y)
{
	const struct input input = {.kind = INPUT_CLICK, .x = x, .y = y};
	ui_take(&ui, &watch, &canvas, &input);
	ui_paint(&ui, &canvas, &watch);
}

static void panels_are_chosen(void)
{
	start(80, 24);
	key('3');
	UNIT_EQUAL(ui.shown, PANEL_classes);
	key(KEYS_TAB);
	UNIT_EQUAL(ui.shown, PANEL_stages);
	key(KEYS_BACK_TAB);
	key(KEYS_BACK_TAB);
	UNIT_EQUAL(ui.shown, PANEL_slotmap);
	key('o'); /* nothing is captured, so there is no such panel */
	UNIT_EQUAL(ui.shown, PANEL_slotmap);
	key('1');
	key(KEYS_BACK_TAB);
	UNIT_EQUAL(ui.shown, PANEL_sites);
	key('9');
	UNIT_EQUAL(ui.shown, PANEL_changes);
	click(20, 1);
	UNIT_EQUAL(ui.shown, PANEL_classes);
	CU_ASSERT_FALSE(ui.quit);
	key('q');
	CU_ASSERT_TRUE(ui.quit);
	end();
}

static void the_filter_is_typed(void)
{
	start(80, 24);
	key('6');
	key('\\');
	type("helqq"); /* letters are letters here, not keys */
	CU_ASSERT_FALSE(ui.quit);
	UNIT_EQUAL(strncmp(row(23), "Filter: helqq", 13), 0);
	CU_ASSERT_TRUE(shows("Nothing passes the filter."));
	key(KEYS_BACKSPACE);
	key(KEYS_BACKSPACE);
	key(0xe4); /* a letter of two bytes goes as one */
	key(KEYS_BACKSPACE);
	CU_ASSERT_TRUE(shows("helper"));
	CU_ASSERT_FALSE(shows("sample  "));
	key(KEYS_ENTER);
	CU_ASSERT_PTR_NOT_NULL(strstr(row(23), " filter: hel"));
	CU_ASSERT_PTR_NOT_NULL(strstr(row(23), "F1Help"));
	key('\\');
	key(KEYS_ESCAPE);
	CU_ASSERT_TRUE(shows("sample"));
	UNIT_STRING(ui.places[PANEL_threads].filter, "");
	key('4');
	key('\\'); /* a panel without rows has no filter */
	UNIT_EQUAL(ui.prompt, PROMPT_NONE);
	end();
}

static void the_search_is_typed(void)
{
	start(80, 24);
	key('6');
	key('/');
	type("4712");
	UNIT_EQUAL(ui.places[PANEL_threads].row, 1);
	key('x');
	CU_ASSERT_PTR_NOT_NULL(strstr(row(23), "not found"));
	key(KEYS_BACKSPACE);
	CU_ASSERT_PTR_NULL(strstr(row(23), "not found"));
	key(KEYS_ENTER);
	UNIT_EQUAL(ui.prompt, PROMPT_NONE);
	key(KEYS_UP);
	UNIT_EQUAL(ui.places[PANEL_threads].row, 0);
	key('n');
	UNIT_EQUAL(ui.places[PANEL_threads].row, 1);
	/* A text that is too long for its place is cut off, not written beyond it. */
	key('/');
	for (int i = 0; i < 200; i++)
		key('a');
	UNIT_EQUAL(strlen(ui.places[PANEL_threads].find), PANEL_WORDS - 1);
	key(0x2588);
	key(KEYS_ESCAPE);
	UNIT_STRING(ui.places[PANEL_threads].find, "");
	end();
}

static void help_scrolls(void)
{
	start(60, 12);
	key('h');
	CU_ASSERT_TRUE(shows("this page"));
	key(KEYS_PAGE_DOWN);
	CU_ASSERT_FALSE(shows("this page"));
	CU_ASSERT_TRUE(ui.help);
	key(KEYS_END);
	CU_ASSERT_TRUE(shows("8 Procs") && shows("o Output"));
	key(KEYS_HOME);
	CU_ASSERT_TRUE(shows("this page"));
	key('x');
	CU_ASSERT_FALSE(ui.help);
	key('?');
	key('2');
	UNIT_EQUAL(ui.shown, PANEL_slotmap);
	CU_ASSERT_FALSE(ui.help);
	end();
}

/* A panel that needs more rows than there are is scrolled. */
static void tall_panels_scroll(void)
{
	start(40, 10);
	key('4');
	CU_ASSERT_FALSE(shows("mprotect"));
	key(KEYS_END);
	CU_ASSERT_TRUE(shows("mremap"));
	key(KEYS_HOME);
	CU_ASSERT_TRUE(shows("Stages"));
	end();
	start(80, 24);
	key('4');
	CU_ASSERT_TRUE(shows("mremap"));
	key(KEYS_DOWN);
	CU_ASSERT_TRUE(shows("Stages"));
	end();
}

static void expanding(void)
{
	start(80, 24);
	key('3');
	key('e');
	CU_ASSERT_PTR_NOT_NULL(strstr(row(1), "Class"));
	CU_ASSERT_FALSE(shows("F1Help"));
	click(17, 1); /* the heads of columns are higher up now */
	UNIT_STRING(panel_classes.column_name(ui.places[PANEL_classes].sort), "Live");
	CU_ASSERT_TRUE(ui.places[PANEL_classes].reversed);
	key('/'); /* what is typed has to be seen */
	CU_ASSERT_TRUE(shows("Search: "));
	key(KEYS_ENTER);
	key('e');
	CU_ASSERT_TRUE(shows("F1Help"));
	end();
}

static void clicks_in_the_map(void)
{
	start(80, 24);
	key('2');
	click(15 + 2 * 4, 3);
	UNIT_EQUAL(ui.places[PANEL_slotmap].column, 4);
	click(15 + 2 * 4, 3);
	UNIT_EQUAL(ui.places[PANEL_slotmap].zoom, 2);
	click(1 + 2 * 6, 3);
	UNIT_EQUAL(ui.places[PANEL_slotmap].column, 6);
	click(1 + 2 * 6, 3);
	UNIT_EQUAL(ui.places[PANEL_slotmap].zoom, 3);
	key(KEYS_ESCAPE);
	key(KEYS_ESCAPE);
	key(KEYS_ESCAPE);
	UNIT_EQUAL(ui.places[PANEL_slotmap].zoom, 0);
	click(6, 3);
	UNIT_EQUAL(ui.places[PANEL_slotmap].zoom, 1);
	click(79, 22);
	click(0, 0);
	end();
}

static void settings_go_round(void)
{
	struct preferences preferences;
	start(80, 24);
	key('2');
	key('c');
	key('3');
	key('>');
	key('r');
	key('+');
	UNIT_EQUAL(ui.interval_ms, 250);
	CU_ASSERT_TRUE(shows("a frame every 0.25 s"));
	key('C');
	UNIT_EQUAL(ui.colours, 16);
	key('-');
	UNIT_EQUAL(ui.interval_ms, 500);
	key('S');
	CU_ASSERT_TRUE(ui.save);
	ui_preferences(&ui, &preferences);
	ui_init(&ui);
	ui_prefer(&ui, &preferences);
	UNIT_EQUAL(ui.shown, PANEL_classes);
	UNIT_EQUAL(ui.places[PANEL_slotmap].mode, SLOT_CLASS);
	UNIT_STRING(panel_classes.column_name(ui.places[PANEL_classes].sort), "Slack");
	CU_ASSERT_TRUE(ui.places[PANEL_classes].reversed);
	UNIT_EQUAL(ui.colours, 16);
	end();
}

UNIT_MAIN("ui", UNIT(panels_are_chosen), UNIT(the_filter_is_typed), UNIT(the_search_is_typed), UNIT(help_scrolls),
	UNIT(tall_panels_scroll), UNIT(expanding), UNIT(clicks_in_the_map), UNIT(settings_go_round))
