/* internal.h: what the explorer's files know of each other. explore.c goes through the executions, memory.c knows what
 * a step does and what a load may return, relax.c weakens memory orders and has main's part. */
#ifndef HAK_TESTS_MODEL_INTERNAL_H
#define HAK_TESTS_MODEL_INTERNAL_H

#include <setjmp.h>
#include <ucontext.h>

#include "tests/model/explore.h"

#define SHARED_MAX 64
#define VALUES_MAX 64

/* For each shared location the oldest value that is still to be seen, as its number. */
struct view {
	uint8_t oldest[SHARED_MAX];
};

struct location {
	const volatile void *place;
	unsigned readers, writers; /* bits: threads, over all executions */
	int shared;                /* number among those; -1: not shared */
};

struct value {
	uint64_t value;
	struct view view; /* what an acquire load of it passes on */
};

struct shared {
	unsigned count; /* values in this execution; 0: not used yet */
	unsigned last_seq_cst; /* the number of the value that was stored last with sequentially consistent order, else 0 */
	struct value values[VALUES_MAX];
};

struct step {
	struct model_site *site;
	const volatile void *place;
	size_t size;
	uint64_t operand, expected, result;
	int shared; /* -1: a fence */
};

enum state { READY, WAITING, ENDED };

struct thread {
	enum state state;
	bool started;
	struct step step; /* the next one, while READY; the futex, while WAITING */
	struct view seen; /* what it can't unsee */
	struct view pending;  /* what its relaxed loads would pass on, for an acquire fence */
	struct view released; /* what it had seen at its last release fence */
	unsigned steps;
	jmp_buf resume;
	ucontext_t start;
	char *stack, *tls;
};

enum outcome { RUNNING, PASSED, FAILED, CUT, ANEW };

_Noreturn void die(const char *what);

static inline uint64_t truncate_to(uint64_t value, size_t size)
{
	return size < 8 ? value & ((UINT64_C(1) << 8 * size) - 1) : value;
}

/* ---- explore.c ---- */

extern struct thread threads[MODEL_THREADS];
extern unsigned thread_count;
extern unsigned long executions, cut; /* of the last exploration */
extern enum outcome outcome;
extern const char *why; /* it failed */

/* Explores all executions of a model. Returns false if one fails. */
bool explore(const struct model *what);
void print_trace(void);
/* The number of an option of several, 0 … options - 1: each is tried in some execution. */
unsigned choose_value(unsigned options);
/* This execution fails. */
void fail(const char *what);

/* ---- memory.c ---- */

extern int shared_count; /* locations that several threads use and one stores to */

void forget_locations(void);
void begin_values(void);
/* The record of a location, made where there is none. */
struct location *find_location(const volatile void *place);
/* Gives a location a number among the shared ones. */
void share(struct location *location);
/* Makes `thread`'s step; what a load returns is chosen. */
void perform(struct thread *thread, struct step *step);
/* The same on memory that is not shared: the step is over at once. */
uint64_t unshared_step(const struct model_site *site, const volatile void *place, size_t size, uint64_t operand, uint64_t expected);

/* ---- relax.c ---- */

/* Notes a site that has an order. */
void note_site(struct model_site *site);
/* The site's order, as it is to be tried. */
enum model_order order_of(const struct model_site *site);
bool acquires(const struct model_site *site);
bool releases(const struct model_site *site);

#endif
