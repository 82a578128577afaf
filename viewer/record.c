#include "viewer/record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

static void put_word(uint8_t *at, uint64_t value, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		at[i] = (uint8_t)(value >> 8 * i);
}

static uint64_t get_word(const uint8_t *at, unsigned count)
{
	uint64_t value = 0;
	for (unsigned i = 0; i < count; i++)
		value |= (uint64_t)at[i] << 8 * i;
	return value;
}

void recording_put_head(uint8_t out[RECORDING_HEAD], const struct recording_head *head)
{
	memset(out, 0, RECORDING_HEAD);
	memcpy(out, RECORDING_MAGIC, 8); /* NOLINT(bugprone-not-null-terminated-result): it is no string */
	put_word(out + 8, head->version, 4);
	put_word(out + 12, head->part, 4);
	put_word(out + 16, head->session, 8);
	put_word(out + 28, crc32(0, out, 28), 4);
}

bool recording_get_head(struct recording_head *head, const uint8_t in[RECORDING_HEAD])
{
	if (memcmp(in, RECORDING_MAGIC, 8) != 0 || get_word(in + 28, 4) != crc32(0, in, 28))
		return false;
	head->version = (uint32_t)get_word(in + 8, 4);
	head->part = (uint32_t)get_word(in + 12, 4);
	head->session = get_word(in + 16, 8);
	return true;
}

/* Ends the recording for a reason. What has been written stays. */
static void give_up(struct record *record, const char *reason)
{
	problem_set(&record->problem, "%s: %s; the recording ends here", record->path, reason);
	if (record->fd >= 0)
		close(record->fd);
	record->fd = -1;
}

/* Writes whole chunks, or takes back what it could write of them. */
static bool write_out(struct record *record, const void *data, size_t count)
{
	const char *bytes = data;
	size_t done = 0;
	while (done < count) {
		ssize_t written = write(record->fd, bytes + done, count - done);
		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0) {
			int error = written < 0 ? errno : ENOSPC;
			/* Readers stop at half a chunk anyway; that it can't be taken back is no further loss. */
			if (ftruncate(record->fd, (off_t)record->written) != 0)
				error = errno;
			give_up(record, strerror(error));
			return false;
		}
		done += (size_t)written;
	}
	record->written += count;
	return true;
}

/* Whether what stands at `path` may be replaced: nothing, an empty file or a recording. */
static bool may_replace(const char *path, struct problem *problem)
{
	uint8_t start[8];
	struct stat facts;
	if (stat(path, &facts) != 0)
		return errno == ENOENT || problem_set(problem, "%s: %s", path, strerror(errno));
	if (!S_ISREG(facts.st_mode))
		return problem_set(problem, "%s: not a file; a recording is written to a regular file", path);
	if (facts.st_size == 0)
		return true;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return problem_set(problem, "%s: %s", path, strerror(errno));
	ssize_t count = read(fd, start, sizeof(start));
	close(fd);
	if (count != sizeof(start) || memcmp(start, RECORDING_MAGIC, 8) != 0)
		return problem_set(problem, "%s is there already and is no recording; remove it, or name another file", path);
	return true;
}

/* Opens the file anew and writes what stands at its beginning. */
static bool begin_file(struct record *record, struct problem *problem)
{
	uint8_t head[RECORDING_HEAD];
	if (!may_replace(record->path, problem))
		return false;
	/* Another name for an old recording's bytes isn't to be written through. */
	if (unlink(record->path) != 0 && errno != ENOENT)
		return problem_set(problem, "%s: %s", record->path, strerror(errno));
	record->fd = open(record->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_APPEND, 0600);
	if (record->fd < 0)
		return problem_set(problem, "%s: %s", record->path, strerror(errno));
	record->written = 0;
	record->since_whole = 0;
	snapshot_free(record->last);
	record->last = NULL;
	recording_put_head(head, &record->head);
	bytes_reset(&record->raw);
	bytes_reset(&record->packed);
	bytes_put(&record->packed, head, sizeof(head));
	moment_write_layout(&record->raw);
	if (record->raw.failed || !chunk_pack(&record->packed, CHUNK_LAYOUT, 0, record->raw.data, record->raw.length))
		return problem_set(problem, "out of memory for a recording");
	if (!write_out(record, record->packed.data, record->packed.length))
		return problem_set(problem, "%s", record->problem.text);
	return true;
}

