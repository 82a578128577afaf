#include "viewer/model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool model_number(const cJSON *item, uint64_t *value)
{
	if (!cJSON_IsNumber(item))
		return false;
	double number = item->valuedouble;
	if (!(number >= 0 && number <= MODEL_NUMBER_MAX) || floor(number) != number)
		return false;
	*value = (uint64_t)number;
	return true;
}

void snapshot_free(struct snapshot *snapshot)
{
	if (snapshot == NULL)
		return;
	free(snapshot->classes);
	free(snapshot->threads);
	free(snapshot->superslabs);
	free(snapshot);
}

struct totals snapshot_totals(const struct snapshot *snapshot)
{
	struct totals totals = {0};
	for (size_t i = 0; i < snapshot->class_count; i++) {
		totals.allocs += snapshot->classes[i].allocs;
		totals.frees += snapshot->classes[i].frees;
	}
	totals.acquires = snapshot->stages.stage1 + snapshot->stages.stage2 + snapshot->stages.stage3;
	uint64_t busy = snapshot->memory.live_bytes + snapshot->memory.cached_bytes + snapshot->memory.slack_bytes;
	totals.idle_bytes = snapshot->memory.committed_bytes > busy ? snapshot->memory.committed_bytes - busy : 0;
	totals.fragmentation = busy > 0 ? 1 - (double)snapshot->memory.live_bytes / (double)busy : 0;
#define CALL(name) totals.syscalls += snapshot->syscalls.name;
	MODEL_SYSCALLS(CALL, CALL)
	return totals;
}

/* NaN, which every panel shows as a gap, where a counter ran backwards. */
static double per_second(uint64_t before, uint64_t after, double seconds)
{
	return after >= before ? (double)(after - before) / seconds : NAN;
}

static void fill_rates(struct rates *rates, const struct snapshot *before, const struct snapshot *after)
{
	static const struct class_row no_class;
	static const struct snapshot nothing;
	const struct snapshot *s = before != NULL ? before : &nothing;
	const struct totals old = snapshot_totals(s), new = snapshot_totals(after), *t = &old;
#define OLD(name, value) rates->name = (double)(value);
	MODEL_RATES(OLD)
	s = after;
	t = &new;
#define NEW(name, value) rates->name = per_second((uint64_t)rates->name, value, rates->seconds);
	MODEL_RATES(NEW)
	for (size_t i = 0; i < after->class_count; i++) {
		const struct class_row *was = before != NULL && i < before->class_count ?
			&before->classes[i] : &no_class;
		rates->class_allocs[i] = per_second(was->allocs, after->classes[i].allocs, rates->seconds);
		rates->class_frees[i] = per_second(was->frees, after->classes[i].frees, rates->seconds);
	}
	rates->known = true;
}

void rates_between(struct rates *rates, const struct snapshot *before, const struct snapshot *after)
{
	rates->known = false;
	/* uptime_us doesn't jump when somebody sets the clock. */
	if (before == NULL || after->uptime_us <= before->uptime_us || before->process.pid != after->process.pid)
		return;
	rates->seconds = (double)(after->uptime_us - before->uptime_us) / 1e6;
	fill_rates(rates, before, after);
}

void rates_since_start(struct rates *rates, const struct snapshot *snapshot)
{
	rates->known = false;
	if (snapshot->uptime_us == 0)
		return;
	rates->seconds = (double)snapshot->uptime_us / 1e6;
	fill_rates(rates, NULL, snapshot);
}

static const char *basename_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash != NULL && slash[1] != '\0' ? slash + 1 : path;
}

