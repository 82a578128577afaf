/* check.h: how a small C test program says what went wrong. */
#ifndef HAK_TESTS_CHECK_H
#define HAK_TESTS_CHECK_H

#include <stdio.h>
#include <stdlib.h>

/* Ends the program with status 1 and the place, unless `condition` holds. */
#define CHECK(condition) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #condition); \
			_Exit(1); \
		} \
	} while (0)

#endif
