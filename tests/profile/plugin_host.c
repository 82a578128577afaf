/* A C program without libstdc++ that loads a C++ library, whose exceptions have to work; and one that uses libunwind itself, by
 * `unwind`, to walk its own stack while blocks are sampled. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS 200

static int host(const char *path)
{
	void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	int (*throws)(int);
	int caught;
	if (library == NULL) {
		puts(dlerror());
		return 1;
	}
	*(void **)&throws = dlsym(library, "plugin_throws");
	caught = throws(ROUNDS);
	dlclose(library);
	printf("%d of %d caught\n", caught, ROUNDS);
	return caught != ROUNDS;
}

static int (*backtrace_of_its_own)(void **, int);

/* NOLINTNEXTLINE(misc-no-recursion) */
static __attribute__((noinline)) int deep(int depth)
{
	void *frames[64], *block = malloc(100);
	int found = depth ? deep(depth - 1) : backtrace_of_its_own(frames, 64);
	free(block);
	return found;
}

static int unwind(void)
{
	void *library = dlopen("libunwind.so.8", RTLD_NOW | RTLD_GLOBAL);
	int same = 0, first;
	if (library == NULL) {
		puts("no libunwind");
		return 77;
	}
	*(void **)&backtrace_of_its_own = dlsym(library, "unw_backtrace");
	first = deep(20);
	for (int i = 0; i < ROUNDS; i++)
		same += deep(20) == first;
	printf("%d of %d alike, %d frames\n", same, ROUNDS, first);
	return same != ROUNDS || first < 21;
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "unwind") == 0)
		return unwind();
	return host(argc > 1 ? argv[1] : "");
}
