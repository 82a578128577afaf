#include "viewer/html_chart.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "viewer/format.h"

#define CHART_WIDTH 720
#define CHART_HEIGHT 160
#define CHART_LEFT 60
#define CHART_BOTTOM 20
#define CELL 13          /* of the slot map, in pixels */
#define MAP_LEFT 130

void html_text(FILE *out, const char *text)
{
	uint32_t code;
	while ((code = format_utf8_next(&text)) != 0) {
		char bytes[4] = {0};
		if (code == '<' || code == '>' || code == '&' || code == '"' || code == '\'')
			fprintf(out, "&#%u;", (unsigned)code);
		else if (code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0xfffd || code == 0xfffe || code == 0xffff)
			fputc('?', out); /* not in a page, and not in XML */
		else
			fwrite(bytes, 1, format_utf8_put(bytes, code), out);
	}
}

/* ---- The trend ---- */

/* What a rate is worked out from. */
struct counts {
	bool known;
	uint64_t allocs, frees, uptime_us, pid;
};

static struct counts counts_of(const struct snapshot *snapshot)
{
	struct totals totals = snapshot_totals(snapshot);
	return (struct counts){true, totals.allocs, totals.frees, snapshot->uptime_us, snapshot->process.pid};
}

static double rate(uint64_t before, uint64_t after, double seconds)
{
	return after >= before ? (double)(after - before) / seconds : NAN;
}

size_t trend_read(struct recording *recording, struct trend_point points[TREND_POINTS_MAX])
{
	struct timeline *timeline = &recording->timeline;
	size_t wanted = timeline->count < TREND_POINTS_MAX ? timeline->count : TREND_POINTS_MAX, count = 0;
	struct counts before = {.known = false};
	for (size_t i = 0; i < wanted; i++) {
		/* Evenly, the last moment among them. */
		uint64_t number = wanted > 1 ? i * (timeline->count - 1) / (wanted - 1) : 0;
		const struct snapshot *snapshot = timeline_load(timeline, number, NULL);
		if (snapshot == NULL)
			continue;
		struct counts now = counts_of(snapshot);
		double seconds = (double)(now.uptime_us - before.uptime_us) / 1e6;
		bool known = before.known && now.pid == before.pid && now.uptime_us > before.uptime_us;
		points[count++] = (struct trend_point){
			.seconds = (double)(timeline_time(timeline, number) - timeline_time(timeline, 0)) / 1e6,
			.live = (double)snapshot->memory.live_bytes, .committed = (double)snapshot->memory.committed_bytes,
			.resident = (double)snapshot->memory.resident_bytes,
			.allocs = known ? rate(before.allocs, now.allocs, seconds) : NAN,
			.frees = known ? rate(before.frees, now.frees, seconds) : NAN,
		};
		before = now;
	}
	return count;
}

/* A line of a chart: its name, its CSS class, and where its value lies in a point. */
struct line {
	const char *name, *style;
	size_t place;
};

static double value_of(const struct trend_point *point, const struct line *line)
{
	double value;
	memcpy(&value, (const char *)point + line->place, sizeof(value));
	return value;
}

static double x_of(double seconds, double length)
{
	return CHART_LEFT + (length > 0 ? seconds / length : 0) * (CHART_WIDTH - CHART_LEFT - 4);
}

static double y_of(double value, double top)
{
	return 4 + (1 - value / top) * (CHART_HEIGHT - CHART_BOTTOM - 4);
}

static void put_line(FILE *out, const struct trend_point *points, size_t count, const struct line *line, double top)
{
	double length = points[count - 1].seconds;
	bool down = false;
	fprintf(out, "<path class=\"%s\" d=\"", line->style);
	for (size_t i = 0; i < count; i++) {
		double value = value_of(&points[i], line);
		if (!isnan(value))
			fprintf(out, "%s%.1f %.1f", down ? "L" : "M", x_of(points[i].seconds, length), y_of(value, top));
		down = !isnan(value);
	}
	fprintf(out, "\"><title>%s</title></path>\n", line->name);
}

static void put_axes(FILE *out, double length, double top, bool bytes)
{
	char text[FORMAT_MAX];
	for (int i = 0; i <= 4; i++) {
		double value = top * i / 4, y = y_of(value, top);
		fprintf(out, "<path class=\"grid\" d=\"M%d %.1fH%d\"/><text x=\"%d\" y=\"%.1f\" class=\"end\">%s</text>\n", CHART_LEFT, y,
			CHART_WIDTH - 4, CHART_LEFT - 6, y + 4,
			bytes ? format_bytes(text, (uint64_t)value) : format_rate(text, value));
	}
	for (int i = 0; i <= 4; i++)
		fprintf(out, "<text x=\"%.1f\" y=\"%d\" class=\"%s\">%s</text>\n", x_of(length * i / 4, length), CHART_HEIGHT - 4,
			i == 0 ? "start" : i == 4 ? "end" : "middle", format_clock(text, (uint64_t)(length * i / 4 * 1e6)));
}

static void put_marks(FILE *out, const struct recording *recording, double length)
{
	for (size_t i = 0; recording != NULL && i < recording->text_count; i++) {
		const struct timeline *timeline = &recording->timeline;
		if (!recording->texts[i].is_mark)
			continue;
		double seconds = (double)(timeline_time(timeline, recording->texts[i].moment) - timeline_time(timeline, 0)) / 1e6;
		fprintf(out, "<path class=\"mark\" d=\"M%.1f 4V%d\"><title>mark</title></path>\n", x_of(seconds, length),
			CHART_HEIGHT - CHART_BOTTOM);
	}
}

