/* problem.h: what went wrong, in one line for the user.
 *
 * Functions that can fail return false and leave a sentence in a struct problem that names the thing and the remedy;
 * who called them decides whether it goes to stderr, to the screen's status line or nowhere. */
#ifndef VIEWER_PROBLEM_H
#define VIEWER_PROBLEM_H

#include <stdbool.h>

#define PROBLEM_MAX 640

struct problem {
	char text[PROBLEM_MAX]; /* without a newline; printable */
};

/* Formats the sentence like printf, makes it printable (format_printable), cuts it to PROBLEM_MAX - 1 bytes and
 * returns false, so that callers write `return problem_set(…)`. `problem` may be NULL: then nothing is kept. */
bool problem_set(struct problem *problem, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
