#include "viewer/diff_report.h"

#include <inttypes.h>
#include <string.h>

#include "viewer/snapshot_json.h"

bool diff_is_bytes(const char *name)
{
	size_t length = strlen(name);
	return strcmp(name, "bytes") == 0 || (length > 6 && strcmp(name + length - 6, "_bytes") == 0);
}

const char *diff_label(char out[FORMAT_MAX], const char *name)
{
	size_t length = strlen(name);
	if (diff_is_bytes(name) && length > 6)
		length -= 6;
	snprintf(out, FORMAT_MAX, "%.*s", (int)length, name);
	for (char *at = out; *at != '\0'; at++)
		*at = (char)(*at == '_' ? ' ' : *at);
	return out;
}

static const char *amount(char out[FORMAT_MAX], uint64_t value, bool bytes)
{
	return bytes ? format_bytes(out, value) : format_count(out, value);
}

const char *diff_growth_text(char out[FORMAT_MAX + 1], struct change change, bool bytes)
{
	char text[FORMAT_MAX];
	bool grows = change.after >= change.before;
	uint64_t size = grows ? change.after - change.before : change.before - change.after;
	snprintf(out, FORMAT_MAX + 1, "%s%s", size == 0 ? "" : grows ? "+" : "-", amount(text, size, bytes));
	return out;
}

/* ---- Text ---- */

static void print_side(FILE *out, const char *which, const struct diff_side *side)
{
	const struct snapshot *snapshot = side->snapshot;
	char clock[FORMAT_MAX];
	fprintf(out, "%s  %s: %s (%llu), up %s%s%s\n", which, side->name, snapshot->process.exe,
		(unsigned long long)snapshot->process.pid, format_clock(clock, snapshot->uptime_us),
		snapshot->reason[0] != '\0' ? ", dump at " : "", snapshot->reason);
}

/* The counters of a section that changed, in the model's order. Returns whether there are any. */
static bool print_section(FILE *out, const struct diff *diff, const char *section)
{
	char label[FORMAT_MAX], before[FORMAT_MAX], after[FORMAT_MAX], growth[FORMAT_MAX + 1];
	bool any = false;
	for (size_t i = 0; i < diff->figure_count; i++) {
		const struct diff_figure *figure = &diff->figures[i];
		bool bytes = diff_is_bytes(figure->name);
		if (strcmp(figure->section, section) != 0 || figure->value.before == figure->value.after)
			continue;
		fprintf(out, "  %-9s%-20s %9s  %9s  %9s\n", any ? "" : section, diff_label(label, figure->name),
			amount(before, figure->value.before, bytes), amount(after, figure->value.after, bytes),
			diff_growth_text(growth, figure->value, bytes));
		any = true;
	}
	return any;
}

static void print_counters(FILE *out, const struct diff *diff)
{
	/* Geometry is no count, and the stages have a table of their own. */
	static const char *const sections[] = {"memory", "pool", "large", "lru", "drain", "syscalls", "faults"};
	const char *unchanged[sizeof(sections) / sizeof(sections[0])];
	size_t count = 0;
	fprintf(out, "\nCounters %30s  %9s  %9s\n", "before", "after", "growth");
	for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++) {
		if (!print_section(out, diff, sections[i]))
			unchanged[count++] = sections[i];
	}
	for (size_t i = 0; i < count; i++)
		fprintf(out, "%s%s%s", i > 0 ? ", " : "  unchanged: ", unchanged[i], i + 1 == count ? "\n" : "");
}

/* What of all refills came from where, as a table of its own: counters grow anyway, and the shares tell. */
static void print_stages(FILE *out, const struct diff *diff)
{
	static const char *const stages[] = {"depot", "stage1", "stage2", "stage3"};
	uint64_t total = 0;
	char before[FORMAT_MAX], after[FORMAT_MAX], growth[FORMAT_MAX + 1], share[FORMAT_MAX];
	for (size_t i = 0; i < 4; i++)
		total += diff_find(diff, "stages", stages[i])->value.after - diff_find(diff, "stages", stages[i])->value.before;
	fprintf(out, "\nStages %32s  %9s  %9s  share of growth\n", "before", "after", "growth");
	for (size_t i = 0; i < 4; i++) {
		struct change value = diff_find(diff, "stages", stages[i])->value;
		uint64_t part = value.after > value.before ? value.after - value.before : 0;
		fprintf(out, "  %-29s %8s  %9s  %9s  %s\n", stages[i], format_count(before, value.before),
			format_count(after, value.after), diff_growth_text(growth, value, false),
			format_percent(share, part, part > 0 && total >= part ? total : 0));
	}
}

static void print_classes(FILE *out, const struct diff *diff)
{
	char size[FORMAT_MAX], before[FORMAT_MAX], after[FORMAT_MAX], live[FORMAT_MAX + 1], blocks[FORMAT_MAX + 1],
		slabs[FORMAT_MAX + 1], allocs[FORMAT_MAX + 1], frees[FORMAT_MAX + 1];
	fprintf(out, "\nClasses, by growth of live bytes: %zu changed\n", diff->class_count);
	if (diff->class_count == 0)
		return;
	fprintf(out, "  %-6s%6s %9s  %9s  %9s %9s %7s %9s %9s\n", "class", "size", "before", "after", "growth", "blocks", "slabs",
		"allocs", "frees");
	for (size_t i = 0; i < diff->class_count && i < DIFF_ROWS_SHOWN; i++) {
		const struct diff_class *row = &diff->classes[i];
		fprintf(out, "  C%-5u%6s %9s  %9s  %9s %9s %7s %9s %9s\n", row->class, format_bytes(size, row->block_bytes),
			format_bytes(before, row->live_bytes.before), format_bytes(after, row->live_bytes.after),
			diff_growth_text(live, row->live_bytes, true), diff_growth_text(blocks, row->live_blocks, false),
			diff_growth_text(slabs, row->slabs, false), diff_growth_text(allocs, row->allocs, false),
			diff_growth_text(frees, row->frees, false));
	}
	if (diff->class_count > DIFF_ROWS_SHOWN)
		fprintf(out, "  and %zu more\n", diff->class_count - DIFF_ROWS_SHOWN);
}

