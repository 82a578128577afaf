#include "viewer/profile_source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "introspect/protocol.h"
#include "viewer/format.h"
#include "viewer/link.h"
#include "viewer/model.h"
#include "viewer/replay.h"
#include "viewer/watch.h"

static void copy_text(char *out, size_t size, const cJSON *item)
{
	if (cJSON_IsString(item))
		format_printable(out, size, item->valuestring);
}

static const cJSON *get(const cJSON *object, const char *name)
{
	return cJSON_GetObjectItemCaseSensitive(object, name);
}

/* Takes what a document says of the process, and its profile. */
static bool take(struct profile_source *source, const cJSON *document, struct problem *problem)
{
	const cJSON *process = get(document, "process");
	copy_text(source->exe, sizeof(source->exe), get(process, "exe"));
	copy_text(source->reason, sizeof(source->reason), get(document, "reason"));
	model_number(get(process, "pid"), &source->pid);
	model_number(get(document, "uptime_us"), &source->uptime_us);
	source->profile = profile_parse(document, problem);
	if (source->profile != NULL && !source->profile->on && source->profile->samples == 0)
		return problem_set(problem, "its profiler is off: " PROFILE_WANTED);
	return source->profile != NULL;
}

static bool take_text(struct profile_source *source, const char *text, size_t length, struct problem *problem)
{
	struct problem inner = {"it is not JSON, or cut off"};
	cJSON *document = cJSON_ParseWithLength(text, length);
	bool good = document != NULL && take(source, document, &inner);
	cJSON_Delete(document);
	return good || problem_set(problem, "%s: %s", source->name, inner.text);
}

/* ---- A running process ---- */

static bool ask(struct profile_source *source, struct problem *problem)
{
	struct link link;
	struct problem inner;
	link_init(&link);
	if (!link_open(&link, source->name, LINK_TIMEOUT_MS, problem))
		return false;
	source->pid = link.client.pid;
	source->running = link.client.peer_pid;
	format_printable(source->exe, sizeof(source->exe), link.client.exe);
	cJSON *document = client_ask(&link.client, "profile", HAK_TYPE_PROFILE, "makes no profiles", &inner);
	bool good = document != NULL && take(source, document, &inner);
	if (!good && document != NULL && source->profile != NULL)
		problem_set(problem, "%s: %s: printf '" PROFILE_REQUEST "\\n' | socat - UNIX-CONNECT:%s", source->name, inner.text, link.path);
	else if (!good)
		problem_set(problem, "%s: %s", source->name, inner.text);
	cJSON_Delete(document);
	link_close(&link);
	return good;
}

/* What a recording says of the process. */
static void take_moment(struct profile_source *source, const char *name)
{
	struct snapshot *snapshot = replay_snapshot(name, NULL);
	if (snapshot == NULL)
		return;
	snprintf(source->exe, sizeof(source->exe), "%s", snapshot->process.exe);
	source->pid = snapshot->process.pid;
	source->uptime_us = snapshot->uptime_us;
	snapshot_free(snapshot);
}

/* ---- All of them ---- */

bool profile_source_open(struct profile_source *source, const char *name, struct problem *problem)
{
	struct stat facts;
	size_t length = 0;
	pid_t pid;
	memset(source, 0, sizeof(*source));
	format_printable(source->name, sizeof(source->name), name);
	if (link_names_pid(name, &pid) || (stat(name, &facts) == 0 && S_ISSOCK(facts.st_mode)))
		return ask(source, problem);
	bool recorded = replay_names(name);
	char *text = recorded ? replay_profile(name, &length, problem) : watch_read_file(name, &length, problem);
	if (recorded && text != NULL)
		take_moment(source, name);
	bool good = text != NULL && take_text(source, text, length, problem);
	free(text);
	return good;
}

void profile_source_close(struct profile_source *source)
{
	profile_free(source->profile);
	source->profile = NULL;
}