const char *snapshot_name(const struct snapshot *snapshot, char out[MODEL_NAME_MAX])
{
	const char *file = basename_of(snapshot->process.exe), *command = snapshot->process.cmdline;
	size_t length = strcspn(command, " ");
	for (const char *at = command; at < command + length; at++) {
		if (*at == '/') {
			length -= (size_t)(at + 1 - command);
			command = at + 1;
		}
	}
	/* Titles such as "nginx: master" and "-bash" are no names, and python3 says less than python3.11. */
	bool plain = length > 0 && length < MODEL_NAME_MAX && *command != '-' && strncmp(file, command, length) != 0 &&
		strspn(command, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+-") == length;
	snprintf(out, MODEL_NAME_MAX, "%.*s", plain ? (int)length : MODEL_NAME_MAX - 1, plain ? command : file);
	return out;
}

void rates_of_threads(const struct snapshot *before, struct snapshot *after)
{
	double seconds = before != NULL && after->uptime_us > before->uptime_us &&
		before->process.pid == after->process.pid ?
		(double)(after->uptime_us - before->uptime_us) / 1e6 : 0;
	/* Both lists are in the same order but for threads that came or went, so the search goes on where it was. */
	size_t at = 0;
	for (size_t i = 0; i < after->thread_count; i++) {
		struct thread_row *row = &after->threads[i];
		size_t tried = 0, count = before != NULL ? before->thread_count : 0;
		row->alloc_rate = row->free_rate = -1;
		for (; tried < count && before->threads[at].tid != row->tid; tried++)
			at = (at + 1) % count;
		if (tried < count && seconds > 0) {
			row->alloc_rate = per_second(before->threads[at].allocs, row->allocs, seconds);
			row->free_rate = per_second(before->threads[at].frees, row->frees, seconds);
		}
	}
}

uint64_t class_slack(const struct snapshot *snapshot, const struct class_row *class)
{
	double held = (double)class->slabs * (double)class->slots_per_slab * (double)snapshot->geometry.slot_bytes;
	double used = ((double)class->live_blocks + (double)class->cached_blocks) * (double)class->block_bytes;
	/* Counts of a moment in which a slab changes hands don't fit each other. */
	return held > used && held < MODEL_NUMBER_MAX ? (uint64_t)(held - used) : 0;
}

char class_symbol(unsigned class)
{
	static const char symbols[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
	if (class == SLOT_NO_CLASS)
		return '@';
	return (char)(class < sizeof(symbols) - 1 ? symbols[class] : '+');
}

void superslab_finish(struct superslab *superslab)
{
	int lead = -1;
	unsigned left = 0;
	for (unsigned i = 0; i < MODEL_SLOTS; i++) {
		struct slot *slot = &superslab->slots[i];
		if (slot->state == SLOT_UNUSED || slot->span > 0) {
			lead = (int)i;
			left = slot->span;
		} else if (left == 0) {
			lead = -1;
		}
		slot->lead = (int16_t)lead;
		left -= left > 0;
	}
	memset(superslab->states, 0, sizeof(superslab->states));
	superslab->used = 0;
	superslab->since_ms = INT64_MIN;
	for (unsigned i = 0; i < MODEL_SLOTS; i++) {
		const struct slot *slot = &superslab->slots[i];
		superslab->states[slot->state]++;
		superslab->classes[i] = slot->state == SLOT_ACTIVE ? slot->class : SLOT_NO_CLASS;
		superslab->used += slot->state == SLOT_ACTIVE ? slot_fill(superslab, i) : 0;
		/* Signed: it may have begun before the clock did. */
		if (slot->state != SLOT_UNUSED && slot->lead == (int)i && (int64_t)slot->since_ms > superslab->since_ms)
			superslab->since_ms = (int64_t)slot->since_ms;
	}
}

double slot_fill(const struct superslab *superslab, unsigned slot)
{
	int lead = superslab->slots[slot].lead;
	if (lead < 0)
		return 1; /* only a large allocation reaches over a SuperSlab's end, and it is one block */
	const struct slot *first = &superslab->slots[lead];
	if (first->capacity == 0)
		return 0;
	return first->used >= first->capacity ? 1 : (double)first->used / first->capacity;
}
