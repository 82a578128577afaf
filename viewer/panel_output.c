/* panel_output.c: what a launched command printed. */
#include "viewer/format.h"
#include "viewer/panel.h"

#define LINE_BYTES 2048

/* The newest line before what is shown, or the next one behind it, that has the words that are looked for. */
static void find(const struct output *output, struct panel_place *place, int page)
{
	char line[LINE_BYTES];
	place->row = place->row < place->first || place->row >= place->first + page ? place->first + page - 1 : place->row;
	for (int row; (row = panel_find(place, (int)output->lines)) >= 0;) {
		size_t at = output_seek(output, output->lines - (size_t)row);
		output_line(output, &at, line, sizeof(line));
		if (!panel_matches(line, place->find))
			continue;
		panel_found(place, row);
		place->first = row > page / 2 ? row - page / 2 : 0;
		place->unfollowed = true;
	}
}

static void draw(struct area area, const struct watch *watch, struct panel_place *place, bool with_cursor)
{
	char line[LINE_BYTES], forgotten[FORMAT_MAX];
	const struct output *output = watch->output;
	place->body = 0;
	if (output != NULL && place->find_step != 0)
		find(output, place, area.height);
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
		if (with_cursor && *place->find != '\0' && panel_matches(line, place->find))
			area_reverse(area, 0, i, area.width);
	}
	if (output->forgotten > 0 && place->first == 0)
		area_printf(area, 0, 0, STYLE_WARNING, "%s before this are gone; -o FILE keeps all",
			format_bytes(forgotten, output->forgotten));
}

const struct panel panel_output = {
	.grows = true, .keys = KEY_FINDS, .draw = draw,
};
