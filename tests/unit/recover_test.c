/* A trace file of this very process, read back: it says what the heap says, names what is broken, and no damage to it
 * harms the reader. */
#include "viewer/recover.h"

#include <cjson/cJSON.h>
#include <fcntl.h>
#include <pthread.h>

#include "introspect/ring.h"
#include "introspect/trace_file.h"
#include "lib/trace.h"
#include "tests/unit/folder.h"
#include "tests/unit/heap.h"
#include "viewer/watch.h"

#define BYTES (512u << 10)
#define ROUNDS 400 /* of damage; HAK_FUZZ_ROUNDS sets another number */

static char bytes[BYTES + 4096];
static size_t length;

static void emit(uint64_t number)
{
	struct hak_event event = {number * 1000, (uint32_t)gettid(), HAK_EVENT_ID_large_free, 0, {0x1000, number}};
	hak_ring_record(&event);
}

static void *emit_some(void *argument)
{
	for (uint64_t i = 0; i < 100; i++)
		emit(i);
	return argument;
}

/* Makes the file once, and something to be seen in it. */
static void read_file(void)
{
	static char path[300];
	pthread_t thread;
	if (!*path) {
		char tried[300];
		make_folder();
		snprintf(path, sizeof(path), "%s", below("x.trace"));
		struct hak_trace_file_options options = {.path = path, .bytes = BYTES, .groups = HAK_GROUP_LARGE};
		UNIT_EQUAL(hak_trace_file_open(&options, tried, sizeof(tried)), 0);
		for (size_t i = 0; i < 3000; i++)
			CU_ASSERT_PTR_NOT_NULL(hak_malloc(i % 7 == 0 ? i * 100 : i));
		hak_free(hak_malloc(5 << 20));
		for (uint64_t i = 0; i < 5000; i++)
			emit(i);
		pthread_create(&thread, NULL, emit_some, NULL);
		pthread_join(thread, NULL);
	}
	FILE *file = fopen(path, "r");
	length = fread(bytes, 1, sizeof(bytes), file);
	fclose(file);
}

/* The place of row `row` of a section in the bytes. */
static char *row_of(const char *name, uint64_t row, uint64_t *stride)
{
	const struct hak_trace_header *header = (const struct hak_trace_header *)bytes;
	const struct hak_trace_section *section = (const struct hak_trace_section *)(bytes + header->sections_at);
	while (strcmp(section->name, name) != 0)
		section++;
	if (stride)
		*stride = section->stride;
	return bytes + section->at + row * section->stride;
}

/* The document of what `bytes` holds now. */
static cJSON *document(struct problem *problem)
{
	struct trace_file file;
	size_t text_length = 0;
	char *text = trace_file_open(&file, bytes, length, problem) ? recover_document(&file, &text_length, problem) : NULL;
	cJSON *root = text ? cJSON_ParseWithLength(text, text_length) : NULL;
	free(text);
	return root;
}

static const cJSON *at(const cJSON *root, const char *a, const char *b)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(root, a);
	return b ? cJSON_GetObjectItemCaseSensitive(item, b) : item;
}

static void says_what_the_heap_says(void)
{
	struct problem problem;
	read_file();
	struct hak_inspect heap = heap_look();
	cJSON *root = document(&problem);
	CU_ASSERT_PTR_NOT_NULL_FATAL(root);
	CU_ASSERT_TRUE(cJSON_IsTrue(at(root, "recovered", "sums_hold")));
	CU_ASSERT_TRUE(cJSON_IsTrue(at(root, "recovered", "whole")));
	CU_ASSERT_TRUE(cJSON_IsFalse(at(root, "recovered", "ended")));
	UNIT_EQUAL(cJSON_GetArraySize(at(root, "superslabs", NULL)), heap.superslab_count);
	UNIT_EQUAL(at(root, "pool", "superslabs")->valuedouble, heap.superslabs_in_use);
	UNIT_EQUAL(at(root, "stages", "stage3")->valuedouble, HEAP_SUM(&heap, stage3));
	UNIT_EQUAL(at(root, "stages", "depot")->valuedouble, HEAP_SUM(&heap, depot));
	UNIT_EQUAL(at(root, "process", "pid")->valuedouble, getpid());
	/* The viewer's model takes it, like any dump. */
	char *text = cJSON_PrintUnformatted(root);
	struct watch watch = {.state = WATCH_WAITING};
	UNIT_EQUAL(watch_take(&watch, text, strlen(text), &problem), WATCH_SNAPSHOT);
	CU_ASSERT_TRUE(watch.snapshot && watch.snapshot->is_dump && watch.events.count > 0);
	watch_free(&watch);
	free(text);
	cJSON_Delete(root);
}

