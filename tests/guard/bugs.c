/* One planted bug a name, in C: bugs NAME. What each level of guarding, and each of the other checkers, makes of them
 * is in expected.py. They know nothing of HAKMEM, so that the same source runs under AddressSanitizer. */
#include "bug.h"

#include <malloc.h>
#include <pthread.h>

#define BYTES 100    /* no multiple of 16: the block that serves it is longer */
#define LARGE 200000 /* beyond the size classes */
#define PAGE 4096
#define OTHERS 16

/* Read anew each time, so that no compiler follows the block from its allocation to its misuse. */
static char *volatile it;
static char *volatile other[OTHERS];
static char not_allocated[64];

APART void allocates_it(size_t bytes)
{
	it = malloc(bytes);
	memset(it, 'i', bytes);
	told_block(it, bytes);
}

APART void allocates_it_aligned(size_t alignment, size_t bytes)
{
	it = aligned_alloc(alignment, bytes);
	memset(it, 'i', bytes);
	told_block(it, bytes);
}

/* Where the block may stay where it is, shorter. */
APART void allocates_it_by_realloc(size_t bytes)
{
	it = realloc(it, bytes);
	told_block(it, bytes);
}

APART void frees_it(void)
{
	free(it);
	STAYS();
}

APART void misuses_it_by_freeing(char *address)
{
	told_misuse(address, 1);
	free(address);
	STAYS();
}

APART void misuses_it_by_writing(char *address, size_t bytes)
{
	told_misuse(address, bytes);
	for (volatile char *at = address; at < address + bytes; at++)
		*at = 'm';
}

APART void misuses_it_by_reading(const char *address)
{
	told_misuse(address, 1);
	if (*(const volatile char *)address == 'm')
		dprintf(STDOUT_FILENO, "this was never written\n");
}

/* libc's code does it. */
APART void misuses_it_by_memset(char *address, size_t bytes)
{
	told_misuse(address, bytes);
	memset(address, 'm', bytes);
	STAYS();
}

APART void misuses_it_by_realloc(char *address)
{
	told_misuse(address, 1);
	it = realloc(address, 3 * (size_t)BYTES);
	STAYS();
}

/* Work of other kinds: what was freed leaves its quarantine, lists are drained. */
APART void churns(void)
{
	for (size_t done = 0; done < bug_churned; done += BYTES) {
		other[0] = malloc(BYTES);
		*other[0] = 'o';
		free(other[0]);
	}
	malloc_trim(0);
}

APART void allocates_others(void)
{
	for (int i = 0; i < OTHERS; i++) {
		other[i] = malloc(BYTES);
		memset(other[i], 'o', BYTES);
	}
}

APART void frees_others(int from, int to)
{
	for (int i = from; i < to; i++)
		free(other[i]);
	STAYS();
}

static void double_free(void)
{
	allocates_it(BYTES);
	frees_it();
	misuses_it_by_freeing(it);
	churns();
}

/* Other blocks are freed before it and between, so that it is neither in the first place where freed blocks wait nor
 * the first there. */
static void double_free_delayed(void)
{
	allocates_others();
	allocates_it(BYTES);
	frees_others(0, 8);
	frees_it();
	frees_others(8, OTHERS);
	misuses_it_by_freeing(it);
	churns();
}

/* Its memory belongs to another block by then, if malloc handed it out again. */
static void double_free_reused(void)
{
	allocates_it(BYTES);
	frees_it();
	allocates_others();
	misuses_it_by_freeing(it);
	for (int i = 0; i < OTHERS; i++)
		*other[i] = 'o';
	churns();
}

static void invalid_free(void)
{
	char *volatile address = not_allocated + 16;
	misuses_it_by_freeing(address);
	churns();
}

static void interior_free(void)
{
	allocates_it(BYTES);
	misuses_it_by_freeing(it + 16);
	churns();
}

static void stack_free(void)
{
	char on_the_stack[64] = "";
	char *volatile address = on_the_stack + 16;
	misuses_it_by_freeing(address);
	churns();
}

