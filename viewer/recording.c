#include "viewer/recording.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "viewer/format.h"

enum { FILE_NEW, FILE_OLD }; /* the file that was named, and the one before its rotation */

bool recording_is(const void *bytes, size_t length)
{
	return length >= 8 && memcmp(bytes, RECORDING_MAGIC, 8) == 0;
}

static bool read_at(int fd, void *out, size_t count, uint64_t place)
{
	size_t done = 0;
	while (done < count) {
		ssize_t got = pread(fd, (char *)out + done, count - done, (off_t)(place + done));
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		done += (size_t)got;
	}
	return true;
}

/* Reads the chunk at `place`, its stored bytes too if `with_bytes`. */
static bool read_chunk(struct recording *recording, int fd, uint64_t place, bool with_bytes, struct chunk *chunk)
{
	uint8_t head[CHUNK_HEAD];
	if (!read_at(fd, head, sizeof(head), place) || !chunk_head(chunk, head))
		return false;
	if (!with_bytes)
		return true;
	bytes_reset(&recording->stored);
	uint8_t *room = bytes_extend(&recording->stored, (size_t)chunk->stored + 1);
	return room != NULL && read_at(fd, room, chunk->stored, place + CHUNK_HEAD);
}

/* ---- The timeline's source ---- */

static bool read_moment(void *self, uint64_t number, struct chunk *chunk, const uint8_t **stored, struct problem *problem)
{
	struct recording *recording = self;
	const struct recording_moment *moment = &recording->moments[number];
	/* The other file may have been written by another version. */
	recording->timeline.layout = &recording->layouts[moment->in_old];
	if (!read_chunk(recording, recording->fds[moment->in_old], moment->place, true, chunk) ||
		(chunk->type == CHUNK_WHOLE) != moment->whole)
		return problem_set(problem, "moment %llu can't be read any more: the file has changed", (unsigned long long)number);
	*stored = recording->stored.data;
	return true;
}

static bool is_whole(const void *self, uint64_t number)
{
	return ((const struct recording *)self)->moments[number].whole;
}

static uint64_t time_us(const void *self, uint64_t number)
{
	return ((const struct recording *)self)->moments[number].time_us;
}

static const struct timeline_source in_file = {read_moment, is_whole, time_us};

/* ---- The index ---- */

static bool add_moment(struct recording *recording, struct recording_moment moment)
{
	if (recording->count == recording->capacity) {
		size_t capacity = recording->capacity > 0 ? 2 * recording->capacity : 256;
		struct recording_moment *moments = realloc(recording->moments, capacity * sizeof(*moments));
		if (moments == NULL)
			return false;
		recording->moments = moments;
		recording->capacity = capacity;
	}
	recording->moments[recording->count++] = moment;
	return true;
}

/* A text that can't be had is left out: it isn't worth the recording. */
static void add_text(struct recording *recording, int fd, uint64_t place)
{
	struct chunk chunk = {0};
	if (recording->count == 0 || recording->text_count == RECORDING_TEXTS_MAX || !read_chunk(recording, fd, place, true, &chunk) ||
		chunk.raw >= CHUNK_TEXT_MAX || !chunk_unpack(&chunk, recording->stored.data, &recording->raw))
		return;
	if (recording->texts == NULL && (recording->texts = calloc(RECORDING_TEXTS_MAX, sizeof(*recording->texts))) == NULL)
		return;
	char text[CHUNK_TEXT_MAX];
	memcpy(text, recording->raw.data, chunk.raw);
	text[chunk.raw] = '\0';
	struct recording_text *to = &recording->texts[recording->text_count++];
	format_printable(to->text, sizeof(to->text), text);
	to->moment = recording->count - 1;
	to->is_mark = chunk.type == CHUNK_MARK;
}

/* A profile that there is no memory for is left out, as a text is. */
static void add_profile(struct recording *recording, unsigned which, uint64_t place)
{
	if (recording->profile_count == recording->profile_capacity) {
		size_t capacity = recording->profile_capacity > 0 ? 2 * recording->profile_capacity : 64;
		struct recording_profile *profiles = realloc(recording->profiles, capacity * sizeof(*profiles));
		if (profiles == NULL)
			return;
		recording->profiles = profiles;
		recording->profile_capacity = capacity;
	}
	recording->profiles[recording->profile_count++] = (struct recording_profile){
		.moment = recording->count > 0 ? recording->count - 1 : 0, .place = place, .in_old = which == FILE_OLD,
	};
}

