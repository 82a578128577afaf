/* Blocks that are allocated before main, as early as a program can: while it is being relocated (by the resolver of an ifunc), before
 * any constructor, and in its first constructor. They must be whole in main, and HAKMEM's. */
#include <malloc.h>
#include <stdbool.h>
#include <string.h>

#include "check.h"

#define EARLY_BLOCKS 200

static char *while_relocating, *before_constructors, *in_constructor[EARLY_BLOCKS];

static char *make(size_t bytes)
{
	char *block = malloc(bytes);
	for (size_t i = 0; block != NULL && i < bytes; i++) /* memset may not be relocated yet */
		block[i] = (char)bytes;
	return block;
}

static bool is_whole(const char *block, size_t bytes)
{
	for (size_t i = 0; block != NULL && i < bytes; i++) {
		if (block[i] != (char)bytes)
			return false;
	}
	return block != NULL;
}

static int answer(void)
{
	return 42;
}

__attribute__((used)) static int (*resolve(void))(void)
{
	while_relocating = make(1001);
	free(make(24));
	return answer;
}

static int resolved_early(void) __attribute__((ifunc("resolve")));

static void first_of_all(void)
{
	before_constructors = make(50000);
}

__attribute__((section(".preinit_array"), used)) static void (*const preinit)(void) = first_of_all;

__attribute__((constructor(101))) static void construct(void)
{
	for (size_t i = 0; i < EARLY_BLOCKS; i++)
		in_constructor[i] = make(1 + i * 50);
}

int main(void)
{
	CHECK(resolved_early() == 42);
	CHECK(is_whole(while_relocating, 1001) && is_whole(before_constructors, 50000));
	CHECK(malloc_usable_size(while_relocating) != 1016); /* as glibc would say */
	free(while_relocating);
	free(before_constructors);
	for (size_t i = 0; i < EARLY_BLOCKS; i++) {
		CHECK(is_whole(in_constructor[i], 1 + i * 50));
		free(in_constructor[i]);
	}
	puts("early blocks are whole");
	return 0;
}
