/* Request lines: what they mean, and what is wrong with those that mean nothing. */
#include "introspect/request.h"

#include "lib/guard.h"
#include "lib/inspect.h"
#include "lib/trace.h"

#include "tests/unit/unit.h"

static bool parse(struct hak_request *request, const char *line)
{
	return hak_request_parse(request, line, strlen(line));
}

static void verbs(void)
{
	static const char *const names[] = {
#define X(name, arguments, meaning) #name,
		HAK_PROTOCOL_VERBS(X)
#undef X
	};
	struct hak_request request;
	for (size_t i = 0; i < HAK_COUNT_OF(names); i++) {
		char line[64];
		snprintf(line, sizeof(line), "  %s %s", names[i], i == HAK_VERB_mark ? "x" : "");
		CU_ASSERT_TRUE(parse(&request, line));
		UNIT_EQUAL(request.verb, i);
	}
}

static void subscriptions(void)
{
	static const struct {
		const char *line;
		bool snapshots, events;
		unsigned interval_ms;
	} cases[] = {
		{"subscribe", true, false, 200},
		{"subscribe what=snapshot", true, false, 200},
		{"subscribe what=events", false, true, 200},
		{"subscribe what=snapshot,events interval_ms=10", true, true, 10},
		{"subscribe  interval_ms=3600000   what=events,snapshot ", true, true, 3600000},
		{"subscribe interval_ms=0050", true, false, 50},
	};
	for (size_t i = 0; i < HAK_COUNT_OF(cases); i++) {
		struct hak_request request;
		CU_ASSERT_TRUE(parse(&request, cases[i].line));
		UNIT_EQUAL(request.verb, HAK_VERB_subscribe);
		UNIT_EQUAL(request.snapshots, cases[i].snapshots);
		UNIT_EQUAL(request.events, cases[i].events);
		UNIT_EQUAL(request.interval_ms, cases[i].interval_ms);
	}
}

static void filters(void)
{
	struct hak_request request;
	CU_ASSERT_TRUE(parse(&request, "subscribe what=events"));
	UNIT_EQUAL(request.filter.groups, HAK_GROUP_ALL);
	UNIT_EQUAL(request.filter.classes, 0);
	UNIT_EQUAL(request.filter.threads, 0);
	CU_ASSERT_FALSE(request.full);
	CU_ASSERT_TRUE(parse(&request,
		"subscribe what=events group=lru,acquire class=0,6 thread=12,2147483647 rate=50 full=1"));
	UNIT_EQUAL(request.filter.groups, HAK_GROUP_LRU | HAK_GROUP_ACQUIRE);
	UNIT_EQUAL(request.filter.classes, 1ull << 0 | 1ull << 6);
	UNIT_EQUAL(request.filter.threads, 2);
	UNIT_EQUAL(request.filter.tids[0], 12);
	UNIT_EQUAL(request.filter.tids[1], INT32_MAX);
	UNIT_EQUAL(request.filter.rate, 50);
	CU_ASSERT_TRUE(request.full);
	CU_ASSERT_TRUE(parse(&request, "stats meshable=1"));
	UNIT_EQUAL(request.meshable, 1);
	CU_ASSERT_TRUE(parse(&request, "stats format=openmetrics meshable=0"));
	CU_ASSERT_TRUE(request.openmetrics);
	CU_ASSERT_TRUE(parse(&request, "stats meshable=1 format=json"));
	CU_ASSERT_FALSE(request.openmetrics);
}

static void settings(void)
{
	struct hak_request request;
	CU_ASSERT_TRUE(parse(&request, "set"));
	UNIT_EQUAL(request.given, 0);
	CU_ASSERT_TRUE(parse(&request, "set trace=none debug=all drain_interval=16 purge_delay_ms=0 for_ms=5"));
	UNIT_EQUAL(request.given, 15);
	UNIT_EQUAL(request.value[HAK_CONTROL_TRACE], 0);
	UNIT_EQUAL(request.value[HAK_CONTROL_DEBUG], HAK_GROUP_ALL);
	UNIT_EQUAL(request.value[HAK_CONTROL_DRAIN_INTERVAL], 16);
	UNIT_EQUAL(request.value[HAK_CONTROL_PURGE_DELAY_MS], 0);
	UNIT_EQUAL(request.for_ms, 5);
	CU_ASSERT_TRUE(parse(&request, "set debug=drain"));
	UNIT_EQUAL(request.given, 1u << HAK_CONTROL_DEBUG);
	UNIT_EQUAL(request.value[HAK_CONTROL_DEBUG], HAK_GROUP_DRAIN);
	CU_ASSERT_TRUE(parse(&request, "set prof_rate=1099511627776"));
	UNIT_EQUAL(request.value[HAK_CONTROL_PROF_RATE], 1ull << 40);
	CU_ASSERT_TRUE(parse(&request, "set prof_rate=off"));
	UNIT_EQUAL(request.given, 1u << HAK_CONTROL_PROF_RATE);
	UNIT_EQUAL(request.value[HAK_CONTROL_PROF_RATE], 0);
	CU_ASSERT_FALSE(parse(&request, "set prof_rate=0"));
	CU_ASSERT_FALSE(parse(&request, "set prof_rate=1099511627777"));
	CU_ASSERT_TRUE(parse(&request, "profile"));
	UNIT_EQUAL(request.verb, HAK_VERB_profile);
}

