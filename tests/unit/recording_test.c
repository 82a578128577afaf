#include "viewer/recording.h"

#include <fcntl.h>

#include "tests/unit/folder.h"
#include "tests/unit/past_heap.h"
#include "tests/unit/unit.h"

static char path[300];
static struct bytes file;

static void empty_folder(void)
{
	unlink(path);
	CU_ASSERT_EQUAL(rmdir(folder), 0);
}

/* The first bytes of a recording, as a viewer of this version writes them. */
static void begin(uint32_t version)
{
	uint8_t head[RECORDING_HEAD];
	struct bytes layout = {0};
	make_folder();
	snprintf(path, sizeof(path), "%s/r", folder);
	recording_put_head(head, &(struct recording_head){.version = version, .session = 5});
	bytes_put(&file, head, sizeof(head));
	moment_write_layout(&layout);
	CU_ASSERT_TRUE_FATAL(chunk_pack(&file, CHUNK_LAYOUT, 0, layout.data, layout.length));
	bytes_free(&layout);
}

static void add(char type, const struct snapshot *base, const struct snapshot *snapshot)
{
	struct bytes raw = {0};
	CU_ASSERT_TRUE_FATAL(moment_encode(&raw, base, snapshot) && chunk_pack(&file, type, snapshot->time_us, raw.data, raw.length));
	bytes_free(&raw);
}

static void write_file(void)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	CU_ASSERT_EQUAL_FATAL(write(fd, file.data, file.length), (ssize_t)file.length);
	close(fd);
}

static void end(void)
{
	bytes_free(&file);
	empty_folder();
}

/* Expects that the file isn't taken, and that the reason says `said`. */
static void refused(const char *said)
{
	struct recording recording;
	struct problem problem = {""};
	write_file();
	CU_ASSERT_FALSE(recording_open(&recording, path, &problem));
	if (strstr(problem.text, said) == NULL)
		fprintf(stderr, "\"%s\" doesn't say \"%s\"\n", problem.text, said);
	CU_ASSERT_PTR_NOT_NULL(strstr(problem.text, said));
	CU_ASSERT_PTR_NOT_NULL(strstr(problem.text, path));
}

static void other_versions_are_named(void)
{
	begin(RECORDING_VERSION + 1);
	refused("version 2; this hakmem-top reads version 1");
	end();
	begin(RECORDING_VERSION);
	refused("holds no moment");
	end();
}

/* Chunks of a newer viewer are passed over; what it can't make sense of is told. */
static void unknown_chunks(void)
{
	uint32_t state = 1;
	struct snapshot *a = heap_make(3, &state), *b = moment_copy(a);
	struct recording recording;
	struct problem problem = {""};
	heap_move(b, 1000, 2, &state);
	begin(RECORDING_VERSION);
	CU_ASSERT_TRUE(chunk_pack(&file, 'z', 0, "something", 9));
	add(CHUNK_STEP, NULL, a); /* of nothing that is there: passed over */
	add(CHUNK_WHOLE, NULL, a);
	CU_ASSERT_TRUE(chunk_pack(&file, 'z', 0, "something", 9));
	CU_ASSERT_TRUE(chunk_pack(&file, CHUNK_EVENTS, 0, "\xff\xff\xff\xff\x0f nonsense", 14));
	add(CHUNK_STEP, a, b);
	write_file();
	CU_ASSERT_TRUE_FATAL(recording_open(&recording, path, &problem));
	UNIT_EQUAL(recording.timeline.count, 2);
	CU_ASSERT_TRUE(heap_same(timeline_load(&recording.timeline, 1, NULL), b));
	struct event_log log = {0};
	recording_events(&recording, 1, &log);
	UNIT_EQUAL(log.count, 0);
	events_free(&log);
	recording_close(&recording);
	end();
	snapshot_free(a);
	snapshot_free(b);
}

/* Time runs forward in a file. */
static void order_is_kept(void)
{
	uint32_t state = 2;
	struct snapshot *a = heap_make(1, &state), *b = moment_copy(a);
	struct recording recording;
	struct problem problem = {""};
	heap_move(b, 1000, 2, &state);
	begin(RECORDING_VERSION);
	add(CHUNK_WHOLE, NULL, b);
	add(CHUNK_WHOLE, NULL, a);
	write_file();
	CU_ASSERT_TRUE_FATAL(recording_open(&recording, path, &problem));
	UNIT_EQUAL(recording.timeline.count, 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(recording.cut.text, "out of order"));
	recording_close(&recording);
	end();
	snapshot_free(a);
	snapshot_free(b);
}

/* A byte changed anywhere (of the long list of fields every ninth is tried) is seen before it is shown, and what comes before it is shown all the same. */
static void damage_is_told(void)
{
	uint32_t state = 3;
	struct snapshot *a = heap_make(2, &state), *b = moment_copy(a);
	unsigned opened = 0;
	heap_move(b, 1000, 2, &state);
	begin(RECORDING_VERSION);
	size_t moments = file.length;
	add(CHUNK_WHOLE, NULL, a);
	add(CHUNK_STEP, a, b);
	for (size_t i = 0; i < file.length; i += i > 64 && i + 9 < moments ? 9 : 1) {
		struct recording recording;
		struct problem problem = {""};
		file.data[i] ^= 0x41;
		write_file();
		if (recording_open(&recording, path, &problem)) {
			const struct snapshot *first = timeline_load(&recording.timeline, 0, &problem);
			CU_ASSERT_TRUE(first != NULL ? heap_same(first, a) : problem.text[0] != '\0');
			if (recording.timeline.count == 2) {
				const struct snapshot *second = timeline_load(&recording.timeline, 1, &problem);
				CU_ASSERT_TRUE(second == NULL && problem.text[0] != '\0');
			}
			opened++;
			recording_close(&recording);
		} else {
			CU_ASSERT_TRUE(problem.text[0] != '\0');
		}
		file.data[i] ^= 0x41;
	}
	CU_ASSERT_TRUE(opened > 10);
	end();
	snapshot_free(a);
	snapshot_free(b);
}

UNIT_MAIN("recording", UNIT(other_versions_are_named), UNIT(unknown_chunks), UNIT(order_is_kept), UNIT(damage_is_told))