/* Takes what the head of a chunk says. Returns false where the file isn't to be read further. */
static bool index_chunk(struct recording *recording, unsigned which, const struct chunk *chunk, uint64_t place,
	uint64_t *events_place)
{
	bool whole = chunk->type == CHUNK_WHOLE;
	uint64_t last_us = recording->count > 0 ? recording->moments[recording->count - 1].time_us : 0;
	switch (chunk->type) {
	case CHUNK_WHOLE:
	case CHUNK_STEP:
		if (chunk->time_us < last_us)
			return problem_set(&recording->cut, "its moments are out of order from byte %llu on", (unsigned long long)place);
		if (recording->count == RECORDING_MOMENTS_MAX)
			return problem_set(&recording->cut, "only its first %u moments are shown", RECORDING_MOMENTS_MAX);
		/* A step needs the moment before it, in the same file. */
		if (!whole && (recording->count == 0 || recording->moments[recording->count - 1].in_old != (which == FILE_OLD)))
			return true;
		if (!add_moment(recording, (struct recording_moment){chunk->time_us, place, *events_place, whole, which == FILE_OLD}))
			return problem_set(&recording->cut, "out of memory for its moments");
		*events_place = 0;
		return true;
	case CHUNK_EVENTS: *events_place = place; return true;
	case CHUNK_MARK:
	case CHUNK_NOTE: add_text(recording, recording->fds[which], place); return true;
	case CHUNK_PROFILE: add_profile(recording, which, place); return true;
	default: return true; /* a newer viewer's */
	}
}

/* Goes through the chunks' heads, from behind the layout on. */
static void index_file(struct recording *recording, unsigned which, uint64_t place)
{
	struct stat facts;
	struct chunk chunk = {0};
	uint64_t events_place = 0;
	if (fstat(recording->fds[which], &facts) != 0)
		return;
	uint64_t size = (uint64_t)facts.st_size;
	while (place < size) {
		if (!read_chunk(recording, recording->fds[which], place, false, &chunk)) {
			problem_set(&recording->cut, size - place < CHUNK_HEAD ? "it ends in the middle, at byte %llu" :
				"it is damaged from byte %llu on", (unsigned long long)place);
			return;
		}
		if (chunk.stored > size - place - CHUNK_HEAD) {
			problem_set(&recording->cut, "it ends in the middle, at byte %llu", (unsigned long long)size);
			return;
		}
		if (!index_chunk(recording, which, &chunk, place, &events_place))
			return;
		place += CHUNK_HEAD + chunk.stored;
	}
}

/* Opens one file, reads its head and its layout. `*place` is then where its moments begin. */
static bool open_file(struct recording *recording, unsigned which, const char *path, struct recording_head *head, uint64_t *place,
	struct problem *problem)
{
	uint8_t start[RECORDING_HEAD];
	struct problem inner = {""};
	struct chunk chunk = {0};
	struct stat facts;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return problem_set(problem, "%s: %s", path, strerror(errno));
	recording->fds[which] = fd;
	if (fstat(fd, &facts) != 0 || !S_ISREG(facts.st_mode))
		return problem_set(problem, "%s: not a file", path);
	if (!read_at(fd, start, sizeof(start), 0))
		return problem_set(problem, "%s: the recording ends in its first bytes", path);
	if (!recording_get_head(head, start))
		return problem_set(problem, "%s: no recording, or damaged in its first bytes", path);
	if (head->version != RECORDING_VERSION)
		return problem_set(problem, "%s: a recording of version %u; this hakmem-top reads version %u", path, head->version,
			RECORDING_VERSION);
	if (!read_chunk(recording, fd, RECORDING_HEAD, true, &chunk) || chunk.type != CHUNK_LAYOUT ||
		!chunk_unpack(&chunk, recording->stored.data, &recording->raw))
		return problem_set(problem, "%s: the recording ends or is damaged in its list of fields", path);
	if (!moment_read_layout(&recording->layouts[which], recording->raw.data, recording->raw.length, &inner))
		return problem_set(problem, "%s: %s", path, inner.text);
	*place = RECORDING_HEAD + CHUNK_HEAD + (uint64_t)chunk.stored;
	return true;
}

/* The file before the rotation, if it is there and belongs to this one. */
static void open_old(struct recording *recording, const char *path, const struct recording_head *new)
{
	char old_path[PATH_MAX + 2];
	struct recording_head head = {0};
	uint64_t place = 0;
	snprintf(old_path, sizeof(old_path), "%s.1", path);
	if (new->part == 0)
		return;
	if (open_file(recording, FILE_OLD, old_path, &head, &place, NULL) && head.session == new->session && head.part + 1 == new->part) {
		index_file(recording, FILE_OLD, place);
	} else if (recording->fds[FILE_OLD] >= 0) {
		close(recording->fds[FILE_OLD]);
		recording->fds[FILE_OLD] = -1;
	}
}

