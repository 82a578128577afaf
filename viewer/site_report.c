#include "viewer/site_report.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "viewer/format.h"
#include "viewer/site_words.h"
#include "viewer/snapshot_json.h"

/* Leaks are looked for among blocks that had the time to be freed: at the end of the program among all. */
static uint64_t leak_age(const struct profile_source *source)
{
	return strcmp(source->reason, "exit") == 0 ? 0 : sites_leak_age(source->profile);
}

/* Takes out what the user knows of, and stacks without a live block. */
static void sift(struct site_report *report)
{
	struct sites *sites = &report->sites;
	size_t kept = 0, count;
	for (size_t i = 0; i < sites->count; i++) {
		struct site *site = &sites->rows[i];
		const struct symbol *const *lines = symbols_of_stack(report->symbols, site->stack, &count);
		if (!(site->samples > 0))
			continue;
		if (suppressions_match(&report->suppressions, lines, count) == NULL) {
			sites->rows[kept++] = *site;
			continue;
		}
		site_add(&report->suppressed, site);
		report->suppressed_count++;
	}
	sites->count = kept;
	memset(&sites->total, 0, sizeof(sites->total));
	for (size_t i = 0; i < kept; i++)
		site_add(&sites->total, &sites->rows[i]);
}

bool site_report_make(struct site_report *report)
{
	struct sites_filter filter = SITES_NO_FILTER;
	if (report->kind == REPORT_LEAKS)
		filter.age_min_ms = report->leak_age_ms = leak_age(report->source);
	if (!sites_make(&report->sites, report->source->profile, &filter))
		return false;
	if (report->kind == REPORT_LEAKS)
		sift(report);
	sites_sort(&report->sites, report->kind == REPORT_PINNED ? SITES_BY_PINNED : SITES_BY_LIVE);
	return true;
}

void site_report_free(struct site_report *report)
{
	sites_free(&report->sites);
	suppressions_free(&report->suppressions);
}

/* ---- Text ---- */

static void print_head(FILE *out, const struct profile_source *source)
{
	const struct profile *profile = source->profile;
	char text[FORMAT_MAX], samples[FORMAT_MAX], live[FORMAT_MAX], rate[SITE_WORDS];
	fprintf(out, "Program    %s", *source->exe != '\0' ? source->exe : "unknown");
	if (source->pid != 0)
		fprintf(out, ", process %" PRIu64, source->pid);
	if (source->uptime_us != 0)
		fprintf(out, ", up %s", format_clock(text, source->uptime_us));
	if (*source->reason != '\0')
		fprintf(out, "; dump: %s", source->reason);
	fprintf(out, "\nProfile    %s; stacks by %s\n", site_words_rate(rate, profile, true), *profile->engine != '\0' ? profile->engine : "none");
	fprintf(out, "Samples    %s, %s of them live", format_count(samples, profile->samples), format_count(live, profile->live_samples));
	if (profile->lost_samples > 0)
		fprintf(out, "; %s lost, as their table was full", format_count(text, profile->lost_samples));
	if (profile->lost_stacks > 0)
		fprintf(out, "; %s without a stack, as the table of stacks was full", format_count(text, profile->lost_stacks));
	for (size_t i = 0; i < profile->failure_count; i++)
		fprintf(out, "%s%" PRIu64 " %s", i == 0 ? "; stacks that could not be had: " : ", ", profile->failures[i].count,
			profile->failures[i].kind);
	fputc('\n', out);
}

static void print_lines(FILE *out, const struct site_report *report, uint32_t stack)
{
	char name[SYMBOL_TEXT], source[SYMBOL_TEXT], cut[SITE_WORDS];
	size_t count;
	const struct symbol *const *lines = symbols_of_stack(report->symbols, stack, &count);
	for (size_t i = 0; i < count; i++) {
		symbol_source(source, lines[i], false);
		fprintf(out, "      %s%s%s%s\n", symbol_name(name, lines[i]), *source != '\0' ? "  " : "", source,
			lines[i]->inlined ? "  (inlined)" : "");
	}
	if (count == 0)
		fputs("      (no stack)\n", out);
	if (site_words_cut(cut, &report->source->profile->stacks[stack]))
		fprintf(out, "      (%s)\n", cut);
}

static void print_sites_row(FILE *out, const struct site_report *report, const struct site *site)
{
	char live[SITE_WORDS], allocated[SITE_WORDS], blocks[SITE_WORDS], pinned[FORMAT_MAX], lives[SITE_WORDS];
	fprintf(out, "%s in %s%s; %s allocated", site_words_bytes(live, site->live_bytes, site_live_error(site)),
		site_words_blocks(blocks, site), site_words_age(lives, site),
		site_words_bytes(allocated, site->alloc_bytes, site_alloc_error(site)));
	if (site->temporary > 0 && site->allocs > 0)
		fprintf(out, ", %.0f%% temporary", fmin(100 * site->temporary / site->allocs, 100));
	if (site->pinned_bytes >= 1)
		fprintf(out, "; pins %s", format_bytes(pinned, site_whole(site->pinned_bytes)));
	fputc('\n', out);
	if (site_words_lives(lives, report->source->profile, site))
		fprintf(out, "      freed after: %s\n", lives);
}

