/* recover.h: what a trace file holds as the document that a dump would have been, so that whatever reads dumps reads
 * trace files too. */
#ifndef VIEWER_RECOVER_H
#define VIEWER_RECOVER_H

#include <stdio.h>

#include "viewer/trace_reader.h"

#define RECOVER_EVENTS_MAX 4096  /* in the document: the last ones */
#define RECOVER_EVENTS_THREAD 64 /* of each thread there are at least so many of its last ones, as far as they all fit */

/* Returns the document, `*length` bytes and a zero, to be freed; NULL and what is wrong if the file can't be read. The
 * member "recovered" of the document tells what was in motion, whether the sums hold, and what was lost. */
char *recover_document(const struct trace_file *file, size_t *length, struct problem *problem);

/* Writes what the document's "recovered" says, and each thread's last events, as lines of text. */
void recover_report(FILE *out, const char *document, size_t length);

#endif
