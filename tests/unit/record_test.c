#include "viewer/record.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "tests/unit/folder.h"
#include "tests/unit/past_heap.h"
#include "tests/unit/unit.h"
#include "viewer/recording.h"

#define MOMENTS 150

/* The files that a case may have made, and the folder. */
static void empty_folder(void)
{
	static const char *const names[] = {"r", "r.1", "letter"};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unlink(below(names[i]));
	CU_ASSERT_EQUAL(rmdir(folder), 0);
}

static struct snapshot *all[MOMENTS];
static struct event_log events;

static uint64_t size_of(const char *path)
{
	struct stat facts;
	return stat(path, &facts) == 0 ? (uint64_t)facts.st_size : 0;
}

static void add_event(uint64_t time_us, unsigned number)
{
	struct event event = {.time_us = time_us, .tid = 4711, .name = "stage1", .group = "acquire"};
	snprintf(event.arguments, sizeof(event.arguments), "class=%u", number);
	events_push(&events, &event);
}

/* Records MOMENTS moments, two events before each, a mark behind the tenth. */
static void make(const char *path, uint64_t limit, unsigned superslabs, unsigned changes)
{
	struct record record;
	struct problem problem = {""};
	uint32_t state = 1;
	struct snapshot *heap = heap_make(superslabs, &state);
	CU_ASSERT_TRUE_FATAL(record_open(&record, path, limit, &problem));
	for (unsigned i = 0; i < MOMENTS; i++) {
		add_event(heap->time_us + 5, 2 * i);
		add_event(heap->time_us + 6, 2 * i + 1);
		heap_move(heap, 500000, changes, &state);
		all[i] = moment_copy(heap);
		record_moment(&record, heap, &events);
		if (i == 10)
			record_text(&record, CHUNK_MARK, "");
		if (i == 20 || i == 40)
			record_profile(&record, i == 20 ? "{\"first\":1}" : "{}", i == 20 ? 11 : 2);
	}
	record_text(&record, CHUNK_NOTE, "ended with \x1b status 3");
	UNIT_STRING(record.problem.text, "");
	record_close(&record);
	snapshot_free(heap);
}

static void clean(void)
{
	for (unsigned i = 0; i < MOMENTS; i++)
		snapshot_free(all[i]);
	memset(all, 0, sizeof(all));
	events_free(&events);
}

static void what_is_written_is_read(void)
{
	char path[300];
	struct recording recording;
	struct problem problem = {""};
	make_folder();
	snprintf(path, sizeof(path), "%s/r", folder);
	make(path, RECORD_BYTES_DEFAULT, 20, 10);
	CU_ASSERT_TRUE_FATAL(recording_open(&recording, path, &problem));
	UNIT_STRING(recording.cut.text, "");
	UNIT_EQUAL(recording.timeline.count, MOMENTS);
	for (unsigned i = 0; i < 3 * MOMENTS; i++) {
		unsigned number = i < MOMENTS ? i : i * 7919 % MOMENTS;
		const struct snapshot *read = timeline_load(&recording.timeline, number, &problem);
		CU_ASSERT_PTR_NOT_NULL_FATAL(read);
		CU_ASSERT_TRUE(heap_same(read, all[number]));
	}
	struct event_log log = {0};
	recording_events(&recording, 5, &log);
	UNIT_EQUAL(log.count, 2);
	UNIT_STRING(events_at(&log, 1)->arguments, "class=11");
	UNIT_STRING(events_at(&log, 1)->name, "stage1");
	CU_ASSERT_TRUE(events_at(&log, 1)->time_us < all[5]->time_us);
	events_free(&log);
	UNIT_EQUAL(recording.text_count, 2);
	CU_ASSERT_TRUE(recording.texts[0].is_mark && recording.texts[0].moment == 10);
	UNIT_STRING(recording.texts[1].text, "ended with ? status 3");
	uint64_t number;
	static const struct {
		const char *name;
		uint64_t number;
	} names[] = {{"start", 0}, {"end", MOMENTS - 1}, {"mark", 10}, {"mark1", 10}, {"0", 0}, {"5", 10}, {"5.4", 10}, {"1e6", MOMENTS - 1}};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		CU_ASSERT_TRUE(recording_find(&recording, names[i].name, &number, &problem));
		UNIT_EQUAL(number, names[i].number);
	}
	static const char *const bad[] = {"", "mark2", "markx", "mark0", "-1", "1x", "now", "nan", "1e300"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CU_ASSERT_FALSE(recording_find(&recording, bad[i], &number, &problem));
	recording_close(&recording);
	clean();
	empty_folder();
}

