/* The reader of dumps and of an endpoint's messages: a snapshot that it takes keeps every promise that the panels rely
 * on, and every panel draws it at several sizes. The input is lines, as a connection delivers them; a dump file is one
 * of them. */
#include <string.h>

#include "tests/fuzz/shown.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct watch watch = {.state = WATCH_LIVE, .target = "input"};
	const char *text = (const char *)data, *end = text + size;

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
		free(line);
		if (message == WATCH_SNAPSHOT || message == WATCH_EVENTS)
			draw(&watch, 13, 5);
		text += length + 1;
	}
	if (watch.snapshot)
		check_snapshot(watch.snapshot);
	check_events(&watch.events);
	if (watch.snapshot)
		draw(&watch, 110, 40);
	draw(&watch, 1, 1);
	watch_free(&watch);
	return 0;
}
