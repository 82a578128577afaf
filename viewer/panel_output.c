/* panel_output.c: what a launched command printed. */
#include "viewer/format.h"
#include "viewer/panel.h"

static void draw(struct area area, const struct watch *watch, struct panel_place *place, bool with_cursor)
{
	(void)with_cursor;
	char line[2048], forgotten[FORMAT_MAX];
	const struct output *output = watch->output;
	place->body = 0;
	panel_scroll(&panel_output, place, output != NULL ? (int)output->lines : 0, area.height);
	if (output == NULL || output->lines == 0) {
		area_text(area, 1, 1, STYLE_FAINT, output == NULL ?
			"The output isn't captured." : "The command has printed nothing yet.");
		return;
	}
	size_t at = output_seek(output, output->lines - (size_t)place->first);
	for (int i = 0; i < place->page && place->first + i < place->rows; i++) {
		output_line(output, &at, line, sizeof(line));
		area_text(area, 0, i, STYLE_NORMAL, line);
	}
	if (output->forgotten > 0 && place->first == 0)
		area_printf(area, 0, 0, STYLE_WARNING, "%s before this are gone; -o FILE keeps all",
			format_bytes(forgotten, output->forgotten));
}

const struct panel panel_output = {
	.grows = true, .draw = draw,
};
