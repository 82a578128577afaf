/* The reader of dumps and of an endpoint's messages: a snapshot that it takes keeps every promise that the panels rely
 * on, and every panel draws it at several sizes. The input is lines, as a connection delivers them; a dump file is one
 * of them. */
#include <string.h>

#include "tests/fuzz/shown.h"
#include "viewer/chrome.h"

/* A recording of the same lines: an array of whole objects, and nothing in it that could drive a terminal. */
static void check_recording(const char *text, size_t length)
{
	size_t depth = 0;
	bool in_string = false;

	for (size_t i = 0; i < length; i++) {
		FUZZ_CHECK((unsigned char)text[i] >= ' ' || text[i] == '\n');
		FUZZ_CHECK(text[i] != 127);
		if (in_string && text[i] == '\\')
			i++;
		else if (text[i] == '"')
			in_string = !in_string;
		else if (!in_string && strchr("[{", text[i]) != NULL)
			depth++;
		else if (!in_string && strchr("]}", text[i]) != NULL)
			FUZZ_CHECK(depth-- > 0);
	}
	FUZZ_CHECK(depth == 0 && !in_string);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct watch watch = {.state = WATCH_LIVE, .target = "input"};
	const char *text = (const char *)data, *end = text + size;
	char *recorded = NULL;
	size_t recorded_length;
	struct chrome chrome;
	FILE *stream = open_memstream(&recorded, &recorded_length);

	FUZZ_CHECK(stream != NULL);
	chrome_begin(&chrome, stream);
	while (text < end) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));
		size_t length = (size_t)((newline ? newline : end) - text);
		struct problem problem = {""};
		/* A line of its own size, with the zero that client.c puts behind it. */
		char *line = malloc(length + 1);

		FUZZ_CHECK(line != NULL);
		memcpy(line, text, length);
		line[length] = '\0';
		enum watch_message message = watch_take(&watch, line, length, &problem);
		FUZZ_CHECK((message != WATCH_BAD && message != WATCH_REFUSED) || problem.text[0] != '\0');
		FUZZ_CHECK(chrome_take(&chrome, line, length, &problem) || problem.text[0] != '\0');
		free(line);
		if (message == WATCH_SNAPSHOT || message == WATCH_EVENTS)
			draw(&watch, 13, 5);
		text += length + 1;
	}
	FUZZ_CHECK(chrome_end(&chrome));
	fclose(stream);
	check_recording(recorded, recorded_length);
	free(recorded);
	if (watch.snapshot)
		check_snapshot(watch.snapshot);
	check_events(&watch.events);
	if (watch.snapshot)
		draw(&watch, 110, 40);
	draw(&watch, 1, 1);
	watch_free(&watch);
	return 0;
}
