/* The request parser, and the readers of numbers and socket names beside it: whatever bytes a client sends, what comes
 * out lies within the line and within bounds. */
#include <string.h>

#include "introspect/request.h"
#include "lib/inspect.h"
#include "lib/trace.h"
#include "tests/fuzz/fuzz.h"

static void check_request(const char *line, size_t length)
{
	const char *end = line + length;
	struct hak_request request;

	if (!hak_request_parse(&request, line, length)) {
		FUZZ_CHECK((unsigned)request.error < HAK_ERROR_COUNT);
		FUZZ_CHECK(request.message != NULL && request.message[0] != '\0');
		return;
	}
	FUZZ_CHECK((unsigned)request.verb < HAK_VERB_COUNT);
	FUZZ_CHECK(memchr(line, 0, length) == NULL);
	FUZZ_CHECK(request.interval_ms >= HAK_INTERVAL_MS_MIN && request.interval_ms <= HAK_INTERVAL_MS_MAX);
	FUZZ_CHECK(request.snapshots || request.events);
	if (request.path) {
		FUZZ_CHECK(request.verb == HAK_VERB_dump);
		FUZZ_CHECK(request.path > line && request.path < end && strlen(request.path) == (size_t)(end - request.path));
	}
	if (request.text) {
		FUZZ_CHECK(request.verb == HAK_VERB_mark);
		FUZZ_CHECK(request.text > line && request.text < end && strlen(request.text) == (size_t)(end - request.text));
	}
	FUZZ_CHECK(request.filter.threads <= HAK_FILTER_THREADS && request.filter.groups != 0);
	FUZZ_CHECK(request.filter.groups <= HAK_GROUP_ALL && request.filter.classes >> HAK_CLASS_COUNT == 0);
	FUZZ_CHECK(!request.openmetrics || (request.verb == HAK_VERB_stats && !request.meshable));
	FUZZ_CHECK(request.given >> HAK_CONTROL_COUNT == 0 && (request.given == 0 || request.verb == HAK_VERB_set));
	/* A request begins with its verb, whatever blanks there are before it. */
	const char *verb = hak_protocol_verb_name(request.verb);
	const char *first = line + strspn(line, " ");
	FUZZ_CHECK(strncmp(first, verb, strlen(verb)) == 0);
	FUZZ_CHECK(first[strlen(verb)] == ' ' || first + strlen(verb) == end);
}

static void check_name(const char *name)
{
	char again[HAK_PROTOCOL_NAME_MAX];
	uint64_t start_time, number;
	pid_t pid;
	const char *rest = hak_protocol_read_number(name, &number);

	FUZZ_CHECK(rest == NULL || (rest > name && rest <= name + 19));
	if (!hak_protocol_parse_name(name, &pid, &start_time))
		return;
	FUZZ_CHECK(pid > 0);
	/* Without leading zeros there is only one way to write it. */
	snprintf(again, sizeof(again), "%d-%llu.sock", (int)pid, (unsigned long long)start_time);
	FUZZ_CHECK(strlen(name) > strlen(again) || strcmp(name, again) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size >= HAK_PROTOCOL_LINE_MAX)
		return 0;
	char *line = malloc(size + 1);
	FUZZ_CHECK(line != NULL);
	memcpy(line, data, size);
	line[size] = '\0';
	check_request(line, size);
	check_name(line);
	free(line);
	return 0;
}
