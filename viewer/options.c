#include "viewer/options.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { OPTION_ONCE = 256, OPTION_JSON, OPTION_LIST, OPTION_DUMP, OPTION_REPORT, OPTION_READONLY, OPTION_HELP_ENV, OPTION_LIBRARY,
	OPTION_DIFF, OPTION_FAIL_IF_GROWTH, OPTION_RECORD, OPTION_RECORD_MAX, OPTION_REPLAY, OPTION_SPEED, OPTION_HTML,
	OPTION_METRICS, OPTION_CHROME_TRACE, OPTION_SUPPRESSIONS, OPTION_FAIL_IF_LEAKS, OPTION_BINARIES, OPTION_DEBUG_DIR,
	OPTION_PPROF, OPTION_COLLAPSED, OPTION_FLAMEGRAPH, OPTION_HEAP_V2, OPTION_VALUE };

static const struct option long_options[] = {
	{"batch", no_argument, NULL, 'b'},
	{"once", no_argument, NULL, OPTION_ONCE},
	{"json", no_argument, NULL, OPTION_JSON},
	{"frames", required_argument, NULL, 'n'},
	{"delay", required_argument, NULL, 'd'},
	{"output", required_argument, NULL, 'o'},
	{"library", required_argument, NULL, OPTION_LIBRARY},
	{"list", no_argument, NULL, OPTION_LIST},
	{"dump", required_argument, NULL, OPTION_DUMP},
	{"report", required_argument, NULL, OPTION_REPORT},
	{"suppressions", required_argument, NULL, OPTION_SUPPRESSIONS},
	{"fail-if-leaks", required_argument, NULL, OPTION_FAIL_IF_LEAKS},
	{"pprof", required_argument, NULL, OPTION_PPROF},
	{"collapsed", required_argument, NULL, OPTION_COLLAPSED},
	{"flamegraph", required_argument, NULL, OPTION_FLAMEGRAPH},
	{"heap-v2", required_argument, NULL, OPTION_HEAP_V2},
	{"value", required_argument, NULL, OPTION_VALUE},
	{"binaries", required_argument, NULL, OPTION_BINARIES},
	{"debug-dir", required_argument, NULL, OPTION_DEBUG_DIR},
	{"record", required_argument, NULL, OPTION_RECORD},
	{"record-max", required_argument, NULL, OPTION_RECORD_MAX},
	{"replay", required_argument, NULL, OPTION_REPLAY},
	{"speed", required_argument, NULL, OPTION_SPEED},
	{"html", required_argument, NULL, OPTION_HTML},
	{"diff", required_argument, NULL, OPTION_DIFF},
	{"fail-if-growth", required_argument, NULL, OPTION_FAIL_IF_GROWTH},
	{"metrics", no_argument, NULL, OPTION_METRICS},
	{"chrome-trace", required_argument, NULL, OPTION_CHROME_TRACE},
	{"readonly", no_argument, NULL, OPTION_READONLY},
	{"help-env", optional_argument, NULL, OPTION_HELP_ENV},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'V'},
	{NULL, 0, NULL, 0},
};

