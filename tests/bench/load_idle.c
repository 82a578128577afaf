/* Loads that are judged by what they hold at the end: a big heap that was freed, threads that idle. Heaps that grow, or
 * grow and shrink in turn. And the start of a program, whose cost is in processes of its own. */
#include "tests/bench/load.h"

#include <fcntl.h>
#include <inttypes.h>
#include <malloc.h>
#include <pthread.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Blocks in the order of their allocation, linked through themselves: a table of them would be resident memory too. */
struct node {
	struct node *next;
};

static struct node *allocate_list(struct load_run *run, uint64_t count)
{
	struct node *first = NULL, **link = &first;
	for (uint64_t i = 0; i < count; i++) {
		struct node *node = checked(malloc(run->load->block_bytes));
		*link = node;
		link = &node->next;
		*link = NULL;
	}
	run->done += count;
	run->bytes += count * run->load->block_bytes;
	return first;
}

/* Frees the list, but every `keep_every`th block, and returns those that it kept. */
static struct node *free_list(struct load_run *run, struct node *list, uint32_t keep_every)
{
	struct node *kept = NULL, *next;
	uint64_t count = 0;
	for (; list; list = next) {
		next = list->next;
		count++;
		if (keep_every && count % keep_every == 0) {
			list->next = kept;
			kept = list;
		} else {
			free(list);
			run->done++;
		}
	}
	return kept;
}

static double elapsed_ms(const struct timespec *start)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)(now.tv_sec - start->tv_sec) * 1e3 + (double)(now.tv_nsec - start->tv_nsec) / 1e6;
}

/* Works a little, a hundred blocks every 10 ms, since an allocator without threads of its own can return memory only
 * when it is called. Not counted as operations: the time that passes is the point. */
static void tick_over(struct load_run *run)
{
	struct timespec start, pause = {.tv_nsec = 10000000};
	uint64_t state = run->seed;
	clock_gettime(CLOCK_MONOTONIC, &start);
	while (elapsed_ms(&start) < run->wait_ms) {
		char *blocks[100];
		for (int i = 0; i < 100; i++) {
			blocks[i] = checked(malloc(16 + (xorshift32(&state) & 0x3FF)));
			*blocks[i] = 1;
		}
		for (int i = 0; i < 100; i++)
			free(blocks[i]);
		nanosleep(&pause, NULL);
	}
}

void load_idle(struct load_run *run)
{
	struct node *kept = free_list(run, allocate_list(run, run->operations / 2), run->load->keep_every);
	if (run->load->trims)
		malloc_trim(0);
	else
		tick_over(run);
	run->end_kib = resident_kib();
	free_list(run, kept, 0);
}

static uint64_t now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
	uint32_t one = *(const uint32_t *)a, other = *(const uint32_t *)b;
	return (one > other) - (one < other);
}

/* Half of the operations are mallocs, each of which is timed, some 20 ns for the clock included; then all is freed.
 * What the program does to its blocks is not in the times. The table of times is written to before, so that none of
 * them has its page faults. */
void load_growth(struct load_run *run)
{
	uint64_t count = run->operations / 2 ? run->operations / 2 : 1, state = run->seed, sum = 0;
	uint32_t *times = map_memory(count * sizeof(*times));
	struct node *list = NULL;
	memset(times, 1, count * sizeof(*times));
	for (uint64_t i = 0; i < count; i++) {
		size_t size = 16 + (xorshift32(&state) & 0x3FF);
		uint64_t start = now_ns();
		struct node *node = malloc(size);
		times[i] = (uint32_t)(now_ns() - start);
		checked(node);
		node->next = list;
		list = node;
		run->bytes += size;
		sum += times[i];
	}
	run->done += count;
	free_list(run, list, 0);
	qsort(times, count, sizeof(*times), by_value);
	run->mean_ns = sum / count;
	run->p999_ns = times[count * 999 / 1000];
	run->max_ns = times[count - 1];
}

void load_burst(struct load_run *run)
{
	while (run->done < run->operations) {
		uint64_t left = (run->operations - run->done + 1) / 2, round = run->load->round;
		free_list(run, allocate_list(run, round < left ? round : left), 0);
	}
}

/* All threads of the load have their blocks, or have freed them, and idle; one of them then measures, and lets the
 * others go. */
static pthread_barrier_t all_idle, measured;

static void idle_lane(struct lane *lane)
{
	bool frees = lane->run->load->frees;
	uint64_t count = frees ? lane->operations / 2 : lane->operations;
	char **blocks = map_memory(count * sizeof(*blocks));
	for (uint64_t i = 0; i < count; i++) {
		size_t size = 16 + (xorshift32(&lane->state) & 0x3FF);
		blocks[i] = checked(malloc(size));
		*blocks[i] = 1;
		lane->bytes += size;
	}
	for (uint64_t i = 0; frees && i < count; i++)
		free(blocks[i]);
	lane->done = frees ? 2 * count : count;
	/* NOLINTNEXTLINE(bugprone-posix-return): this is its one negative value */
	if (pthread_barrier_wait(&all_idle) == PTHREAD_BARRIER_SERIAL_THREAD)
		lane->run->end_kib = resident_kib();
	pthread_barrier_wait(&measured);
	for (uint64_t i = 0; !frees && i < count; i++)
		free(blocks[i]);
}

void load_idle_threads(struct load_run *run)
{
	pthread_barrier_init(&all_idle, NULL, run->load->threads);
	pthread_barrier_init(&measured, NULL, run->load->threads);
	run_lanes(run, idle_lane);
}

int trivial_program(int argc)
{
	char *block = malloc(64);
	if (!block)
		return 1;
	*block = 1;
	free(block);
	if (argc > 2)
		dprintf(STDOUT_FILENO, "%" PRIu64 "\n", peak_resident_kib());
	return 0;
}

/* Runs this program as the trivial one, its output going to `output` if that is a descriptor. */
static void start_trivial(int output)
{
	char name[] = "/proc/self/exe", word[] = "trivial", report[] = "report";
	char *arguments[] = {name, word, output >= 0 ? report : NULL, NULL};
	posix_spawn_file_actions_t actions;
	pid_t pid;
	int status;
	posix_spawn_file_actions_init(&actions);
	if (output >= 0)
		posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
	if (posix_spawn(&pid, name, &actions, NULL, arguments, environ) != 0 || waitpid(pid, &status, 0) != pid ||
	    status != 0)
		die("the trivial program did not run");
	posix_spawn_file_actions_destroy(&actions);
}

/* Asks the trivial program itself: what wait4() tells of a child's peak includes its parent's, from before exec. */
static uint64_t trivial_peak_kib(void)
{
	int ends[2];
	char text[32] = "";
	if (pipe2(ends, O_CLOEXEC) != 0)
		die("no pipe");
	start_trivial(ends[1]);
	if (read(ends[0], text, sizeof(text) - 1) <= 0)
		die("the trivial program said nothing");
	close(ends[0]);
	close(ends[1]);
	return strtoull(text, NULL, 10);
}

static double children_cpu_s(void)
{
	struct rusage usage;
	getrusage(RUSAGE_CHILDREN, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

void load_start(struct load_run *run)
{
	for (; run->done < run->operations; run->done++)
		start_trivial(-1);
	run->child_cpu_s = children_cpu_s();
	run->peak_kib = run->end_kib = trivial_peak_kib();
}
