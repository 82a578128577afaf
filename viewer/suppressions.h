/* suppressions.h: which leaks the user knows of and doesn't want to hear about. The file has the form that the leak
 * sanitizer reads: a line `leak:PATTERN` for each, lines that begin with # are comments. */
#ifndef VIEWER_SUPPRESSIONS_H
#define VIEWER_SUPPRESSIONS_H

#include "viewer/symbols.h"

#define SUPPRESSIONS_MAX 4096

struct suppressions {
	char *text;
	char *patterns[SUPPRESSIONS_MAX]; /* in `text` */
	size_t count;
};

/* Reads a file. Returns false and says which line is wrong. */
bool suppressions_read(struct suppressions *suppressions, const char *path, struct problem *problem);
void suppressions_free(struct suppressions *suppressions);
/* The pattern that fits any function, source file or module of a stack; NULL: none does. * stands for anything, ^ and $ for
 * the beginning and the end; without them a pattern fits anywhere in a name. */
const char *suppressions_match(const struct suppressions *suppressions, const struct symbol *const *lines, size_t count);

#endif