static void print_pinned_row(FILE *out, const struct site *site)
{
	char held[FORMAT_MAX], live[SITE_WORDS], pinned[SITE_WORDS], cached[FORMAT_MAX], blocks[SITE_WORDS], age[SITE_WORDS];
	fprintf(out, "%s of slots with %s of live data in %s%s; pinned %s", format_bytes(held, site_whole(site->held_bytes)),
		site_words_bytes(live, site->live_bytes, site_live_error(site)), site_words_blocks(blocks, site),
		site_words_age(age, site), site_words_bytes(pinned, site->pinned_bytes, site_pinned_error(site)));
	if (site->cached_bytes >= 1)
		fprintf(out, ", held by caches %s", format_bytes(cached, site_whole(site->cached_bytes)));
	fputc('\n', out);
}

static void print_leaks_row(FILE *out, const struct site *site)
{
	char live[SITE_WORDS], blocks[SITE_WORDS], age[SITE_WORDS];
	fprintf(out, "%s in %s%s", site_words_bytes(live, site->live_bytes, site_live_error(site)),
		site_words_blocks(blocks, site), site_words_age(age, site));
	if (site->allocs > 0)
		fprintf(out, "; %.0f%% of what it allocates is freed", fmin(100 * site->frees / site->allocs, 100));
	fputc('\n', out);
}

static void print_total(FILE *out, const struct site_report *report)
{
	const struct site *total = &report->sites.total;
	char live[SITE_WORDS], other[SITE_WORDS], blocks[SITE_WORDS], text[FORMAT_MAX];
	fprintf(out, "Live       %s in %s", site_words_bytes(live, total->live_bytes, site_live_error(total)),
		site_words_blocks(blocks, total));
	switch (report->kind) {
	case REPORT_PINNED:
		fprintf(out, ", in %s of slots\n", format_bytes(text, site_whole(total->held_bytes)));
		fprintf(out, "\nPinned memory by call site: what is free in the slabs of its blocks, and can't be given back while they live\n");
		return;
	case REPORT_LEAKS:
		fprintf(out, report->leak_age_ms > 0 ? ", without those younger than %s (a tenth of the samples)\n" : "\n",
			format_age(text, report->leak_age_ms));
		if (report->suppressed_count > 0)
			fprintf(out, "Suppressed %s, of %zu call sites\n", site_words_bytes(live, report->suppressed.live_bytes,
				site_live_error(&report->suppressed)), report->suppressed_count);
		fprintf(out, "\nLive blocks by call site%s\n", strcmp(report->source->reason, "exit") == 0 ? ", at the program's end" :
			": leaks are among those that only grow (--diff)");
		return;
	default:
		fprintf(out, "; %s allocated so far\n", site_words_bytes(other, total->alloc_bytes, site_alloc_error(total)));
		fprintf(out, "\nCall sites, by live bytes\n");
	}
}

static void print_missing(FILE *out, const struct site_report *report)
{
	const char *missing;
	for (size_t i = 0; (missing = symbols_missing(report->symbols, i)) != NULL; i++) {
		char text[PROBLEM_MAX];
		fprintf(out, "%s  %s\n", i == 0 ? "\nFiles without symbols here (--binaries=FOLDER says where they are):\n" : "",
			format_printable(text, sizeof(text), missing));
	}
}

/* Whether a row has any of what the report is about. */
static bool matters(const struct site_report *report, const struct site *site)
{
	return report->kind == REPORT_PINNED ? site->pinned_bytes >= 1 || site->cached_bytes >= 1 : site->samples > 0 ||
		report->kind == REPORT_SITES;
}

void site_report_text(FILE *out, const struct site_report *report)
{
	size_t shown = 0, left = 0;
	print_head(out, report->source);
	print_total(out, report);
	for (size_t i = 0; i < report->sites.count; i++) {
		const struct site *site = &report->sites.rows[i];
		if (!matters(report, site))
			continue;
		if (shown == SITE_REPORT_ROWS) {
			left++;
			continue;
		}
		fprintf(out, "\n%3zu.  ", ++shown);
		if (report->kind == REPORT_PINNED)
			print_pinned_row(out, site);
		else if (report->kind == REPORT_LEAKS)
			print_leaks_row(out, site);
		else
			print_sites_row(out, report, site);
		print_lines(out, report, site->stack);
	}
	if (shown == 0)
		fputs("\n  none\n", out);
	if (left > 0)
		fprintf(out, "\nand %zu more; --json has all\n", left);
	print_missing(out, report);
}

