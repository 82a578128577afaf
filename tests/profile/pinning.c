/* Three call sites that hold memory which can't go back: each keeps one block in four of a slab that a fourth site filled, and
 * emptied around it. Prints where the sites are, and what they hold: bytes of free blocks in slots that hold a kept one. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BYTES 16384 /* four in a slab of one slot */
#define MOST 8000

static void *filled[MOST * 3];
static unsigned fills;

static __attribute__((noinline)) void *fill(void)
{
	void *block = malloc(BYTES);
	__asm__ volatile("" : : "r"(block) : "memory");
	return block;
}

#define SITE(name) \
	static __attribute__((noinline)) void *name(void **where) \
	{ \
		void *block = malloc(BYTES - 100); \
		*where = __builtin_return_address(0); \
		__asm__ volatile("" : : "r"(block) : "memory"); \
		return block; \
	}
SITE(largest)
SITE(middle)
SITE(smallest)

/* `kept` blocks, each among three that go. Another call site each, so that the address says which. */
#define PLANT(site, kept) \
	do { \
		void *where = NULL; \
		for (unsigned i = 0; i < (kept); i++) { \
			for (unsigned j = 0; j < 3; j++) \
				filled[fills++] = fill(); \
			*(volatile char *)site(&where) = 1; \
		} \
		printf("%s %p %lu\n", #site, where, (unsigned long)(kept) * 3 * BYTES); \
	} while (0)

int main(void)
{
	PLANT(smallest, 1500u);
	PLANT(largest, 3600u);
	PLANT(middle, 2300u);
	/* Only now, or the next site would fill the gaps. */
	while (fills)
		free(filled[--fills]);
	fflush(stdout);
	return 0;
}
