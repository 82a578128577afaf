#include "viewer/recover_events.h"

#include <stdlib.h>
#include <string.h>

#include "viewer/recover.h"
#include "viewer/snapshot_json.h"

#define ARGS_MAX 5
#define TID_MAX INT32_MAX

/* A ring's records: those from `oldest` on are held, up to `end`. */
static void read_ring(struct recovered_events *events, uint64_t ring, uint64_t size, size_t *room)
{
	const struct trace_file *file = events->file;
	struct trace_column heads = trace_numbers(file, "rings", "head"), firsts = trace_numbers(file, "rings", "first");
	struct trace_column sequence = trace_numbers(file, "records", "sequence");
	struct trace_column time = trace_numbers(file, "records", "time_ns"), tid = trace_numbers(file, "records", "tid");
	uint64_t head = trace_number(&heads, ring, 0), first = trace_number(&firsts, ring, 0);
	uint64_t oldest = head > size && head - size > first ? head - size : first;
	if (head >= 1ull << 60 || first > head)
		return;
	events->overwritten += oldest - first;
	/* The last one may be whole although the head does not count it yet; it then lies where the oldest one was. */
	bool beyond = trace_number(&sequence, ring * size + head % size, 0) == 2 * head + 2;
	for (uint64_t i = oldest; i < head + beyond; i++) {
		uint64_t row = ring * size + i % size;
		uint64_t thread = trace_number(&tid, row, 0);
		if (trace_number(&sequence, row, 0) != 2 * i + 2 || thread > TID_MAX) {
			events->torn++;
			continue;
		}
		if (events->count == *room)
			return;
		events->list[events->count++] =
			(struct recovered_event){trace_number(&time, row, 0), row, (uint32_t)thread, 0};
	}
}

static int by_time(const void *a, const void *b)
{
	const struct recovered_event *left = a, *right = b;
	if (left->time_ns != right->time_ns)
		return left->time_ns < right->time_ns ? -1 : 1;
	return left->row < right->row ? -1 : left->row > right->row;
}

static int by_thread(const void *a, const void *b)
{
	const struct recovered_event *left = a, *right = b;
	if (left->tid != right->tid)
		return left->tid < right->tid ? -1 : 1;
	return by_time(a, b);
}

void recover_events_read(const struct trace_file *file, struct recovered_events *events)
{
	struct trace_column sequence = trace_numbers(file, "records", "sequence");
	struct trace_column heads = trace_numbers(file, "rings", "head"), lost = trace_numbers(file, "lost", "unrecorded");
	struct trace_column sizes = trace_numbers(file, "process", "ring_records");
	uint64_t size = trace_number(&sizes, 0, 0);
	*events = (struct recovered_events){.file = file, .unrecorded = trace_number(&lost, 0, 0)};
	if (size == 0 || size > sequence.rows || sequence.rows > file->length / 8)
		return;
	size_t room = (size_t)sequence.rows;
	events->list = calloc(room, sizeof(*events->list));
	if (events->list == NULL)
		return;
	for (uint64_t ring = 0; ring < heads.rows && ring < sequence.rows / size; ring++)
		read_ring(events, ring, size, &room);
	/* By thread first, to number each one's from its end. */
	qsort(events->list, events->count, sizeof(*events->list), by_thread);
	for (size_t i = events->count; i-- > 0;) {
		bool last = i + 1 == events->count || events->list[i + 1].tid != events->list[i].tid;
		events->list[i].age = last ? 0 : events->list[i + 1].age + 1;
	}
	qsort(events->list, events->count, sizeof(*events->list), by_time);
	if (events->count > 0)
		events->last_us = events->list[events->count - 1].time_ns / 1000;
	if (events->last_us >= 1ull << 53)
		events->last_us = 0;
}

void recover_events_free(struct recovered_events *events)
{
	free(events->list);
	events->list = NULL;
}

static uint64_t bounded(uint64_t value)
{
	return value < (1ull << 53) ? value : (1ull << 53) - 1;
}

/* A name from the file, whose characters may be anything. */
static void put_name(FILE *out, const struct trace_column *column, uint64_t row, uint32_t item)
{
	size_t length;
	const char *text = trace_text(column, row, item, &length);
	fputc('"', out);
	for (size_t i = 0; i < length; i++)
		fputc(text[i] > ' ' && text[i] < 0x7f && text[i] != '"' && text[i] != '\\' ? text[i] : '?', out);
	fputc('"', out);
}

