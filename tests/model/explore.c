/* explore.c: a depth-first search over executions.
 *
 * An execution is a list of choices: which thread makes the next step, and which of the values that it may see a load
 * returns. After each execution the last choice that has another option takes that, and everything is run again from
 * the start up to there.
 *
 * Steps at different locations, and loads of one location, can change places without a difference. A sleep set keeps
 * track of the threads whose next step was tried before and hasn't been overtaken by a step that it depends on: to try
 * it again would only give an execution that was seen before.
 *
 * A store to a location to which no other thread stores needs no order at all: a load that comes after it can still
 * return what was there before, so it may as well be made at once. But for a sequentially consistent one, whose turn
 * such loads can tell.
 *
 * Locations that only one thread uses, or that nobody stores to, need no steps. Which those are is found out on the
 * way, as is who stores: when that turns out to be more than was known, the search begins anew. */
#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/model/internal.h"

#define STACK_BYTES (256u << 10)
#define CHOICES_MAX 4096
#define TRACE_MAX 1024
#define EXECUTIONS_MAX 20000000ul

struct choice {
	bool thread;
	unsigned chosen, options; /* of values: 0 … options - 1; of threads: options is a mask */
	unsigned tried;           /* threads that were chosen here before */
};

struct thread threads[MODEL_THREADS];
unsigned thread_count;
unsigned long executions, cut;
enum outcome outcome;
const char *why;

static int current = -1; /* -1: setup or check, whose steps are plain accesses */
static jmp_buf explorer;
static const struct model *model;

static struct choice choices[CHOICES_MAX];
static unsigned choice_count, choice_next;

static struct step trace[TRACE_MAX];
static int8_t trace_thread[TRACE_MAX];
static unsigned trace_length;

/* Thread-local variables of the code under test lie in a section of their own, which is changed with the thread. */
extern char __start_model_tls[] __attribute__((weak)), __stop_model_tls[] __attribute__((weak));
static char *tls_at_start;

static size_t tls_bytes(void)
{
	return __start_model_tls ? (size_t)(__stop_model_tls - __start_model_tls) : 0;
}

_Noreturn void die(const char *what)
{
	fprintf(stderr, "explore: %s\n", what);
	exit(2);
}

void fail(const char *what)
{
	if (outcome == RUNNING) {
		outcome = FAILED;
		why = what;
	}
}

/* ---- Choices ---- */

unsigned choose_value(unsigned options)
{
	if (options == 1)
		return 0;
	if (choice_next == CHOICES_MAX)
		die("an execution has too many choices");
	if (choice_next == choice_count)
		choices[choice_count++] = (struct choice){.options = options};
	return choices[choice_next++].chosen;
}

/* The thread whose step is such a store; -1: none. */
static int find_lone_store(unsigned ready)
{
	for (unsigned i = 0; i < thread_count; i++) {
		if (ready >> i & 1 && threads[i].step.site->kind == MODEL_STORE &&
			order_of(threads[i].step.site) != MODEL_SEQ_CST &&
			find_location(threads[i].step.place)->writers == 1u << i)
			return (int)i;
	}
	return -1;
}

static bool is_load(const struct step *step)
{
	return step->site->kind == MODEL_LOAD;
}

static bool depend(const struct step *a, const struct step *b)
{
	return a->shared >= 0 && a->shared == b->shared && !(is_load(a) && is_load(b));
}

/* The thread that makes the next step, of those in `ready`; *asleep are those that needn't be tried, and become those
 * of the next choice. Returns -1 if that is all of them. */
static int choose_thread(unsigned ready, unsigned *asleep)
{
	int lone = find_lone_store(ready);
	unsigned options = (lone < 0 ? ready : 1u << lone) & ~*asleep;
	struct choice *choice;

	if (!options)
		return -1;
	if (choice_next == CHOICES_MAX)
		die("an execution has too many choices");
	if (choice_next == choice_count)
		choices[choice_count++] = (struct choice){
			.thread = true, .options = options, .chosen = (unsigned)__builtin_ctz(options)};
	choice = &choices[choice_next++];
	unsigned slept = *asleep | choice->tried;
	*asleep = 0;
	for (unsigned i = 0; i < thread_count; i++) {
		if (slept >> i & 1 && !depend(&threads[i].step, &threads[choice->chosen].step))
			*asleep |= 1u << i;
	}
	return (int)choice->chosen;
}

