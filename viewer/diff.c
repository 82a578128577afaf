#include "viewer/diff.h"

#include <stdlib.h>
#include <string.h>

int64_t change_growth(struct change change)
{
	return (int64_t)(change.after - change.before); /* wraps instead of overflowing, whatever a file says */
}

/* ---- Counters ---- */

#define COUNT_ONE(field) +1 /* NOLINT(bugprone-macro-parentheses): a sum is made of it */
#define COUNT_FIELDS(section, fields) fields(COUNT_ONE, COUNT_ONE)
enum { FIGURES = 0 MODEL_SECTIONS(COUNT_FIELDS) };

static bool add_figures(struct diff *diff, const struct snapshot *before, const struct snapshot *after)
{
	diff->figures = calloc(FIGURES, sizeof(*diff->figures));
	if (diff->figures == NULL)
		return false;
	struct diff_figure *next = diff->figures;
#define ADD_FIELD(field) *next++ = (struct diff_figure){SECTION, #field, {(OLD)->field, (NEW)->field}};
#define ADD_SECTION(section, fields) \
	{ \
		const char *const SECTION = #section; \
		const __typeof__(before->section) *OLD = &before->section, *NEW = &after->section; \
		fields(ADD_FIELD, ADD_FIELD) \
	}
	MODEL_SECTIONS(ADD_SECTION)
	diff->figure_count = (size_t)(next - diff->figures);
	return true;
}

const struct diff_figure *diff_find(const struct diff *diff, const char *section, const char *name)
{
	for (size_t i = 0; i < diff->figure_count; i++) {
		if (strcmp(diff->figures[i].section, section) == 0 && strcmp(diff->figures[i].name, name) == 0)
			return &diff->figures[i];
	}
	return NULL;
}

/* ---- Classes ---- */

static int by_live(const void *a, const void *b)
{
	const struct diff_class *left = a, *right = b;
	int64_t x = change_growth(left->live_bytes), y = change_growth(right->live_bytes);
	if (x != y)
		return x > y ? -1 : 1;
	return left->class < right->class ? -1 : left->class > right->class;
}

static bool add_classes(struct diff *diff, const struct snapshot *before, const struct snapshot *after)
{
	static const struct class_row none;
	size_t count = before->class_count > after->class_count ? before->class_count : after->class_count;
	diff->classes = calloc(count + 1, sizeof(*diff->classes));
	if (diff->classes == NULL)
		return false;
	for (size_t i = 0; i < count; i++) {
		const struct class_row *was = i < before->class_count ? &before->classes[i] : &none;
		const struct class_row *is = i < after->class_count ? &after->classes[i] : &none;
		struct diff_class row = {
			.class = (unsigned)i, .block_bytes = is->block_bytes != 0 ? is->block_bytes : was->block_bytes,
			.live_bytes = {was->live_blocks * was->block_bytes, is->live_blocks * is->block_bytes},
			.live_blocks = {was->live_blocks, is->live_blocks},
			.cached_blocks = {was->cached_blocks, is->cached_blocks}, .slabs = {was->slabs, is->slabs},
			.empty_slots = {was->empty_slots, is->empty_slots}, .allocs = {was->allocs, is->allocs},
			.frees = {was->frees, is->frees},
		};
#define DIFFERS(name) row.name.before != row.name.after ||
		if (DIFF_CLASS(DIFFERS) false)
			diff->classes[diff->class_count++] = row;
	}
	qsort(diff->classes, diff->class_count, sizeof(*diff->classes), by_live);
	return true;
}

/* ---- SuperSlabs ---- */

uint64_t diff_used_bytes(const struct snapshot *snapshot, const struct superslab *superslab)
{
	uint64_t bytes = 0;
	for (unsigned i = 0; i < MODEL_SLOTS; i++) {
		const struct slot *slot = &superslab->slots[i];
		if (slot->state != SLOT_ACTIVE)
			continue;
		if (slot->class == SLOT_NO_CLASS)
			bytes += snapshot->geometry.slot_bytes; /* each of a large allocation's slots, wherever it began */
		else
			bytes += slot->used * snapshot->classes[slot->class].block_bytes;
	}
	return bytes;
}