bool recording_open(struct recording *recording, const char *path, struct problem *problem)
{
	struct recording_head head = {0};
	uint64_t place = 0;
	memset(recording, 0, sizeof(*recording));
	recording->fds[FILE_NEW] = recording->fds[FILE_OLD] = -1;
	if (!open_file(recording, FILE_NEW, path, &head, &place, problem)) {
		recording_close(recording);
		return false;
	}
	open_old(recording, path, &head);
	index_file(recording, FILE_NEW, place);
	recording->timeline.source = &in_file;
	recording->timeline.self = recording;
	recording->timeline.layout = &recording->layouts[FILE_NEW];
	recording->timeline.count = recording->count;
	if (recording->count > 0)
		return true;
	problem_set(problem, "%s: the recording holds no moment%s%s", path, recording->cut.text[0] != '\0' ? ": " : "",
		recording->cut.text);
	recording_close(recording);
	return false;
}

void recording_events(struct recording *recording, uint64_t number, struct event_log *log)
{
	struct chunk chunk = {0};
	if (number >= recording->count || recording->moments[number].events_place == 0)
		return;
	const struct recording_moment *moment = &recording->moments[number];
	if (!read_chunk(recording, recording->fds[moment->in_old], moment->events_place, true, &chunk) ||
		!chunk_unpack(&chunk, recording->stored.data, &recording->raw))
		return;
	struct reader reader = {.at = recording->raw.data, .end = recording->raw.data + recording->raw.length};
	uint64_t count = reader_number(&reader), before = chunk.time_us;
	log->lost = reader_number(&reader);
	for (uint64_t i = 0; i < count && i < EVENTS_MAX; i++) {
		struct event event;
		event.time_us = before = reader_step(&reader, before);
		event.tid = reader_number(&reader);
		reader_text(&reader, event.name, sizeof(event.name));
		reader_text(&reader, event.group, sizeof(event.group));
		reader_text(&reader, event.arguments, sizeof(event.arguments));
		if (reader.bad)
			return;
		events_push(log, &event);
	}
}

size_t recording_profile_number(const struct recording *recording, uint64_t number)
{
	size_t i = recording->profile_count;
	while (i > 0 && recording->profiles[i - 1].moment > number)
		i--;
	return i;
}

char *recording_profile(struct recording *recording, uint64_t number, size_t *length)
{
	struct chunk chunk = {0};
	size_t i = recording_profile_number(recording, number);
	if (i == 0)
		return NULL;
	const struct recording_profile *profile = &recording->profiles[i - 1];
	if (!read_chunk(recording, recording->fds[profile->in_old], profile->place, true, &chunk) ||
		chunk.type != CHUNK_PROFILE || !chunk_unpack(&chunk, recording->stored.data, &recording->raw))
		return NULL;
	char *text = malloc(recording->raw.length + 1);
	if (text == NULL)
		return NULL;
	memcpy(text, recording->raw.data, recording->raw.length);
	text[recording->raw.length] = '\0';
	*length = recording->raw.length;
	return text;
}

static bool find_mark(const struct recording *recording, const char *name, uint64_t *number, struct problem *problem)
{
	char *end;
	unsigned long wanted = *name != '\0' ? strtoul(name, &end, 10) : 1, seen = 0;
	for (size_t i = 0; i < recording->text_count && (*name == '\0' || *end == '\0'); i++) {
		seen += recording->texts[i].is_mark;
		if (recording->texts[i].is_mark && seen == wanted) {
			*number = recording->texts[i].moment;
			return true;
		}
	}
	return problem_set(problem, "@mark%s: the recording has %lu such marks", name, seen);
}

bool recording_find(const struct recording *recording, const char *name, uint64_t *number, struct problem *problem)
{
	char *end;
	*number = 0;
	if (strcmp(name, "start") == 0)
		return true;
	if (strcmp(name, "end") == 0) {
		*number = recording->count - 1;
		return true;
	}
	if (strncmp(name, "mark", 4) == 0)
		return find_mark(recording, name + 4, number, problem);
	double seconds = strtod(name, &end);
	if (end == name || *end != '\0' || !(seconds >= 0 && seconds < 1e9))
		return problem_set(problem, "@%s: a moment is named by seconds from the start, start, end, mark or mark2", name);
	*number = timeline_find(&recording->timeline, recording->moments[0].time_us + (uint64_t)(seconds * 1e6));
	return true;
}

void recording_close(struct recording *recording)
{
	for (unsigned i = 0; i < 2; i++) {
		if (recording->fds[i] >= 0)
			close(recording->fds[i]);
		recording->fds[i] = -1;
	}
	timeline_free(&recording->timeline);
	free(recording->moments);
	free(recording->texts);
	free(recording->profiles);
	bytes_free(&recording->stored);
	bytes_free(&recording->raw);
	recording->moments = NULL;
	recording->texts = NULL;
	recording->profiles = NULL;
	recording->count = recording->capacity = recording->text_count = 0;
	recording->profile_count = recording->profile_capacity = 0;
	recording->timeline.count = 0;
}
