#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "viewer/events.h"
#include "viewer/format.h"
#include "viewer/model.h"
#include "viewer/recover.h"

#define THREAD_LINES 3 /* of each thread's last events */

static void put_list(FILE *out, const cJSON *list, const char *before)
{
	const cJSON *item;
	char text[160];
	cJSON_ArrayForEach(item, list) {
		format_printable(text, sizeof(text), cJSON_IsString(item) ? item->valuestring : "");
		fprintf(out, "%s%s\n", before, text);
	}
}

static uint64_t found(const cJSON *findings, const char *name)
{
	uint64_t value = 0;
	model_number(cJSON_GetObjectItemCaseSensitive(findings, name), &value);
	return value;
}

static void put_findings(FILE *out, const cJSON *findings)
{
	const cJSON *moving = cJSON_GetObjectItemCaseSensitive(findings, "in_motion");
	bool ended = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(findings, "ended"));
	bool hold = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(findings, "sums_hold"));
	bool whole = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(findings, "whole"));
	fprintf(out, "The process %s.\n", ended ? "ended in good order" : "runs, or ended without a word: killed, or crashed");
	fprintf(out, "The slot map %s%s.\n", hold ? "adds up" : "does NOT add up", whole ? "" : ", but for what was in motion");
	put_list(out, cJSON_GetObjectItemCaseSensitive(findings, "problems"), "  ");
	put_list(out, moving, "  in motion: SuperSlab ");
	if (found(findings, "superslabs_beyond") > 0)
		fprintf(out, "%llu SuperSlabs more found no room in the file: HAKMEM_TRACE_BYTES sets its size.\n",
			(unsigned long long)found(findings, "superslabs_beyond"));
	if (found(findings, "torn_events") > 0)
		fprintf(out, "%llu events were half written.\n", (unsigned long long)found(findings, "torn_events"));
}

static int by_thread(const void *a, const void *b)
{
	const struct event *left = *(const struct event *const *)a, *right = *(const struct event *const *)b;
	if (left->tid != right->tid)
		return left->tid < right->tid ? -1 : 1;
	return left < right ? -1 : left > right; /* the log's order, which is that of time */
}

static void put_events(FILE *out, const struct event_log *log, uint64_t now_us)
{
	const struct event **rows = calloc(log->count + 1, sizeof(const struct event *));
	for (size_t i = 0; rows != NULL && i < log->count; i++)
		rows[i] = events_at(log, i);
	if (rows != NULL && log->count > 0)
		qsort(rows, log->count, sizeof(const struct event *), by_thread);
	for (size_t i = 0; rows != NULL && i < log->count; i++) {
		bool is_first = i == 0 || rows[i - 1]->tid != rows[i]->tid;
		bool is_late = i + THREAD_LINES >= log->count || rows[i + THREAD_LINES]->tid != rows[i]->tid;
		if (is_first)
			fprintf(out, "Last events of thread %llu:\n", (unsigned long long)rows[i]->tid);
		if (is_late)
			fprintf(out, "  %11.6f s  %-16s %s\n",
				-(double)(now_us > rows[i]->time_us ? now_us - rows[i]->time_us : 0) / 1e6, rows[i]->name,
				rows[i]->arguments);
	}
	free(rows);
}

void recover_report(FILE *out, const char *document, size_t length)
{
	cJSON *root = cJSON_ParseWithLength(document, length);
	const cJSON *findings = cJSON_GetObjectItemCaseSensitive(root, "recovered");
	const cJSON *trace = cJSON_GetObjectItemCaseSensitive(root, "trace");
	struct event_log log = {.ring = NULL};
	if (cJSON_IsObject(findings)) {
		put_findings(out, findings);
		fprintf(out, "Events: %llu held, %llu overwritten by newer ones, %llu lost.\n",
			(unsigned long long)found(trace, "held"), (unsigned long long)found(trace, "overwritten"),
			(unsigned long long)found(trace, "lost"));
		events_add(&log, cJSON_GetObjectItemCaseSensitive(root, "events"));
		put_events(out, &log, found(root, "time_us"));
	}
	events_free(&log);
	cJSON_Delete(root);
}