static void each_threads_last_events(void)
{
	struct problem problem;
	struct {
		double tid, count, last;
	} threads[4] = {{0}};
	const cJSON *event;
	read_file();
	cJSON *root = document(&problem);
	CU_ASSERT_PTR_NOT_NULL_FATAL(root);
	double before = 0;
	cJSON_ArrayForEach(event, at(root, "events", NULL)) {
		size_t i = 0;
		while (i < 3 && threads[i].tid && threads[i].tid != at(event, "tid", NULL)->valuedouble)
			i++;
		threads[i].tid = at(event, "tid", NULL)->valuedouble;
		threads[i].count++;
		threads[i].last = at(event, "args", "slots")->valuedouble;
		CU_ASSERT_TRUE(at(event, "time_us", NULL)->valuedouble >= before);
		before = at(event, "time_us", NULL)->valuedouble;
		UNIT_STRING(at(event, "name", NULL)->valuestring, "large_free");
		UNIT_STRING(at(event, "group", NULL)->valuestring, "large");
		UNIT_STRING(at(event, "args", "address")->valuestring, "0x1000");
	}
	UNIT_EQUAL(threads[2].tid, 0);
	bool main_first = threads[0].tid == gettid();
	UNIT_EQUAL(threads[!main_first].last, 4999);
	UNIT_EQUAL(threads[main_first].last, 99);
	/* The other thread's events are all older than what is left of the main one's: it has some nevertheless. */
	CU_ASSERT_TRUE(threads[main_first].count >= RECOVER_EVENTS_THREAD);
	UNIT_EQUAL(at(root, "trace", "events")->valuedouble, 5100);
	UNIT_EQUAL(at(root, "trace", "held")->valuedouble + at(root, "trace", "overwritten")->valuedouble, 5100);
	cJSON_Delete(root);
}

/* A process that ends in the middle of a record. */
/* A later version's file has sections and fields that this reader has never heard of. */
static void unknown_sections_are_passed_over(void)
{
	struct problem problem;
	struct hak_trace_header *header = (struct hak_trace_header *)bytes;
	read_file();
	cJSON *plain = document(&problem);
	/* The tables move to the file's end and get a row more each. */
	struct hak_trace_section *sections = (struct hak_trace_section *)(bytes + length);
	memcpy(sections, bytes + header->sections_at, header->sections * sizeof(*sections));
	struct hak_trace_field *fields = (struct hak_trace_field *)(sections + header->sections + 1);
	memcpy(fields, bytes + header->fields_at, header->fields * sizeof(*fields));
	size_t tables = (header->sections + 1) * sizeof(*sections) + (header->fields + 1) * sizeof(*fields);
	CU_ASSERT_TRUE_FATAL(length + tables <= sizeof(bytes));
	sections[header->sections] = (struct hak_trace_section){"stacks", 64, 3, 8, header->fields, 1};
	fields[header->fields] = (struct hak_trace_field){"frame", 0, 8, HAK_TRACE_NUMBER, 1, 0};
	header->sections_at = length;
	header->fields_at = (uint64_t)((char *)fields - bytes);
	header->sections++;
	header->fields++;
	length += tables;
	header->file_bytes = length;
	cJSON *more = document(&problem);
	CU_ASSERT_TRUE_FATAL(plain && more);
	/* introspect_bytes is the file's length. */
	cJSON_DeleteItemFromObject(plain, "memory");
	cJSON_DeleteItemFromObject(more, "memory");
	CU_ASSERT_TRUE(cJSON_Compare(plain, more, true));
	cJSON_Delete(plain);
	cJSON_Delete(more);
}

