/* What the loads of bench_loads share: a load's description, a run of it, the two random number generators, and the
 * harness.
 *
 * The program under test is the malloc of the process. So that nothing else is measured, the harness takes its own
 * memory by map_memory(), and no load prints or opens a stream while it runs. A load that runs out of memory ends the
 * program by die(). */
#ifndef HAKMEM_BENCH_LOAD_H
#define HAKMEM_BENCH_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* What a load is there for: its speed and its peak of memory, or what it still holds at its end; or to see how the pool
 * of SuperSlabs does, as experiments does: allocators are compared by these only if they are named. */
enum load_kind { LOAD_SPEED, LOAD_MEMORY, LOAD_POOL };

struct load_run;

/* A row of loads.def. The fields from `threads` on mean what the load's function says. */
struct load {
	const char *name;
	enum load_kind kind;
	void (*run)(struct load_run *run);
	uint64_t operations; /* how many it makes if the command line does not say: about a second of them */
	const char *help;
	uint32_t threads;     /* 0 counts as 1 */
	uint32_t working_set; /* places for blocks, of each thread */
	uint64_t round;       /* operations after which everything is freed; 0: none but the last */
	uint32_t block_bytes; /* where all blocks have one size */
	uint32_t percent;     /* of the blocks that another thread frees */
	uint32_t keep_every;  /* a load keeps one block in so many while it frees the others; 0: none */
	bool trims;           /* calls malloc_trim(0) where the others wait */
	bool frees;           /* frees its blocks before it idles */
};

/* One run of a load. The first four are what was asked for, the rest is what the load found. */
struct load_run {
	const struct load *load;
	uint64_t operations; /* calls of malloc, calloc, realloc and free to make, at least */
	uint32_t seed;       /* never 0 */
	uint32_t wait_ms;    /* how long an idle load waits for memory to return */
	uint64_t done;       /* calls made */
	uint64_t bytes;      /* asked for in all of them: the same under every allocator */
	uint64_t peak_kib;   /* 0: the peak of this process counts */
	uint64_t end_kib;    /* 0: what this process holds after the load counts */
	double child_cpu_s;  /* CPU time of child processes that belongs to the load */

	/* Of a load that times each call: their mean, the time that one in a thousand exceeds, the longest. */
	uint64_t mean_ns, p999_ns, max_ns;
};

/* What one thread of a load does: its share of the operations in, the counts out. */
struct lane {
	struct load_run *run;
	uint32_t index;
	uint64_t operations;
	uint64_t state; /* of its random numbers */
	uint64_t done;
	uint64_t bytes;
};

/* Prints the program's name and the message to stderr and ends with status 1. Any thread may call it. */
void die(const char *message) __attribute__((noreturn));

/* Zeroed memory from mmap, never given back. */
void *map_memory(size_t bytes);

/* Runs `work` on every thread of the load and adds the counts up. A load with one thread runs on the calling one, so
 * that allocators which are faster in programs without threads may be. */
void run_lanes(struct load_run *run, void (*work)(struct lane *lane));

/* Kibibytes of the memory that this process has resident now, counted page by page; of the most it ever had. */
uint64_t resident_kib(void);
uint64_t peak_resident_kib(void);

/* The load's functions, by file. */
void load_mixed(struct load_run *run);
void load_mixed_lcg(struct load_run *run);
void load_mixed_small(struct load_run *run);
void load_mixed_medium(struct load_run *run);
void load_mixed_big(struct load_run *run);
void load_large(struct load_run *run);
void load_fixed(struct load_run *run);
void load_calloc_small(struct load_run *run);
void load_calloc_big(struct load_run *run);
void load_ping_pong(struct load_run *run);

void load_realloc_grow(struct load_run *run);
void load_realloc_append(struct load_run *run);

void load_exchange(struct load_run *run);
void load_one_way(struct load_run *run);
void load_server(struct load_run *run);

void load_idle(struct load_run *run);
void load_idle_threads(struct load_run *run);
void load_growth(struct load_run *run);
void load_burst(struct load_run *run);
void load_start(struct load_run *run);

/* What load_start() runs: `trivial` as the program's only argument does nothing but one malloc and one free; with any
 * second one it prints its peak of memory. Returns the exit status. */
int trivial_program(int argc);

static inline uint32_t xorshift32(uint64_t *state)
{
	uint32_t x = (uint32_t)*state;
	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	return (uint32_t)(*state = x);
}

/* The upper bits, since the lower ones of such a generator repeat soon. */
static inline uint32_t lcg32(uint64_t *state)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*state >> 32);
}

/* Writes to each page of the new part of a block, as a program does that uses what it asked for. */
static inline void touch(char *block, size_t from, size_t to)
{
	for (size_t i = from; i < to; i += 4096)
		block[i] = (char)i;
}

static inline void *checked(void *block)
{
	if (!block)
		die("out of memory");
	return block;
}

#endif