static void print_superslabs(FILE *out, const struct diff *diff)
{
	char before[FORMAT_MAX], after[FORMAT_MAX], growth[FORMAT_MAX + 1];
	size_t new = 0, gone = 0;
	for (size_t i = 0; i < diff->superslab_count; i++) {
		new += !diff->superslabs[i].was;
		gone += !diff->superslabs[i].is;
	}
	fprintf(out, "\nSuperSlabs, by growth of used bytes: %zu changed, %zu of them new, %zu gone\n", diff->superslab_count,
		new, gone);
	if (diff->superslab_count == 0)
		return;
	fprintf(out, "  %-7s%-16s %7s  %9s  %9s  %s\n", "index", "address", "before", "after", "growth", "active slots");
	for (size_t i = 0; i < diff->superslab_count && i < DIFF_ROWS_SHOWN; i++) {
		const struct diff_superslab *row = &diff->superslabs[i];
		fprintf(out, "  %-7" PRIu64 "0x%-14" PRIx64 " %7s  %9s  %9s  %" PRIu64 " to %" PRIu64 "%s\n", row->index, row->address,
			format_bytes(before, row->used_bytes.before), format_bytes(after, row->used_bytes.after),
			diff_growth_text(growth, row->used_bytes, true), row->active_slots.before, row->active_slots.after,
			!row->was ? ", new" : !row->is ? ", gone" : "");
	}
	if (diff->superslab_count > DIFF_ROWS_SHOWN)
		fprintf(out, "  and %zu more\n", diff->superslab_count - DIFF_ROWS_SHOWN);
}

void diff_text(FILE *out, const struct diff *diff, const struct diff_side *before, const struct diff_side *after)
{
	print_side(out, "before", before);
	print_side(out, "after ", after);
	if (diff->same_process)
		fprintf(out, "%.1f s between them\n", diff->seconds);
	else
		fputs("Two processes: SuperSlabs are compared by their index in the heap.\n", out);
	print_counters(out, diff);
	print_stages(out, diff);
	print_classes(out, diff);
	print_superslabs(out, diff);
}

/* ---- JSON ---- */

static void put_side(FILE *out, const char *name, const struct diff_side *side)
{
	const struct snapshot *snapshot = side->snapshot;
	fprintf(out, "\"%s\":{\"name\":", name);
	json_put_text(out, side->name);
	fputs(",\"exe\":", out);
	json_put_text(out, snapshot->process.exe);
	fprintf(out, ",\"pid\":%" PRIu64 ",\"start_time\":%" PRIu64 ",\"seq\":%" PRIu64 ",\"time_us\":%" PRIu64 ",\"uptime_us\":%" PRIu64
		"},", snapshot->process.pid, snapshot->process.start_time, snapshot->seq, snapshot->time_us, snapshot->uptime_us);
}

static void put_change(FILE *out, const char *name, struct change change)
{
	fprintf(out, "\"%s\":{\"before\":%" PRIu64 ",\"after\":%" PRIu64 ",\"growth\":%" PRId64 "}", name, change.before, change.after,
		change_growth(change));
}

static void put_figures(FILE *out, const struct diff *diff)
{
	const char *section = "";
	for (size_t i = 0; i < diff->figure_count; i++) {
		const struct diff_figure *figure = &diff->figures[i];
		bool first = strcmp(section, figure->section) != 0;
		if (first)
			fprintf(out, "%s\"%s\":{", i > 0 ? "}," : "", figure->section);
		else
			fputc(',', out);
		section = figure->section;
		put_change(out, figure->name, figure->value);
	}
	fputs("},", out);
}

void diff_json(FILE *out, const struct diff *diff, const struct diff_side *before, const struct diff_side *after,
	const struct site_diff *sites)
{
	fputs("{\"type\":\"diff\",", out);
	put_side(out, "before", before);
	put_side(out, "after", after);
	fprintf(out, "\"same_process\":%s,\"seconds\":%.6f,", diff->same_process ? "true" : "false", diff->seconds);
	put_figures(out, diff);
	fputs("\"classes\":[", out);
	for (size_t i = 0; i < diff->class_count; i++) {
		const struct diff_class *row = &diff->classes[i];
		fprintf(out, "%s{\"class\":%u,\"block_bytes\":%" PRIu64, i > 0 ? "," : "", row->class, row->block_bytes);
#define PUT_CHANGE(name) \
		fputc(',', out); \
		put_change(out, #name, row->name);
		DIFF_CLASS(PUT_CHANGE)
		fputc('}', out);
	}
	fputs("],\"superslabs\":[", out);
	for (size_t i = 0; i < diff->superslab_count; i++) {
		const struct diff_superslab *row = &diff->superslabs[i];
		fprintf(out, "%s{\"index\":%" PRIu64 ",\"ss\":\"0x%" PRIx64 "\",\"state\":\"%s\",", i > 0 ? "," : "", row->index,
			row->address, !row->was ? "new" : !row->is ? "gone" : "changed");
		put_change(out, "used_bytes", row->used_bytes);
		fputc(',', out);
		put_change(out, "active_slots", row->active_slots);
		fputc('}', out);
	}
	fputc(']', out);
	if (sites != NULL)
		site_diff_json(out, sites);
	fputs("}\n", out);
}
