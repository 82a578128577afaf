/* bug.h: what the programs with planted bugs share: how the functions that play a part stay on the stack, what the
 * programs tell about the block in question, and main.
 *
 * A program commits one bug, named by its argument; a second one says how many bytes it churns through afterwards.
 * allocates_it, frees_it and misuses_it_by_… are the functions that a report has to name. On stdout stand "block
 * ADDRESS BYTES" once the block is there, "misuse ADDRESS BYTES" before that is misused, and "went on" at the end, all
 * written without the heap. */
#ifndef BUG_H
#define BUG_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A function of its own in every stack, and at the end of one that has called another, what keeps that call from being
 * a jump. */
#define APART static __attribute__((noinline))
#define STAYS() __asm__ volatile("" ::: "memory")

/* Several times what quarantines hold in the tests. */
static size_t bug_churned = 8 << 20;

struct bug {
	const char *name;
	void (*commit)(void);
};
#define BUG(name) \
	{ \
#name, name \
	}

static inline void told_block(const void *block, size_t bytes)
{
	dprintf(STDOUT_FILENO, "block %p %zu\n", block, bytes);
}

static inline void told_misuse(const void *address, size_t bytes)
{
	dprintf(STDOUT_FILENO, "misuse %p %zu\n", address, bytes);
}

/* --list prints the names. */
static inline int bug_main(int argc, char **argv, const struct bug *bugs, size_t count)
{
	if (argc == 3)
		bug_churned = strtoul(argv[2], NULL, 10);
	for (size_t i = 0; argc > 1 && i < count; i++) {
		if (strcmp(argv[1], "--list") == 0)
			dprintf(STDOUT_FILENO, "%s\n", bugs[i].name);
		else if (strcmp(argv[1], bugs[i].name) == 0) {
			bugs[i].commit();
			dprintf(STDOUT_FILENO, "went on\n");
			return 0;
		}
	}
	if (argc > 1 && strcmp(argv[1], "--list") == 0)
		return 0;
	dprintf(STDERR_FILENO, "usage: %s BUG [BYTES] | --list\n", argv[0]);
	return 2;
}

#endif