/* Cut off anywhere: read up to the last whole moment. Every length near both ends is tried, and some of the others. */
/* A moment's profile is the last one before it. */
static void profiles(void)
{
	struct recording recording;
	struct problem problem = {""};
	size_t length = 0;
	make_folder();
	make(below("r"), RECORD_BYTES_DEFAULT, 5, 4);
	CU_ASSERT_TRUE_FATAL(recording_open(&recording, below("r"), &problem));
	UNIT_EQUAL(recording_profile_number(&recording, 19), 0);
	CU_ASSERT_PTR_NULL(recording_profile(&recording, 19, &length));
	UNIT_EQUAL(recording_profile_number(&recording, 20), 1);
	char *text = recording_profile(&recording, 39, &length);
	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	UNIT_STRING(text, "{\"first\":1}");
	UNIT_EQUAL(length, 11);
	free(text);
	UNIT_EQUAL(recording_profile_number(&recording, MOMENTS - 1), 2);
	text = recording_profile(&recording, MOMENTS - 1, &length);
	UNIT_STRING(text, "{}");
	free(text);
	recording_close(&recording);
	clean();
	empty_folder();
}

static void a_cut_file_is_read_so_far(void)
{
	char path[300];
	struct recording recording;
	struct problem problem;
	uint64_t last = 0;
	make_folder();
	snprintf(path, sizeof(path), "%s/r", folder);
	make(path, RECORD_BYTES_DEFAULT, 2, 3);
	uint64_t size = size_of(path);
	for (uint64_t length = size - 1; length > 0; length -= length < 1500 || size - length < 600 ? 1 : length % 37 + 1) {
		CU_ASSERT_EQUAL_FATAL(truncate(path, (off_t)length), 0);
		problem.text[0] = '\0';
		if (!recording_open(&recording, path, &problem)) {
			CU_ASSERT_PTR_NOT_NULL(strstr(problem.text, path));
			continue;
		}
		uint64_t count = recording.timeline.count;
		CU_ASSERT_TRUE(last == 0 || count <= last);
		if (count != last) /* else it was looked at already */
			CU_ASSERT_TRUE(heap_same(timeline_load(&recording.timeline, count - 1, NULL), all[count - 1]));
		last = count;
		recording_close(&recording);
	}
	UNIT_EQUAL(last, 1);
	clean();
	empty_folder();
}

/* Two files at most, each within its limit; they are read as one. */
static void rotation_bounds_the_files(void)
{
	char path[300], old[310], older[310];
	struct recording recording;
	struct problem problem = {""};
	make_folder();
	snprintf(path, sizeof(path), "%s/r", folder);
	snprintf(old, sizeof(old), "%s.1", path);
	snprintf(older, sizeof(older), "%s.2", path);
	make(path, RECORD_BYTES_MIN, 30, 60);
	CU_ASSERT_TRUE(size_of(path) > 0 && size_of(path) <= RECORD_BYTES_MIN);
	CU_ASSERT_TRUE(size_of(old) > RECORD_BYTES_MIN / 2 && size_of(old) <= RECORD_BYTES_MIN);
	UNIT_EQUAL(size_of(older), 0);
	CU_ASSERT_TRUE_FATAL(recording_open(&recording, path, &problem));
	uint64_t count = recording.timeline.count;
	CU_ASSERT_TRUE(count > 20 && count < MOMENTS);
	for (uint64_t i = 0; i < count; i++)
		CU_ASSERT_TRUE(heap_same(timeline_load(&recording.timeline, i, NULL), all[MOMENTS - count + i]));
	CU_ASSERT_TRUE(heap_same(timeline_load(&recording.timeline, 3, NULL), all[MOMENTS - count + 3]));
	recording_close(&recording);
	/* A FILE.1 of another recording isn't taken for its beginning. */
	clean();
	make(old, RECORD_BYTES_DEFAULT, 1, 1);
	CU_ASSERT_TRUE_FATAL(recording_open(&recording, path, &problem));
	CU_ASSERT_TRUE(recording.timeline.count < count);
	recording_close(&recording);
	clean();
	empty_folder();
}