void options_help(FILE *out)
{
	fputs("Usage: hakmem-top [OPTIONS]                       choose among this user's HAKMEM processes\n"
	      "       hakmem-top [OPTIONS] PID|SOCKET|FILE       watch a process, or look at a dump or a trace file\n"
	      "       hakmem-top [OPTIONS] -- COMMAND [ARGS]     run COMMAND on HAKMEM and watch it\n"
	      "\n"
	      "  -b, --batch         plain text frames instead of the screen\n"
	      "  -n, --frames=N      end after N frames (implies -b)\n"
	      "  -d, --delay=SECONDS time between frames (0.01 to 3600; default 1, on the screen 0.5)\n"
	      "      --once          one frame: -b -n 1\n"
	      "      --json          frames are snapshots as JSON, one a line (implies -b)\n"
	      "  -o, --output=FILE   write COMMAND's output to FILE\n"
	      "      --library=FILE  the libhakmem.so for COMMAND (else HAKMEM_LIB, beside hakmem-top, ../lib)\n"
	      "      --list          this user's HAKMEM processes, and why one can't be opened\n"
	      "      --dump=FILE     write the target's state to FILE as JSON, and end\n"
	      "      --report=heap   the target in text: why it died and what lay at the address, classes, sparse\n"
	      "                      SuperSlabs, last events; exit status 3 if the dump's sums don't hold\n"
	      "      --report=guard  mistakes that were reported (double frees, writes behind a block's end): the\n"
	      "                      stacks of access, allocation and free; status 3 if there were any\n"
	      "      --report=sites  of a profile (HAKMEM_PROF=1): call sites by live bytes; pinned: by the memory\n"
	      "                      that can't be given back because of them; leaks: what lives on; of a process,\n"
	      "                      a dump or a recording; with --json as JSON\n"
	      "      --suppressions=FILE  leaks that are known: lines leak:PATTERN\n"
	      "      --fail-if-leaks=BYTES  with --report=leaks: status 3 if more is live\n"
	      "      --pprof=FILE    write a profile to FILE for google/pprof (.pb.gz); --collapsed=FILE: a line\n"
	      "                      a stack; --flamegraph=FILE: a picture (.svg); --heap-v2=FILE: for jeprof\n"
	      "      --value=live|blocks|pinned|allocated|allocs  what --collapsed and --flamegraph show\n"
	      "      --binaries=FOLDERS   where a profile's programs and libraries are, if not where they were\n"
	      "      --debug-dir=FOLDERS  where separate debug files are (/usr/lib/debug)\n"
	      "      --record=FILE   write all that is seen to FILE, a recording\n"
	      "      --record-max=BYTES  FILE becomes FILE.1 at this size (64M), and a new one begins\n"
	      "      --replay=FILE   look at a recording (so does its name alone)\n"
	      "      --speed=N       how fast it runs: 1 as it was, 2 twice as fast (0.01 to 1024)\n"
	      "      --html=FILE     write a dump, a recording or a process's state to FILE as a page for a browser\n"
	      "      --diff A B      what changed from A to B, each a dump, a trace file or a process\n"
	      "      --fail-if-growth=BYTES  with --diff: status 3 if live bytes grew by more (64K, 1M, 2G)\n"
	      "      --metrics       the target's figures as OpenMetrics text\n"
	      "      --chrome-trace=FILE\n"
	      "                      write events to FILE, for Perfetto and chrome://tracing: those of a dump or\n"
	      "                      trace file, or a process's from now on: till Ctrl-C, or -n snapshots, -d apart\n"
	      "      --readonly      never ask the target to change anything\n"
	      "      --help-env[=md] the HAKMEM_* variables, as text or as Markdown\n"
	      "  -h, --help          this text\n"
	      "  -V, --version       the version\n"
	      "\n"
	      "Exit status: COMMAND's own (128 + number for a signal), else 0; 1: it failed; 2: wrong usage,\n"
	      "or there are several processes and no terminal to choose on; 3: --report found sums that don't hold\n"
	      "or mistakes, or --diff more growth than --fail-if-growth allows.\n", out);
}

static bool parse_frames(const char *text, long *frames, struct problem *problem)
{
	char *end;
	errno = 0;
	*frames = strtol(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || *frames < 1)
		return problem_set(problem, "-n %s: the number of frames is an integer from 1 on", text);
	return true;
}

static bool parse_delay(const char *text, int *milliseconds, struct problem *problem)
{
	char *end;
	double seconds = strtod(text, &end);
	if (end == text || *end != '\0' || !(seconds >= 0.01 && seconds <= 3600))
		return problem_set(problem, "-d %s: the delay is a number of seconds from 0.01 to 3600", text);
	*milliseconds = (int)lround(seconds * 1000);
	return true;
}

static bool parse_speed(const char *text, double *speed, struct problem *problem)
{
	char *end;
	*speed = strtod(text, &end);
	if (end == text || *end != '\0' || !(*speed >= 0.01 && *speed <= 1024))
		return problem_set(problem, "--speed %s: the speed is a number from 0.01 to 1024; 1 is as it was", text);
	return true;
}

/* A number with K, M or G behind it, powers of 1024. */
static bool parse_bytes(const char *option, const char *text, uint64_t *bytes, struct problem *problem)
{
	static const char units[] = "KMG";
	char *end = NULL;
	errno = 0;
	unsigned long long number = strtoull(text, &end, 10);
	const char *unit = *end != '\0' ? strchr(units, *end) : NULL;
	unsigned shift = unit != NULL ? 10 * (unsigned)(unit - units + 1) : 0;
	if (errno != 0 || *text < '0' || *text > '9' || (*end != '\0' && (unit == NULL || end[1] != '\0')) ||
		number > (UINT64_MAX >> 11) >> shift)
		return problem_set(problem, "%s %s: a number of bytes is an integer, with K, M or G behind it if you like", option, text);
	*bytes = (uint64_t)number << shift;
	return true;
}

