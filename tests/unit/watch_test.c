#include "viewer/watch.h"

#include <fcntl.h>

#include "tests/unit/sample_profile.h"
#include "tests/unit/sample_snapshot.h"
#include "tests/unit/unit.h"

static struct watch watch;

static enum watch_message take(const char *json, struct problem *problem)
{
	return watch_take(&watch, json, strlen(json), problem);
}

static void messages_are_told_apart(void)
{
	struct problem problem = {""};
	UNIT_EQUAL(take("{\"type\":\"ok\",\"request\":\"subscribe\"}", &problem), WATCH_REPLY);
	UNIT_EQUAL(take("{\"type\":\"pong\"}", &problem), WATCH_REPLY);
	UNIT_EQUAL(take("{\"type\":\"something new\"}", &problem), WATCH_OTHER);
	UNIT_EQUAL(take("{\"type\":\"dropped\",\"snapshots\":3}", &problem), WATCH_OTHER);
	UNIT_EQUAL(watch.dropped, 3);
	UNIT_EQUAL(take("{\"type\":\"events\",\"events\":[],\"lost\":4}", &problem), WATCH_EVENTS);
	UNIT_EQUAL(watch.events.lost, 4);
	UNIT_STRING(problem.text, "");
	UNIT_EQUAL(take("{\"type\":\"error\",\"code\":\"busy\",\"message\":\"too many\"}", &problem), WATCH_REFUSED);
	UNIT_STRING(problem.text, "the target answers: too many (busy)");
	UNIT_EQUAL(take("{\"type\":\"error\",\"code\":[],\"message\":1}", &problem), WATCH_REFUSED);
	watch_free(&watch);
}

static void garbage_is_refused(void)
{
	static const char *const bad[] = {"", "nonsense", "{", "[1,2", "{\"type\":5}", "[]", "null",
		"{\"type\":\"snapshot\"}", "\xff\xfe"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct problem problem = {""};
		UNIT_EQUAL(take(bad[i], &problem), WATCH_BAD);
		CU_ASSERT_TRUE(problem.text[0] != '\0');
	}
	/* Deep nesting must not end in a stack overflow. */
	char *deep = malloc(2000001);
	CU_ASSERT_PTR_NOT_NULL_FATAL(deep);
	memset(deep, '[', 2000000);
	deep[2000000] = '\0';
	UNIT_EQUAL(take(deep, NULL), WATCH_BAD);
	free(deep);
	CU_ASSERT_PTR_NULL(watch.snapshot);
	watch_free(&watch);
}

/* Two dumps in one file, or a shorter one written over a longer one. */
static void what_follows_the_json_is_refused(void)
{
	static const char *const bad[] = {"}", "x", "{}", "\n\n{}", " \x1b"};
	struct problem problem = {""};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char text[64];
		snprintf(text, sizeof(text), "{\"type\":\"pong\"}%s", bad[i]);
		UNIT_EQUAL(take(text, &problem), WATCH_BAD);
		CU_ASSERT_PTR_NOT_NULL(strstr(problem.text, "follows the JSON"));
	}
	UNIT_EQUAL(take("{\"type\":\"pong\"} \r\n\t\n", &problem), WATCH_REPLY);
	UNIT_EQUAL(watch_take(&watch, "{\"type\":\"pong\"}\0", 16, &problem), WATCH_BAD);
	watch_free(&watch);
}

/* An escaped quote doesn't end a string, nor do brackets in one count. */
static void ends_in_the_middle_are_told_from_garbage(void)
{
	static const struct {
		const char *json;
		bool cut;
	} cases[] = {
		{"{\"a\":\"x\\\"]}", true}, {"{\"a\":\"x\\", true}, {"[\"x\\\\\",", true}, {"{\"a\":\"[[\\\"\" ? 1}", false},
		{"{\"a\" 1}", false}, {"[1,2", true}, {"]", false},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct problem problem = {""};
		UNIT_EQUAL(take(cases[i].json, &problem), WATCH_BAD);
		if ((strstr(problem.text, "in the middle") != NULL) != cases[i].cut)
			fprintf(stderr, "\n    %s: \"%s\"\n", cases[i].json, problem.text);
		CU_ASSERT_EQUAL(strstr(problem.text, "in the middle") != NULL, cases[i].cut);
	}
	watch_free(&watch);
}