/* Goes back to the last choice with an option left. Returns false if there is none: all is explored. */
static bool next_execution(void)
{
	while (choice_count) {
		struct choice *choice = &choices[choice_count - 1];

		if (choice->thread) {
			choice->tried |= 1u << choice->chosen;
			unsigned left = choice->options & ~choice->tried;
			if (left) {
				choice->chosen = (unsigned)__builtin_ctz(left);
				return true;
			}
		} else if (++choice->chosen < choice->options) {
			return true;
		}
		choice_count--;
	}
	return false;
}

/* ---- Threads ---- */

static void give_back(void)
{
	if (!_setjmp(threads[current].resume))
		_longjmp(explorer, 1);
}

static void thread_main(void)
{
	model->thread[current]();
	threads[current].state = ENDED;
	_longjmp(explorer, 1);
}

/* Lets a thread run up to its next step. */
static void let_run(unsigned number)
{
	struct thread *thread = &threads[number];

	current = (int)number;
	if (tls_bytes())
		memcpy(__start_model_tls, thread->tls, tls_bytes());
	if (!_setjmp(explorer)) {
		if (thread->started)
			_longjmp(thread->resume, 1);
		thread->started = true;
		setcontext(&thread->start);
	}
	thread = &threads[current];
	if (tls_bytes())
		memcpy(thread->tls, __start_model_tls, tls_bytes());
	current = -1;
}

/* Notes who uses the location. Returns its number if it is shared. */
static int note_use(const volatile void *place, bool writes)
{
	struct location *location = find_location(place);
	unsigned writers = location->writers, self = 1u << current;

	*(writes ? &location->writers : &location->readers) |= self;
	unsigned users = location->writers | location->readers;
	bool more_writers = writers && writers != location->writers && !(writers & (writers - 1));
	if (location->shared < 0 && location->writers && (users & (users - 1))) {
		share(location);
		more_writers = true;
	}
	if (more_writers) {
		outcome = ANEW;
		give_back();
	}
	return location->shared;
}

uint64_t model_step(struct model_site *site, const volatile void *place, size_t size, uint64_t operand, uint64_t expected)
{
	int number = -1;

	note_site(site);
	if (site->failure)
		note_site(site->failure);
	operand = truncate_to(operand, size);
	if (site->kind != MODEL_FENCE && current >= 0)
		number = note_use(place, site->kind != MODEL_LOAD);
	/* A fence counts for what is shared, and has to wait for nobody: it is part of the step before it. */
	if (site->kind == MODEL_FENCE && current >= 0) {
		struct step fence = {.site = site, .shared = -1};

		perform(&threads[current], &fence);
		return 0;
	}
	if (number < 0)
		return site->kind == MODEL_FENCE ? 0 : unshared_step(site, place, size, operand, expected);
	struct thread *thread = &threads[current];
	if (model->steps[current] && ++thread->steps > model->steps[current])
		model_beyond();
	thread->step = (struct step){site, place, size, operand, expected, 0, number};
	give_back();
	return threads[current].step.result;
}

void model_plain(const void *place)
{
	static struct model_site site = {.file = __FILE__, .function = __func__, .line = __LINE__, .kind = MODEL_PLAIN};

	/* The data itself, which this counts up, is nobody's: an address apart from all others. */
	model_step(&site, place, 1, 0, 0);
}

void model_require(bool condition, const char *what)
{
	if (condition)
		return;
	fail(what);
	if (current >= 0)
		give_back();
}

void model_beyond(void)
{
	outcome = CUT;
	give_back();
}