void recover_events_trace(FILE *out, const struct recovered_events *events)
{
	struct trace_column masks = trace_numbers(events->file, "process", "groups");
	struct trace_column names = trace_texts(events->file, "groups", "name");
	uint64_t mask = trace_number(&masks, 0, 0), lost = bounded(events->unrecorded) + events->torn;
	bool first = true;
	fprintf(out, "\"trace\":{\"events\":%llu,\"lost\":%llu,\"overwritten\":%llu,\"held\":%zu,\"groups\":[",
		(unsigned long long)bounded(bounded(events->count + events->overwritten) + lost), (unsigned long long)bounded(lost),
		(unsigned long long)bounded(events->overwritten), events->count);
	for (uint64_t i = 0; i < names.rows && i < 64; i++) {
		if (!(mask >> i & 1))
			continue;
		fputs(first ? "" : ",", out);
		put_name(out, &names, i, 0);
		first = false;
	}
	fputs("]},", out);
}

struct types {
	struct trace_column name, group, args, kind, arg, groups;
};

/* The text that fills an event's arguments from one of them on: in the order of the file's bytes, whatever that of its
 * numbers is. */
static void put_text(FILE *out, const struct trace_column *values, uint64_t row, uint32_t from)
{
	char text[ARGS_MAX * sizeof(uint64_t) + 1] = "";
	for (uint32_t i = from; i < ARGS_MAX; i++) {
		uint64_t word = trace_number(values, row, i);
		if (values->file != NULL && values->file->swapped)
			word = __builtin_bswap64(word);
		memcpy(text + (i - from) * sizeof(word), &word, sizeof(word));
	}
	json_put_text(out, text);
}

static void put_event(FILE *out, const struct recovered_events *events, const struct types *types,
	const struct recovered_event *event, bool first)
{
	struct trace_column ids = trace_numbers(events->file, "records", "id");
	struct trace_column values = trace_numbers(events->file, "records", "arg");
	uint64_t type = trace_number(&ids, event->row, 0), groups = trace_number(&types->group, type, 0);
	uint64_t args = trace_number(&types->args, type, 0);
	fprintf(out, "%s{\"time_us\":%llu,\"tid\":%u,\"name\":", first ? "" : ",",
		(unsigned long long)bounded(event->time_ns / 1000), event->tid);
	put_name(out, &types->name, type, 0);
	fputs(",\"group\":", out);
	put_name(out, &types->groups, groups != 0 ? (uint64_t)__builtin_ctzll(groups) : UINT64_MAX, 0);
	fputs(",\"args\":{", out);
	for (uint32_t i = 0; i < args && i < ARGS_MAX; i++) {
		uint64_t value = trace_number(&values, event->row, i);
		fputs(i > 0 ? "," : "", out);
		put_name(out, &types->arg, type, i);
		if (trace_number(&types->kind, type, i) == 'T') {
			fputc(':', out);
			put_text(out, &values, event->row, i);
			break;
		}
		if (trace_number(&types->kind, type, i) == 'P')
			fprintf(out, ":\"0x%llx\"", (unsigned long long)value);
		else
			fprintf(out, ":%llu", (unsigned long long)bounded(value));
	}
	fputs("}}", out);
}

/* How old an event may be in its own thread to be among the chosen in any case, so that they are not too many. */
static uint32_t age_limit(const struct recovered_events *events)
{
	for (uint32_t limit = RECOVER_EVENTS_THREAD; limit > 0; limit--) {
		size_t chosen = 0;
		for (size_t i = 0; i < events->count; i++)
			chosen += events->list[i].age < limit;
		if (chosen <= RECOVER_EVENTS_MAX)
			return limit;
	}
	return 0;
}

void recover_events_list(FILE *out, const struct recovered_events *events)
{
	const struct trace_file *file = events->file;
	const struct types types = {trace_texts(file, "event_types", "name"), trace_numbers(file, "event_types", "group"),
		trace_numbers(file, "event_types", "args"), trace_numbers(file, "event_types", "kind"),
		trace_texts(file, "event_types", "arg"), trace_texts(file, "groups", "name")};
	uint32_t limit = age_limit(events);
	size_t chosen = 0, others = 0, from = events->count;
	for (size_t i = 0; i < events->count; i++)
		chosen += events->list[i].age < limit;
	/* The newest of the others have what room is left. */
	while (from > 0 && chosen + others < RECOVER_EVENTS_MAX)
		others += events->list[--from].age >= limit;
	bool first = true;
	struct trace_column ids = trace_numbers(file, "records", "id");
	fputs("\"events\":[", out);
	for (size_t i = 0; i < events->count; i++) {
		if ((i < from && events->list[i].age >= limit) || trace_number(&ids, events->list[i].row, 0) >= types.name.rows)
			continue;
		put_event(out, events, &types, &events->list[i], first);
		first = false;
	}
	fputc(']', out);
}
