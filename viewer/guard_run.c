#include "viewer/guard_run.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "introspect/protocol.h"
#include "viewer/format.h"
#include "viewer/guard_report.h"
#include "viewer/link.h"
#include "viewer/replay.h"
#include "viewer/run.h"
#include "viewer/watch.h"

static const cJSON *get(const cJSON *object, const char *name)
{
	return cJSON_GetObjectItemCaseSensitive(object, name);
}

/* Which blocks alone are guarded, where a request narrowed it. */
static void print_choice(const cJSON *guard)
{
	const cJSON *site = get(guard, "site");
	char text[FORMAT_MAX];
	uint64_t class;
	if (model_number(get(guard, "class"), &class))
		printf("           of class %" PRIu64 " only\n", class);
	if (cJSON_IsString(site))
		printf("           whose stacks come by %s only\n", format_printable(text, sizeof(text), site->valuestring));
}

/* The line on levels and counts, of what the document says of them. */
static void print_level(const cJSON *document)
{
	const cJSON *guard = get(document, "guard"), *level = get(guard, "level");
	struct snapshot snapshot = {.is_dump = true};
	char words[GUARD_WORDS];
	if (!cJSON_IsString(level))
		return;
	format_printable(snapshot.guard_level, sizeof(snapshot.guard_level), level->valuestring);
#define READ(name) \
	if (!model_number(get(guard, #name), &snapshot.guard.name)) \
		snapshot.guard.name = 0;
	MODEL_GUARD(READ, READ)
#undef READ
	printf("Guards     %s\n", guard_words_level(words, &snapshot));
	print_choice(guard);
}

static int print(const struct options *options, const cJSON *document, pid_t pid)
{
	const struct binaries_where where = {.folders = options->binaries, .debug = options->debug_dir, .pid = pid};
	struct problem problem;
	struct guards *guards = guards_parse(document, &problem);
	if (guards == NULL) {
		run_complain(problem.text);
		return 1;
	}
	struct symbols *symbols = symbols_open(guards->profile, &where);
	bool any = guards->report_count > 0;
	print_level(document);
	puts(any ? "Mistakes of the program's that were reported: the first ones, and the last" : "No mistake of the program's was reported.");
	guard_report_text(stdout, guards, symbols);
	symbols_close(symbols);
	guards_free(guards);
	int status = run_flush();
	return status != 0 || !any ? status : GUARD_MISTAKES_FOUND;
}

static int print_process(const struct options *options)
{
	struct link link;
	struct problem problem, inner;
	link_init(&link);
	if (!link_open(&link, options->target, LINK_TIMEOUT_MS, &problem)) {
		run_complain(problem.text);
		return 1;
	}
	cJSON *document = client_ask(&link.client, "guarded", HAK_TYPE_GUARDED, "keeps no reports", &inner);
	int status = 1;
	if (document != NULL) {
		status = print(options, document, link.client.peer_pid);
	} else {
		problem_set(&problem, "%s: %s", options->target, inner.text);
		run_complain(problem.text);
	}
	cJSON_Delete(document);
	link_close(&link);
	return status;
}

/* Whether a document would hold reports if there were any: a snapshot, say, never does. */
static bool may_hold_reports(const cJSON *document)
{
	const cJSON *type = get(document, "type");
	const char *word = cJSON_IsString(type) ? type->valuestring : "";
	return strcmp(word, HAK_TYPE_DUMP) == 0 || strcmp(word, HAK_TYPE_GUARDED) == 0;
}

static int print_file(const struct options *options)
{
	struct problem problem;
	size_t length;
	char *text = watch_read_file(options->target, &length, &problem);
	cJSON *document = text != NULL ? cJSON_ParseWithLength(text, length) : NULL;
	int status = 1;
	if (may_hold_reports(document)) {
		status = print(options, document, 0);
	} else {
		if (text != NULL)
			problem_set(&problem, "%s: %s", options->target,
				document == NULL ? "it is not JSON, or cut off" : "it is neither a dump nor an answer to guarded, which have reports");
		run_complain(problem.text);
	}
	cJSON_Delete(document);
	free(text);
	return status;
}

int guard_run(const struct options *options)
{
	struct stat facts;
	struct problem problem;
	pid_t pid;
	if (link_names_pid(options->target, &pid) || (stat(options->target, &facts) == 0 && S_ISSOCK(facts.st_mode)))
		return print_process(options);
	if (replay_names(options->target)) {
		problem_set(&problem, "%s is a recording, which has no reports; --report=guard is for a process or a dump", options->target);
		run_complain(problem.text);
		return 1;
	}
	return print_file(options);
}
