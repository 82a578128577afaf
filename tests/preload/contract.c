/* What libc promises of malloc's family, one function a promise. Runs on the preloaded or linked library. */
#include <errno.h>
#include <malloc.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "check.h"

#if defined(__clang__)
#pragma clang diagnostic ignored "-Wdeprecated-declarations"
#else
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
#pragma GCC diagnostic ignored "-Walloc-size-larger-than="
#pragma GCC diagnostic ignored "-Wuse-after-free"
#endif

/* The compiler knows nothing of sizes that come from these, so it can't warn of, or fold, what is wrong with them on purpose. */
static volatile size_t huge = SIZE_MAX;
static volatile size_t scratch;

static size_t opaque(size_t value)
{
	scratch = value;
	return scratch;
}

static bool is_aligned(const void *block, size_t alignment)
{
	return (uintptr_t)block % alignment == 0;
}

/* glibc would say 40: this tells that the blocks come from HAKMEM. A guarded one has not a byte more than asked for. */
static void runs_on_hakmem(void)
{
	void *block = malloc(25);
	CHECK(malloc_usable_size(block) <= 32);
	free(block);
}

static void every_size_is_aligned_and_usable(void)
{
	for (size_t bytes = 0; bytes < 300000; bytes += bytes < 2100 ? 1 : bytes / 7) {
		unsigned char *block = malloc(bytes);
		CHECK(block != NULL && is_aligned(block, 16));
		size_t usable = malloc_usable_size(block);
		CHECK(usable >= bytes);
		memset(block, 0xA5, usable);
		CHECK(malloc_usable_size(block) == usable);
		CHECK(usable == 0 || block[usable - 1] == 0xA5);
		free(block);
	}
	CHECK(malloc_usable_size(NULL) == 0);
}

static void empty_blocks_are_unique(void)
{
	void *a = malloc(0), *b = malloc(0), *c = calloc(0, 8);
	CHECK(a != NULL && b != NULL && c != NULL && a != b && a != c && b != c);
	free(a);
	free(b);
	free(c);
	free(NULL);
}

#define REFUSED(call) \
	do { \
		errno = 0; \
		CHECK((call) == NULL); \
		CHECK(errno == ENOMEM); \
	} while (0)

static void huge_sizes_are_refused(void)
{
	static const size_t below[] = {0, 1, 7, 15, 16, 63, 4095, 65536, 2 << 20};
	void *block = malloc(100);
	memset(block, 'x', 100);
	for (size_t i = 0; i < sizeof(below) / sizeof(below[0]); i++) {
		size_t size = huge - below[i], half = size / 2 + 1;
		REFUSED(malloc(size));
		REFUSED(malloc(half));
		REFUSED(calloc(1, size));
		REFUSED(calloc(half, 2));
		REFUSED(calloc(3, half));
		REFUSED(realloc(block, size));
		REFUSED(realloc(block, half));
		REFUSED(reallocarray(block, half, 2));
		REFUSED(memalign(64, size));
		REFUSED(aligned_alloc(4096, size));
		REFUSED(valloc(size));
		REFUSED(pvalloc(size));
		void *untouched = &block;
		errno = 0;
		CHECK(posix_memalign(&untouched, 64, size) == ENOMEM);
		CHECK(errno == 0 && untouched == &block);
	}
	for (int i = 0; i < 100; i++)
		CHECK(((char *)block)[i] == 'x');
	free(block);
}

static void errno_is_left_alone(void)
{
	void *blocks[64];
	errno = 4711;
	for (size_t i = 0; i < 64; i++) {
		blocks[i] = malloc(i * i * 200);
		CHECK(errno == 4711);
	}
	for (size_t i = 0; i < 64; i++) {
		free(blocks[i]);
		CHECK(errno == 4711);
	}
	free(NULL);
	malloc_trim(0);
	CHECK(errno == 4711);
}

