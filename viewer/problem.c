#include "viewer/problem.h"

#include <stdarg.h>
#include <stdio.h>

#include "viewer/format.h"

bool problem_set(struct problem *problem, const char *format, ...)
{
	if (problem == NULL)
		return false;
	char raw[PROBLEM_MAX];
	va_list args;
	va_start(args, format);
	vsnprintf(raw, sizeof(raw), format, args);
	va_end(args);
	/* The sentence often quotes what a target or a file said: no byte of it may drive the user's terminal. */
	format_printable(problem->text, sizeof(problem->text), raw);
	return false;
}