static bool parse_report(const char *text, enum report *report, struct problem *problem)
{
	static const char *const names[] = {[REPORT_HEAP] = "heap", [REPORT_GUARD] = "guard", [REPORT_SITES] = "sites", [REPORT_PINNED] = "pinned",
		[REPORT_LEAKS] = "leaks"};
	for (int i = REPORT_HEAP; i <= REPORT_LEAKS; i++) {
		if (strcmp(text, names[i]) == 0) {
			*report = (enum report)i;
			return true;
		}
	}
	return problem_set(problem, "--report=%s: the reports are heap, guard, sites, pinned and leaks", text);
}

static bool take_option(struct options *options, int option, const char *value, struct problem *problem)
{
	switch (option) {
	case 'b': options->batch = true; return true;
	case 'n':
		options->batch = true; /* a screen has no number of frames */
		return parse_frames(value, &options->frames, problem);
	case 'd': return parse_delay(value, &options->interval_ms, problem);
	case 'o': options->output = value; return true;
	case 'h': options->action = ACTION_HELP; return true;
	case 'V': options->action = ACTION_VERSION; return true;
	case OPTION_ONCE:
		options->batch = true;
		options->frames = 1;
		return true;
	case OPTION_JSON: options->batch = options->json = true; return true;
	case OPTION_LIST: options->action = ACTION_LIST; return true;
	case OPTION_DUMP: options->dump = value; return true;
	case OPTION_REPORT: return parse_report(value, &options->report, problem);
	case OPTION_SUPPRESSIONS: options->suppressions = value; return true;
	case OPTION_FAIL_IF_LEAKS:
		options->limits_leaks = true;
		return parse_bytes("--fail-if-leaks", value, &options->leaks, problem);
	case OPTION_PPROF: options->pprof = value; return true;
	case OPTION_COLLAPSED: options->collapsed = value; return true;
	case OPTION_FLAMEGRAPH: options->flamegraph = value; return true;
	case OPTION_HEAP_V2: options->heap_v2 = value; return true;
	case OPTION_VALUE:
		options->value = site_value_named(value);
		return options->value != SITE_VALUE_COUNT ||
			problem_set(problem, "--value=%s: the values are live, blocks, pinned, allocated and allocs", value);
	case OPTION_BINARIES: options->binaries = value; return true;
	case OPTION_DEBUG_DIR: options->debug_dir = value; return true;
	case OPTION_RECORD: options->record = value; return true;
	case OPTION_RECORD_MAX: return parse_bytes("--record-max", value, &options->record_max, problem);
	case OPTION_REPLAY:
		options->replay = true;
		if (options->target != NULL)
			return problem_set(problem, "--replay %s: one recording at a time", value);
		options->target = value;
		return true;
	case OPTION_SPEED: return parse_speed(value, &options->speed, problem);
	case OPTION_HTML: options->html = value; return true;
	case OPTION_DIFF: options->diff = value; return true;
	case OPTION_FAIL_IF_GROWTH:
		options->limits_growth = true;
		return parse_bytes("--fail-if-growth", value, &options->growth, problem);
	case OPTION_METRICS: options->batch = options->metrics = true; return true;
	case OPTION_CHROME_TRACE:
		options->batch = true;
		options->chrome = value;
		return true;
	case OPTION_READONLY: options->readonly = true; return true;
	case OPTION_LIBRARY: options->library = value; return true;
	case OPTION_HELP_ENV:
		options->action = value != NULL ? ACTION_HELP_ENV_MD : ACTION_HELP_ENV;
		if (value != NULL && strcmp(value, "md") != 0)
			return problem_set(problem, "--help-env=%s: the only other form is --help-env=md", value);
		return true;
	default:
		return false;
	}
}