static void marks(void)
{
	struct hak_request request;
	CU_ASSERT_TRUE(parse(&request, "mark  two words=x "));
	UNIT_STRING(request.text, "two words=x ");
	CU_ASSERT_TRUE(parse(&request, "mark 0123456789012345678901234567890123456789"));
	UNIT_EQUAL(strlen(request.text), 40);
}

static void paths(void)
{
	struct hak_request request;
	CU_ASSERT_TRUE(parse(&request, "dump"));
	CU_ASSERT_PTR_NULL(request.path);
	CU_ASSERT_TRUE(parse(&request, "dump  path=/a b/c=d e.json"));
	UNIT_STRING(request.path, "/a b/c=d e.json");
}

static void faults(void)
{
	static const struct {
		const char *line;
		enum hak_protocol_error error;
	} cases[] = {
		{"", HAK_ERROR_unknown_verb}, {"   ", HAK_ERROR_unknown_verb}, {"snap", HAK_ERROR_unknown_verb},
		{"snapshots", HAK_ERROR_unknown_verb}, {"Ping", HAK_ERROR_unknown_verb},
		{"ping\t", HAK_ERROR_unknown_verb},
		{"ping x", HAK_ERROR_unknown_argument}, {"ping what=snapshot", HAK_ERROR_unknown_argument},
		{"subscribe =", HAK_ERROR_unknown_argument}, {"subscribe whatever=1", HAK_ERROR_unknown_argument},
		{"subscribe what", HAK_ERROR_bad_argument}, {"subscribe what=", HAK_ERROR_bad_argument},
		{"subscribe what=,", HAK_ERROR_bad_argument},
		{"subscribe what=snapshot,,events", HAK_ERROR_bad_argument},
		{"subscribe what=Snapshot", HAK_ERROR_bad_argument}, {"subscribe interval_ms", HAK_ERROR_bad_argument},
		{"subscribe interval_ms=", HAK_ERROR_bad_argument}, {"subscribe interval_ms=9", HAK_ERROR_bad_argument},
		{"subscribe interval_ms=3600001", HAK_ERROR_bad_argument},
		{"subscribe interval_ms=10x", HAK_ERROR_bad_argument},
		{"subscribe interval_ms=-10", HAK_ERROR_bad_argument},
		{"subscribe interval_ms=184467440737095516160", HAK_ERROR_bad_argument},
		{"dump path", HAK_ERROR_unknown_argument}, {"dump path=", HAK_ERROR_bad_argument},
		{"dump x path=/y", HAK_ERROR_unknown_argument},
		{"subscribe full=2", HAK_ERROR_bad_argument}, {"subscribe group=", HAK_ERROR_bad_argument},
		{"subscribe group=none", HAK_ERROR_bad_argument}, {"subscribe group=lru,", HAK_ERROR_bad_argument},
		{"subscribe class=", HAK_ERROR_bad_argument}, {"subscribe class=1,", HAK_ERROR_bad_argument},
		{"subscribe class=64", HAK_ERROR_bad_argument}, {"subscribe class=1,x", HAK_ERROR_bad_argument},
		{"subscribe thread=0", HAK_ERROR_bad_argument}, {"subscribe thread=2147483648", HAK_ERROR_bad_argument},
		{"subscribe thread=1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17", HAK_ERROR_bad_argument},
		{"subscribe rate=0", HAK_ERROR_bad_argument}, {"resync now", HAK_ERROR_unknown_argument},
		{"stats meshable=2", HAK_ERROR_bad_argument}, {"stats full=1", HAK_ERROR_unknown_argument},
		{"stats format=", HAK_ERROR_bad_argument}, {"stats format=OpenMetrics", HAK_ERROR_bad_argument},
		{"stats format=openmetrics meshable=1", HAK_ERROR_bad_argument}, {"ping format=json", HAK_ERROR_unknown_argument},
		{"set what=events", HAK_ERROR_unknown_argument}, {"set trace=", HAK_ERROR_bad_argument},
		{"set debug=acquire,none", HAK_ERROR_bad_argument}, {"set drain_interval=15", HAK_ERROR_bad_argument},
		{"set purge_delay_ms=86400001", HAK_ERROR_bad_argument}, {"set for_ms=10", HAK_ERROR_bad_argument},
		{"set debug=all for_ms=0", HAK_ERROR_bad_argument}, {"mark", HAK_ERROR_bad_argument},
		{"mark   ", HAK_ERROR_bad_argument},
		{"mark 01234567890123456789012345678901234567890", HAK_ERROR_bad_argument},
	};
	for (size_t i = 0; i < HAK_COUNT_OF(cases); i++) {
		struct hak_request request;
		CU_ASSERT_FALSE(parse(&request, cases[i].line));
		UNIT_EQUAL(request.error, cases[i].error);
		CU_ASSERT_PTR_NOT_NULL(request.message);
	}
}