static void calloc_is_zero_in_used_memory(void)
{
	static const size_t sizes[] = {16, 100, 1000, 5000, 40000, 200000, 3 << 20};
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		for (int round = 0; round < 40; round++) {
			unsigned char *dirty = malloc(sizes[i]);
			CHECK(dirty != NULL);
			memset(dirty, 0xFF, sizes[i]);
			free(dirty);
			unsigned char *clean = calloc(sizes[i] / 4, 4);
			CHECK(clean != NULL);
			for (size_t at = 0; at < sizes[i] / 4 * 4; at++)
				CHECK(clean[at] == 0);
			memset(clean, 0xFF, sizes[i]);
			if (round % 2)
				malloc_trim(0);
			free(clean);
		}
	}
}

static void realloc_keeps_the_content(void)
{
	size_t bytes = 1;
	unsigned char *block = realloc(NULL, bytes);
	CHECK(block != NULL);
	block[0] = 0;
	while (bytes < (9u << 20)) {
		size_t more = bytes + bytes / 3 + 1;
		block = realloc(block, more);
		CHECK(block != NULL && is_aligned(block, 16));
		for (size_t at = 0; at < bytes; at += bytes < 4096 ? 1 : 509)
			CHECK(block[at] == (unsigned char)(at * 31));
		for (size_t at = bytes; at < more; at++)
			block[at] = (unsigned char)(at * 31);
		for (size_t at = 0; at < bytes; at++)
			block[at] = (unsigned char)(at * 31);
		bytes = more;
	}
	while (bytes > 1) {
		bytes = bytes * 2 / 3;
		block = realloc(block, bytes);
		CHECK(block != NULL);
		for (size_t at = 0; at < bytes; at += bytes < 4096 ? 1 : 509)
			CHECK(block[at] == (unsigned char)(at * 31));
	}
	errno = 4711;
	CHECK(realloc(block, 0) == NULL);
	CHECK(errno == 4711);
	block = realloc(NULL, 0);
	CHECK(block != NULL);
	free(block);
	block = reallocarray(NULL, 10, 30);
	CHECK(block != NULL && malloc_usable_size(block) >= 300);
	free(block);
}

static size_t live_bytes(void)
{
	struct mallinfo2 info = mallinfo2();
	return info.uordblks + info.hblkhd;
}

static void realloc_to_nothing_frees(void)
{
	static const size_t sizes[] = {1, 100, 5000, 50000, 3 << 20};
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		size_t before = live_bytes();
		void *block = malloc(sizes[i]), *twin = malloc(sizes[i]);
		CHECK(block != NULL && twin != NULL && live_bytes() > before);
		errno = 4711;
		CHECK(realloc(block, opaque(0)) == NULL && reallocarray(twin, opaque(0), 8) == NULL);
		CHECK(errno == 4711 && live_bytes() == before);
	}
}

static size_t resident_bytes(void)
{
	unsigned long pages[2] = {0, 0};
	FILE *file = fopen("/proc/self/statm", "r");
	CHECK(file != NULL && fscanf(file, "%lu %lu", &pages[0], &pages[1]) == 2);
	fclose(file);
	return pages[1] * (size_t)sysconf(_SC_PAGESIZE);
}

/* What the system has just given is zero, and is not written to for that. */
static void calloc_leaves_fresh_memory_alone(void)
{
	size_t bytes = (size_t)256 << 20, before = resident_bytes();
	char *block = calloc(bytes / 8, 8);
	CHECK(block != NULL && resident_bytes() < before + bytes / 16);
	CHECK(block[0] == 0 && block[bytes / 2] == 0 && block[bytes - 1] == 0);
	free(block);
}