/* Every prefix of a snapshot is a truncated one. */
static void truncation_is_noticed(void)
{
	for (size_t length = 0; length + 1 < sizeof(sample_snapshot); length += 13)
		UNIT_EQUAL(watch_take(&watch, sample_snapshot, length, NULL), WATCH_BAD);
	watch_free(&watch);
}

/* One byte changed anywhere: refused or shown, and no crash (sanitizer builds look closely). */
static void damaged_bytes_do_no_harm(void)
{
	char *json = sample_with("", "");
	unsigned taken = 0, refused = 0;
	for (size_t i = 0; i + 1 < sizeof(sample_snapshot); i += 3) {
		static const char damage[] = {'9', '"', '{', '\\', '-', (char)0xff};
		char was = json[i];
		json[i] = damage[i % sizeof(damage)];
		if (take(json, NULL) == WATCH_SNAPSHOT)
			taken++;
		else
			refused++;
		json[i] = was;
	}
	CU_ASSERT_TRUE(taken > 0);
	CU_ASSERT_TRUE(refused > 100);
	free(json);
	watch_free(&watch);
}

static void rates_follow(void)
{
	char *json = sample_with("\"uptime_us\":2000000", "\"uptime_us\":3000000");
	UNIT_EQUAL(take(sample_snapshot, NULL), WATCH_SNAPSHOT);
	CU_ASSERT_TRUE(watch.rates_are_means);
	UNIT_EQUAL(watch.state, WATCH_LIVE);
	UNIT_EQUAL(take(json, NULL), WATCH_SNAPSHOT);
	CU_ASSERT_FALSE(watch.rates_are_means);
	UNIT_EQUAL(watch.courses.count, 2);
	free(json);
	watch_free(&watch);
}

static void a_pause_keeps_what_is_shown(void)
{
	memset(&watch, 0, sizeof(watch));
	char *later = sample_with("\"seq\":7", "\"seq\":8"), *latest = sample_with("\"seq\":7", "\"seq\":9");
	take(sample_snapshot, NULL);
	watch_pause(&watch, true);
	take(later, NULL);
	take(latest, NULL);
	UNIT_EQUAL(watch.snapshot->seq, 7);
	watch_pause(&watch, false);
	UNIT_EQUAL(watch.snapshot->seq, 9);
	CU_ASSERT_PTR_NULL(watch.pending);
	watch_lose(&watch, "gone");
	UNIT_EQUAL(watch.state, WATCH_LOST);
	UNIT_EQUAL(watch.snapshot->seq, 9);
	UNIT_STRING(watch.note, "gone");
	free(later);
	free(latest);
	watch_free(&watch);
}

