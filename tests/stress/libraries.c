/* libraries FILE COPY: two threads load and unload a shared library each, whose constructor allocates and whose destructor frees, while
 * others allocate without pause and threads use the libraries' thread-local data. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "tests/preload/check.h"

#define LOADS 400
#define BLOCKS 300 /* of the library */

static atomic_bool stop;

static void *allocate_without_pause(void *seed)
{
	unsigned state = (unsigned)(uintptr_t)seed;
	unsigned char *blocks[100] = {0};
	while (!atomic_load(&stop)) {
		state = state * 1664525u + 1013904223u;
		unsigned place = (state >> 8) % 100;
		CHECK(blocks[place] == NULL || blocks[place][0] == place);
		free(blocks[place]);
		blocks[place] = malloc(1 + (state >> 12) % 4000);
		CHECK(blocks[place] != NULL);
		blocks[place][0] = (unsigned char)place;
	}
	for (unsigned i = 0; i < 100; i++)
		free(blocks[i]);
	return NULL;
}

/* A thread has its own part of the library's data, which libc frees when the thread ends or the library goes. */
static void *use(void *check)
{
	CHECK(((int (*)(void))check)() == BLOCKS);
	return NULL;
}

static void *load_and_unload(void *file)
{
	for (int i = 0; i < LOADS; i++) {
		pthread_t user;
		void *library = dlopen(file, i % 2 ? RTLD_NOW : RTLD_LAZY);
		CHECK(library != NULL);
		void *check = dlsym(library, "life_module_check");
		CHECK(check != NULL);
		use(check);
		CHECK(pthread_create(&user, NULL, use, check) == 0 && pthread_join(user, NULL) == 0);
		CHECK(dlclose(library) == 0);
		CHECK(dlopen(file, RTLD_NOW | RTLD_NOLOAD) == NULL); /* it is really gone */
	}
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t allocating[2], loading[2];
	CHECK(argc == 3);
	alarm(280);
	for (uintptr_t i = 0; i < 2; i++) {
		CHECK(pthread_create(&allocating[i], NULL, allocate_without_pause, (void *)(i + 1)) == 0);
		CHECK(pthread_create(&loading[i], NULL, load_and_unload, argv[i + 1]) == 0);
	}
	for (int i = 0; i < 2; i++)
		CHECK(pthread_join(loading[i], NULL) == 0);
	atomic_store(&stop, true);
	for (int i = 0; i < 2; i++)
		CHECK(pthread_join(allocating[i], NULL) == 0);
	puts("libraries came and went");
	return 0;
}
