#include "viewer/batch.h"

#include <stdlib.h>

#include "viewer/canvas.h"
#include "viewer/frame.h"

bool batch_text(FILE *out, const struct watch *watch)
{
	struct canvas canvas;
	char row[4 * BATCH_WIDTH + 1];
	if (!canvas_init(&canvas, BATCH_WIDTH, BATCH_ROWS, canvas_glyphs_for(NULL)))
		return false;
	int rows = frame_batch(&canvas, watch);
	for (int y = 0; y < rows; y++) {
		canvas_row(&canvas, y, row, sizeof(row));
		fputs(row, out);
		fputc('\n', out);
	}
	fputc('\n', out);
	canvas_free(&canvas);
	return fflush(out) == 0 && !ferror(out);
}

bool batch_json(FILE *out, const char *json, size_t length)
{
	/* A dump file may be spread over lines; outside strings a newline is a blank, and inside them it can't
	 * stand. */
	for (size_t i = 0; i < length; i++)
		fputc(json[i] == '\n' || json[i] == '\r' ? ' ' : json[i], out);
	fputc('\n', out);
	return fflush(out) == 0 && !ferror(out);
}
