/* The reader of recordings. Checksums would keep made-up bytes from going far, so the input is taken apart into chunks that are
 * given right ones: a byte for the type, two for the length, the bytes. If it begins with the magic it is a file as it is.
 * What can be opened is gone through forward, backward and by leaps, and drawn. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/fuzz/shown.h"
#include "viewer/diff.h"
#include "viewer/replay.h"
#include "viewer/travel.h"

#define MOMENTS 40 /* that are looked at */

static void put_chunks(struct bytes *out, const uint8_t *data, size_t size)
{
	uint8_t head[RECORDING_HEAD];
	struct bytes layout = {0};
	recording_put_head(head, &(struct recording_head){.version = RECORDING_VERSION});
	bytes_put(out, head, sizeof(head));
	/* Usually this viewer's own fields; an L as the first type brings others. */
	if (size == 0 || data[0] != CHUNK_LAYOUT) {
		moment_write_layout(&layout);
		chunk_pack(out, CHUNK_LAYOUT, 0, layout.data, layout.length);
		bytes_free(&layout);
	}
	for (size_t at = 0, number = 0; size - at >= 3; number++) {
		size_t length = data[at + 1] | (size_t)data[at + 2] << 8;
		if (length > size - at - 3)
			length = size - at - 3;
		chunk_pack(out, (char)data[at], number, data + at + 3, length);
		at += 3 + length;
	}
}

static void look(struct watch *watch)
{
	const struct timeline *timeline = &watch->replay->recording.timeline;
	for (uint64_t i = 0; i < 2 * MOMENTS; i++) {
		uint64_t number = i < MOMENTS ? i : (i * 7919) % (MOMENTS + 1);
		if (number >= timeline->count || !travel_to(watch, number))
			continue;
		FUZZ_CHECK(watch->moment == number);
		check_snapshot(watch->snapshot);
		check_events(&watch->events);
		FUZZ_CHECK(is_printable(watch->note, sizeof(watch->note)));
	}
	travel_run(watch, 1000);
	travel_run(watch, 100000);
	travel_by_time(watch, -TRAVEL_FAR_US);
	travel_end(watch);
	if (watch->snapshot != NULL)
		draw(watch, 100, 30);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct watch watch = {.state = WATCH_WAITING};
	struct problem problem = {""};
	struct bytes file = {0};
	char path[64];
	int fd = memfd_create("recording", MFD_CLOEXEC);

	FUZZ_CHECK(fd >= 0);
	if (recording_is(data, size))
		bytes_put(&file, data, size);
	else
		put_chunks(&file, data, size);
	FUZZ_CHECK(write(fd, file.data, file.length) == (ssize_t)file.length);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (travel_open(&watch, path, 1, &problem))
		look(&watch);
	else
		FUZZ_CHECK(problem.text[0] != '\0' && is_printable(problem.text, sizeof(problem.text)));
	watch_free(&watch);
	bytes_free(&file);
	close(fd);
	return 0;
}
