/* What a program gets under a limit. It is run by limits.py, with the limit set and a case's name as its argument. */
#include "check.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#define PAGE 4096

/* Blocks in a list, each marked at its start and its end. */
struct block {
	struct block *next;
	size_t bytes;
};

static unsigned char *last_byte(struct block *block)
{
	return (unsigned char *)block + block->bytes - 1;
}

static unsigned char mark_of(const struct block *block)
{
	return (unsigned char)((uintptr_t)block >> 4) | 1;
}

static bool push(struct block **list, size_t bytes)
{
	errno = 0;
	struct block *block = malloc(bytes);
	if (block == NULL) {
		CHECK(errno == ENOMEM);
		return false;
	}
	CHECK(malloc_usable_size(block) >= bytes);
	block->bytes = bytes;
	*last_byte(block) = mark_of(block);
	block->next = *list;
	*list = block;
	return true;
}

static void free_all(struct block **list)
{
	while (*list != NULL) {
		struct block *block = *list;
		CHECK(*last_byte(block) == mark_of(block));
		*list = block->next;
		free(block); /* NOLINT(clang-analyzer-unix.Malloc): a block of the list, not where a search began */
	}
}

static uint32_t next_random(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

/* As programs have them: by bytes about as much in small blocks as in bigger ones. */
static size_t mixed_size(uint32_t *state)
{
	uint32_t r = next_random(state);
	if (r % 4000 == 0)
		return 1000000 + (r >> 8) % (4u << 20);
	if (r % 200 == 0)
		return 20000 + (r >> 8) % 400000;
	return 32 + (r >> 8) % (r % 8 == 0 ? 8000 : 400);
}

/* Allocates until memory is out, and prints how many bytes that were. Nothing is written but the blocks' ends. */
static void exhaust(const char *bytes)
{
	struct block *list = NULL;
	uint32_t state = 4711;
	size_t fixed = strtoul(bytes, NULL, 10), total = 0;
	for (size_t next = fixed;; total += next) {
		if (fixed == 0)
			next = mixed_size(&state);
		if (!push(&list, next))
			break;
	}
	/* No stdio, which would want a buffer; and nothing is freed, which would take as long again. */
	char line[32];
	int length = snprintf(line, sizeof(line), "%zu\n", total);
	CHECK(write(STDOUT_FILENO, line, (size_t)length) == length);
}

/* Memory is out and stays so while the program waits for a line of input. */
static void hold(const char *bytes)
{
	struct block *list = NULL;
	while (push(&list, strtoul(bytes, NULL, 10)))
		;
	/* Only write(2): stdio would want a buffer. */
	CHECK(write(STDOUT_FILENO, "out\n", 4) == 4);
	char byte;
	while (read(STDIN_FILENO, &byte, 1) == 1 && byte != '\n')
		CHECK(!push(&list, strtoul(bytes, NULL, 10)));
	free_all(&list);
	CHECK(write(STDOUT_FILENO, "back\n", 5) == 5);
}

static void *short_life(void *nothing)
{
	(void)nothing;
	free(malloc(100));
	return NULL;
}

/* What was freed after memory had run out serves others too: stacks of new threads, mappings, and the heap again. */
static void gives_back(const char *bytes)
{
	struct block *list = NULL;
	size_t block = strtoul(bytes, NULL, 10), first = 0, second = 0;
	pthread_t thread;
	void *mapping;
	while (push(&list, block))
		first++;
	free_all(&list);
	/* The longest of these are refused; what was got back for them before that was known must not stay. */
	for (size_t megabytes = 700; megabytes > 200; megabytes -= 5)
		free(malloc(megabytes << 20));
	for (int i = 0; i < 100; i++) {
		CHECK(pthread_create(&thread, NULL, short_life, NULL) == 0);
		pthread_join(thread, NULL);
	}
	mapping = mmap(NULL, (size_t)100 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(mapping != MAP_FAILED);
	while (push(&list, block))
		second++;
	CHECK(second > first / 4 && second < first * 3 / 4);
	munmap(mapping, (size_t)100 << 20);
	while (push(&list, block))
		second++;
	CHECK(second > first * 3 / 4);
	free_all(&list);
	printf("gave back\n");
}

/* A quarter of a limited address space is reserved at first. Beyond it no block of ours is taken for foreign; and what others map
 * in between is foreign. */
static void second_reservation(const char *megabytes)
{
	size_t most = strtoul(megabytes, NULL, 10) << 20, total = 0;
	struct block *list = NULL;
	void *lowest = (void *)UINTPTR_MAX, *highest = NULL;
	for (uint32_t state = 99; total < most;) {
		size_t bytes = mixed_size(&state);
		CHECK(push(&list, bytes));
		total += bytes;
		if ((void *)list < lowest)
			lowest = list;
		if ((void *)list > highest)
			highest = list;
		if (next_random(&state) % 4096 == 0)
			CHECK(mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
	}
	CHECK((size_t)((char *)highest - (char *)lowest) > most / 4 * 3);
	for (struct block *block = list; block != NULL; block = block->next) {
		if (block->next == NULL || block->next->bytes > 2000)
			continue;
		size_t bytes = block->next->bytes;
		struct block *grown = realloc(block->next, bytes * 2); /* NOLINT(clang-analyzer-unix.Malloc): the same */
		CHECK(grown != NULL && grown->bytes == bytes);
		grown->bytes = bytes * 2;
		*last_byte(grown) = mark_of(grown);
		block->next = grown;
	}
	free_all(&list);
	printf("none was foreign\n");
}

/* Sixteen threads run out of memory together, over and over: each block keeps its marks, and there is service afterwards. */
static void *racer(void *seed)
{
	uint32_t state = (uint32_t)(uintptr_t)seed;
	for (int round = 0; round < 12; round++) {
		struct block *list = NULL;
		size_t bytes = round % 3 == 0 ? 0 : round % 3 == 1 ? 100000 : 3000;
		while (push(&list, bytes ? bytes : mixed_size(&state)) && next_random(&state) % 30000 != 0)
			;
		free_all(&list);
	}
	return NULL;
}

static void race(const char *threads_text)
{
	pthread_t threads[64];
	uintptr_t count = strtoul(threads_text, NULL, 10);
	struct block *list = NULL;
	for (uintptr_t i = 0; i < count; i++)
		CHECK(pthread_create(&threads[i], NULL, racer, (void *)(i + 1)) == 0);
	for (uintptr_t i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < 1000; i++)
		CHECK(push(&list, 20000));
	free_all(&list);
	printf("all are done\n");
}

/* What is locked, or is to be locked from now on, doesn't go back to the system, and keeps its contents. */
static void locked(const char *what)
{
	struct block *list = NULL, *more = NULL;
	bool future = strcmp(what, "future") == 0;
	/* Root may lock anything: under a limit it is nobody. */
	CHECK(!future || getuid() != 0 || setuid(65534) == 0);
	CHECK(push(&list, 1000));
	if (mlockall(future ? MCL_FUTURE : MCL_CURRENT | MCL_FUTURE) != 0) {
		printf("not locked: %s\n", strerror(errno));
		return;
	}
	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < 3000; i++)
			CHECK(push(i % 3 ? &more : &list, 40 + i * 17));
		free_all(&more);
		malloc_trim(0);
		unsigned char *zero = calloc(40, 10000);
		CHECK(zero != NULL);
		for (size_t i = 0; i < 400000; i++)
			CHECK(zero[i] == 0);
		memset(zero, 1, 400000);
		free(zero);
	}
	free_all(&list);
	printf("locked\n");
}

/* There are as many mappings as there may be: the heap grows on by what adds none. */
static void mappings(const char *megabytes)
{
	size_t goal = strtoul(megabytes, NULL, 10) << 20, total = 0, count = 0;
	struct block *list = NULL;
	CHECK(push(&list, 1000));
	/* Every second page has other rights, so that none joins its neighbours. */
	for (int rights = PROT_READ; mmap(NULL, PAGE, rights, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED; count++)
		rights ^= PROT_READ;
	CHECK(errno == ENOMEM && count > 1000);
	for (uint32_t state = 5; total < goal && push(&list, mixed_size(&state));)
		total += list->bytes;
	free_all(&list);
	malloc_trim(0);
	CHECK(push(&list, 100000));
	free_all(&list);
	printf("%zu MiB\n", total >> 20);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(const char *argument);
	} cases[] = {{"exhaust", exhaust}, {"hold", hold}, {"gives_back", gives_back}, {"second_reservation", second_reservation},
		{"race", race}, {"locked", locked}, {"mappings", mappings}};
	for (size_t i = 0; argc == 3 && i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (strcmp(argv[1], cases[i].name) == 0) {
			cases[i].run(argv[2]);
			return 0;
		}
	}
	return 2;
}