/* The line does not end where C takes it to end. */
static void zero_bytes(void)
{
	static const struct {
		const char *line;
		size_t length;
		enum hak_protocol_error error;
	} cases[] = {
#define ROW(line, error) {line, sizeof(line) - 1, error}
		ROW("ping\0junk", HAK_ERROR_unknown_verb), ROW("ping\0", HAK_ERROR_unknown_verb),
		ROW("\0ping", HAK_ERROR_unknown_verb), ROW("ping \0", HAK_ERROR_unknown_argument),
		ROW("subscribe what=events\0", HAK_ERROR_bad_argument),
		ROW("subscribe interval_ms=10\0", HAK_ERROR_bad_argument),
		ROW("dump path=/a\0b", HAK_ERROR_bad_argument), ROW("mark a\0b", HAK_ERROR_bad_argument),
#undef ROW
	};
	for (size_t i = 0; i < HAK_COUNT_OF(cases); i++) {
		struct hak_request request;
		CU_ASSERT_FALSE(hak_request_parse(&request, cases[i].line, cases[i].length));
		UNIT_EQUAL(request.error, cases[i].error);
	}
}

static void guards(void)
{
	struct hak_request request;
	CU_ASSERT_TRUE(parse(&request, "set guard=full guard_rate=12 guard_class=any guard_site=0xABCdef0123456789"));
	UNIT_EQUAL(request.value[HAK_CONTROL_GUARD], HAK_GUARD_FULL);
	UNIT_EQUAL(request.value[HAK_CONTROL_GUARD_RATE], 12);
	UNIT_EQUAL(request.value[HAK_CONTROL_GUARD_CLASS], HAK_GUARD_ANY_CLASS);
	UNIT_EQUAL(request.value[HAK_CONTROL_GUARD_SITE], 0xabcdef0123456789);
	CU_ASSERT_TRUE(parse(&request, "set guard=off guard_class=0 guard_site=any"));
	UNIT_EQUAL(request.value[HAK_CONTROL_GUARD], HAK_GUARD_OFF);
	UNIT_EQUAL(request.value[HAK_CONTROL_GUARD_CLASS], 0);
	UNIT_EQUAL(request.value[HAK_CONTROL_GUARD_SITE], 0);
	UNIT_EQUAL(request.given, 1u << HAK_CONTROL_GUARD | 1u << HAK_CONTROL_GUARD_CLASS | 1u << HAK_CONTROL_GUARD_SITE);
	CU_ASSERT_TRUE(parse(&request, "guarded address=0x7f00 bytes=2097152"));
	UNIT_EQUAL(request.address, 0x7f00);
	UNIT_EQUAL(request.bytes, 2097152);
	static const char *const wrong[] = {"set guard=on", "set guard=", "set guard_rate=0", "set guard_rate=9007199254740992", "set guard_class=255",
		"set guard_class=-1", "set guard_site=0x", "set guard_site=0x0", "set guard_site=12", "set guard_site=0xg", "set guard_site=0x11112222333344445",
		"guarded bytes=1", "guarded address=any", "guarded address=0x1 bytes=0", "guarded address=0x1 bytes=2097153"};
	for (size_t i = 0; i < HAK_COUNT_OF(wrong); i++) {
		CU_ASSERT_FALSE(parse(&request, wrong[i]));
		UNIT_EQUAL(request.error, HAK_ERROR_bad_argument);
	}
}

UNIT_MAIN("request", UNIT(guards), UNIT(verbs), UNIT(subscriptions), UNIT(filters), UNIT(settings), UNIT(marks), UNIT(paths), UNIT(faults), UNIT(zero_bytes))
