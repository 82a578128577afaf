#include "viewer/model.h"

#include <math.h>
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
	struct totals old = {0}, new = snapshot_totals(after);
	if (before != NULL)
		old = snapshot_totals(before);
	rates->allocs = per_second(old.allocs, new.allocs, rates->seconds);
	rates->frees = per_second(old.frees, new.frees, rates->seconds);
	rates->acquires = per_second(old.acquires, new.acquires, rates->seconds);
	rates->drains = per_second(before != NULL ? before->drain.drains : 0, after->drain.drains, rates->seconds);
	rates->depot = per_second(before != NULL ? before->stages.depot : 0, after->stages.depot, rates->seconds);
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

static void append(double values[MODEL_HISTORY], size_t count, double value)
{
	if (count == MODEL_HISTORY)
		memmove(values, values + 1, (MODEL_HISTORY - 1) * sizeof(values[0]));
	values[count == MODEL_HISTORY ? count - 1 : count] = value;
}

void history_add(struct history *history, const struct snapshot *snapshot, const struct rates *rates)
{
	append(history->allocs, history->count, rates->known ? rates->allocs : NAN);
	append(history->frees, history->count, rates->known ? rates->frees : NAN);
	append(history->acquires, history->count, rates->known ? rates->acquires : NAN);
	append(history->live, history->count, (double)snapshot->memory.live_bytes);
	append(history->committed, history->count, (double)snapshot->memory.committed_bytes);
	if (history->count < MODEL_HISTORY)
		history->count++;
}

char class_symbol(unsigned class)
{
	static const char symbols[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
	if (class == SLOT_NO_CLASS)
		return '@';
	return (char)(class < sizeof(symbols) - 1 ? symbols[class] : '+');
}

void superslab_find_leads(struct superslab *superslab)
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
		slot->lead = (int8_t)lead;
		left -= left > 0;
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
