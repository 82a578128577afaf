#include "viewer/html.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "viewer/compare.h"
#include "viewer/diff_report.h"
#include "viewer/format.h"
#include "viewer/replay.h"
#include "viewer/run.h"
#include "viewer/save.h"
#include "viewer/travel.h"

/* Colours of block sizes from blue (small) to red (large), as on the screen; text on them keeps its contrast in both
 * schemes. */
static const char style[] =
	":root{color-scheme:light dark;--fg:#1c2024;--bg:#fff;--faint:#667;--line:#d5d9de;--head:#eef1f4;"
	"--live:#19794a;--cached:#2a6fc9;--slack:#a96b00;--idle:#b4bac2;--mark:#b3261e}\n"
	"@media(prefers-color-scheme:dark){:root{--fg:#dfe3e8;--bg:#14171a;--faint:#98a2ad;--line:#363d45;--head:#1f252b;"
	"--live:#5ccf96;--cached:#6fb0ff;--slack:#e0a23d;--idle:#59626c;--mark:#ff8a80}}\n"
	"body{font:14px/1.45 system-ui,sans-serif;color:var(--fg);background:var(--bg);max-width:62rem;margin:1.5rem auto;padding:0 1rem}\n"
	"h1{font-size:1.4rem;margin:0}h2{font-size:1.1rem;margin:1.6rem 0 .5rem;border-bottom:1px solid var(--line)}\n"
	".sub{color:var(--faint);margin:.2rem 0;overflow-wrap:anywhere}.note{color:var(--mark)}\n"
	"table{border-collapse:collapse}th,td{padding:.12rem .6rem;text-align:right;font-variant-numeric:tabular-nums}\n"
	"th{background:var(--head);font-weight:600}td.l,th.l{text-align:left}tr:hover td{background:var(--head)}\n"
	".bar{display:flex;height:1.3rem;border-radius:3px;overflow:hidden;background:var(--idle)}.bar i{display:block}\n"
	".b-live{background:var(--live)}.b-cached{background:var(--cached)}.b-slack{background:var(--slack)}.b-idle{background:var(--idle)}\n"
	".key::before{content:'';display:inline-block;width:.8em;height:.8em;margin:0 .3em 0 .6em;border-radius:2px;background:var(--c)}\n"
	".k-live{--c:var(--live)}.k-cached{--c:var(--cached)}.k-slack{--c:var(--slack)}.k-idle{--c:var(--idle)}\n"
	"figure{margin:.5rem 0}figcaption{color:var(--faint)}svg{width:100%;height:auto;display:block}\n"
	"svg text{fill:var(--faint);font:10px system-ui,sans-serif}.end{text-anchor:end}.middle{text-anchor:middle}\n"
	".chart path{fill:none;stroke-width:1.6;stroke:var(--c)}.chart .grid{stroke:var(--line);stroke-width:1}\n"
	".line-live{--c:var(--live)}.line-committed{--c:var(--faint)}.line-resident{--c:var(--cached)}\n"
	".chart .mark{stroke:var(--mark);stroke-dasharray:3 3}\n"
	".map{max-width:46rem}.map g text{fill:#000;font:9px monospace;text-anchor:middle}.map .bg{opacity:.35}\n"
	".un{fill:none;stroke:var(--line)}.em{fill:var(--idle)}\n"
	".z0{fill:#5f87ff}.z1{fill:#5fafff}.z2{fill:#5fd7d7}.z3{fill:#5fd7af}.z4{fill:#5fd787}.z5{fill:#87d75f}.z6{fill:#d7d75f}\n"
	".z7{fill:#ffaf00}.z8{fill:#ff8700}.z9{fill:#ff5f5f}.zl{fill:#d787d7}\n"
	"@media(prefers-color-scheme:dark){.map g text{fill:#fff;paint-order:stroke;stroke:#000;stroke-width:2px}}\n";

static void put_cell_bytes(FILE *out, uint64_t bytes)
{
	char text[FORMAT_MAX];
	fprintf(out, "<td title=\"%" PRIu64 "\">%s</td>", bytes, format_bytes(text, bytes));
}

static void put_cell_count(FILE *out, uint64_t count)
{
	char text[FORMAT_MAX];
	fprintf(out, "<td title=\"%" PRIu64 "\">%s</td>", count, format_count(text, count));
}

