/* What programs do wrong with malloc, one fault a name: misuse NAME. The program tells on stdout the address that it misused, so that the
 * report can be compared, and whether it reached its end. With a further word it handles SIGABRT: the handler uses the heap and exits. */
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wuse-after-free"
#pragma GCC diagnostic ignored "-Wfree-nonheap-object"
#endif

#define FREED 640      /* several batches, all of which are taken again */
#define FREED_TWICE 19 /* behind the first frees of a thread, which another cache serves */

static char in_data[64];
static volatile size_t offset16 = 16, offset64k = 65536;

static void *told(void *address)
{
	printf("%p\n", address);
	fflush(stdout); /* abort doesn't */
	return address;
}

/* A block freed twice is seen when the thread's list goes back to its slab: at a trim, a drain, or the thread's end. */
static void double_free(void)
{
	char *block = malloc(100), *keep = malloc(100);
	free(told(block));
	malloc_trim(0);
	free(block);
	malloc_trim(0);
	free(keep);
}

/* The same, the two frees without anything between them: the block is its own successor in the list. */
static void double_free_in_a_row(void)
{
	char *block = malloc(100);
	free(told(block));
	free(block);
	malloc_trim(0);
}

/* The same by a thread that only frees, among blocks that another one then takes. */
static void *free_all(void *argument)
{
	char **blocks = argument;
	for (unsigned i = 0; i < FREED; i++) {
		free(blocks[i]);
		if (i == FREED_TWICE)
			free(told(blocks[i]));
	}
	return NULL;
}

static void double_free_by_another(void)
{
	char *blocks[FREED];
	pthread_t thread;
	for (unsigned i = 0; i < FREED; i++)
		blocks[i] = malloc(100);
	pthread_create(&thread, NULL, free_all, blocks);
	pthread_join(thread, NULL);
	for (unsigned i = 0; i < FREED; i++)
		blocks[i] = malloc(100);
}

/* Freed when all of its slab has gone back: seen at once. */
static void double_free_late(void)
{
	char *block = malloc(3000);
	free(told(block));
	malloc_trim(0);
	free(block);
}

static void double_free_large(void)
{
	char *block = malloc(200000);
	free(told(block));
	free(block);
}

static void foreign_stack(void)
{
	char on_the_stack[64];
	free(told(on_the_stack + offset16));
}

static void foreign_static(void)
{
	free(told(in_data + offset16));
}

/* Neither this address nor what lies around it can be read. */
static void foreign_unmapped(void)
{
	char *page = mmap(NULL, 3 << 16, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	munmap(page, 1 << 16);
	munmap(page + (2 << 16), 1 << 16);
	free(told(page + (1 << 16) + offset16));
}

/* Reserved for the heap, and never part of it yet: what would describe such a block isn't there either. */
static void foreign_reserved(void)
{
	char *block = malloc(100);
	free(told(block + ((size_t)1 << 36)));
	free(block);
}

static void misaligned(void)
{
	char *block = malloc(100);
	free(told(block + offset16 / 16));
	malloc_trim(0);
}

static void interior_realloc(void)
{
	char *block = malloc(100);
	if (realloc(told(block + offset16), 1000) != NULL || errno != EINVAL)
		exit(3);
	free(block);
}

static void interior(void)
{
	char *block = malloc(100);
	free(told(block + offset16));
	malloc_trim(0);
}

static void interior_large(void)
{
	char *block = malloc(200000);
	free(told(block + offset64k));
	free(block);
}

static void foreign_realloc(void)
{
	if (realloc(told(in_data + offset16), 100) != NULL || errno != EINVAL)
		exit(3);
}

static void foreign_usable(void)
{
	if (malloc_usable_size(told(in_data + offset16)) != 0)
		exit(3);
}

/* A write to freed memory damages the link that lies there. */
static void overwritten_link(void)
{
	char *first = malloc(100), *second = malloc(100), *third = malloc(100);
	void *nowhere = in_data + offset16;
	free(first);
	free(told(second));
	memcpy(second, &nowhere, sizeof(nowhere));
	malloc_trim(0);
	free(third);
}

/* The same in a list that waits behind the one in use, and is met when malloc takes blocks from it. */
static void damaged_batch(uintptr_t link)
{
	enum { COUNT = 2000 };
	static char *blocks[COUNT];
	for (int i = 0; i < COUNT; i++)
		blocks[i] = malloc(100);
	for (int i = 0; i < COUNT; i++)
		free(blocks[i]);
	memcpy(told(blocks[COUNT - 300]), &link, sizeof(link));
	for (int i = 0; i < COUNT; i++) {
		blocks[i] = malloc(100);
		memset(blocks[i], i, 100);
	}
}

static void overwritten_batch(void)
{
	damaged_batch((uintptr_t)(in_data + offset16));
}

static void zeroed_batch(void)
{
	damaged_batch(0);
}

/* NOLINTBEGIN(bugprone-signal-handler,cert-sig30-c): it comes from within free, which must allow this */
static void on_abort(int signal)
{
	for (size_t i = 0; i < 1000; i++)
		free(malloc(i * 100));
	puts(signal == SIGABRT ? "handled" : "what signal?");
	exit(0);
}
/* NOLINTEND(bugprone-signal-handler,cert-sig30-c) */

#define FAULT(name) {#name, name}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*commit)(void);
	} faults[] = {FAULT(double_free), FAULT(double_free_in_a_row), FAULT(double_free_by_another), FAULT(double_free_late), FAULT(double_free_large),
		FAULT(foreign_stack), FAULT(foreign_static), FAULT(foreign_unmapped), FAULT(foreign_reserved), FAULT(interior),
		FAULT(interior_large),
		FAULT(misaligned), FAULT(interior_realloc), FAULT(foreign_realloc), FAULT(foreign_usable), FAULT(overwritten_link),
		FAULT(overwritten_batch), FAULT(zeroed_batch)};
	if (argc > 2)
		signal(SIGABRT, on_abort);
	for (size_t i = 0; argc > 1 && i < sizeof(faults) / sizeof(faults[0]); i++) {
		if (strcmp(argv[1], faults[i].name) == 0) {
			faults[i].commit();
			char *after = malloc(1000); /* the heap still serves */
			memset(after, 1, 1000);
			free(after);
			puts("went on");
			return 0;
		}
	}
	fprintf(stderr, "usage: %s FAULT [handle]\n", argv[0]);
	return 2;
}
