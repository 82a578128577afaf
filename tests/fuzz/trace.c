/* The reader of trace files: whatever is in one, either a sentence says what is wrong with it, or it becomes a document
 * that the reader of dumps understands. */
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "viewer/recover.h"
#include "viewer/watch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct watch watch = {.state = WATCH_LIVE, .target = "input"};
	struct problem problem = {""};
	struct trace_file file;
	size_t length = 0;
	char *text = NULL, *exact = malloc(size + 8);
	static FILE *nowhere;

	if (nowhere == NULL)
		nowhere = fopen("/dev/null", "w");
	FUZZ_CHECK(exact != NULL && nowhere != NULL);
	/* Without its first word nothing is looked at. */
	memcpy(exact, HAK_TRACE_FILE_MAGIC, 8);
	if (size > 8)
		memcpy(exact + 8, data + 8, size - 8);
	if (trace_file_open(&file, exact, size > 8 ? size : 8, &problem))
		text = recover_document(&file, &length, &problem);
	if (text != NULL) {
		enum watch_message message = watch_take(&watch, text, length, &problem);

		FUZZ_CHECK(message == WATCH_SNAPSHOT || problem.text[0] != '\0');
		FUZZ_CHECK(message == WATCH_SNAPSHOT || message == WATCH_BAD);
		FUZZ_CHECK(strlen(text) == length && strchr(problem.text, '\n') == NULL);
		recover_report(nowhere, text, length);
	} else {
		FUZZ_CHECK(problem.text[0] != '\0');
	}
	free(text);
	free(exact);
	watch_free(&watch);
	return 0;
}