bool record_open(struct record *record, const char *path, uint64_t limit, struct problem *problem)
{
	struct timespec now;
	memset(record, 0, sizeof(*record));
	record->fd = -1;
	record->limit = limit < RECORD_BYTES_MIN ? RECORD_BYTES_MIN : limit;
	if ((size_t)snprintf(record->path, sizeof(record->path), "%s", path) >= sizeof(record->path) - 3)
		return problem_set(problem, "%.100s…: the name is too long", path);
	clock_gettime(CLOCK_REALTIME, &now);
	record->head = (struct recording_head){
		.version = RECORDING_VERSION,
		.session = ((uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec) ^ (uint64_t)getpid() << 48,
	};
	return begin_file(record, problem);
}

/* The full file becomes FILE.1, and a new one begins. */
static bool rotate(struct record *record)
{
	char old[PATH_MAX + 2];
	struct problem problem;
	snprintf(old, sizeof(old), "%s.1", record->path);
	close(record->fd);
	record->fd = -1;
	record->head.part++;
	if (!may_replace(old, &problem)) {
		give_up(record, "it can't be rotated, as FILE.1 is none of ours");
		return false;
	}
	if (rename(record->path, old) != 0) {
		give_up(record, strerror(errno));
		return false;
	}
	if (!begin_file(record, &problem)) {
		if (record->problem.text[0] == '\0')
			record->problem = problem;
		return false;
	}
	return true;
}

/* The events since the last moment, those that are still there, as a chunk. */
static void pack_events(struct record *record, const struct event_log *log, uint64_t time_us)
{
	uint64_t new = log->received - record->events_seen;
	size_t count = new < log->count ? (size_t)new : log->count;
	if (count == 0)
		return;
	bytes_reset(&record->raw);
	bytes_number(&record->raw, count);
	bytes_number(&record->raw, log->lost);
	uint64_t before = time_us;
	for (size_t i = log->count - count; i < log->count; i++) {
		const struct event *event = events_at(log, i);
		bytes_step(&record->raw, before, event->time_us);
		bytes_number(&record->raw, event->tid);
		bytes_text(&record->raw, event->name);
		bytes_text(&record->raw, event->group);
		bytes_text(&record->raw, event->arguments);
		before = event->time_us;
	}
	if (!record->raw.failed)
		chunk_pack(&record->packed, CHUNK_EVENTS, time_us, record->raw.data, record->raw.length);
}

/* Puts the events and the moment into `packed`. */
static bool pack(struct record *record, const struct snapshot *snapshot, const struct event_log *log, bool whole)
{
	bytes_reset(&record->packed);
	pack_events(record, log, snapshot->time_us);
	bytes_reset(&record->raw);
	return moment_encode(&record->raw, whole ? NULL : record->last, snapshot) &&
		chunk_pack(&record->packed, whole ? CHUNK_WHOLE : CHUNK_STEP, snapshot->time_us, record->raw.data, record->raw.length);
}

void record_moment(struct record *record, const struct snapshot *snapshot, const struct event_log *log)
{
	if (record->fd < 0)
		return;
	/* A file is in the order of time; a target that was exchanged for one of another boot doesn't go on with it. */
	if (snapshot->time_us < record->time_us) {
		give_up(record, "the target's clock ran backwards");
		return;
	}
	bool whole = record->last == NULL || !moment_follows(record->last, snapshot) || record->since_whole + 1 >= RECORD_WHOLE_EVERY;
	bool packed = pack(record, snapshot, log, whole);
	if (packed && record->written + record->packed.length > record->limit) {
		if (!rotate(record))
			return;
		whole = true;
		packed = pack(record, snapshot, log, whole);
	}
	if (!packed || record->written + record->packed.length > record->limit) {
		give_up(record, "a moment of this heap is larger than a recording can hold; --record-max makes it larger");
		return;
	}
	/* What was packed is still in `raw`. */
	if (whole) {
		snapshot_free(record->last);
		record->last = NULL;
	}
	if (!moment_decode(&record->last, moment_layout(), record->raw.data, record->raw.length, NULL)) {
		give_up(record, "out of memory");
		return;
	}
	if (!write_out(record, record->packed.data, record->packed.length))
		return;
	record->events_seen = log->received;
	record->time_us = snapshot->time_us;
	record->since_whole = whole ? 0 : record->since_whole + 1;
}

void record_text(struct record *record, enum chunk_type type, const char *text)
{
	size_t length = strlen(text);
	if (record->fd < 0)
		return;
	bytes_reset(&record->packed);
	if (chunk_pack(&record->packed, (char)type, record->time_us, text, length < CHUNK_TEXT_MAX ? length : CHUNK_TEXT_MAX - 1))
		write_out(record, record->packed.data, record->packed.length);
}

void record_profile(struct record *record, const char *json, size_t length)
{
	if (record->fd < 0)
		return;
	bytes_reset(&record->packed);
	if (chunk_pack(&record->packed, CHUNK_PROFILE, record->time_us, json, length) &&
		record->written + record->packed.length <= record->limit)
		write_out(record, record->packed.data, record->packed.length);
}

void record_close(struct record *record)
{
	if (record->fd >= 0 && close(record->fd) != 0)
		problem_set(&record->problem, "%s: %s", record->path, strerror(errno));
	record->fd = -1;
	snapshot_free(record->last);
	record->last = NULL;
	bytes_free(&record->raw);
	bytes_free(&record->packed);
}
