/* output.h: what a launched command printed while the screen was up.
 *
 * The newest bytes are kept, whole lines where something had to go, and are written to the real output when the
 * screen closes: the command's words are not lost. The output panel shows them without what drives terminals. */
#ifndef VIEWER_OUTPUT_H
#define VIEWER_OUTPUT_H

#include <stddef.h>
#include <stdint.h>

#define OUTPUT_BYTES_MAX ((size_t)1 << 20)

struct output {
	char *bytes;        /* raw, OUTPUT_BYTES_MAX of room, made by the first output_add */
	size_t length;
	size_t newlines;    /* in `bytes` */
	size_t lines;       /* begun in `bytes`: the last one may be unfinished */
	uint64_t forgotten; /* bytes that were pushed out */
};

void output_add(struct output *output, const char *bytes, size_t count);
/* Copies line `i` (0 the oldest kept) into `out` as it may be shown: escape sequences are gone, tabs are blanks, of a
 * line that was rewritten with carriage returns the last text stands. `out` is empty if there is no such line. Walks
 * from `*cursor`, an offset that the function keeps up to date for the next line; begin with i = 0 and *cursor = 0. */
void output_line(const struct output *output, size_t *cursor, char *out, size_t size);
/* The offset at which the line `back` lines before the end begins. */
size_t output_seek(const struct output *output, size_t back);
void output_free(struct output *output);

#endif