long model_futex(uint32_t *word, int operation, uint32_t value)
{
	static struct model_site wait = {.file = __FILE__, .function = "futex", .kind = MODEL_WAIT};
	static struct model_site wake = {.file = __FILE__, .function = "futex", .kind = MODEL_WAKE};

	/* The kernel looks at the word under a lock that wakers take too: as if it always saw the newest value. */
	model_step((operation & FUTEX_CMD_MASK) == FUTEX_WAIT ? &wait : &wake, word, sizeof(*word), value, 0);
	return 0;
}

/* ---- Executions ---- */

static void start_threads(void)
{
	for (thread_count = 0; thread_count < MODEL_THREADS && model->thread[thread_count]; thread_count++) {
		struct thread *thread = &threads[thread_count];
		char *stack = thread->stack ? thread->stack : malloc(STACK_BYTES);
		char *tls = thread->tls ? thread->tls : malloc(tls_bytes() + 1);

		*thread = (struct thread){.stack = stack, .tls = tls};
		if (tls_bytes())
			memcpy(tls, tls_at_start, tls_bytes());
		getcontext(&thread->start);
		thread->start.uc_stack.ss_sp = stack;
		thread->start.uc_stack.ss_size = STACK_BYTES;
		makecontext(&thread->start, thread_main, 0);
	}
}

static void execute(void)
{
	unsigned asleep = 0;

	outcome = RUNNING;
	choice_next = trace_length = 0;
	begin_values();
	if (tls_bytes())
		memcpy(__start_model_tls, tls_at_start, tls_bytes());
	model->setup();
	start_threads();
	for (unsigned i = 0; i < thread_count && outcome == RUNNING; i++)
		let_run(i);
	while (outcome == RUNNING) {
		unsigned ready = 0, ended = 0;

		for (unsigned i = 0; i < thread_count; i++) {
			ready |= (unsigned)(threads[i].state == READY) << i;
			ended += threads[i].state == ENDED;
		}
		if (!ready) {
			if (ended < thread_count)
				fail("all threads wait");
			break;
		}
		int chosen = choose_thread(ready, &asleep);
		if (chosen < 0) {
			outcome = CUT; /* seen before */
			return;
		}
		struct thread *thread = &threads[chosen];
		perform(thread, &thread->step);
		if (trace_length < TRACE_MAX) {
			trace_thread[trace_length] = (int8_t)chosen;
			trace[trace_length++] = thread->step;
		}
		if (outcome == RUNNING && thread->state == READY)
			let_run((unsigned)chosen);
	}
	if (outcome == RUNNING && model->check)
		model->check();
	if (outcome == RUNNING)
		outcome = PASSED;
}

void print_trace(void)
{
	static const char *const kinds[] = {"load", "store", "add", "and", "or", "exchange", "cas", "fence", "plain", "wait", "wake"};

	for (unsigned i = 0; i < trace_length; i++) {
		const struct step *step = &trace[i];
		bool gives = step->site->kind != MODEL_STORE && step->site->kind != MODEL_PLAIN;

		fprintf(stderr, "  thread %d: %-8s %s:%d (%s), location %d: %llu\n", trace_thread[i], kinds[step->site->kind],
			step->site->file, step->site->line, step->site->function, step->shared,
			(unsigned long long)(gives ? step->result : step->operand));
	}
}

/* Explores all executions of a model. Returns false if one fails. */
bool explore(const struct model *what)
{
	model = what;
	if (!tls_at_start) {
		tls_at_start = malloc(tls_bytes() + 1);
		if (tls_bytes())
			memcpy(tls_at_start, __start_model_tls, tls_bytes());
	}
	forget_locations();
	choice_count = 0;
	executions = cut = 0;
	for (;;) {
		execute();
		if (outcome == ANEW) {
			choice_count = 0;
			executions = cut = 0;
			continue;
		}
		executions += outcome == PASSED;
		cut += outcome == CUT;
		if (outcome == FAILED)
			return false;
		if (executions + cut > EXECUTIONS_MAX)
			die("too many executions");
		if (!next_execution())
			return true;
	}
}
