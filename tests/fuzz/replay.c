/* Runs a fuzzer over the files that are named, or that lie in the folders that are: the corpus, or an input that
 * libFuzzer kept. It stands in for libFuzzer's own main, so that every compiler and sanitizer tries the corpus. */
#include <dirent.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/fuzz/fuzz.h"

#define INPUT_MAX ((size_t)1 << 20)

static unsigned tried;

static void try_file(const char *path)
{
	static uint8_t data[INPUT_MAX];
	FILE *file = fopen(path, "rb");

	if (!file) {
		perror(path);
		exit(1);
	}
	size_t size = fread(data, 1, sizeof(data), file);
	fclose(file);
	/* A block of the input's own size, so that a sanitizer sees a byte read behind it. */
	uint8_t *copy = malloc(size + !size);
	FUZZ_CHECK(copy != NULL);
	memcpy(copy, data, size);
	/* What fails ends the process: the line before it has to say where. */
	printf("%s\n", path);
	fflush(stdout);
	LLVMFuzzerTestOneInput(copy, size);
	free(copy);
	tried++;
}

static void try_path(const char *path)
{
	struct stat facts;
	struct dirent *entry;
	DIR *folder;

	if (stat(path, &facts) != 0 || !S_ISDIR(facts.st_mode)) {
		try_file(path);
		return;
	}
	folder = opendir(path);
	FUZZ_CHECK(folder != NULL);
	while ((entry = readdir(folder)) != NULL) {
		char inner[4096];

		if (entry->d_name[0] == '.')
			continue;
		snprintf(inner, sizeof(inner), "%s/%s", path, entry->d_name);
		try_file(inner);
	}
	closedir(folder);
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		try_path(argv[i]);
	printf("%u inputs\n", tried);
	return tried == 0;
}
