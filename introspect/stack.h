/* stack.h: call stacks of the program's threads: captured, and each kept once.
 *
 * Four engines. Ours follows the tables of exceptions and remembers what it found (walk.h). libgcc's _Unwind_Backtrace follows
 * them wherever they lead, ten times slower; ours asks it where it can't go on. libunwind is about as quick as ours, but keeps
 * a pipe in the program's table of descriptors, which it writes to and reads from: it is given up as soon as the pipe is gone.
 * It is loaded for ourselves alone (RTLD_LOCAL), because its names would shadow libgcc's and break C++'s throw.
 * Frame pointers take a few nanoseconds, and lead only through code that keeps them. Nothing is turned into names here: return
 * addresses are what is kept.
 *
 * Each different stack has a number. The table is bounded; a stack that has no room is counted, and has the number 0, as has
 * one that could not be captured. */
#ifndef HAK_STACK_H
#define HAK_STACK_H

#include "introspect/json.h"
#include "lib/base.h"

#define HAK_STACK_FRAMES 128 /* most of a stack that are kept: those nearest to the allocation */

#define HAK_STACK_TOP_FRAMES 16 /* the same of a stack whose top alone is wanted */

enum hak_stack_engine { HAK_STACK_TABLES, HAK_STACK_LIBUNWIND, HAK_STACK_GCC, HAK_STACK_FRAME_POINTERS, HAK_STACK_NONE };

/* The words of HAKMEM_UNWIND, in the order of the engines, NULL at the end. */
extern const char *const hak_unwind_words[];

/* Why a stack could not be captured. */
#define HAK_STACK_FAILURES(X) \
	X(no_engine, "no engine is there") \
	X(not_ready, "a thread of the program was allocating before the engine was there") \
	X(empty, "the engine found no frame") \
	X(strange_stack, "the stack pointer is not on the thread's own stack, and libgcc is not there") \
	X(fork, "a fork was going on")
enum hak_stack_failure {
#define X(name, meaning) HAK_STACK_FAILED_##name,
	HAK_STACK_FAILURES(X)
#undef X
	HAK_STACK_FAILURE_COUNT
};

/* Readies `wanted`, or else ours, and makes the table, of `capacity` stacks; once. Returns false if memory is refused. It loads
 * libraries: to be called by the library's constructor or the endpoint's thread, never from within malloc. */
bool hak_stack_begin(enum hak_stack_engine wanted, uint32_t capacity);

/* The engine in use. */
enum hak_stack_engine hak_stack_engine(void);

/* The number of the calling thread's stack, without the frames of this library; 0 if there is none. No lock is taken, but the
 * engine may take the loader's. What it allocates must not lead here again: that is the caller's business. Our own engine allocates
 * at a thread's first capture alone, where libc is asked for the bounds of the stack (stack_bounds.h). A thread that has asked
 * often remembers where it came from, in memory of its own (trail.h). */
uint32_t hak_stack_capture(void);
/* The same of the stack's top alone. */
uint32_t hak_stack_capture_top(void);

/* The calling thread ends: what it remembers of its walks is given back. */
void hak_stack_thread_death(void);

/* The callers of the instruction that a signal interrupted (`context`: ucontext_t), for the handler of that signal: return
 * addresses, `room` at most; returns how many. Whatever the engine is, this is our own. It takes no lock, allocates nothing, and
 * reads nothing beyond the mapping that the stack lies in. One thread at a time. hak_stack_pc is the instruction itself. */
unsigned hak_stack_of_context(const void *context, uintptr_t *frames, unsigned room);
uintptr_t hak_stack_pc(const void *context);

/* Numbers of stacks are below this. */
uint32_t hak_stack_end(void);
/* The return addresses of stack `number` > 0, the leaf's first. Returns how many, 0 if there is no such stack. They stay. */
unsigned hak_stack_frames(uint32_t number, const uintptr_t **frames);

struct hak_stack_counts {
	uint64_t stacks, capacity, lost;
	uint64_t failures[HAK_STACK_FAILURE_COUNT];
};
void hak_stack_count(struct hak_stack_counts *out);

/* Around fork, in the forking thread. Captures that are under way are waited for, so that no other thread holds a lock of the
 * engine's in the child; if one takes too long, as it waits for a lock that this thread holds, the child changes to frame
 * pointers. */
void hak_stack_fork_prepare(void);
void hak_stack_fork_parent(void);
void hak_stack_fork_child(void);

#endif
