/* What programs do wrong with malloc, one fault a name: misuse NAME. The program tells on stdout the address that it misused, so that the
 * report can be compared, and must reach its end: a fault is reported, not punished. */
#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wuse-after-free"
#pragma GCC diagnostic ignored "-Wfree-nonheap-object"
#endif

static char in_data[64];
static volatile size_t offset16 = 16, offset64k = 65536;

static void *told(void *address)
{
	printf("%p\n", address);
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
	void *nowhere = told(in_data + offset16);
	free(first);
	free(second);
	memcpy(second, &nowhere, sizeof(nowhere));
	malloc_trim(0);
	free(third);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*commit)(void);
	} faults[] = {{"double_free", double_free}, {"double_free_large", double_free_large}, {"foreign_stack", foreign_stack},
		{"foreign_static", foreign_static}, {"foreign_unmapped", foreign_unmapped}, {"foreign_reserved", foreign_reserved},
		{"interior", interior}, {"interior_large", interior_large},
		{"foreign_realloc", foreign_realloc}, {"foreign_usable", foreign_usable}, {"overwritten_link", overwritten_link}};
	for (size_t i = 0; argc == 2 && i < sizeof(faults) / sizeof(faults[0]); i++) {
		if (strcmp(argv[1], faults[i].name) == 0) {
			faults[i].commit();
			char *after = malloc(1000); /* the heap still serves */
			memset(after, 1, 1000);
			free(after);
			puts("went on");
			return 0;
		}
	}
	fprintf(stderr, "usage: %s FAULT\n", argv[0]);
	return 2;
}
