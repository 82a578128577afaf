#include "introspect/request.h"

#include <string.h>

#define TEXT_OF_(macro) #macro
#define TEXT_OF(macro) TEXT_OF_(macro)
#define INTERVAL_MESSAGE \
	"interval_ms is a number from " TEXT_OF(HAK_INTERVAL_MS_MIN) " to " TEXT_OF(HAK_INTERVAL_MS_MAX)

/* A piece of the line. */
struct word {
	const char *text;
	size_t length;
};

static bool fail(struct hak_request *request, enum hak_protocol_error error, const char *message)
{
	request->error = error;
	request->message = message;
	return false;
}

static bool equals(struct word word, const char *text)
{
	return strlen(text) == word.length && memcmp(word.text, text, word.length) == 0;
}

/* Cuts the next word off the line, up to a space or the end; *end is the end of the whole line. */
static struct word next_word(const char **line, const char *end)
{
	struct word word;

	while (*line < end && **line == ' ')
		(*line)++;
	word.text = *line;
	while (*line < end && **line != ' ')
		(*line)++;
	word.length = (size_t)(*line - word.text);
	return word;
}

/* subscribe's what=: words separated by commas. */
static bool parse_what(struct hak_request *request, struct word value)
{
	request->snapshots = request->events = false;
	for (;;) {
		const char *comma = memchr(value.text, ',', value.length);
		struct word item = {value.text, comma ? (size_t)(comma - value.text) : value.length};

		if (equals(item, "snapshot"))
			request->snapshots = true;
		else if (equals(item, "events"))
			request->events = true;
		else
			return fail(request, HAK_ERROR_bad_argument, "what is snapshot, events or both with a comma");
		if (!comma)
			return true;
		value.length -= item.length + 1;
		value.text = comma + 1;
	}
}

static bool parse_interval(struct hak_request *request, struct word value)
{
	const char *end = hak_protocol_read_number(value.text, &request->interval_ms);

	if (end != value.text + value.length || request->interval_ms < HAK_INTERVAL_MS_MIN ||
	    request->interval_ms > HAK_INTERVAL_MS_MAX)
		return fail(request, HAK_ERROR_bad_argument, INTERVAL_MESSAGE);
	return true;
}

/* Reads one key=value of the request's verb. */
static bool parse_argument(struct hak_request *request, struct word argument)
{
	const char *equal = memchr(argument.text, '=', argument.length);
	struct word key = {argument.text, equal ? (size_t)(equal - argument.text) : argument.length};
	struct word value = {equal ? equal + 1 : "", equal ? argument.length - key.length - 1 : 0};

	if (request->verb != HAK_VERB_subscribe || !(equals(key, "what") || equals(key, "interval_ms")))
		return fail(request, HAK_ERROR_unknown_argument, "the verb does not take this argument");
	return equals(key, "what") ? parse_what(request, value) : parse_interval(request, value);
}

/* dump's path reaches to the end of the line, spaces included. */
static bool parse_path(struct hak_request *request, const char *line, const char *end)
{
	static const char key[] = "path=";

	while (line < end && *line == ' ')
		line++;
	if (line == end)
		return true;
	if ((size_t)(end - line) < sizeof(key) - 1 || memcmp(line, key, sizeof(key) - 1) != 0)
		return fail(request, HAK_ERROR_unknown_argument, "the verb does not take this argument");
	request->path = line + sizeof(key) - 1;
	if (memchr(request->path, 0, (size_t)(end - request->path)))
		return fail(request, HAK_ERROR_bad_argument, "path holds a zero byte");
	if (request->path == end)
		return fail(request, HAK_ERROR_bad_argument, "path is empty");
	return true;
}

bool hak_request_parse(struct hak_request *request, const char *line, size_t length)
{
	const char *end = line + length;
	struct word word = next_word(&line, end);
	unsigned verb = 0;

	*request = (struct hak_request){.snapshots = true, .interval_ms = HAK_INTERVAL_MS_DEFAULT};
	while (verb < HAK_VERB_COUNT && !equals(word, hak_protocol_verb_name((enum hak_protocol_verb)verb)))
		verb++;
	if (verb == HAK_VERB_COUNT)
		return fail(request, HAK_ERROR_unknown_verb, "the verbs are listed in the greeting's capabilities");
	request->verb = (enum hak_protocol_verb)verb;
	if (request->verb == HAK_VERB_dump)
		return parse_path(request, line, end);
	for (word = next_word(&line, end); word.length; word = next_word(&line, end)) {
		if (!parse_argument(request, word))
			return false;
	}
	return true;
}