static void what_is_there_is_not_lost(void)
{
	char path[300];
	struct record record;
	struct problem problem;
	make_folder();
	snprintf(path, sizeof(path), "%s/letter", folder);
	FILE *file = fopen(path, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	fputs("Dear all, this is no recording", file);
	fclose(file);
	CU_ASSERT_FALSE(record_open(&record, path, 0, &problem));
	CU_ASSERT_PTR_NOT_NULL(strstr(problem.text, "is no recording"));
	UNIT_EQUAL(size_of(path), 30);
	CU_ASSERT_FALSE(record_open(&record, "/dev/null", 0, &problem));
	CU_ASSERT_PTR_NOT_NULL(strstr(problem.text, "regular file"));
	CU_ASSERT_FALSE(record_open(&record, folder, 0, &problem));
	CU_ASSERT_FALSE(record_open(&record, "/none/r", 0, &problem));
	CU_ASSERT_PTR_NOT_NULL(strstr(problem.text, "/none/r"));
	/* An empty file, and an older recording, are replaced. */
	CU_ASSERT_EQUAL(truncate(path, 0), 0);
	make(path, RECORD_BYTES_DEFAULT, 1, 1);
	clean();
	make(path, RECORD_BYTES_DEFAULT, 1, 1);
	clean();
	struct stat facts;
	CU_ASSERT_EQUAL(stat(path, &facts), 0);
	UNIT_EQUAL(facts.st_mode & 0777, 0600);
	empty_folder();
}

static void fill_the_disk(void *path)
{
	struct rlimit limit = {20000, 20000};
	struct record record;
	struct problem problem;
	uint32_t state = 1;
	struct snapshot *heap = heap_make(20, &state);
	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &limit);
	if (!record_open(&record, path, RECORD_BYTES_DEFAULT, &problem))
		_exit(1);
	for (unsigned i = 0; i < 1000 && record.fd >= 0; i++) {
		heap_move(heap, 500000, 100, &state);
		record_moment(&record, heap, &events);
	}
	fputs(record.problem.text, stderr);
	record_close(&record);
	snapshot_free(heap);
}

/* No room on the disk: the recording ends with a word, and is whole up to there. */
static void a_full_disk_ends_it(void)
{
	char path[300], said[1000];
	struct recording recording;
	struct problem problem = {""};
	make_folder();
	snprintf(path, sizeof(path), "%s/r", folder);
	UNIT_EQUAL(unit_in_child(fill_the_disk, path, said, sizeof(said)), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(said, "the recording ends here"));
	CU_ASSERT_TRUE_FATAL(recording_open(&recording, path, &problem));
	UNIT_STRING(recording.cut.text, "");
	CU_ASSERT_TRUE(recording.timeline.count > 1);
	recording_close(&recording);
	empty_folder();
}

UNIT_MAIN("record", UNIT(what_is_written_is_read), UNIT(profiles), UNIT(a_cut_file_is_read_so_far), UNIT(rotation_bounds_the_files),
	UNIT(what_is_there_is_not_lost), UNIT(a_full_disk_ends_it))
