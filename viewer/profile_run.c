#include "viewer/profile_run.h"

#include <stdlib.h>

#include "viewer/flamegraph.h"
#include "viewer/format.h"
#include "viewer/pprof.h"
#include "viewer/run.h"
#include "viewer/save.h"
#include "viewer/site_report.h"
#include "viewer/stack_text.h"

bool profile_run_wanted(const struct options *options)
{
	return options->report >= REPORT_SITES || options->pprof != NULL || options->collapsed != NULL || options->flamegraph != NULL ||
		options->heap_v2 != NULL;
}

/* What the formats are made of. */
struct export {
	const struct options *options;
	const struct profile_source *source;
	struct symbols *symbols;
	struct sites sites;
};

static void write_collapsed(const struct export *export, FILE *out)
{
	stack_text_collapsed(out, &export->sites, export->symbols, export->options->value);
}

static void write_heap_v2(const struct export *export, FILE *out)
{
	stack_text_heap_v2(out, export->source, &export->sites);
}

static void write_flamegraph(const struct export *export, FILE *out)
{
	struct calltree tree;
	if (!calltree_make(&tree, &export->sites, export->symbols, false))
		return;
	flamegraph_write(out, export->source, &tree, export->options->value);
	calltree_free(&tree);
}

/* Writes a format that is text to a file. */
static bool write_text(const struct export *export, const char *path, void (*write)(const struct export *, FILE *), struct problem *problem)
{
	char *text = NULL;
	size_t length = 0;
	if (path == NULL)
		return true;
	FILE *out = open_memstream(&text, &length);
	if (out != NULL)
		write(export, out);
	bool made = out != NULL && fclose(out) == 0 && text != NULL;
	bool saved = made ? save_bytes(path, text, length, problem) : problem_set(problem, "%s: out of memory", path);
	free(text);
	return saved;
}

static bool write_pprof(const struct export *export, struct problem *problem)
{
	struct bytes bytes = {.data = NULL};
	const char *path = export->options->pprof;
	if (path == NULL)
		return true;
	bool saved = pprof_write(&bytes, export->source, &export->sites, export->symbols) ?
		save_bytes(path, bytes.data, bytes.length, problem) : problem_set(problem, "%s: out of memory", path);
	bytes_free(&bytes);
	return saved;
}

static int write_formats(const struct options *options, const struct profile_source *source, struct symbols *symbols)
{
	struct export export = {.options = options, .source = source, .symbols = symbols};
	struct sites_filter filter = SITES_NO_FILTER;
	struct problem problem = {"out of memory"};
	bool written = sites_make(&export.sites, source->profile, &filter) && write_pprof(&export, &problem) &&
		write_text(&export, options->collapsed, write_collapsed, &problem) &&
		write_text(&export, options->flamegraph, write_flamegraph, &problem) &&
		write_text(&export, options->heap_v2, write_heap_v2, &problem);
	sites_free(&export.sites);
	if (!written)
		run_complain(problem.text);
	return written ? 0 : 1;
}

/* Says on stderr what is live, if it is more than is allowed. */
static int judge(const struct options *options, const struct site_report *report)
{
	struct problem problem;
	char live[FORMAT_MAX];
	uint64_t bytes = site_whole(report->sites.total.live_bytes);
	if (!options->limits_leaks || bytes <= options->leaks)
		return 0;
	problem_set(&problem, "%s are live that nothing suppresses, more than the %llu bytes of --fail-if-leaks", format_bytes(live, bytes),
		(unsigned long long)options->leaks);
	run_complain(problem.text);
	return PROFILE_LEAKS_FOUND;
}

static int print_report(const struct options *options, const struct profile_source *source, struct symbols *symbols)
{
	struct site_report report = {.kind = options->report, .source = source, .symbols = symbols};
	struct problem problem;
	int status = 1;
	if (options->suppressions != NULL && !suppressions_read(&report.suppressions, options->suppressions, &problem)) {
		run_complain(problem.text);
	} else if (!site_report_make(&report)) {
		run_complain("out of memory");
	} else {
		if (options->json)
			site_report_json(stdout, &report);
		else
			site_report_text(stdout, &report);
		status = run_flush();
		if (status == 0)
			status = judge(options, &report);
	}
	site_report_free(&report);
	return status;
}

int profile_run(const struct options *options)
{
	struct profile_source source;
	struct problem problem;
	int status = 1;
	if (!profile_source_open(&source, options->target, &problem)) {
		run_complain(problem.text);
		return 1;
	}
	const struct binaries_where where = {
		.folders = options->binaries, .debug = options->debug_dir, .pid = source.running,
	};
	struct symbols *symbols = symbols_open(source.profile, &where);
	if (symbols != NULL)
		status = options->report >= REPORT_SITES ? print_report(options, &source, symbols) : write_formats(options, &source, symbols);
	else
		run_complain("out of memory");
	symbols_close(symbols);
	profile_source_close(&source);
	return status;
}
