#include "viewer/chooser.h"

#include <poll.h>

#include "viewer/canvas.h"
#include "viewer/keys.h"
#include "viewer/terminal.h"

/* One row a process that can be opened; the list is short, so it scrolls by whole pages only where it must. */
static void paint_choice(struct canvas *canvas, const struct found *const *rows, size_t count, size_t cursor)
{
	if (!terminal_fit(canvas))
		return;
	canvas_clear(canvas);
	struct area whole = canvas_area(canvas);
	size_t page = whole.height > 4 ? (size_t)whole.height - 4 : 1, first = cursor / page * page;
	area_fill(whole, 0, 0, whole.width, STYLE_TOP_BAR);
	area_text(whole, 1, 0, STYLE_TOP_BAR_STRONG, "hakmem-top");
	area_text(whole, 13, 0, STYLE_TOP_BAR, "Which process?");
	area_fill(whole, 0, 1, whole.width, STYLE_COLUMN_HEAD);
	area_text(whole, 1, 1, STYLE_COLUMN_HEAD, "    PID  Version   Program");
	for (size_t i = first; i < count && i < first + page; i++) {
		int y = 2 + (int)(i - first);
		area_printf(whole, 1, y, STYLE_NORMAL, "%7d  %-8s  %s", (int)rows[i]->pid, rows[i]->version,
			rows[i]->exe);
		if (i == cursor)
			area_reverse(whole, 0, y, whole.width);
	}
	area_fill(whole, 0, whole.height - 1, whole.width, STYLE_KEY_TEXT);
	area_text(whole, 0, whole.height - 1, STYLE_KEY_TEXT, " Enter: watch it   up, down: move   q: quit");
	terminal_paint(canvas);
}

const struct found *chooser_run(const struct discovery *discovery)
{
	struct canvas canvas = {.cells = NULL};
	const struct found *rows[256], *chosen = NULL;
	size_t count = 0, cursor = 0;
	for (size_t i = 0; i < discovery->count && count < sizeof(rows) / sizeof(rows[0]); i++) {
		if (discovery->rows[i].state == FOUND_OPEN)
			rows[count++] = &discovery->rows[i];
	}
	if (!terminal_open())
		return NULL;
	for (bool done = count == 0; !done;) {
		paint_choice(&canvas, rows, count, cursor);
		struct pollfd fd = {terminal_fd(), POLLIN, 0};
		poll(&fd, 1, -1);
		if ((fd.revents & (POLLHUP | POLLERR | POLLNVAL)) != 0)
			done = true;
		for (struct input input; !done && (input = terminal_read()).kind != INPUT_NONE;) {
			size_t page = canvas.height > 4 ? (size_t)canvas.height - 4 : 1,
				at = cursor / page * page + (size_t)(input.y - 2);
			enum act act = input.kind == INPUT_KEY ? keys_find(input.key, KEY_ALWAYS) : ACT_NONE;
			if (act == ACT_UP || input.kind == INPUT_WHEEL_UP)
				cursor -= cursor > 0;
			else if (act == ACT_DOWN || input.kind == INPUT_WHEEL_DOWN)
				cursor += cursor + 1 < count;
			else if (act == ACT_FIRST)
				cursor = 0;
			else if (act == ACT_LAST)
				cursor = count - 1;
			else if (input.kind == INPUT_CLICK && input.y >= 2 && at < count)
				chosen = rows[cursor = at];
			else if (input.kind == INPUT_KEY && input.key == KEYS_ENTER)
				chosen = rows[cursor];
			done = chosen != NULL || act == ACT_QUIT ||
				(input.kind == INPUT_KEY && input.key == KEYS_ESCAPE);
		}
	}
	terminal_close();
	canvas_free(&canvas);
	return chosen;
}