static void write_file(const char *path, const char *text, size_t length)
{
	FILE *file = fopen(path, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	CU_ASSERT_EQUAL(fwrite(text, 1, length, file), length);
	fclose(file);
}

static void dump_files(void)
{
	struct problem problem = {""};
	char path[] = "watch_test_XXXXXX";
	int fd = mkstemp(path);
	CU_ASSERT_TRUE_FATAL(fd >= 0);
	close(fd);
	memset(&watch, 0, sizeof(watch));
	char *dump = sample_with("\"type\":\"snapshot\"",
		"\"type\":\"dump\",\"reason\":\"exit\",\"events\":["
		"{\"name\":\"drain\",\"group\":\"drain\",\"tid\":1,\"time_us\":1}]");
	write_file(path, dump, strlen(dump));
	CU_ASSERT_TRUE(watch_load(&watch, path, &problem));
	UNIT_EQUAL(watch.state, WATCH_FILE);
	UNIT_STRING(watch.snapshot->reason, "exit");
	UNIT_EQUAL(watch.events.count, 1);
	write_file(path, dump, strlen(dump) / 2);
	CU_ASSERT_FALSE(watch_load(&watch, path, &problem));
	CU_ASSERT_PTR_NOT_NULL(strstr(problem.text, "in the middle"));
	CU_ASSERT_PTR_NOT_NULL(strstr(problem.text, path));
	write_file(path, "", 0);
	CU_ASSERT_FALSE(watch_load(&watch, path, &problem));
	CU_ASSERT_PTR_NOT_NULL(strstr(problem.text, "empty"));
	write_file(path, "{\"type\":\"pong\"}", 15);
	CU_ASSERT_FALSE(watch_load(&watch, path, &problem));
	unlink(path);
	CU_ASSERT_FALSE(watch_load(&watch, path, &problem));
	CU_ASSERT_PTR_NOT_NULL(strstr(problem.text, "No such file"));
	CU_ASSERT_FALSE(watch_load(&watch, "/", &problem));
	CU_ASSERT_PTR_NOT_NULL(strstr(problem.text, "not a file"));
	free(dump);
	watch_free(&watch);
}

#define DELTA(seq, base) \
	"{\"type\":\"delta\",\"seq\":" #seq ",\"base\":" #base ",\"time_us\":9500000,\"uptime_us\":2500000," \
	"\"classes\":[],\"superslabs\":[],\"superslabs_gone\":[]}"

/* A delta builds on the newest snapshot. One that doesn't asks for a whole one, once; until that comes the others are
 * of no use. */
/* The last one counts; while paused it stands still, and what can't be read is told. */
static void profiles(void)
{
	struct problem problem = {""};
	UNIT_EQUAL(take(sample_profile, &problem), WATCH_PROFILE);
	UNIT_EQUAL(watch.profile->samples, 40);
	char *later = sample_profile_with("\"samples\":40", "\"samples\":41");
	UNIT_EQUAL(take(later, &problem), WATCH_PROFILE);
	UNIT_EQUAL(watch.profile->samples, 41);
	watch_pause(&watch, true);
	UNIT_EQUAL(take(sample_profile, &problem), WATCH_PROFILE);
	UNIT_EQUAL(watch.profile->samples, 41);
	UNIT_EQUAL(take("{\"type\":\"profile\"}", &problem), WATCH_BAD);
	CU_ASSERT_PTR_NOT_NULL(strstr(problem.text, "profile.rate"));
	watch_free(&watch);
	/* A dump is shown without a profile that is bad. */
	char *dump = sample_with("\"type\":\"snapshot\"", "\"type\":\"dump\",\"profile\":{}");
	UNIT_EQUAL(take(dump, &problem), WATCH_SNAPSHOT);
	CU_ASSERT_PTR_NULL(watch.profile);
	CU_ASSERT_PTR_NOT_NULL(strstr(watch.note, "profile.rate"));
	watch_free(&watch);
	free(later);
	free(dump);
}

static void deltas_follow(void)
{
	struct problem problem = {""};
	UNIT_EQUAL(take(DELTA(8, 7), &problem), WATCH_RESYNC);
	UNIT_EQUAL(take(sample_snapshot, &problem), WATCH_SNAPSHOT);
	UNIT_EQUAL(take(DELTA(8, 7), &problem), WATCH_SNAPSHOT);
	UNIT_EQUAL(watch.snapshot->seq, 8);
	UNIT_EQUAL(watch.snapshot->superslab_count, 1);
	/* While paused the one that waits is the newest. */
	watch_pause(&watch, true);
	UNIT_EQUAL(take(DELTA(9, 8), &problem), WATCH_SNAPSHOT);
	UNIT_EQUAL(take(DELTA(10, 9), &problem), WATCH_SNAPSHOT);
	UNIT_EQUAL(watch.snapshot->seq, 8);
	watch_pause(&watch, false);
	UNIT_EQUAL(watch.snapshot->seq, 10);
	UNIT_EQUAL(take(DELTA(13, 12), &problem), WATCH_RESYNC);
	UNIT_EQUAL(take(DELTA(14, 13), &problem), WATCH_OTHER);
	UNIT_EQUAL(take(DELTA(15, 10), &problem), WATCH_OTHER);
	UNIT_EQUAL(watch.snapshot->seq, 10);
	UNIT_EQUAL(take(sample_snapshot, &problem), WATCH_SNAPSHOT);
	UNIT_EQUAL(watch.snapshot->seq, 7);
	UNIT_EQUAL(take("{\"type\":\"delta\",\"base\":7}", &problem), WATCH_RESYNC);
	watch_free(&watch);
}

UNIT_MAIN("watch", UNIT(messages_are_told_apart), UNIT(garbage_is_refused),
	UNIT(what_follows_the_json_is_refused), UNIT(ends_in_the_middle_are_told_from_garbage), UNIT(truncation_is_noticed),
	UNIT(damaged_bytes_do_no_harm), UNIT(rates_follow), UNIT(a_pause_keeps_what_is_shown), UNIT(dump_files), UNIT(profiles),
	UNIT(deltas_follow))
