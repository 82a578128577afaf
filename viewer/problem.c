#include "viewer/problem.h"

#include <stdarg.h>
#include <stdio.h>

bool problem_set(struct problem *problem, const char *format, ...)
{
	if (problem == NULL)
		return false;
	va_list args;
	va_start(args, format);
	vsnprintf(problem->text, sizeof(problem->text), format, args);
	va_end(args);
	/* The sentence often quotes what a target or a file said: no byte of it may drive the user's terminal. */
	for (char *p = problem->text; *p != '\0'; p++) {
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
	}
	return false;
}
