#include "viewer/slots.h"

#include <string.h>

#include "viewer/format.h"

#define FOLD_LEFT 6 /* the number of a row's first SuperSlab */

const char *const slot_mode_names[SLOT_MODES] = {"by class and fill", "by class", "by fill", "by age"};
const char *const slot_state_names[3] = {"UNUSED", "ACTIVE", "EMPTY"};

#define LEVELS 4
static const enum glyph densities[LEVELS] = {GLYPH_LIGHT, GLYPH_MEDIUM, GLYPH_DARK, GLYPH_FULL};

enum style style_of_size(uint64_t block_bytes)
{
	int style = STYLE_SIZE0;
	for (uint64_t limit = 64; limit < block_bytes && style < STYLE_SIZE9; limit *= 2)
		style++;
	return (enum style)style;
}

enum style style_of_class(const struct snapshot *snapshot, unsigned class)
{
	return class < snapshot->class_count ? style_of_size(snapshot->classes[class].block_bytes) : STYLE_LARGE;
}

static int level_of_fill(double fill)
{
	return fill >= 0.875 ? 3 : fill >= 0.5 ? 2 : fill >= 0.25 ? 1 : 0;
}

/* The older a state, the denser: 1 s, 10 s, 100 s. */
static int level_of_age(uint64_t age_ms)
{
	return age_ms >= 100000 ? 3 : age_ms >= 10000 ? 2 : age_ms >= 1000 ? 1 : 0;
}

void draw_slot(struct area area, int x, int y, int columns, enum slot_mode mode, const struct snapshot *snapshot,
	const struct superslab *superslab, unsigned slot)
{
	const struct slot *one = &superslab->slots[slot];
	const struct slot *first = one->lead >= 0 ? &superslab->slots[one->lead] : one;
	int level = mode == SLOT_AGE ? level_of_age(slot_age_ms(snapshot, first)) : level_of_fill(slot_fill(superslab, slot));
	enum style style = style_of_class(snapshot, one->class);
	if (columns > 1)
		area_put(area, x + 1, y, STYLE_NORMAL, ' ');
	if (one->state == SLOT_UNUSED) {
		area_glyph(area, x, y, STYLE_UNUSED, GLYPH_UNUSED);
		return;
	}
	if (mode == SLOT_FILL || mode == SLOT_AGE)
		style = (enum style)(STYLE_LEVEL0 + level);
	if (one->state == SLOT_EMPTY) {
		area_glyph(area, x, y, mode == SLOT_AGE ? style : STYLE_EMPTY, GLYPH_EMPTY);
		return;
	}
	if (mode == SLOT_CLASS)
		area_put(area, x, y, style, (uint32_t)class_symbol(one->class));
	else
		area_glyph(area, x, y, style, densities[level]);
	if (columns > 1)
		area_glyph(area, x + 1, y, style, densities[level]);
}

static int legend_entry(struct area area, int x, int y, enum style style, enum glyph glyph, const char *text)
{
	/* Half an entry would be another one. */
	if (x + 2 + area_columns(text) > area.width)
		return area.width;
	area_glyph(area, x, y, style, glyph);
	return area_text(area, x + 2, y, STYLE_FAINT, text) + 2;
}

static int draw_levels(struct area area, int x, int y, const char *const texts[LEVELS], bool coloured)
{
	for (int i = 0; i < LEVELS; i++)
		x = legend_entry(area, x, y, coloured ? (enum style)(STYLE_LEVEL0 + i) : STYLE_NORMAL, densities[i],
			texts[i]);
	return x;
}

void draw_slot_legend(struct area area, int y, enum slot_mode mode)
{
	static const char *const fills[LEVELS] = {"<25%", "<50%", "<88%", "full"};
	static const char *const ages[LEVELS] = {"<1s", "<10s", "<100s", "older"};
	static const char *const sizes[] = {"64", "128", "256", "512", "1K", "2K", "4K", "8K", "16K", "32K", "large"};
	int x = area_text(area, 0, y, STYLE_TITLE, slot_mode_names[mode]) + 2, needed = 0;
	if (mode == SLOT_CLASS)
		x = area_text(area, x, y, STYLE_FAINT, "0-9 a-z A-Z class  @ large") + 2;
	else
		x = draw_levels(area, x, y, mode == SLOT_AGE ? ages : fills, mode != SLOT_MIXED);
	x = legend_entry(area, x, y, STYLE_EMPTY, GLYPH_EMPTY, "EMPTY");
	x = legend_entry(area, x, y, STYLE_UNUSED, GLYPH_UNUSED, "UNUSED");
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		needed += (int)strlen(sizes[i]) + 1;
	if (x + needed > area.width || mode == SLOT_FILL || mode == SLOT_AGE)
		return;
	x = area.width - needed;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		x = area_text(area, x, y, (enum style)(STYLE_SIZE0 + i), sizes[i]) + 1;
}

