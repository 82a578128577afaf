/* memory.c: C11's memory model, as far as explore.h says.
 *
 * A location has all the values that were stored to it, in order. A thread can't see a value older than the oldest in
 * its view; a value carries a view too, that of the thread that stored it with release order, or at its last release
 * fence. Who takes a value by an acquire load joins that view to its own, or by a fence that comes after a relaxed one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/model/internal.h"

#define LOCATIONS 4096 /* a power of two: a hash table by address */

static struct location locations[LOCATIONS];
static struct shared shared[SHARED_MAX];
int shared_count;
uint64_t model_cas_found;

void forget_locations(void)
{
	memset(locations, 0, sizeof(locations));
	shared_count = 0;
}

void begin_values(void)
{
	for (int i = 0; i < shared_count; i++)
		shared[i].count = shared[i].last_seq_cst = 0;
}

void share(struct location *location)
{
	if (shared_count == SHARED_MAX)
		die("too many shared locations");
	location->shared = shared_count++;
}

static uint64_t read_place(const volatile void *place, size_t size)
{
	uint64_t value = 0;

	memcpy(&value, (const void *)place, size); /* little-endian */
	return value;
}

static void write_place(const volatile void *place, size_t size, uint64_t value)
{
	memcpy((void *)(uintptr_t)place, &value, size);
}

static void join(struct view *view, const struct view *other)
{
	for (int i = 0; i < shared_count; i++) {
		if (view->oldest[i] < other->oldest[i])
			view->oldest[i] = other->oldest[i];
	}
}

struct location *find_location(const volatile void *place)
{
	unsigned at = (unsigned)((uintptr_t)place * UINT64_C(0x9e3779b97f4a7c15) >> 40) % LOCATIONS;

	for (unsigned i = 0; i < LOCATIONS; i++, at = (at + 1) % LOCATIONS) {
		if (locations[at].place == place)
			return &locations[at];
		if (locations[at].place == NULL) {
			locations[at] = (struct location){.place = place, .shared = -1};
			return &locations[at];
		}
	}
	die("too many locations");
}

/* ---- Steps ---- */

static void append(struct thread *thread, const struct step *step, uint64_t value, const struct view *before)
{
	struct shared *at = &shared[step->shared];
	struct value *new;

	if (at->count == VALUES_MAX)
		die("a location takes too many values");
	new = &at->values[at->count];
	new->value = truncate_to(value, step->size);
	new->view = releases(step->site) ? thread->seen : thread->released;
	if (before)
		join(&new->view, before); /* a read-modify-write goes on with the release sequence */
	thread->seen.oldest[step->shared] = (uint8_t)at->count;
	if (order_of(step->site) == MODEL_SEQ_CST)
		at->last_seq_cst = at->count;
	new->view.oldest[step->shared] = (uint8_t)at->count++;
	write_place(step->place, step->size, new->value);
}

static uint64_t take(struct thread *thread, const struct step *step, unsigned number)
{
	const struct value *value = &shared[step->shared].values[number];

	thread->seen.oldest[step->shared] = (uint8_t)number;
	join(&thread->pending, &value->view);
	if (acquires(step->site))
		join(&thread->seen, &value->view);
	return value->value;
}

/* A failed exchange is a load, of any value but the expected one. */
static uint64_t perform_cas(struct thread *thread, struct step *step)
{
	struct shared *at = &shared[step->shared];
	unsigned last = at->count - 1, oldest = thread->seen.oldest[step->shared], options = 0;
	unsigned option[VALUES_MAX];

	for (unsigned i = last + 1; i-- > oldest;) {
		if (i == last || at->values[i].value != step->expected)
			option[options++] = i;
	}
	unsigned number = option[choose_value(options)];
	if (at->values[number].value == step->expected) {
		struct view before = at->values[number].view;

		take(thread, step, number);
		append(thread, step, step->operand, &before);
		return true;
	}
	model_cas_found = at->values[number].value;
	thread->seen.oldest[step->shared] = (uint8_t)number;
	join(&thread->pending, &at->values[number].view);
	if (step->site->failure && acquires(step->site->failure))
		join(&thread->seen, &at->values[number].view);
	return false;
}

static uint64_t perform_change(struct thread *thread, struct step *step)
{
	struct shared *at = &shared[step->shared];
	struct view before = at->values[at->count - 1].view;
	uint64_t old = take(thread, step, at->count - 1);
	uint64_t new = step->site->kind == MODEL_ADD ? old + step->operand
		: step->site->kind == MODEL_AND ? old & step->operand
		: step->site->kind == MODEL_OR ? old | step->operand : step->operand;

	append(thread, step, new, &before);
	return old;
}

static void wake_one(const struct step *step)
{
	unsigned waiting[MODEL_THREADS], count = 0;

	for (unsigned i = 0; i < thread_count; i++) {
		if (threads[i].state == WAITING && threads[i].step.shared == step->shared)
			waiting[count++] = i;
	}
	if (count) {
		struct thread *woken = &threads[waiting[choose_value(count)]];

		/* It has nothing more to do than to return, which is a step so that it may come late. */
		woken->state = READY;
		woken->step.operand = UINT64_MAX;
	}
}

void perform(struct thread *thread, struct step *step)
{
	struct shared *at = step->shared >= 0 ? &shared[step->shared] : NULL;

	if (at && at->count == 0) {
		at->count = 1;
		at->values[0] = (struct value){.value = read_place(step->place, step->size)};
	}
	switch (step->site->kind) {
	case MODEL_LOAD: {
		unsigned last = at->count - 1, oldest = thread->seen.oldest[step->shared];

		if (order_of(step->site) == MODEL_SEQ_CST && oldest < at->last_seq_cst)
			oldest = at->last_seq_cst;
		step->result = take(thread, step, last - choose_value(last - oldest + 1));
		break;
	}
	case MODEL_STORE:
		append(thread, step, step->operand, NULL);
		break;
	case MODEL_CAS:
		step->result = perform_cas(thread, step);
		break;
	case MODEL_FENCE:
		if (acquires(step->site))
			join(&thread->seen, &thread->pending);
		else if (releases(step->site))
			thread->released = thread->seen;
		break;
	case MODEL_PLAIN:
		if (thread->seen.oldest[step->shared] != at->count - 1)
			fail("two threads use the same data at once");
		append(thread, step, at->count, NULL);
		break;
	case MODEL_WAIT:
		if (step->operand != UINT64_MAX && at->values[at->count - 1].value == step->operand)
			thread->state = WAITING;
		break;
	case MODEL_WAKE:
		wake_one(step);
		break;
	default:
		step->result = perform_change(thread, step);
	}
}

uint64_t unshared_step(const struct model_site *site, const volatile void *place, size_t size, uint64_t operand,
	uint64_t expected)
{
	uint64_t old = read_place(place, size);

	switch (site->kind) {
	case MODEL_STORE:
	case MODEL_EXCHANGE: write_place(place, size, operand); break;
	case MODEL_ADD: write_place(place, size, old + operand); break;
	case MODEL_AND: write_place(place, size, old & operand); break;
	case MODEL_OR: write_place(place, size, old | operand); break;
	case MODEL_CAS:
		if (old == expected)
			write_place(place, size, operand);
		model_cas_found = old;
		return old == expected;
	default: break;
	}
	return old;
}