static void put_heads(FILE *out, const char *heads)
{
	fputs("<table><thead><tr>", out);
	/* The first is a name; its column is aligned like one. */
	for (bool first = true; *heads != '\0'; first = false) {
		size_t length = strcspn(heads, "|");
		fprintf(out, "<th%s>%.*s</th>", first ? " class=\"l\"" : "", (int)length, heads);
		heads += length + (heads[length] == '|');
	}
	fputs("</tr></thead><tbody>\n", out);
}

static void put_top(FILE *out, const struct watch *watch)
{
	const struct snapshot *snapshot = watch->snapshot;
	char text[64], clock[FORMAT_MAX];
	char buffer[MODEL_NAME_MAX];
	const char *name = snapshot_name(snapshot, buffer);
	/* A page opened from a disk is not to fetch or run anything, whatever a name in it may say. */
	fputs("<!DOCTYPE html>\n<html lang=\"en\" xmlns=\"http://www.w3.org/1999/xhtml\"><head><meta charset=\"utf-8\"/>\n"
	      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\"/>\n"
	      "<meta name=\"viewport\" content=\"width=device-width\"/><title>", out);
	html_text(out, name);
	fprintf(out, " (%" PRIu64 ") – hakmem-top</title>\n<style>\n%s</style></head><body>\n<h1>", snapshot->process.pid, style);
	html_text(out, name);
	fprintf(out, " <small>(%" PRIu64 ")</small></h1>\n<p class=\"sub\">", snapshot->process.pid);
	html_text(out, snapshot->process.cmdline);
	fprintf(out, "</p>\n<p class=\"sub\">up %s, %zu thread%s", format_clock(clock, snapshot->uptime_us), snapshot->thread_count,
		snapshot->thread_count == 1 ? "" : "s");
	time_t seconds = (time_t)(snapshot->realtime_us / 1000000);
	struct tm parts;
	if (snapshot->realtime_us != 0 && localtime_r(&seconds, &parts) != NULL && strftime(text, sizeof(text), "%F %T", &parts) > 0)
		fprintf(out, ", %s", text);
	if (snapshot->is_dump && snapshot->reason[0] != '\0') {
		fputs(", dump at ", out);
		html_text(out, snapshot->reason);
	}
	if (watch->replay != NULL)
		fprintf(out, ", moment %s of a recording", travel_banner(watch, true, text, sizeof(text)));
	fputs(", HAKMEM ", out);
	html_text(out, snapshot->version[0] != '\0' ? snapshot->version : "of an unknown version");
	fputs("</p>\n", out);
	if (watch->note[0] != '\0') {
		fputs("<p class=\"note\">", out);
		html_text(out, watch->note);
		fputs("</p>\n", out);
	}
}

