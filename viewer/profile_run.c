#include "viewer/profile_run.h"

#include "viewer/format.h"
#include "viewer/run.h"
#include "viewer/site_report.h"

bool profile_run_wanted(const struct options *options)
{
	return options->report > REPORT_HEAP;
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
		status = print_report(options, &source, symbols);
	else
		run_complain("out of memory");
	symbols_close(symbols);
	profile_source_close(&source);
	return status;
}