static void overflow_by_1(void)
{
	allocates_it(BYTES);
	misuses_it_by_writing(it + BYTES, 1);
	frees_it();
	churns();
}

static void overflow_not_freed(void)
{
	allocates_it(BYTES);
	misuses_it_by_writing(it + BYTES, 1);
}

/* Every byte from the block's end on, over a page. */
static void overflow_by_page(void)
{
	allocates_others();
	allocates_it(BYTES);
	allocates_others();
	misuses_it_by_writing(it + BYTES, PAGE);
	frees_it();
	churns();
}

static void overflow_in_libc(void)
{
	allocates_it(BYTES);
	misuses_it_by_memset(it + BYTES - 8, 64);
	frees_it();
	churns();
}

static void overflow_read(void)
{
	allocates_it(BYTES);
	misuses_it_by_reading(it + BYTES + 12);
	frees_it();
	churns();
}

static void overflow_aligned(void)
{
	allocates_it_aligned(256, 256);
	misuses_it_by_writing(it + 256, 1);
	frees_it();
	churns();
}

static void overflow_large(void)
{
	allocates_it(LARGE);
	misuses_it_by_writing(it + LARGE, 1);
	frees_it();
	churns();
}

static void overflow_shrunk(void)
{
	it = malloc(BYTES + 8);
	allocates_it_by_realloc(BYTES);
	misuses_it_by_writing(it + BYTES, 1);
	frees_it();
	churns();
}

static void *overflows(void *block)
{
	misuses_it_by_writing((char *)block + BYTES, 16);
	return NULL;
}

static void overflow_across_threads(void)
{
	pthread_t thread;
	allocates_it(BYTES);
	pthread_create(&thread, NULL, overflows, it);
	pthread_join(thread, NULL);
	frees_it();
	churns();
}

static void underflow(void)
{
	allocates_others();
	allocates_it(BYTES);
	misuses_it_by_writing(it - 1, 1);
	frees_it();
	churns();
}

/* Not where lists of free blocks have their links. */
static void write_after_free(void)
{
	allocates_it(BYTES);
	frees_it();
	misuses_it_by_writing(it + 40, 1);
	churns();
}

/* The program ends before the block leaves quarantine. */
static void write_after_free_late(void)
{
	allocates_it(BYTES);
	frees_it();
	misuses_it_by_writing(it + 40, 1);
}

static void write_after_free_large(void)
{
	allocates_it(LARGE);
	frees_it();
	misuses_it_by_writing(it + LARGE / 2, 1);
	churns();
}

static void read_after_free(void)
{
	allocates_it(BYTES);
	frees_it();
	misuses_it_by_reading(it + 40);
	churns();
}

/* Other blocks have had its place since. */
static void write_after_quarantine(void)
{
	allocates_it(BYTES);
	frees_it();
	churns();
	misuses_it_by_writing(it + 40, 1);
	churns();
}

static void realloc_of_freed(void)
{
	allocates_it(BYTES);
	frees_it();
	misuses_it_by_realloc(it);
	churns();
}

/* Nothing leads to it any more. */
static void leak(void)
{
	allocates_it(BYTES);
	it = NULL;
	allocates_others();
	frees_others(0, OTHERS);
}

int main(int argc, char **argv)
{
	static const struct bug bugs[] = {BUG(double_free), BUG(double_free_delayed), BUG(double_free_reused),
		BUG(invalid_free), BUG(interior_free), BUG(stack_free), BUG(overflow_by_1), BUG(overflow_not_freed), BUG(overflow_by_page),
		BUG(overflow_in_libc), BUG(overflow_read), BUG(overflow_aligned), BUG(overflow_large),
		BUG(overflow_shrunk), BUG(overflow_across_threads), BUG(underflow), BUG(write_after_free), BUG(write_after_free_late),
		BUG(write_after_free_large), BUG(read_after_free), BUG(write_after_quarantine), BUG(realloc_of_freed),
		BUG(leak)};
	return bug_main(argc, argv, bugs, sizeof(bugs) / sizeof(bugs[0]));
}
