#include "introspect/request.h"

#include <string.h>

#include "introspect/json.h"
#include "introspect/profile.h"
#include "lib/guard.h"
#include "lib/inspect.h"
#include "lib/trace.h"

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

static bool bad(struct hak_request *request, const char *message)
{
	return fail(request, HAK_ERROR_bad_argument, message);
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

/* Cuts the next item off a list of words separated by commas; *more is false at its end. */
static struct word next_item(struct word *list, bool *more)
{
	const char *comma = memchr(list->text, ',', list->length);
	struct word item = {list->text, comma ? (size_t)(comma - list->text) : list->length};

	*more = comma != NULL;
	if (comma) {
		list->text = comma + 1;
		list->length -= item.length + 1;
	}
	return item;
}

static bool number_between(struct word value, uint64_t minimum, uint64_t maximum, uint64_t *number)
{
	/* The value ends at a space or at the line's zero, so reading it does not go beyond. */
	const char *end = hak_protocol_read_number(value.text, number);

	return end == value.text + value.length && *number >= minimum && *number <= maximum;
}

static bool parse_what(struct hak_request *request, struct word value)
{
	bool more = true;

	request->snapshots = request->events = false;
	while (more) {
		struct word item = next_item(&value, &more);

		if (equals(item, "snapshot"))
			request->snapshots = true;
		else if (equals(item, "events"))
			request->events = true;
		else
			return bad(request, "what is snapshot, events or both with a comma");
	}
	return true;
}

static bool parse_interval(struct hak_request *request, struct word value)
{
	return number_between(value, HAK_INTERVAL_MS_MIN, HAK_INTERVAL_MS_MAX, &request->interval_ms) ||
		bad(request, INTERVAL_MESSAGE);
}

static bool parse_full(struct hak_request *request, struct word value)
{
	request->full = equals(value, "1");
	return request->full || equals(value, "0") || bad(request, "full is 0 or 1");
}

/* Groups of events by name; also all, and none where that makes sense. */
static bool parse_groups(struct word value, bool none, uint64_t *groups)
{
	bool more = true;

	*groups = 0;
	if (none && equals(value, "none"))
		return true;
	while (more) {
		struct word item = next_item(&value, &more);
		unsigned group = 0;

		while (group < HAK_TRACE_GROUP_COUNT && !equals(item, hak_trace_group_names[group]))
			group++;
		if (equals(item, "all"))
			*groups = HAK_GROUP_ALL;
		else if (group == HAK_TRACE_GROUP_COUNT)
			return false;
		else
			*groups |= 1u << group;
	}
	return true;
}

static bool parse_group(struct hak_request *request, struct word value)
{
	uint64_t groups;

	if (!parse_groups(value, false, &groups))
		return bad(request, "group is all, or names of groups separated by commas");
	request->filter.groups = (uint32_t)groups;
	return true;
}

static bool parse_class(struct hak_request *request, struct word value)
{
	bool more = true;
	uint64_t number;

	while (more) {
		if (!number_between(next_item(&value, &more), 0, HAK_CLASS_COUNT - 1, &number))
			return bad(request, "class is numbers of size classes separated by commas");
		request->filter.classes |= 1ull << number;
	}
	return true;
}

static bool parse_thread(struct hak_request *request, struct word value)
{
	struct hak_event_filter *filter = &request->filter;
	bool more = true;
	uint64_t number;

	while (more) {
		if (filter->threads == HAK_FILTER_THREADS ||
		    !number_between(next_item(&value, &more), 1, INT32_MAX, &number))
			return bad(request,
				"thread is at most " TEXT_OF(HAK_FILTER_THREADS) " thread ids separated by commas");
		filter->tids[filter->threads++] = (uint32_t)number;
	}
	return true;
}

static bool parse_rate(struct hak_request *request, struct word value)
{
	return number_between(value, 1, 1000000000, &request->filter.rate) ||
		bad(request, "rate is a number from 1 to 1000000000");
}

static bool parse_meshable(struct hak_request *request, struct word value)
{
	return number_between(value, 0, 1, &request->meshable) || bad(request, "meshable is 0 or 1");
}

static bool parse_format(struct hak_request *request, struct word value)
{
	request->openmetrics = equals(value, "openmetrics");
	return request->openmetrics || equals(value, "json") || bad(request, "format is json or openmetrics");
}

static bool give(struct hak_request *request, enum hak_control control)
{
	request->given |= 1u << control;
	return true;
}

static bool parse_trace(struct hak_request *request, struct word value)
{
	return parse_groups(value, true, &request->value[HAK_CONTROL_TRACE]) ?
		give(request, HAK_CONTROL_TRACE) :
		bad(request, "trace is none, all, or names of groups separated by commas");
}

static bool parse_debug(struct hak_request *request, struct word value)
{
	return parse_groups(value, true, &request->value[HAK_CONTROL_DEBUG]) ?
		give(request, HAK_CONTROL_DEBUG) :
		bad(request, "debug is none, all, or names of groups separated by commas");
}

static bool parse_drain_interval(struct hak_request *request, struct word value)
{
	uint64_t minimum, maximum;

	hak_inspect_setting_range(HAK_SETTING_DRAIN_INTERVAL, &minimum, &maximum);
	return number_between(value, minimum, maximum, &request->value[HAK_CONTROL_DRAIN_INTERVAL]) ?
		give(request, HAK_CONTROL_DRAIN_INTERVAL) :
		bad(request, "drain_interval is a number in the range of HAKMEM_TINY_SLL_DRAIN_INTERVAL");
}

static bool parse_purge_delay(struct hak_request *request, struct word value)
{
	uint64_t minimum, maximum;

	hak_inspect_setting_range(HAK_SETTING_PURGE_DELAY_MS, &minimum, &maximum);
	return number_between(value, minimum, maximum, &request->value[HAK_CONTROL_PURGE_DELAY_MS]) ?
		give(request, HAK_CONTROL_PURGE_DELAY_MS) :
		bad(request, "purge_delay_ms is a number in the range of HAKMEM_PURGE_DELAY_MS");
}

static bool parse_prof_rate(struct hak_request *request, struct word value)
{
	uint64_t *rate = &request->value[HAK_CONTROL_PROF_RATE];

	*rate = 0;
	return equals(value, "off") || number_between(value, 1, HAK_PROFILE_RATE_MAX, rate) ?
		give(request, HAK_CONTROL_PROF_RATE) :
		bad(request, "prof_rate is off, or bytes between two samples: a number from 1 to 1099511627776");
}

static bool parse_guard(struct hak_request *request, struct word value)
{
	unsigned level = 0;

	while (hak_guard_words[level] && !equals(value, hak_guard_words[level]))
		level++;
	request->value[HAK_CONTROL_GUARD] = level;
	return hak_guard_words[level] ? give(request, HAK_CONTROL_GUARD) : bad(request, "guard is off, sample or full");
}

static bool parse_guard_rate(struct hak_request *request, struct word value)
{
	return number_between(value, 1, HAK_JSON_NUMBER_MAX, &request->value[HAK_CONTROL_GUARD_RATE]) ?
		give(request, HAK_CONTROL_GUARD_RATE) :
		bad(request, "guard_rate is mallocs between two guarded ones: a number from 1 on");
}

static bool parse_guard_class(struct hak_request *request, struct word value)
{
	uint64_t *class = &request->value[HAK_CONTROL_GUARD_CLASS];

	*class = HAK_GUARD_ANY_CLASS;
	return equals(value, "any") || number_between(value, 0, HAK_CLASS_COUNT - 1, class) ?
		give(request, HAK_CONTROL_GUARD_CLASS) :
		bad(request, "guard_class is any, or the number of a size class");
}

/* Reads 0x and hex digits, of a 64-bit number. */
static bool address_of(struct word value, uint64_t *address)
{
	static const char digits[] = "0123456789abcdef";

	if (value.length < 3 || value.length > 18 || value.text[0] != '0' || value.text[1] != 'x')
		return false;
	*address = 0;
	for (size_t i = 2; i < value.length; i++) {
		const char *digit = memchr(digits, value.text[i] | 32, sizeof(digits) - 1);

		if (!digit)
			return false;
		*address = *address << 4 | (uint64_t)(digit - digits);
	}
	return true;
}

static bool parse_guard_site(struct hak_request *request, struct word value)
{
	uint64_t *site = &request->value[HAK_CONTROL_GUARD_SITE];

	*site = 0;
	return equals(value, "any") || (address_of(value, site) && *site) ?
		give(request, HAK_CONTROL_GUARD_SITE) :
		bad(request, "guard_site is any, or a return address in hex: 0x…");
}

static bool parse_address(struct hak_request *request, struct word value)
{
	return address_of(value, &request->address) || bad(request, "address is in hex: 0x…");
}

static bool parse_bytes(struct hak_request *request, struct word value)
{
	return number_between(value, 1, HAK_PROTOCOL_GUARDED_MAX, &request->bytes) ||
		bad(request, "bytes is a number from 1 to " TEXT_OF(HAK_PROTOCOL_GUARDED_MAX));
}

static bool parse_for(struct hak_request *request, struct word value)
{
	return number_between(value, 1, 86400000, &request->for_ms) ||
		bad(request, "for_ms is a number from 1 to 86400000");
}

static const struct argument {
	enum hak_protocol_verb verb;
	const char *key;
	bool (*parse)(struct hak_request *request, struct word value);
} arguments[] = {
	{HAK_VERB_subscribe, "what", parse_what},
	{HAK_VERB_subscribe, "interval_ms", parse_interval},
	{HAK_VERB_subscribe, "full", parse_full},
	{HAK_VERB_subscribe, "group", parse_group},
	{HAK_VERB_subscribe, "class", parse_class},
	{HAK_VERB_subscribe, "thread", parse_thread},
	{HAK_VERB_subscribe, "rate", parse_rate},
	{HAK_VERB_stats, "meshable", parse_meshable},
	{HAK_VERB_stats, "format", parse_format},
	{HAK_VERB_set, "trace", parse_trace},
	{HAK_VERB_set, "debug", parse_debug},
	{HAK_VERB_set, "drain_interval", parse_drain_interval},
	{HAK_VERB_set, "purge_delay_ms", parse_purge_delay},
	{HAK_VERB_set, "prof_rate", parse_prof_rate},
	{HAK_VERB_set, "guard", parse_guard},
	{HAK_VERB_set, "guard_rate", parse_guard_rate},
	{HAK_VERB_set, "guard_class", parse_guard_class},
	{HAK_VERB_set, "guard_site", parse_guard_site},
	{HAK_VERB_set, "for_ms", parse_for},
	{HAK_VERB_guarded, "address", parse_address},
	{HAK_VERB_guarded, "bytes", parse_bytes},
};

/* Reads one key=value of the request's verb. */
static bool parse_argument(struct hak_request *request, struct word argument)
{
	const char *equal = memchr(argument.text, '=', argument.length);
	struct word key = {argument.text, equal ? (size_t)(equal - argument.text) : argument.length};
	struct word value = {equal ? equal + 1 : "", equal ? argument.length - key.length - 1 : 0};

	for (size_t i = 0; i < HAK_COUNT_OF(arguments); i++) {
		if (arguments[i].verb == request->verb && equals(key, arguments[i].key))
			return arguments[i].parse(request, value);
	}
	return fail(request, HAK_ERROR_unknown_argument, "the verb does not take this argument");
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
		return bad(request, "path holds a zero byte");
	if (request->path == end)
		return bad(request, "path is empty");
	return true;
}

/* mark's text too. */
static bool parse_text(struct hak_request *request, const char *line, const char *end)
{
	while (line < end && *line == ' ')
		line++;
	request->text = line;
	if (line == end || end - line > HAK_TRACE_TEXT_MAX || memchr(line, 0, (size_t)(end - line)))
		return bad(request, "a mark is a text of 1 to " TEXT_OF(HAK_TRACE_TEXT_MAX) " bytes");
	return true;
}

bool hak_request_parse(struct hak_request *request, const char *line, size_t length)
{
	const char *end = line + length;
	struct word word = next_word(&line, end);
	unsigned verb = 0;

	*request = (struct hak_request){
		.snapshots = true, .interval_ms = HAK_INTERVAL_MS_DEFAULT, .filter.groups = HAK_GROUP_ALL};
	while (verb < HAK_VERB_COUNT && !equals(word, hak_protocol_verb_name((enum hak_protocol_verb)verb)))
		verb++;
	if (verb == HAK_VERB_COUNT)
		return fail(request, HAK_ERROR_unknown_verb, "the verbs are listed in the greeting's capabilities");
	request->verb = (enum hak_protocol_verb)verb;
	if (request->verb == HAK_VERB_dump)
		return parse_path(request, line, end);
	if (request->verb == HAK_VERB_mark)
		return parse_text(request, line, end);
	for (word = next_word(&line, end); word.length; word = next_word(&line, end)) {
		if (!parse_argument(request, word))
			return false;
	}
	if (request->bytes && !request->address)
		return bad(request, "address says where to look");
	if (request->openmetrics && request->meshable)
		return bad(request, "meshable is for the format json");
	if (request->for_ms && !request->given)
		return bad(request, "for_ms says how long something else is set");
	return true;
}
