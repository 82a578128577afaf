#include "viewer/model.h"

#include <math.h>

#include "tests/unit/sample_snapshot.h"
#include "tests/unit/unit.h"
#include "viewer/parse.h"

static struct snapshot *parse(const char *json, struct problem *problem)
{
	cJSON *document = cJSON_Parse(json);
	struct snapshot *snapshot = snapshot_parse(document, problem);
	cJSON_Delete(document);
	return snapshot;
}

static void a_good_snapshot(void)
{
	struct problem problem = {""};
	struct snapshot *s = parse(sample_snapshot, &problem);
	UNIT_STRING(problem.text, "");
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	UNIT_EQUAL(s->seq, 7);
	UNIT_EQUAL(s->process.pid, 4711);
	UNIT_STRING(s->process.exe, "/usr/bin/sample");
	UNIT_EQUAL(s->memory.reserved_bytes, 1ull << 40);
	UNIT_EQUAL(s->stages.depot, 100);
	UNIT_EQUAL(s->lru.capacity, 16);
	UNIT_EQUAL(s->syscalls.mprotect, 1);
	UNIT_STRING(s->trace.groups, "acquire,lru");
	UNIT_EQUAL(s->class_count, 2);
	UNIT_EQUAL(s->classes[1].block_bytes, 6144);
	UNIT_EQUAL(s->classes[1].free_list_peak, 0);
	UNIT_EQUAL(s->thread_count, 2);
	UNIT_STRING(s->threads[1].name, "helper");
	UNIT_EQUAL(s->superslab_count, 1);
	UNIT_EQUAL(s->superslabs[0].address, 0x7f5a00000000);
	UNIT_EQUAL(s->superslabs[0].slots[0].used, 4032);
	UNIT_EQUAL(s->superslabs[0].slots[6].state, SLOT_EMPTY);
	UNIT_EQUAL(s->superslabs[0].slots[31].state, SLOT_UNUSED);
	snapshot_free(s);
}