static void put_memory(FILE *out, const struct snapshot *snapshot)
{
	uint64_t committed = snapshot->memory.committed_bytes, idle = snapshot_totals(snapshot).idle_bytes;
	const struct {
		const char *name;
		uint64_t bytes;
	} parts[] = {
		{"live", snapshot->memory.live_bytes}, {"cached", snapshot->memory.cached_bytes}, {"slack", snapshot->memory.slack_bytes},
		{"idle", idle},
	};
	char text[FORMAT_MAX], share[FORMAT_MAX];
	fprintf(out, "<h2>Memory: %s committed</h2>\n<div class=\"bar\">", format_bytes(text, committed));
	for (size_t i = 0; i < 4; i++)
		fprintf(out, "<i class=\"b-%s\" style=\"width:%.2f%%\"></i>", parts[i].name,
			committed > 0 ? 100.0 * (double)parts[i].bytes / (double)committed : 0);
	fputs("</div>\n<p>", out);
	for (size_t i = 0; i < 4; i++)
		fprintf(out, "<span class=\"key k-%s\">%s %s (%s)</span>", parts[i].name, parts[i].name, format_bytes(text, parts[i].bytes),
			format_percent(share, parts[i].bytes, committed));
	fputs("</p>\n", out);
	put_heads(out, "Other|Bytes");
#define PUT_BYTES(field) \
	if (strcmp(#field, "committed_bytes") != 0 && strcmp(#field, "live_bytes") != 0 && strcmp(#field, "cached_bytes") != 0 && \
		strcmp(#field, "slack_bytes") != 0) { \
		fprintf(out, "<tr><td class=\"l\">%s</td>", diff_label(text, #field)); \
		put_cell_bytes(out, snapshot->memory.field); \
		fputs("</tr>\n", out); \
	}
	MODEL_MEMORY(PUT_BYTES, PUT_BYTES)
	fputs("</tbody></table>\n", out);
}

static void put_stages(FILE *out, const struct snapshot *snapshot)
{
	const struct {
		const char *name, *what;
		uint64_t count;
	} stages[] = {
		{"depot", "blocks or a partly used slab of the class", snapshot->stages.depot},
		{"stage 1", "an EMPTY slot of the class", snapshot->stages.stage1},
		{"stage 2", "an UNUSED slot, or one converted", snapshot->stages.stage2},
		{"stage 3", "a new SuperSlab", snapshot->stages.stage3},
	};
	uint64_t total = 0;
	char share[FORMAT_MAX];
	for (size_t i = 0; i < 4; i++)
		total += stages[i].count;
	fputs("<h2>Where slabs came from</h2>\n", out);
	put_heads(out, "Stage|Count|Share|");
	for (size_t i = 0; i < 4; i++) {
		fprintf(out, "<tr><td class=\"l\">%s</td>", stages[i].name);
		put_cell_count(out, stages[i].count);
		fprintf(out, "<td>%s</td><td class=\"l\">%s</td></tr>\n", format_percent(share, stages[i].count, total), stages[i].what);
	}
	fputs("</tbody></table>\n", out);
}

static int by_live(const void *a, const void *b)
{
	const struct class_row *left = *(const struct class_row *const *)a, *right = *(const struct class_row *const *)b;
	uint64_t x = left->live_blocks * left->block_bytes, y = right->live_blocks * right->block_bytes;
	return x != y ? (x > y ? -1 : 1) : (int)left->class - (int)right->class;
}

/* What a class's slabs hold beside blocks that are live or cached; 0 where the slabs' size isn't told. */
static uint64_t slack_of(const struct snapshot *snapshot, const struct class_row *row)
{
	uint64_t slabs = row->slabs * row->slots_per_slab * snapshot->geometry.slot_bytes;
	uint64_t used = (row->live_blocks + row->cached_blocks) * row->block_bytes;
	return slabs > used ? slabs - used : 0;
}

static void put_classes(FILE *out, const struct snapshot *snapshot)
{
	const struct class_row *rows[MODEL_CLASSES_MAX] = {NULL};
	char text[FORMAT_MAX];
	size_t count = 0;
	for (size_t i = 0; i < snapshot->class_count; i++) {
		if (snapshot->classes[i].allocs > 0 || snapshot->classes[i].slabs > 0)
			rows[count++] = &snapshot->classes[i];
	}
	qsort(rows, count, sizeof(const struct class_row *), by_live);
	fputs("<h2>Classes</h2>\n", out);
	put_heads(out, "Class|Size|Live|Blocks|Cached|Slabs|Slack|EMPTY|Allocs|Frees");
	for (size_t i = 0; i < count; i++) {
		const struct class_row *row = rows[i];
		fprintf(out, "<tr><td class=\"l\">%c C%u</td><td>%s</td>", class_symbol((unsigned)row->class), (unsigned)row->class,
			format_bytes(text, row->block_bytes));
		put_cell_bytes(out, row->live_blocks * row->block_bytes);
		put_cell_count(out, row->live_blocks);
		put_cell_count(out, row->cached_blocks);
		put_cell_count(out, row->slabs);
		put_cell_bytes(out, slack_of(snapshot, row));
		put_cell_count(out, row->empty_slots);
		put_cell_count(out, row->allocs);
		put_cell_count(out, row->frees);
		fputs("</tr>\n", out);
	}
	fputs("</tbody></table>\n", out);
}

static void put_threads(FILE *out, const struct snapshot *snapshot)
{
	fputs("<h2>Threads</h2>\n", out);
	put_heads(out, "Name|Thread|Cached|Allocs|Frees");
	for (size_t i = 0; i < snapshot->thread_count && i < 200; i++) {
		const struct thread_row *row = &snapshot->threads[i];
		fputs("<tr><td class=\"l\">", out);
		html_text(out, row->name);
		fprintf(out, "</td><td>%" PRIu64 "</td>", row->tid);
		put_cell_bytes(out, row->cached_bytes);
		put_cell_count(out, row->allocs);
		put_cell_count(out, row->frees);
		fputs("</tr>\n", out);
	}
	fputs("</tbody></table>\n", out);
	if (snapshot->thread_count > 200)
		fprintf(out, "<p class=\"sub\">and %zu more</p>\n", snapshot->thread_count - 200);
}

static void put_slot_map(FILE *out, const struct snapshot *snapshot)
{
	size_t rows = snapshot->superslab_count < HTML_SUPERSLABS_MAX ? snapshot->superslab_count : HTML_SUPERSLABS_MAX;
	fprintf(out, "<h2>Slot map: %zu SuperSlabs</h2>\n<p class=\"sub\">A row is a SuperSlab of 32 slots. The letter is the size class (@: large), "
		"the colour its block size from blue (16 bytes) to red (32 KiB), the filled part the blocks handed out; grey: EMPTY; "
		"outlined: UNUSED; L: in the LRU cache.</p>\n", snapshot->superslab_count);
	if (rows > 0)
		html_slot_map(out, snapshot, rows);
	if (snapshot->superslab_count > rows)
		fprintf(out, "<p class=\"sub\">and %zu more</p>\n", snapshot->superslab_count - rows);
}

static void put_events(FILE *out, const struct event_log *log)
{
	if (log->count == 0)
		return;
	size_t from = log->count > HTML_EVENTS_MAX ? log->count - HTML_EVENTS_MAX : 0;
	fprintf(out, "<h2>The last %zu events</h2>\n", log->count - from);
	put_heads(out, "Event|Seconds|Thread|");
	for (size_t i = from; i < log->count; i++) {
		const struct event *event = events_at(log, i);
		fputs("<tr><td class=\"l\">", out);
		html_text(out, event->name);
		fprintf(out, "</td><td>%.6f</td><td>%" PRIu64 "</td><td class=\"l\">",
			((double)event->time_us - (double)log->base_us) / 1e6, event->tid);
		html_text(out, event->arguments);
		fputs("</td></tr>\n", out);
	}
	fputs("</tbody></table>\n", out);
}

void html_page(FILE *out, const struct watch *watch, const struct trend_point *trend, size_t points)
{
	const struct snapshot *snapshot = watch->snapshot;
	put_top(out, watch);
	put_memory(out, snapshot);
	if (points > 1) {
		fputs("<h2>Over time</h2>\n", out);
		html_trend(out, trend, points, watch->replay != NULL ? &watch->replay->recording : NULL);
	}
	put_classes(out, snapshot);
	put_stages(out, snapshot);
	put_slot_map(out, snapshot);
	put_threads(out, snapshot);
	put_events(out, &watch->events);
	fputs("<p class=\"sub\">written by hakmem-top " HAKMEM_VERSION "</p>\n</body></html>", out);
}

static bool write_page(const struct watch *watch, const struct trend_point *trend, size_t points, const char *path,
	struct problem *problem)
{
	char *text = NULL;
	size_t length = 0;
	FILE *out = open_memstream(&text, &length);
	if (out == NULL)
		return problem_set(problem, "out of memory");
	html_page(out, watch, trend, points);
	bool made = fclose(out) == 0 && save_text(path, text, length, problem);
	free(text);
	return made;
}

int html_run(const struct options *options)
{
	struct watch watch = {.state = WATCH_WAITING};
	struct trend_point *trend = calloc(TREND_POINTS_MAX, sizeof(*trend));
	struct problem problem = {"out of memory"};
	size_t points = 0;
	bool ok = trend != NULL;
	if (ok && (options->replay || replay_names(options->target))) {
		ok = replay_open(&watch, options, &problem);
		/* The end is what one asks for, unless it is a moment. */
		if (ok && !watch.paused)
			travel_end(&watch);
		if (ok)
			points = trend_read(&watch.replay->recording, trend);
	} else if (ok) {
		ok = compare_find(&watch, options->target, &problem);
	}
	ok = ok && write_page(&watch, trend, points, options->html, &problem);
	if (!ok)
		run_complain(problem.text);
	watch_free(&watch);
	free(trend);
	return ok ? 0 : 1;
}
