/* explore.h: runs lock-free code in every way that C11's memory model lets it run.
 *
 * A model program includes a source file of lib or introspect after tests/model/atomic.h, which stands in for
 * lib/atomic.h: the code is the real one, but each atomic operation is a step that the explorer performs. It runs a few
 * threads (coroutines of one real thread) step by step, and goes back to try every other order of the steps, and every
 * value that a load may return. What that is follows from the orders in the code: each location remembers all values
 * stored to it, and each thread how old a value it may still see; an acquire load of a release store's value, a fence,
 * or a read-modify-write passes on what the storing thread had seen. A sequentially consistent load sees the last such
 * store to its location, or a later one; its order counts as relaxed when it is acquire and release still.
 *
 * What it does not do: stores to one location take effect in the order in which they are made, and no load sees a store
 * that comes later in the execution (C11 allows both, where no two threads' orders say otherwise; of the code here only
 * one thread stores to each location, or all that do are read-modify-writes). Plain variables are not seen: data that
 * is handed over is marked with model_plain. */
#ifndef HAK_TESTS_MODEL_EXPLORE_H
#define HAK_TESTS_MODEL_EXPLORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MODEL_THREADS 4

enum model_kind { MODEL_LOAD, MODEL_STORE, MODEL_ADD, MODEL_AND, MODEL_OR, MODEL_EXCHANGE, MODEL_CAS, MODEL_FENCE, MODEL_PLAIN, MODEL_WAIT,
	MODEL_WAKE };
enum model_order { MODEL_RELAXED, MODEL_ACQUIRE, MODEL_RELEASE, MODEL_ACQ_REL, MODEL_SEQ_CST };

/* A place in the code that makes atomic operations. */
struct model_site {
	const char *file, *function;
	int line;
	enum model_kind kind;
	enum model_order order;
	bool known; /* it is in the list of sites */
	struct model_site *failure; /* of MODEL_CAS: the load that it is when it fails; NULL: a relaxed one */
};

/* Performs an operation on the `size` bytes at `place`. `operand` is what is stored, added…; of MODEL_CAS the new value, `expected`
 * the old one. Returns the value before; of MODEL_CAS it tells whether it succeeded. */
uint64_t model_step(struct model_site *site, const volatile void *place, size_t size, uint64_t operand, uint64_t expected);

/* Reads or writes, nobody else at the same time, what `place` stands for: it fails if the last such access does not
 * happen before this one. */
void model_plain(const void *place);
/* Fails this execution unless `condition`. */
void model_require(bool condition, const char *what);
/* Ends this execution without a verdict: it goes further than the model looks. */
void model_beyond(void);
/* Stands in for syscall(SYS_futex, …): waits while the word is `value`; wakes one that waits. */
long model_futex(uint32_t *word, int operation, uint32_t value);

struct model {
	const char *name;
	void (*setup)(void);                 /* makes everything as it is at the start; its steps are not explored */
	void (*thread[MODEL_THREADS])(void); /* NULL at the end */
	void (*check)(void);                 /* when all threads have ended; may be NULL */
	unsigned steps[MODEL_THREADS];       /* of each thread, at most: loops end there; 0: no limit */
};

/* A site whose order may be relaxed without any of the models failing, and why: the `number`-th place in `function`
 * (from 0, by line) that has an order. Where that is because another place does the same, `with` names it, and a model
 * must fail with both relaxed. */
struct model_spare {
	const char *function;
	unsigned number;
	const char *with;
	unsigned with_number;
	const char *reason;
};

/* Explores all models, which must pass; then again with each site's order relaxed in turn, when one of them must fail,
 * except for `spares`. Both arrays end with a NULL name. Returns main's exit status. */
int model_main(const struct model *models, const struct model_spare *spares);

#endif