static bool check(const struct options *options, struct problem *problem)
{
	if (options->diff != NULL && options->target == NULL)
		return problem_set(problem, "--diff %s: with what? hakmem-top --diff BEFORE AFTER", options->diff);
	if (options->diff != NULL && (options->report || options->dump != NULL || options->command != NULL))
		return problem_set(problem, "--diff compares two states; --report, --dump and a command are not for it");
	if (options->record != NULL && (options->replay || options->dump != NULL || options->report || options->diff != NULL))
		return problem_set(problem, "--record is for watching a process or a command");
	if (options->record_max != 0 && options->record == NULL)
		return problem_set(problem, "--record-max is for --record FILE");
	if (options->html != NULL && options->target == NULL)
		return problem_set(problem, "--html %s: of what? hakmem-top --html PAGE DUMP|RECORDING|PID", options->html);
	if (options->html != NULL && (options->diff != NULL || options->report || options->dump != NULL || options->record != NULL ||
		options->command != NULL || options->json))
		return problem_set(problem, "--html writes a page of one state; it goes with no other action");
	if (options->limits_growth && options->diff == NULL)
		return problem_set(problem, "--fail-if-growth is for --diff BEFORE AFTER");
	if (options->target != NULL && options->command != NULL)
		return problem_set(problem, "%s and a command after --: give one of them", options->target);
	if (options->command == NULL && options->output != NULL)
		return problem_set(problem, "-o is for the output of a command after --");
	if (options->command == NULL && options->library != NULL)
		return problem_set(problem, "--library is for a command after --");
	if (options->report && options->target == NULL)
		return problem_set(problem, "--report needs a dump or a process id");
	if (options->report && options->dump != NULL)
		return problem_set(problem, "--report and --dump: give one of them");
	if ((options->report == REPORT_HEAP || options->report == REPORT_GUARD) && options->json)
		return problem_set(problem, "--report=%s is text; --json is not for it", options->report == REPORT_HEAP ? "heap" : "guard");
	bool formats = options->pprof != NULL || options->collapsed != NULL || options->flamegraph != NULL || options->heap_v2 != NULL;
	if (formats && options->target == NULL)
		return problem_set(problem, "a profile of what? hakmem-top --pprof FILE PID|DUMP|RECORDING");
	if (formats && (options->report || options->diff != NULL || options->dump != NULL || options->record != NULL || options->html != NULL ||
		options->metrics || options->chrome != NULL || options->json))
		return problem_set(problem, "--pprof, --collapsed, --flamegraph and --heap-v2 go together, and with no other action");
	if (options->value != SITE_VALUE_live && options->collapsed == NULL && options->flamegraph == NULL)
		return problem_set(problem, "--value is for --collapsed and --flamegraph");
	if (options->report != REPORT_LEAKS && (options->suppressions != NULL || options->limits_leaks))
		return problem_set(problem, "--suppressions and --fail-if-leaks are for --report=leaks");
	if (options->metrics + (options->chrome != NULL) + (options->report != REPORT_NONE) + (options->dump != NULL) + options->json +
			(options->diff != NULL) > 1 &&
		(options->metrics || options->chrome != NULL))
		return problem_set(problem, "%s goes with no other form of output",
			options->metrics ? "--metrics" : "--chrome-trace");
	if (options->command != NULL && options->metrics)
		return problem_set(problem, "--metrics is for a process that runs: hakmem-top --metrics PID");
	if (options->command != NULL && options->chrome != NULL)
		return problem_set(problem, "--chrome-trace is for a process that runs, a dump or a trace file; "
			"a command leaves one with HAKMEM_TRACE_FILE=FILE");
	if (options->readonly && options->chrome != NULL)
		return problem_set(problem, "--chrome-trace makes a process record events, which --readonly forbids");
	if (options->command != NULL && options->dump != NULL)
		return problem_set(problem, "--dump is for a process that runs; for a command set HAKMEM_DUMP_ON=exit");
	return true;
}

bool options_parse(struct options *options, int argc, char **argv, struct problem *problem)
{
	int words = 1;
	bool awaits_states = false; /* of --diff, which was followed by another option */
	memset(options, 0, sizeof(*options));
	while (words < argc && strcmp(argv[words], "--") != 0)
		words++;
	if (words + 1 == argc)
		return problem_set(problem, "a command is missing after --");
	if (words < argc)
		options->command = argv + words + 1;
	optind = 0; /* glibc's way to begin anew, for tests that parse several */
	opterr = 0;
	/* getopt sees only what stands before --, and may put options before the target: hakmem-top PID --once. */
	for (int option; (option = getopt_long(words, argv, ":bn:d:o:hV", long_options, NULL)) != -1;) {
		const char *word = argv[optind - 1];
		if (option == ':')
			return problem_set(problem, "%s needs a value", word);
		if (option == '?' && optopt != 0 && optopt < 256)
			return problem_set(problem, "unknown option -%c; see hakmem-top --help", optopt);
		if (option == '?')
			return problem_set(problem,
				"%s: unknown option, or one that takes no value; see hakmem-top --help", word);
		/* --diff --json A B: getopt takes what follows for the value. It sees it again as the option that it is. */
		if (option == OPTION_DIFF && optarg == word && word[0] == '-' && word[1] != '\0') {
			awaits_states = true;
			optind--;
			continue;
		}
		if (!take_option(options, option, optarg, problem))
			return false;
	}
	if (awaits_states && options->diff == NULL) {
		if (optind == words)
			return problem_set(problem, "--diff: what with what? hakmem-top --diff BEFORE AFTER");
		options->diff = argv[optind++];
	}
	if (optind < words && options->target == NULL)
		options->target = argv[optind++];
	if (optind < words)
		return problem_set(problem, "%s: one process at a time; a command goes after --", argv[optind]);
	return check(options, problem);
}