/* What other libraries don't send is 0; what they send wrongly is refused all the same. */
static void options_may_be_missing(void)
{
	struct problem problem = {""};
	struct snapshot *s = parse(sample_snapshot, NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	UNIT_EQUAL(s->memory.purged_bytes + s->large.bytes + s->classes[0].depot + s->realtime_us, 0);
	UNIT_STRING(s->version, "");
	snapshot_free(s);
	char *json = sample_with("\"seq\":7", "\"seq\":7,\"version\":\"0.1\",\"realtime_us\":5,\"large\":{\"bytes\":6}");
	s = parse(json, NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	UNIT_EQUAL(s->realtime_us, 5);
	UNIT_EQUAL(s->large.bytes, 6);
	UNIT_STRING(s->version, "0.1");
	snapshot_free(s);
	free(json);
	json = sample_with("\"seq\":7", "\"seq\":7,\"large\":{\"bytes\":-6}");
	CU_ASSERT_PTR_NULL(parse(json, &problem));
	CU_ASSERT_PTR_NOT_NULL(strstr(problem.text, "large.bytes"));
	free(json);
}

static void runs_know_their_first_slot(void)
{
	struct snapshot *s = parse(sample_snapshot, NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	const struct superslab *superslab = &s->superslabs[0];
	UNIT_EQUAL(superslab->slots[3].lead, 1);
	UNIT_EQUAL(superslab->slots[5].lead, 4);
	UNIT_EQUAL(superslab->slots[6].lead, 6);
	CU_ASSERT_DOUBLE_EQUAL(slot_fill(superslab, 0), 4032.0 / 4096, 1e-9);
	CU_ASSERT_DOUBLE_EQUAL(slot_fill(superslab, 3), 0.25, 1e-9);
	CU_ASSERT_DOUBLE_EQUAL(slot_fill(superslab, 5), 1, 1e-9);
	CU_ASSERT_DOUBLE_EQUAL(slot_fill(superslab, 20), 0, 1e-9);
	snapshot_free(s);
	/* A large allocation that began in the SuperSlab before. */
	char *json = sample_with("[\"ACTIVE\",0,4032,4096,1,1500]", "[\"ACTIVE\",null,0,0,0,0]");
	s = parse(json, NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT_EQUAL(s->superslabs[0].slots[0].lead, -1);
	CU_ASSERT_DOUBLE_EQUAL(slot_fill(&s->superslabs[0], 0), 1, 1e-9);
	snapshot_free(s);
	free(json);
}

/* Each is refused, and the message names the field. */
static void bad_fields_are_named(void)
{
	static const struct {
		const char *from, *to, *named;
	} cases[] = {
		{"\"type\":\"snapshot\",", "", "type"},
		{"\"type\":\"snapshot\"", "\"type\":\"hello\"", "hello"},
		{"\"seq\":7", "\"seq\":\"7\"", "seq"},
		{"\"seq\":7", "\"seq\":-1", "seq"},
		{"\"seq\":7", "\"seq\":7.5", "seq"},
		{"\"seq\":7", "\"seq\":9007199254740994", "seq"},
		{"\"seq\":7", "\"seq\":1e999", "seq"},
		{"\"seq\":7", "\"seq\":null", "seq"},
		{"\"memory\":{", "\"memories\":{", "memory"},
		{"\"memory\":{", "\"memory\":[],\"x\":{", "memory"},
		{"\"live_bytes\":1048576", "\"live_bytes\":true", "memory.live_bytes"},
		{"\"exe\":\"/usr/bin/sample\"", "\"exe\":5", "process.exe"},
		{"\"slots_per_superslab\":32", "\"slots_per_superslab\":64", "64 slots"},
		{"\"classes\":[{", "\"classes\":[5,{", "classes.class"},
		{"{\"class\":1,", "{\"class\":3,", "not in order"},
		{"\"name\":\"helper\"", "\"name\":{}", "threads.name"},
		{"\"slot_fields\":[\"state\"", "\"slot_fields\":[\"estate\"", "state"},
		{"\"ss\":\"0x7f5a00000000\"", "\"ss\":\"7f5a\"", "superslabs.ss"},
		{"\"ss\":\"0x7f5a00000000\"", "\"ss\":\"0x7f5g\"", "superslabs.ss"},
		{"\"in_lru\":false", "\"in_lru\":0", "superslabs.in_lru"},
		{"\"active_slots\":6", "\"active_slots\":33", "superslabs.active_slots"},
		{"[\"ACTIVE\",0,4032", "[\"BUSY\",0,4032", "slot 0"},
		{"[\"ACTIVE\",0,4032", "[\"ACTIVE\",2,4032", "slot 0"},
		{"[\"ACTIVE\",0,4032", "[\"ACTIVE\",0,4294967296", "slot 0"},
		{"[\"EMPTY\",0,0,4096,1,30]", "[\"EMPTY\",0,0]", "slot 6"},
		{"[\"EMPTY\",0,0,4096,1,30]", "7", "slot 6"},
		{"[\"EMPTY\",0,0,4096,1,30],", "", "31 slots"},
		{"[\"EMPTY\",0,0,4096,1,30],", SAMPLE_UNUSED "," SAMPLE_UNUSED ",", "slot 32"},
		{"\"groups\":[\"acquire\"", "\"groups\":[1", "trace.groups"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct problem problem = {""};
		char *json = sample_with(cases[i].from, cases[i].to);
		struct snapshot *snapshot = parse(json, &problem);
		CU_ASSERT_PTR_NULL(snapshot);
		if (snapshot != NULL || strstr(problem.text, cases[i].named) == NULL)
			fprintf(stderr, "\n    %s: \"%s\" doesn't name %s\n", cases[i].to, problem.text,
				cases[i].named);
		CU_ASSERT_PTR_NOT_NULL(strstr(problem.text, cases[i].named));
		snapshot_free(snapshot);
		free(json);
	}
}

/* Taking any one key away makes it invalid or changes nothing that is looked at; it never crashes. */
static void keys_may_be_missing(void)
{
	size_t tried = 0;
	for (const char *key = sample_snapshot; (key = strstr(key, "\":")) != NULL; key++) {
		char *json = sample_with("", "");
		json[key - sample_snapshot - 1] = '~';
		struct snapshot *snapshot = parse(json, NULL);
		/* What older targets don't send reads as 0. */
		CU_ASSERT_EQUAL(snapshot != NULL,
			key >= sample_snapshot + 14 && strncmp(key - 14, "slots_per_slab", 14) == 0);
		snapshot_free(snapshot);
		free(json);
		tried++;
		/* geometry.classes repeats what the classes say, and isn't read. */
		if (strncmp(key, "\":32,\"classes\":[]", 17) == 0)
			key += 14;
	}
	CU_ASSERT_TRUE(tried > 80);
}

static void unknown_keys_are_ignored(void)
{
	char *json = sample_with("\"seq\":7", "\"seq\":7,\"later\":{\"a\":[1,2]}");
	struct snapshot *snapshot = parse(json, NULL);
	CU_ASSERT_PTR_NOT_NULL(snapshot);
	snapshot_free(snapshot);
	free(json);
	snapshot = parse("[]", NULL);
	CU_ASSERT_PTR_NULL(snapshot);
	snapshot = parse("{", NULL);
	CU_ASSERT_PTR_NULL(snapshot);
}

static void columns_may_be_in_another_order(void)
{
	char *json = sample_with("\"slot_fields\":[\"state\",\"class\",\"used\"",
		"\"slot_fields\":[\"state\",\"class\",\"capacity\"");
	char *second = strstr(json, "\"capacity\",\"capacity\"");
	CU_ASSERT_PTR_NOT_NULL_FATAL(second);
	memcpy(second, "\"capacity\",\"used\"    ", 21);
	struct snapshot *snapshot = parse(json, NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(snapshot);
	UNIT_EQUAL(snapshot->superslabs[0].slots[0].capacity, 4032);
	UNIT_EQUAL(snapshot->superslabs[0].slots[0].used, 4096);
	snapshot_free(snapshot);
	free(json);
}

static void sums_and_rates(void)
{
	static struct rates rates;
	struct snapshot *before = parse(sample_snapshot, NULL);
	char *json = sample_with("\"uptime_us\":2000000", "\"uptime_us\":4000000");
	struct snapshot *after = parse(json, NULL);
	CU_ASSERT_TRUE_FATAL(before != NULL && after != NULL);
	struct totals totals = snapshot_totals(before);
	UNIT_EQUAL(totals.allocs, 5050);
	UNIT_EQUAL(totals.acquires, 10);
	UNIT_EQUAL(totals.idle_bytes, 2097152 - 1048576 - 262144 - 131072);
	rates_between(&rates, NULL, before);
	CU_ASSERT_FALSE(rates.known);
	after->classes[0].allocs += 3000;
	rates_between(&rates, before, after);
	CU_ASSERT_TRUE(rates.known);
	CU_ASSERT_DOUBLE_EQUAL(rates.allocs, 1500, 1e-9);
	CU_ASSERT_DOUBLE_EQUAL(rates.class_allocs[0], 1500, 1e-9);
	CU_ASSERT_DOUBLE_EQUAL(rates.frees, 0, 1e-9);
	after->classes[0].allocs = 0;
	rates_between(&rates, before, after);
	CU_ASSERT_TRUE(isnan(rates.class_allocs[0]));
	rates_between(&rates, after, before);
	CU_ASSERT_FALSE(rates.known);
	rates_since_start(&rates, before);
	CU_ASSERT_DOUBLE_EQUAL(rates.allocs, 2525, 1e-9);
	snapshot_free(before);
	snapshot_free(after);
	free(json);
}

static void threads_have_rates(void)
{
	struct snapshot *before = parse(sample_snapshot, NULL);
	char *json = sample_with("\"uptime_us\":2000000", "\"uptime_us\":4000000");
	struct snapshot *after = parse(json, NULL);
	CU_ASSERT_TRUE_FATAL(before != NULL && after != NULL);
	rates_of_threads(NULL, after);
	CU_ASSERT_TRUE(after->threads[0].alloc_rate < 0);
	after->threads[0].allocs += 500;
	after->threads[1].frees += 30;
	/* One that died in between, and one that was born. */
	before->threads[0].tid = 1;
	rates_of_threads(before, after);
	CU_ASSERT_TRUE(after->threads[0].alloc_rate < 0);
	CU_ASSERT_DOUBLE_EQUAL(after->threads[1].alloc_rate, 0, 1e-9);
	CU_ASSERT_DOUBLE_EQUAL(after->threads[1].free_rate, 15, 1e-9);
	before->threads[0].tid = after->threads[0].tid;
	rates_of_threads(before, after);
	CU_ASSERT_DOUBLE_EQUAL(after->threads[0].alloc_rate, 250, 1e-9);
	snapshot_free(before);
	snapshot_free(after);
	free(json);
}

static void slack_of_a_class(void)
{
	struct snapshot *s = parse(sample_snapshot, NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	struct class_row class = {.block_bytes = 1024, .slots_per_slab = 2, .slabs = 3, .live_blocks = 100, .cached_blocks = 28};
	UNIT_EQUAL(class_slack(s, &class), 3 * 2 * 65536 - 128 * 1024);
	class.live_blocks = 1000; /* counts of two moments */
	UNIT_EQUAL(class_slack(s, &class), 0);
	struct totals totals = snapshot_totals(s);
	CU_ASSERT_DOUBLE_EQUAL(totals.fragmentation, 1 - 1048576.0 / (1048576 + 262144 + 131072), 1e-9);
	UNIT_EQUAL(totals.syscalls, 6);
	snapshot_free(s);
}

static void names(void)
{
	static const char *const cases[][3] = {
		{"/usr/bin/redis-check-rdb", "redis-server 127.0.0.1:7711", "redis-server"}, {"/usr/bin/dash", "/bin/sh -c x/y", "sh"},
		{"/usr/bin/python3.11", "/usr/bin/python3 x.py", "python3.11"}, {"/usr/sbin/nginx", "nginx: master process", "nginx"},
		{"/usr/bin/bash", "-bash", "bash"}, {"/usr/bin/sample", "", "sample"}, {"/usr/bin/sample", "/", "sample"},
		{"/bin/?[31mred", "?[31m x", "?[31mred"}, {"sample", "a/b/", "sample"}, {"", "", ""},
	};
	struct snapshot snapshot = {0};
	char out[MODEL_NAME_MAX];
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		strcpy(snapshot.process.exe, cases[i][0]);
		strcpy(snapshot.process.cmdline, cases[i][1]);
		UNIT_STRING(snapshot_name(&snapshot, out), cases[i][2]);
	}
	memset(snapshot.process.exe, 'x', sizeof(snapshot.process.exe) - 1);
	memset(snapshot.process.cmdline, 'y', sizeof(snapshot.process.cmdline) - 1);
	UNIT_EQUAL(strlen(snapshot_name(&snapshot, out)), MODEL_NAME_MAX - 1);
	UNIT_EQUAL(out[0], 'x');
}

static void class_letters(void)
{
	char symbols[128] = "";
	for (unsigned i = 0; i < 40; i++) {
		char symbol[2] = {class_symbol(i), '\0'};
		CU_ASSERT_PTR_NULL(strstr(symbols, symbol));
		strcat(symbols, symbol);
	}
	UNIT_EQUAL(class_symbol(0), '0');
	UNIT_EQUAL(class_symbol(10), 'a');
	UNIT_EQUAL(class_symbol(36), 'A');
	UNIT_EQUAL(class_symbol(99), '+');
	UNIT_EQUAL(class_symbol(SLOT_NO_CLASS), '@');
}

#define DELTA_ROW(index, used) \
	"{\"ss\":\"0x7f5a00" index "00000\",\"index\":" index ",\"in_lru\":false,\"active_slots\":1,\"slots\":[" \
	"[\"ACTIVE\",0," used ",4096,1,5]," SAMPLE_REST "," SAMPLE_4(SAMPLE_UNUSED) "," SAMPLE_UNUSED "," SAMPLE_UNUSED \
	"," SAMPLE_UNUSED "]}"
#define DELTA(seq, rows, gone) \
	"{\"type\":\"delta\",\"seq\":" seq ",\"base\":7,\"time_us\":9500000,\"realtime_us\":1,\"uptime_us\":2500000," \
	"\"lru\":{\"length\":5,\"capacity\":16,\"pushes\":6,\"hits\":1,\"evictions\":1}," \
	"\"threads\":[{\"tid\":4711,\"name\":\"sample\",\"cached_bytes\":1,\"allocs\":2,\"frees\":3}]," \
	"\"classes\":[{\"class\":1,\"block_bytes\":6144,\"slabs\":9,\"empty_slots\":0,\"allocs\":50,\"frees\":30," \
	"\"live_blocks\":20,\"cached_blocks\":2,\"stage1\":0,\"stage2\":2,\"stage3\":0,\"free_list_peak\":0}]," \
	"\"superslabs\":[" rows "],\"superslabs_gone\":[" gone "]}"

static struct snapshot *apply(struct snapshot *base, bool spend, const char *json, struct problem *problem)
{
	cJSON *document = cJSON_Parse(json);
	CU_ASSERT_PTR_NOT_NULL_FATAL(document);
	struct snapshot *snapshot = snapshot_apply(base, spend, document, problem);
	cJSON_Delete(document);
	return snapshot;
}

static void a_delta(void)
{
	struct problem problem = {""};
	struct snapshot *base = parse(sample_snapshot, &problem);
	CU_ASSERT_PTR_NOT_NULL_FATAL(base);
	/* New rows before and behind the one that is there; 1000 is gone, which nobody knew. */
	struct snapshot *s = apply(base, false, DELTA("9", DELTA_ROW("9", "10") "," DELTA_ROW("1", "20"), "1000"), &problem);
	UNIT_STRING(problem.text, "");
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	UNIT_EQUAL(s->seq, 9);
	UNIT_EQUAL(s->time_us, 9500000);
	UNIT_EQUAL(s->uptime_us, 2500000);
	UNIT_EQUAL(s->lru.length, 5);
	UNIT_EQUAL(s->pool.superslabs, 1);       /* not in the delta */
	UNIT_STRING(s->process.exe, "/usr/bin/sample");
	UNIT_EQUAL(s->class_count, 2);
	UNIT_EQUAL(s->classes[0].allocs, 5000);
	UNIT_EQUAL(s->classes[1].slabs, 9);
	UNIT_EQUAL(s->thread_count, 1);
	UNIT_EQUAL(s->superslab_count, 3);
	UNIT_EQUAL(s->superslabs[0].index, 1);
	UNIT_EQUAL(s->superslabs[0].slots[0].used, 20);
	UNIT_EQUAL(slot_age_ms(s, &s->superslabs[0].slots[0]), 5);
	UNIT_EQUAL(s->superslabs[1].index, 3);
	UNIT_EQUAL(slot_age_ms(s, &s->superslabs[1].slots[0]), 1500 + 500); /* it has grown older */
	UNIT_EQUAL(s->superslabs[2].index, 9);
	UNIT_EQUAL(base->class_count + base->thread_count + base->superslab_count, 5); /* the base stays */
	/* A row replaced, one gone. */
	struct snapshot *t = apply(s, false, DELTA("10", DELTA_ROW("3", "30"), "9"), &problem);
	CU_ASSERT_PTR_NOT_NULL_FATAL(t);
	UNIT_EQUAL(t->superslab_count, 2);
	UNIT_EQUAL(t->superslabs[0].index, 1);
	UNIT_EQUAL(t->superslabs[1].index, 3);
	UNIT_EQUAL(t->superslabs[1].slots[0].used, 30);
	snapshot_free(t);
	snapshot_free(s);
	snapshot_free(base);
}

static void wrong_deltas(void)
{
	static const char *const wrong[] = {
		"{}", "{\"type\":\"delta\"}", DELTA("-1", "", ""), DELTA("9", "1", ""), DELTA("9", "", "-1"),
		DELTA("9", "", "\"x\""), DELTA("9", DELTA_ROW("9", "-10"), ""),
		"{\"seq\":8,\"time_us\":1,\"uptime_us\":1,\"classes\":[],\"superslabs\":[],\"superslabs_gone\":[]}",
		"{\"seq\":8,\"time_us\":9500000,\"uptime_us\":1,\"classes\":[{\"class\":2}],\"superslabs\":[],"
			"\"superslabs_gone\":[]}",
		"{\"seq\":8,\"time_us\":9500000,\"uptime_us\":1,\"classes\":[],\"superslabs\":[]}",
		"{\"seq\":8,\"time_us\":9500000,\"uptime_us\":1,\"threads\":3,\"classes\":[],\"superslabs\":[],"
			"\"superslabs_gone\":[]}",
	};
	struct problem problem = {""};
	struct snapshot *base = parse(sample_snapshot, &problem);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		problem.text[0] = 0;
		CU_ASSERT_PTR_NULL(apply(base, true, wrong[i], &problem));
		CU_ASSERT_TRUE(problem.text[0] != 0);
		UNIT_EQUAL(base->superslab_count, 1); /* what came of it would have had them */
	}
	snapshot_free(base);
}

/* A base that nobody looks at any more gives its rows away where each stays in its place, and only there. */
static void a_delta_spends_its_base(void)
{
	struct problem problem = {""};
	struct snapshot *base = parse(sample_snapshot, &problem);
	CU_ASSERT_PTR_NOT_NULL_FATAL(base);
	struct snapshot *s = apply(base, true, DELTA("9", DELTA_ROW("9", "10") "," DELTA_ROW("1", "20"), ""), &problem);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	UNIT_EQUAL(s->superslab_count, 3);
	UNIT_EQUAL(base->superslab_count, 1);
	const struct superslab *rows = s->superslabs;
	struct snapshot *t = apply(s, true, DELTA("10", DELTA_ROW("9", "30"), ""), &problem);
	CU_ASSERT_PTR_NOT_NULL_FATAL(t);
	CU_ASSERT_PTR_EQUAL(t->superslabs, rows);
	UNIT_EQUAL(t->superslab_count, 3);
	UNIT_EQUAL(t->superslabs[2].slots[0].used, 30);
	UNIT_EQUAL(s->superslab_count, 0);
	CU_ASSERT_PTR_NULL(s->superslabs);
	struct snapshot *u = apply(t, true, DELTA("11", DELTA_ROW("1", "40"), "9"), &problem);
	CU_ASSERT_PTR_NOT_NULL_FATAL(u);
	UNIT_EQUAL(u->superslab_count, 2);
	UNIT_EQUAL(u->superslabs[0].slots[0].used, 40);
	UNIT_EQUAL(u->superslabs[1].index, 3);
	UNIT_EQUAL(t->superslab_count, 3);
	snapshot_free(u);
	snapshot_free(t);
	snapshot_free(s);
	snapshot_free(base);
}

UNIT_MAIN("model", UNIT(a_good_snapshot), UNIT(options_may_be_missing), UNIT(runs_know_their_first_slot), UNIT(bad_fields_are_named),
	UNIT(keys_may_be_missing),
	UNIT(unknown_keys_are_ignored), UNIT(columns_may_be_in_another_order), UNIT(sums_and_rates),
	UNIT(threads_have_rates), UNIT(slack_of_a_class),
	UNIT(class_letters), UNIT(names),
	UNIT(a_delta), UNIT(a_delta_spends_its_base), UNIT(wrong_deltas))
