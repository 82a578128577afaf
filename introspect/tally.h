/* tally.h: what went, by stack: sums of the samples that were freed, which every thread adds to without getting in another's way.
 *
 * A thread that frees many keeps a tally of its own, where an addition is a few stores; what a stack has in there moves on to the
 * sums of all threads when another stack needs its place. Who reads adds both up, of all threads that there are or were. */
#ifndef HAK_TALLY_H
#define HAK_TALLY_H

#include "lib/base.h"

#define HAK_TALLY_LIFETIMES 7u

struct hak_tally_sums {
	double bytes;
	double variance;                       /* of bytes */
	double temporary;                      /* blocks */
	double lifetimes[HAK_TALLY_LIFETIMES]; /* blocks, by how long they lived */
};

/* Maps the sums of stacks numbered below `stacks` > 0. Once, before anything is added. Returns false if memory is refused. */
bool hak_tally_begin(uint32_t stacks);

/* Adds `blocks` of `bytes` in all, of the lifetime numbered `lifetime`. Stacks beyond the numbers count as 0. Any thread, but not in
 * the midst of another addition of its own. */
void hak_tally_add(uint32_t stack, double blocks, double bytes, double variance, unsigned lifetime, bool temporary);

/* What went of a stack (below the number of stacks) so far: all additions that were over before, and of those made meanwhile each
 * part or not, but no more blocks that are temporary than blocks. Any thread; with `wait` false in the handler of a crash
 * too: then, while a thread stands still in the midst of moving this stack's sums, one of them may be told too high by what it moves. */
void hak_tally_read(uint32_t stack, bool wait, struct hak_tally_sums *out);

/* The calling thread's tally is there for the next one. What it adds afterwards goes to the sums of all. */
void hak_tally_thread_death(void);

/* Around fork, in the thread that forks: no sums are moved from one place to another meanwhile, so that the child has them once. */
void hak_tally_fork_prepare(void);
void hak_tally_fork_parent(void);
void hak_tally_fork_child(void);

#endif
