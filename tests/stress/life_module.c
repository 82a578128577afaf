/* A shared library that allocates when it is loaded and frees when it goes. It is loaded and unloaded at run time; and
 * preloaded behind HAKMEM, where libc runs its constructor before HAKMEM's and its destructor after HAKMEM's. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCKS 300

__attribute__((visibility("default"))) int life_module_check(void);

static unsigned char *blocks[BLOCKS];
static __thread char scratch[64]; /* a dynamic TLS block, which libc allocates at first use */

static size_t size_of(size_t i)
{
	return i % 50 == 0 ? 100000 : 1 + i * 13;
}

__attribute__((constructor)) static void loaded(void)
{
	for (size_t i = 0; i < BLOCKS; i++) {
		blocks[i] = malloc(size_of(i));
		if (blocks[i] == NULL)
			abort();
		memset(blocks[i], (int)i, size_of(i));
	}
}

/* How many blocks are whole; uses the thread's own memory of this library. */
int life_module_check(void)
{
	int whole = 0;
	memset(scratch, 1, sizeof(scratch));
	for (size_t i = 0; i < BLOCKS; i++)
		whole += blocks[i][0] == (unsigned char)i && blocks[i][size_of(i) - 1] == (unsigned char)i;
	return whole - (scratch[63] != 1);
}

__attribute__((destructor)) static void unloaded(void)
{
	static const char last_word[] = "the module is gone\n";
	if (life_module_check() != BLOCKS)
		abort();
	for (size_t i = 0; i < BLOCKS; i++)
		free(blocks[i]);
	loaded(); /* what is allocated so late serves too */
	if (life_module_check() != BLOCKS)
		abort();
	for (size_t i = 0; i < BLOCKS; i++)
		free(blocks[i]);
	if (getenv("LIFE_LAST_WORD") != NULL && write(STDOUT_FILENO, last_word, sizeof(last_word) - 1) < 0)
		abort();
}