static void alignments(void)
{
	for (size_t alignment = 1; alignment <= (8u << 20); alignment *= 2) {
		for (size_t bytes = 1; bytes < (6u << 20); bytes = bytes * 5 + 3) {
			unsigned char *block = memalign(opaque(alignment), bytes);
			CHECK(block != NULL && is_aligned(block, alignment) && is_aligned(block, 16));
			CHECK(malloc_usable_size(block) >= bytes);
			block[0] = block[bytes - 1] = 1;
			unsigned char *other = aligned_alloc(opaque(alignment), bytes);
			CHECK(other != NULL && is_aligned(other, alignment) && other != block);
			memset(other, 2, bytes);
			CHECK(block[0] == 1 && block[bytes - 1] == 1);
			block = realloc(block, bytes * 2);
			CHECK(block != NULL && block[0] == 1 && block[bytes - 1] == 1);
			free(other);
			free(block);
		}
	}
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	void *paged = valloc(1), *rounded = pvalloc(page + 1);
	CHECK(is_aligned(paged, page) && is_aligned(rounded, page) && malloc_usable_size(rounded) >= 2 * page);
	free(paged);
	free(rounded);
}

static void bad_alignments(void)
{
	static const size_t bad[] = {0, 3, 24, 4097, (1 << 20) + 16};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		void *block = &block;
		errno = 0;
		CHECK(posix_memalign(&block, opaque(bad[i]), 100) == EINVAL && block == &block && errno == 0);
		errno = 0;
		CHECK(aligned_alloc(opaque(bad[i]), 100) == NULL && errno == EINVAL);
	}
	void *block = &block;
	CHECK(posix_memalign(&block, sizeof(void *) / 2, 100) == EINVAL);
	CHECK(posix_memalign(&block, sizeof(void *), 100) == 0 && is_aligned(block, 16));
	free(block);
}

static void figures(void)
{
	void *small[100], *large = malloc(1 << 20);
	struct mallinfo2 before = mallinfo2();
	for (int i = 0; i < 100; i++)
		small[i] = malloc(1024);
	struct mallinfo2 full = mallinfo2();
	/* Of a guarded block all that it takes counts. */
	size_t each = (full.uordblks - before.uordblks) / 100;
	CHECK(getenv("HAKMEM_GUARD") ? each >= 1024 && each < 2048 : each == malloc_usable_size(small[0]));
	CHECK(full.hblkhd >= (1 << 20) && full.hblks >= 1);
	for (int i = 0; i < 100; i++)
		free(small[i]);
	free(large);
	struct mallinfo2 after = mallinfo2();
	CHECK(after.uordblks == before.uordblks && after.hblks == full.hblks - 1);
	CHECK(mallopt(M_MMAP_THRESHOLD, 1 << 20) == 1);
	CHECK(mallinfo().uordblks == (int)after.uordblks);
	char text[8192] = "";
	FILE *stream = fmemopen(text, sizeof(text), "w");
	CHECK(stream != NULL && malloc_info(0, stream) == 0 && malloc_info(1, stream) == EINVAL);
	fclose(stream);
	CHECK(strstr(text, "<malloc version=") != NULL && strstr(text, "</malloc>") != NULL);
}

/* Blocks that libc allocates inside itself are freed by the program, so both must use the same malloc. */
static void libc_shares_the_heap(void)
{
	char *text = NULL, *copy = strdup("copy"), *line = NULL;
	size_t room = 0;
	CHECK(asprintf(&text, "%0*d", 5000, 1) == 5000 && malloc_usable_size(text) >= 5001);
	FILE *stream = fmemopen(text, 5000, "r");
	CHECK(stream != NULL && getline(&line, &room, stream) == 5000 && malloc_usable_size(line) >= room);
	fclose(stream);
	free(line);
	free(text);
	free(copy);
}

int main(void)
{
	runs_on_hakmem();
	every_size_is_aligned_and_usable();
	empty_blocks_are_unique();
	huge_sizes_are_refused();
	errno_is_left_alone();
	calloc_is_zero_in_used_memory();
	realloc_keeps_the_content();
	realloc_to_nothing_frees();
	calloc_leaves_fresh_memory_alone();
	alignments();
	bad_alignments();
	figures();
	libc_shares_the_heap();
	puts("contract kept");
	return 0;
}