static int by_index(const void *a, const void *b)
{
	const struct superslab *left = *(const struct superslab *const *)a, *right = *(const struct superslab *const *)b;
	return left->index < right->index ? -1 : left->index > right->index;
}

/* The rows of a snapshot by index; to be freed. */
static const struct superslab **in_order(const struct snapshot *snapshot)
{
	const struct superslab **rows = calloc(snapshot->superslab_count + 1, sizeof(const struct superslab *));
	if (rows == NULL)
		return NULL;
	for (size_t i = 0; i < snapshot->superslab_count; i++)
		rows[i] = &snapshot->superslabs[i];
	qsort(rows, snapshot->superslab_count, sizeof(const struct superslab *), by_index);
	return rows;
}

static int by_used(const void *a, const void *b)
{
	const struct diff_superslab *left = a, *right = b;
	int64_t x = change_growth(left->used_bytes), y = change_growth(right->used_bytes);
	if (x != y)
		return x > y ? -1 : 1;
	return left->index < right->index ? -1 : left->index > right->index;
}

/* A row of either, or of both. What didn't change in figures is left out. */
static void add_superslab(struct diff *diff, const struct snapshot *before, const struct superslab *was,
	const struct snapshot *after, const struct superslab *is)
{
	struct diff_superslab row = {.was = was != NULL, .is = is != NULL};
	if (was != NULL) {
		row.index = was->index;
		row.address = was->address;
		row.used_bytes.before = diff_used_bytes(before, was);
		row.active_slots.before = was->active_slots;
	}
	if (is != NULL) {
		row.index = is->index;
		row.address = is->address;
		row.used_bytes.after = diff_used_bytes(after, is);
		row.active_slots.after = is->active_slots;
	}
	if (!row.was || !row.is || row.used_bytes.before != row.used_bytes.after ||
		row.active_slots.before != row.active_slots.after)
		diff->superslabs[diff->superslab_count++] = row;
}

static bool add_superslabs(struct diff *diff, const struct snapshot *before, const struct snapshot *after)
{
	const struct superslab **old = in_order(before), **new = in_order(after);
	size_t i = 0, j = 0;
	diff->superslabs = calloc(before->superslab_count + after->superslab_count + 1, sizeof(*diff->superslabs));
	bool ok = old != NULL && new != NULL && diff->superslabs != NULL;
	while (ok && (i < before->superslab_count || j < after->superslab_count)) {
		bool take_old = j == after->superslab_count ||
			(i < before->superslab_count && old[i]->index <= new[j]->index);
		bool take_new = i == before->superslab_count ||
			(j < after->superslab_count && new[j]->index <= old[i]->index);
		add_superslab(diff, before, take_old ? old[i] : NULL, after, take_new ? new[j] : NULL);
		i += take_old;
		j += take_new;
	}
	if (ok)
		qsort(diff->superslabs, diff->superslab_count, sizeof(*diff->superslabs), by_used);
	free(old);
	free(new);
	return ok;
}

bool diff_make(struct diff *diff, const struct snapshot *before, const struct snapshot *after)
{
	memset(diff, 0, sizeof(*diff));
	diff->same_process = before->process.pid == after->process.pid &&
		before->process.start_time == after->process.start_time;
	if (diff->same_process)
		diff->seconds = ((double)after->uptime_us - (double)before->uptime_us) / 1e6;
	if (add_figures(diff, before, after) && add_classes(diff, before, after) && add_superslabs(diff, before, after))
		return true;
	diff_free(diff);
	return false;
}

void diff_free(struct diff *diff)
{
	free(diff->figures);
	free(diff->classes);
	free(diff->superslabs);
	memset(diff, 0, sizeof(*diff));
}