/* Of an event that is a text the words are one, whatever bytes they are. */
static void marks_are_texts(void)
{
	static const char *const marks[] = {"a word", "0123456789012345678901234567890123456789", "\"\x1b[31m\\\xff gr\xc3\xbc\xc3\x9f"};
	static const char *const shown[] = {"a word", "0123456789012345678901234567890123456789", "\"\x1b[31m\\? gr\xc3\xbc\xc3\x9f"};
	struct problem problem;
	const cJSON *event;
	unsigned found = 0;
	read_file();
	for (size_t i = 0; i < HAK_COUNT_OF(marks); i++) {
		struct hak_event mark = {6000000 + i, (uint32_t)gettid(), HAK_EVENT_ID_mark, 0, {0}};
		memcpy(mark.arg, marks[i], strlen(marks[i]));
		hak_ring_record(&mark);
	}
	read_file();
	cJSON *root = document(&problem);
	cJSON_ArrayForEach(event, at(root, "events", NULL)) {
		if (strcmp(cJSON_GetStringValue(at(event, "name", NULL)), "mark") != 0)
			continue;
		UNIT_EQUAL(cJSON_GetArraySize(at(event, "args", NULL)), 1);
		CU_ASSERT_TRUE_FATAL(cJSON_IsString(at(event, "args", "text")));
		if (found < HAK_COUNT_OF(shown))
			UNIT_STRING(cJSON_GetStringValue(at(event, "args", "text")), shown[found]);
		found++;
	}
	UNIT_EQUAL(found, HAK_COUNT_OF(shown));
	cJSON_Delete(root);
}

static void torn_events_are_counted(void)
{
	struct problem problem;
	uint64_t stride;
	read_file();
	char *record = row_of("records", 0, &stride);
	for (uint64_t sequence = 0; !sequence; record += stride)
		memcpy(&sequence, record, sizeof(sequence));
	record[-(long)stride] |= 1;
	cJSON *root = document(&problem);
	CU_ASSERT_PTR_NOT_NULL_FATAL(root);
	UNIT_EQUAL(at(root, "recovered", "torn_events")->valuedouble, 1);
	UNIT_EQUAL(at(root, "trace", "lost")->valuedouble, 1);
	cJSON_Delete(root);
}

static void what_is_in_motion_is_named(void)
{
	struct problem problem;
	char expected[32];
	read_file();
	struct hak_inspect heap = heap_look();
	uint32_t index = heap.superslabs[0].index;
	row_of("pool", 0, NULL)[0] |= 1;
	row_of("superslabs", index, NULL)[0] |= 1;
	row_of("superslabs", index, NULL)[5] ^= 1; /* the number of ACTIVE slots: not yet right */
	cJSON *root = document(&problem);
	CU_ASSERT_PTR_NOT_NULL_FATAL(root);
	snprintf(expected, sizeof(expected), "0x%llx", (unsigned long long)heap.superslabs[0].address);
	UNIT_EQUAL(cJSON_GetArraySize(at(root, "recovered", "in_motion")), 1);
	UNIT_STRING(cJSON_GetArrayItem(at(root, "recovered", "in_motion"), 0)->valuestring, expected);
	CU_ASSERT_TRUE(cJSON_IsFalse(at(root, "recovered", "whole")));
	CU_ASSERT_TRUE(cJSON_IsTrue(at(root, "recovered", "sums_hold")));
	cJSON_Delete(root);
}

/* One change each to what is not in motion. */
static void broken_sums_are_named(void)
{
	static const struct {
		const char *section;
		size_t at;
	} changes[] = {{"superslabs", 5}, {"superslabs", 4}, {"superslabs", 8}, {"superslabs", 12}, {"classes", 16}, {"classes", 24}};
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		struct problem problem;
		read_file();
		row_of(changes[i].section, 0, NULL)[changes[i].at] ^= 1;
		cJSON *root = document(&problem);
		CU_ASSERT_PTR_NOT_NULL_FATAL(root);
		CU_ASSERT_TRUE(cJSON_IsFalse(at(root, "recovered", "sums_hold")));
		CU_ASSERT_TRUE(cJSON_GetArraySize(at(root, "recovered", "problems")) > 0);
		if (cJSON_IsTrue(at(root, "recovered", "sums_hold")))
			fprintf(stderr, "\n    change %zu went unnoticed", i);
		cJSON_Delete(root);
	}
}

static void swap(char *at_, size_t size)
{
	for (size_t i = 0; i < size / 2; i++) {
		char byte = at_[i];
		at_[i] = at_[size - 1 - i];
		at_[size - 1 - i] = byte;
	}
}

