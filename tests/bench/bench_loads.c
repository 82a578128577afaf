/* bench_loads: every kind of load that allocators are compared by, selectable by name. It is built without HAKMEM and
 * runs on whatever malloc is in the process, so any allocator can be preloaded into it.
 *
 *   bench_loads LOAD [OPERATIONS [SEED [WAIT_MS]]]   runs a load and prints one line, words of the form name=value
 *   bench_loads fixed:BYTES …                        the load that has one block size
 *   bench_loads --list                               the loads, a line each: name, kind, operations, threads, what it
 *                                                    is; tabs between them
 *   bench_loads --allocator                          the file that malloc comes from
 *
 * Operations and bytes of a run depend on its arguments alone, so they are the same under every allocator. Times and
 * memory are those of the load, without the start and the end of this program. */
#include "tests/bench/load.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* A row's own fields are named like the macro's arguments, hence the underscores. */
#define LOAD(name_, kind_, function_, operations_, help_, ...)                                                     \
	{.name = #name_, .kind = LOAD_##kind_, .run = function_, .operations = operations_, .help = help_, __VA_ARGS__},
static const struct load loads[] = {
#include "tests/bench/loads.def"
};
#undef LOAD

enum { LOADS = sizeof(loads) / sizeof(loads[0]) };

void die(const char *message)
{
	dprintf(STDERR_FILENO, "bench_loads: %s\n", message);
	_exit(1);
}

void *map_memory(size_t bytes)
{
	void *memory = mmap(NULL, bytes ? bytes : 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		die("mmap failed");
	return memory;
}

struct worker {
	struct lane lane;
	void (*work)(struct lane *lane);
};

static void *work_on(void *argument)
{
	struct worker *worker = argument;
	worker->work(&worker->lane);
	return NULL;
}

/* The seed of one lane, from the run's: never 0, where xorshift would stay. */
static uint64_t lane_seed(uint32_t seed, uint32_t index)
{
	uint64_t state = seed + index * UINT64_C(0x9E3779B97F4A7C15);
	uint32_t mixed = lcg32(&state);
	return index == 0 || mixed == 0 ? seed : mixed;
}

void run_lanes(struct load_run *run, void (*work)(struct lane *lane))
{
	uint32_t count = run->load->threads ? run->load->threads : 1;
	struct worker *workers = map_memory(count * sizeof(*workers));
	pthread_t *threads = map_memory(count * sizeof(*threads));
	for (uint32_t i = 0; i < count; i++) {
		uint64_t share = run->operations / count + (i < run->operations % count);
		workers[i].lane = (struct lane){.run = run, .index = i, .operations = share};
		workers[i].lane.state = lane_seed(run->seed, i);
		workers[i].work = work;
	}
	if (count == 1)
		work_on(&workers[0]);
	for (uint32_t i = 0; count > 1 && i < count; i++)
		if (pthread_create(&threads[i], NULL, work_on, &workers[i]) != 0)
			die("no thread");
	for (uint32_t i = 0; count > 1 && i < count; i++)
		pthread_join(threads[i], NULL);
	for (uint32_t i = 0; i < count; i++) {
		run->done += workers[i].lane.done;
		run->bytes += workers[i].lane.bytes;
	}
}

/* A line "NAME:   12345 kB" of a file in /proc/self. */
static uint64_t read_kib(const char *path, const char *name)
{
	char text[8192];
	size_t length = 0;
	ssize_t got;
	int file = open(path, O_RDONLY | O_CLOEXEC);
	if (file < 0)
		die("can't open a file in /proc/self");
	while (length < sizeof(text) - 1 && (got = read(file, text + length, sizeof(text) - 1 - length)) > 0)
		length += (size_t)got;
	close(file);
	text[length] = '\0';
	const char *line = strstr(text, name);
	if (!line)
		die("a line is missing in a file in /proc/self");
	return strtoull(line + strlen(name), NULL, 10);
}

/* smaps_rollup and not statm, whose counts the kernel keeps by CPU and adds up only now and then. */
uint64_t resident_kib(void)
{
	return read_kib("/proc/self/smaps_rollup", "\nRss:");
}

uint64_t peak_resident_kib(void)
{
	return read_kib("/proc/self/status", "\nVmHWM:");
}

static double seconds(clockid_t clock)
{
	struct timespec now;
	clock_gettime(clock, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void measure(struct load_run *run)
{
	double wall = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
	run->load->run(run);
	wall = seconds(CLOCK_MONOTONIC) - wall;
	cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu + run->child_cpu_s;
	if (run->end_kib == 0)
		run->end_kib = resident_kib();
	if (run->peak_kib == 0)
		run->peak_kib = peak_resident_kib();
	printf("load=%s operations=%" PRIu64 " bytes=%" PRIu64, run->load->name, run->done, run->bytes);
	printf(" wall_s=%.6f cpu_s=%.6f", wall, cpu);
	printf(" peak_kib=%" PRIu64 " end_kib=%" PRIu64, run->peak_kib, run->end_kib);
	if (run->max_ns)
		printf(" mean_ns=%" PRIu64 " p999_ns=%" PRIu64 " max_ns=%" PRIu64, run->mean_ns, run->p999_ns,
			run->max_ns);
	puts("");
}

static int list(void)
{
	static const char *const kinds[] = {[LOAD_SPEED] = "speed", [LOAD_MEMORY] = "memory", [LOAD_POOL] = "pool"};
	for (int i = 0; i < LOADS; i++)
		printf("%s\t%s\t%" PRIu64 "\t%" PRIu32 "\t%s\n", loads[i].name, kinds[loads[i].kind],
			loads[i].operations, loads[i].threads ? loads[i].threads : 1, loads[i].help);
	return 0;
}

static int print_allocator(void)
{
	Dl_info info;
	if (!dladdr(dlsym(RTLD_DEFAULT, "malloc"), &info))
		die("malloc is in no file");
	puts(info.dli_fname);
	return 0;
}

static bool parse(const char *text, uint64_t minimum, uint64_t maximum, uint64_t *value)
{
	char *end;
	errno = 0;
	*value = strtoull(text, &end, 10);
	return text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0 && *value >= minimum && *value <= maximum;
}

/* The load of that name; `fixed` is where one with a block size of its own is put. */
static const struct load *find_load(const char *name, struct load *fixed)
{
	uint64_t size;
	for (int i = 0; i < LOADS; i++)
		if (strcmp(loads[i].name, name) == 0)
			return &loads[i];
	if (strncmp(name, "fixed:", 6) != 0 || !parse(name + 6, 1, 1u << 30, &size))
		return NULL;
	*fixed = (struct load){.name = name, .run = load_fixed, .operations = 10000000, .block_bytes = (uint32_t)size};
	return fixed;
}

int main(int argc, char **argv)
{
	struct load fixed;
	uint64_t operations = 0, seed = 1234567, wait_ms = 3000;
	if (argc > 1 && strcmp(argv[1], "trivial") == 0)
		return trivial_program(argc);
	if (argc == 2 && strcmp(argv[1], "--list") == 0)
		return list();
	if (argc == 2 && strcmp(argv[1], "--allocator") == 0)
		return print_allocator();
	const struct load *load = argc > 1 ? find_load(argv[1], &fixed) : NULL;
	if (!load || argc > 5 || (argc > 2 && !parse(argv[2], 1, UINT64_MAX / 256, &operations)) ||
	    (argc > 3 && !parse(argv[3], 1, UINT32_MAX, &seed)) ||
	    (argc > 4 && !parse(argv[4], 0, 86400000, &wait_ms))) {
		fprintf(stderr, "usage: %s LOAD [OPERATIONS [SEED [WAIT_MS]]] | --list | --allocator\n", argv[0]);
		return 2;
	}
	struct load_run run = {.load = load, .operations = operations ? operations : load->operations};
	run.seed = (uint32_t)seed;
	run.wait_ms = (uint32_t)wait_ms;
	measure(&run);
	return 0;
}