/* ---- JSON ---- */

static void put_line(FILE *out, const struct symbol *line)
{
	fputs("{\"function\":", out);
	if (line->function != NULL)
		json_put_text(out, line->function);
	else
		fputs("null", out);
	if (line->file != NULL) {
		fputs(",\"file\":", out);
		json_put_text(out, line->file);
		fprintf(out, ",\"line\":%u", line->line);
	}
	if (line->module != NULL) {
		fputs(",\"module\":", out);
		json_put_text(out, line->module->path);
		fprintf(out, ",\"offset\":\"0x%" PRIx64 "\"", line->offset);
	}
	fprintf(out, ",\"address\":\"0x%" PRIx64 "\",\"inlined\":%s}", line->address, line->inlined ? "true" : "false");
}

static void put_site(FILE *out, const struct site *site, size_t lifetimes)
{
	fprintf(out, "\"live_bytes\":%.0f,\"live_bytes_error\":%.0f,\"live_blocks\":%.2f,\"live_blocks_error\":%.2f,\"samples\":%.0f,",
		site->live_bytes, site_live_error(site), site->live_blocks, sqrt(site->block_variance), site->samples);
	fprintf(out, "\"allocs\":%.2f,\"alloc_bytes\":%.0f,\"alloc_bytes_error\":%.0f,\"frees\":%.2f,\"free_bytes\":%.0f,\"temporary\":%.2f,",
		site->allocs, site->alloc_bytes, site_alloc_error(site), site->frees, site->free_bytes, site->temporary);
	fprintf(out, "\"held_bytes\":%.0f,\"pinned_bytes\":%.0f,\"pinned_bytes_error\":%.0f,\"cached_bytes\":%.0f,", site->held_bytes,
		site->pinned_bytes, site_pinned_error(site), site->cached_bytes);
	fprintf(out, "\"oldest_ms\":%" PRIu64 ",\"youngest_ms\":%" PRIu64 ",\"lifetimes\":[", site->oldest_ms, site->youngest_ms);
	for (size_t i = 0; i < lifetimes; i++)
		fprintf(out, "%s%.2f", i > 0 ? "," : "", site->lifetimes[i]);
	fputc(']', out);
}

static void put_head(FILE *out, const struct site_report *report)
{
	static const char *const names[] = {[REPORT_SITES] = "sites", [REPORT_PINNED] = "pinned", [REPORT_LEAKS] = "leaks"};
	const struct profile_source *source = report->source;
	const struct profile *profile = source->profile;
	fprintf(out, "{\"type\":\"report\",\"report\":\"%s\",\"name\":", names[report->kind]);
	json_put_text(out, source->name);
	fputs(",\"exe\":", out);
	json_put_text(out, source->exe);
	fprintf(out, ",\"pid\":%" PRIu64 ",\"reason\":", source->pid);
	json_put_text(out, source->reason);
	fprintf(out, ",\"rate\":%" PRIu64 ",\"all_samples\":%" PRIu64 ",\"lost_samples\":%" PRIu64 ",\"lost_stacks\":%" PRIu64
		",\"leak_age_ms\":%" PRIu64 ",\"lifetime_bounds_ms\":[", profile->rate, profile->samples, profile->lost_samples, profile->lost_stacks,
		report->leak_age_ms);
	for (size_t i = 0; i + 1 < profile->lifetime_count; i++)
		fprintf(out, "%s%" PRIu64, i > 0 ? "," : "", profile->lifetime_bounds_ms[i]);
	fputs("],\"total\":{", out);
	put_site(out, &report->sites.total, profile->lifetime_count);
	fprintf(out, "},\"suppressed_sites\":%zu,\"suppressed_bytes\":%.0f", report->suppressed_count, report->suppressed.live_bytes);
}

void site_report_json(FILE *out, const struct site_report *report)
{
	put_head(out, report);
	fputs(",\"sites\":[", out);
	for (size_t i = 0; i < report->sites.count; i++) {
		const struct site *site = &report->sites.rows[i];
		size_t count;
		const struct symbol *const *lines = symbols_of_stack(report->symbols, site->stack, &count);
		fputs(i > 0 ? ",{" : "{", out);
		put_site(out, site, report->source->profile->lifetime_count);
		fputs(",\"frames\":[", out);
		for (size_t line = 0; line < count; line++) {
			fputs(line > 0 ? "," : "", out);
			put_line(out, lines[line]);
		}
		fputs("]}", out);
	}
	fputs("]}\n", out);
}