void slots_sum(const struct snapshot *snapshot, const struct superslab *first, size_t count, struct slot_sum *sum)
{
	unsigned classes[SLOT_NO_CLASS + 1] = {0};
	int64_t since_ms = INT64_MIN;
	memset(sum, 0, sizeof(*sum));
	for (size_t i = 0; i < count; i++) {
		sum->superslabs++;
		sum->in_lru += first[i].in_lru;
		sum->active += first[i].states[SLOT_ACTIVE];
		sum->empty += first[i].states[SLOT_EMPTY];
		sum->unused += first[i].states[SLOT_UNUSED];
		sum->used += first[i].used;
		since_ms = first[i].since_ms > since_ms ? first[i].since_ms : since_ms;
		for (unsigned slot = 0; slot < MODEL_SLOTS; slot++)
			classes[first[i].classes[slot]]++;
	}
	sum->youngest_ms = snapshot->time_us / 1000 - (uint64_t)since_ms;
	sum->class = SLOT_NO_CLASS;
	sum->class_slots = classes[SLOT_NO_CLASS] - sum->empty - sum->unused;
	for (unsigned class = 0; class < snapshot->class_count; class++) {
		if (classes[class] > sum->class_slots) {
			sum->class_slots = classes[class];
			sum->class = class;
		}
	}
}

void draw_slot_sum(struct area area, int x, int y, enum slot_mode mode, const struct snapshot *snapshot,
	const struct slot_sum *sum)
{
	if (sum->active == 0) {
		bool empty = sum->empty > 0;
		area_glyph(area, x, y, empty ? STYLE_EMPTY : STYLE_UNUSED, empty ? GLYPH_EMPTY : GLYPH_UNUSED);
		return;
	}
	double slots = (double)sum->active + sum->empty + sum->unused;
	int level = mode == SLOT_AGE ? level_of_age(sum->youngest_ms) : level_of_fill(sum->used / slots);
	enum style style = mode == SLOT_FILL || mode == SLOT_AGE ? (enum style)(STYLE_LEVEL0 + level) :
		style_of_class(snapshot, sum->class);
	if (mode == SLOT_CLASS)
		area_put(area, x, y, style, (uint32_t)class_symbol(sum->class));
	else
		area_glyph(area, x, y, style, densities[level]);
}

struct fold fold_for(size_t superslabs, int width, int rows)
{
	struct fold fold = {.left = FOLD_LEFT, .across = width - FOLD_LEFT, .each = 1};
	/* Rows of a round number of SuperSlabs are easier to count in. */
	if (fold.across >= 8)
		fold.across -= fold.across % 8;
	else
		fold.across = fold.across > 0 ? fold.across : 1;
	size_t room = (size_t)fold.across * (size_t)(rows > 0 ? rows : 1);
	while ((superslabs + fold.each - 1) / fold.each > room)
		fold.each *= 2;
	fold.cells = (int)((superslabs + fold.each - 1) / fold.each);
	fold.rows = (fold.cells + fold.across - 1) / fold.across;
	return fold;
}

void draw_folded_row(struct area area, int y, int row, const struct fold *fold, enum slot_mode mode,
	const struct snapshot *snapshot)
{
	size_t at = (size_t)row * (size_t)fold->across * fold->each;
	char number[FORMAT_MAX];
	for (int i = 0; i < fold->across && at < snapshot->superslab_count; i++) {
		struct slot_sum sum;
		size_t left = snapshot->superslab_count - at, count = left < fold->each ? left : fold->each;
		if (i == 0)
			area_right(area, fold->left - 1, y, STYLE_FAINT,
				format_count(number, snapshot->superslabs[at].index));
		slots_sum(snapshot, &snapshot->superslabs[at], count, &sum);
		draw_slot_sum(area, fold->left + i, y, mode, snapshot, &sum);
		at += count;
	}
}