#define SWAP(row, member) swap((char *)&(row)->member, sizeof((row)->member))

/* Turns the file into what a machine of the other byte order would have written. */
static void swap_file(void)
{
	struct hak_trace_header *header = (struct hak_trace_header *)bytes, copy = *header;
	for (uint32_t s = 0; s < copy.sections; s++) {
		struct hak_trace_section *section = (struct hak_trace_section *)(bytes + copy.sections_at) + s;
		for (uint32_t f = 0; f < section->fields; f++) {
			struct hak_trace_field *field =
				(struct hak_trace_field *)(bytes + copy.fields_at) + section->first_field + f;
			for (uint64_t row = 0; field->kind == HAK_TRACE_NUMBER && row < section->count; row++) {
				for (uint32_t i = 0; i < field->count; i++)
					swap(bytes + section->at + row * section->stride + field->at + i * field->stride,
						field->bytes);
			}
			SWAP(field, at), SWAP(field, bytes), SWAP(field, kind), SWAP(field, count), SWAP(field, stride);
		}
		SWAP(section, at), SWAP(section, count), SWAP(section, stride), SWAP(section, first_field), SWAP(section, fields);
	}
	SWAP(header, byte_order), SWAP(header, version), SWAP(header, file_bytes), SWAP(header, sections_at);
	SWAP(header, fields_at), SWAP(header, sections), SWAP(header, fields), SWAP(header, section_stride);
	SWAP(header, field_stride);
}

static void the_other_byte_order(void)
{
	struct problem problem;
	read_file();
	cJSON *here = document(&problem);
	swap_file();
	cJSON *there = document(&problem);
	CU_ASSERT_TRUE_FATAL(here && there);
	CU_ASSERT_TRUE(cJSON_Compare(here, there, true));
	cJSON_Delete(here);
	cJSON_Delete(there);
}

static uint32_t chance(void)
{
	static uint64_t state = 42;
	state = state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(state >> 33);
}

/* Anything at all in the file: a document or a sentence, within the bytes. The copy ends where the file does, so that a
 * sanitizer sees a step beyond. */
static void damage(void)
{
	const char *wanted = getenv("HAK_FUZZ_ROUNDS");
	static const uint64_t values[] = {0, 1, 0xff, 0x7fffffff, 0xffffffff, 1ull << 32, 1ull << 63, UINT64_MAX};
	long rounds = wanted ? atol(wanted) : ROUNDS, opened = 0;
	for (long round = 0; round < rounds; round++) {
		struct problem problem = {""};
		struct trace_file file;
		size_t tables = 10000, text_length, kept;
		read_file();
		kept = round % 5 == 4 ? chance() % length : length;
		for (uint32_t i = chance() % 8 + 1; i > 0; i--) {
			uint64_t value = chance() % 2 ? values[chance() % 8] : chance();
			size_t place = chance() % (chance() % 4 ? tables : length - 8);
			memcpy(bytes + (chance() % 2 ? place & ~7ul : place), &value, 1u << chance() % 4);
		}
		memcpy(bytes, HAK_TRACE_FILE_MAGIC, 8);
		char *exact = malloc(kept + !kept), *text = NULL;
		memcpy(exact, bytes, kept);
		if (trace_file_open(&file, exact, kept, &problem))
			text = recover_document(&file, &text_length, &problem);
		if (text) {
			cJSON *root = cJSON_ParseWithLength(text, text_length);
			CU_ASSERT_PTR_NOT_NULL(root);
			cJSON_Delete(root);
			opened++;
		} else {
			CU_ASSERT_TRUE(*problem.text != 0 && !strchr(problem.text, '\n'));
		}
		free(text);
		free(exact);
	}
	CU_ASSERT_TRUE(opened > 0);
	char command[128];
	snprintf(command, sizeof(command), "rm -r '%s'", folder);
	UNIT_EQUAL(system(command), 0);
}

UNIT_MAIN("recover", UNIT(says_what_the_heap_says), UNIT(each_threads_last_events), UNIT(torn_events_are_counted),
	UNIT(what_is_in_motion_is_named), UNIT(broken_sums_are_named), UNIT(the_other_byte_order), UNIT(unknown_sections_are_passed_over),
	UNIT(marks_are_texts), UNIT(damage))
