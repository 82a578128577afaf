/* A program that dies with strings on the heap, for a debugger to find: one in a small block, one in a large. */
#include <string.h>

#include "check.h"

char *small_string, *large_string;

int main(void)
{
	char *others[2000];
	for (size_t i = 0; i < 2000; i++) {
		others[i] = malloc(i * 10 + 1);
		CHECK(others[i] != NULL);
		memset(others[i], 'x', i * 10 + 1);
	}
	small_string = strcpy(malloc(100), "small and still there");
	large_string = strcpy(malloc(5 << 20), "large and still there");
	for (size_t i = 0; i < 2000; i += 2)
		free(others[i]);
	abort();
}
