#include "viewer/batch.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "viewer/canvas.h"
#include "viewer/format.h"
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

/* Writes the character at `text` so that it can't drive a terminal: in a string, a control character as the escape that
 * JSON has for it and a byte that isn't UTF-8 as '?'; outside strings, where a control character can only be a blank, a
 * blank. Returns how many bytes it took. */
static size_t put_character(FILE *out, const char *text, size_t left, bool in_string)
{
	char bytes[5] = "";
	const char *end = bytes;
	memcpy(bytes, text, left < 4 ? left : 4);
	uint32_t code = format_utf8_next(&end);
	size_t taken = code == 0 ? 1 : (size_t)(end - bytes);
	if (code == 0xfffd && memcmp(bytes, "\xef\xbf\xbd", 3) != 0)
		fputc('?', out);
	else if (code >= 0x20 && (code < 0x7f || code >= 0xa0))
		fwrite(bytes, 1, taken, out);
	else if (in_string)
		fprintf(out, "\\u%04x", (unsigned)code);
	else
		fputc(' ', out);
	return taken;
}

/* How many bytes mean themselves, in a string or outside. */
static size_t plain_run(const char *text, size_t left)
{
	size_t count = 0;
	while (count < left && text[count] >= 0x20 && text[count] < 0x7f && text[count] != '"' && text[count] != '\\')
		count++;
	return count;
}

bool batch_json(FILE *out, const char *json, size_t length)
{
	bool in_string = false;
	for (size_t i = 0; i < length;) {
		size_t plain = plain_run(json + i, length - i);
		fwrite(json + i, 1, plain, out);
		i += plain;
		if (i == length)
			break;
		if (in_string && json[i] == '\\' && i + 1 < length) {
			fputc('\\', out);
			i++;
			/* An escaped control character is none of JSON's escapes; the parser refuses it before us. */
			i += put_character(out, json + i, length - i, true);
			continue;
		}
		in_string ^= json[i] == '"';
		i += put_character(out, json + i, length - i, in_string);
	}
	fputc('\n', out);
	return fflush(out) == 0 && !ferror(out);
}
