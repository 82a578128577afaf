/* Out of memory is NULL and ENOMEM, nothing allocated before is lost, and after some is freed there is service again.
 * Run under a limit on the address space (ulimit -v). */
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>

#include "check.h"

struct block {
	struct block *next;
	size_t bytes;
};

static unsigned char mark_of(const struct block *block)
{
	return (unsigned char)((uintptr_t)block >> 4);
}

/* Allocates blocks of `bytes` until there are no more, each filled; returns how many. */
static size_t exhaust(struct block **list, size_t bytes)
{
	size_t count = 0;
	for (;; count++) {
		errno = 0;
		struct block *block = malloc(bytes);
		if (block == NULL) {
			CHECK(errno == ENOMEM);
			return count;
		}
		memset(block + 1, mark_of(block), bytes - sizeof(*block));
		block->bytes = bytes;
		block->next = *list;
		*list = block;
	}
}

static void free_all(struct block **list)
{
	while (*list != NULL) {
		struct block *block = *list;
		const unsigned char *content = (const unsigned char *)(block + 1);
		for (size_t i = 0; i < block->bytes - sizeof(*block); i++)
			CHECK(content[i] == mark_of(block));
		*list = block->next;
		free(block);
	}
}

static void rounds(size_t bytes)
{
	struct block *list = NULL;
	size_t first = exhaust(&list, bytes);
	CHECK(first > 0);
	for (int i = 0; i < 1000; i++) /* being refused again and again costs nothing */
		exhaust(&list, bytes);
	free_all(&list);
	size_t second = exhaust(&list, bytes);
	free_all(&list);
	if (second < first - first / 4) {
		fprintf(stderr, "%zu blocks of %zu bytes at first, but only %zu after freeing them\n", first, bytes,
			second);
		_Exit(1);
	}
}

static pthread_barrier_t all_started;

static void *rounds_in_thread(void *bytes)
{
	struct block *list = NULL;
	pthread_barrier_wait(&all_started);
	exhaust(&list, (uintptr_t)bytes);
	free_all(&list);
	return NULL;
}

/* A block can be made smaller when there is no memory for another. */
static void shrinking_always_works(void)
{
	struct block *list = NULL, *one = malloc(30000), *large = malloc(300000);
	CHECK(one != NULL && large != NULL);
	memset(one, 1, 30000);
	memset(large, 2, 300000);
	exhaust(&list, 1200);
	errno = 0;
	one = realloc(one, 1200);
	large = realloc(large, 1500);
	CHECK(one != NULL && large != NULL && errno == 0);
	CHECK(((char *)one)[1199] == 1 && ((char *)large)[1499] == 2);
	free(one);
	free(large);
	free_all(&list);
}

int main(void)
{
	static const size_t sizes[] = {3 << 20, 100000, 20000, 1000, 64};
	pthread_t threads[3];
	/* The threads exist before memory is out: their stacks need address space that the heap will have taken. */
	pthread_barrier_init(&all_started, NULL, 4);
	for (uintptr_t i = 0; i < 3; i++)
		CHECK(pthread_create(&threads[i], NULL, rounds_in_thread, (void *)(i * 5000 + 500)) == 0);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		rounds(sizes[i]);
	shrinking_always_works();
	pthread_barrier_wait(&all_started);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	free(malloc(10 << 20));
	puts("memory ran out and came back");
	return 0;
}