static void put_chart(FILE *out, const char *title, const struct trend_point *points, size_t count, const struct line *lines,
	size_t line_count, bool bytes, const struct recording *recording)
{
	double top = 0;
	for (size_t i = 0; i < count; i++) {
		for (size_t j = 0; j < line_count; j++) {
			double value = value_of(&points[i], &lines[j]);
			top = value > top ? value : top; /* never so for NaN */
		}
	}
	top = top > 4 ? top * 1.05 : 4; /* rates are written without decimals, and no two of the four lines may say the same */
	fprintf(out, "<figure><figcaption>%s:", title);
	for (size_t i = 0; i < line_count; i++)
		fprintf(out, " <span class=\"key %s\">%s</span>", lines[i].style, lines[i].name);
	fprintf(out, "</figcaption>\n<svg class=\"chart\" viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"%s over time\">\n", CHART_WIDTH,
		CHART_HEIGHT, title);
	put_axes(out, points[count - 1].seconds, top, bytes);
	for (size_t i = 0; i < line_count; i++)
		put_line(out, points, count, &lines[i], top);
	put_marks(out, recording, points[count - 1].seconds);
	fputs("</svg></figure>\n", out);
}

void html_trend(FILE *out, const struct trend_point *points, size_t count, const struct recording *recording)
{
	static const struct line memory[] = {
		{"committed", "line-committed", offsetof(struct trend_point, committed)},
		{"resident", "line-resident", offsetof(struct trend_point, resident)},
		{"live", "line-live", offsetof(struct trend_point, live)},
	};
	static const struct line rates[] = {
		{"allocations", "line-live", offsetof(struct trend_point, allocs)},
		{"frees", "line-resident", offsetof(struct trend_point, frees)},
	};
	if (count < 2)
		return;
	put_chart(out, "Memory", points, count, memory, 3, true, recording);
	put_chart(out, "Rates", points, count, rates, 2, false, recording);
}

/* ---- The slot map ---- */

/* A class's colour: one of ten, by block size as on the screen, or that of large allocations. */
static const char *colour_of(const struct snapshot *snapshot, const struct slot *slot)
{
	static const char *const sizes[] = {"z0", "z1", "z2", "z3", "z4", "z5", "z6", "z7", "z8", "z9"};
	if (slot->class == SLOT_NO_CLASS)
		return "zl";
	size_t size = 0;
	for (uint64_t bytes = 64; size < 9 && bytes < snapshot->classes[slot->class].block_bytes; bytes *= 2)
		size++;
	return sizes[size];
}

/* How many slots from `from` on look the same: those of a run, or equal neighbours that hold nothing. */
static unsigned alike(const struct superslab *superslab, unsigned from)
{
	const struct slot *first = &superslab->slots[from];
	unsigned count = 1;
	while (from + count < MODEL_SLOTS) {
		const struct slot *next = &superslab->slots[from + count];
		bool same_run = first->state == SLOT_ACTIVE && next->state == SLOT_ACTIVE && next->lead == first->lead;
		bool both_unused = first->state == SLOT_UNUSED && next->state == SLOT_UNUSED;
		if (!same_run && !both_unused)
			break;
		count++;
	}
	return count;
}

static void put_slots(FILE *out, const struct snapshot *snapshot, const struct superslab *superslab, unsigned from, unsigned count,
	int y)
{
	const struct slot *slot = &superslab->slots[from];
	char age[FORMAT_MAX], size[FORMAT_MAX] = "";
	int x = MAP_LEFT + (int)from * CELL, width = (int)count * CELL - 1;
	if (slot->state == SLOT_UNUSED) {
		fprintf(out, "<rect class=\"un\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\"/>\n", x, y, width, CELL - 1);
		return;
	}
	if (slot->class != SLOT_NO_CLASS)
		format_bytes(size, snapshot->classes[slot->class].block_bytes);
	bool empty = slot->state == SLOT_EMPTY;
	double fill = empty ? 0 : slot_fill(superslab, from);
	int filled = (int)lround((double)width * fill);
	fprintf(out, "<g><title>slot %u: %s, ", from, empty ? "EMPTY" : "ACTIVE");
	if (slot->class == SLOT_NO_CLASS)
		fputs("large", out);
	else
		fprintf(out, "class %u (%s)", slot->class, size);
	fprintf(out, ", %u of %u blocks, for %s</title>", slot->used, slot->capacity, format_age(age, slot_age_ms(snapshot, slot)));
	fprintf(out, "<rect class=\"bg %s\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\"/>", empty ? "em" : colour_of(snapshot, slot), x, y,
		width, CELL - 1);
	if (filled > 0)
		fprintf(out, "<rect class=\"%s\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\"/>", colour_of(snapshot, slot), x, y, filled,
			CELL - 1);
	fprintf(out, "<text x=\"%d\" y=\"%d\">%c</text></g>\n", x + width / 2, y + CELL - 4, class_symbol(slot->class));
}

void html_slot_map(FILE *out, const struct snapshot *snapshot, size_t rows)
{
	fprintf(out, "<svg class=\"map\" viewBox=\"0 0 %d %zu\" role=\"img\" aria-label=\"slot map\">\n", MAP_LEFT + MODEL_SLOTS * CELL,
		rows * CELL + 2);
	for (size_t i = 0; i < rows; i++) {
		const struct superslab *superslab = &snapshot->superslabs[i];
		int y = (int)i * CELL + 1;
		fprintf(out, "<text class=\"end\" x=\"%d\" y=\"%d\">0x%" PRIx64 "%s</text>\n", MAP_LEFT - 6, y + CELL - 4, superslab->address,
			superslab->in_lru ? " L" : "");
		for (unsigned slot = 0; slot < MODEL_SLOTS;) {
			unsigned count = alike(superslab, slot);
			put_slots(out, snapshot, superslab, slot, count, y);
			slot += count;
		}
	}
	fputs("</svg>\n", out);
}
