/* past_heap.h: heaps that move by a fixed rule, as snapshots, for tests of what is kept of them. */
#ifndef HAK_TESTS_PAST_HEAP_H
#define HAK_TESTS_PAST_HEAP_H

#include <stdlib.h>
#include <string.h>

#include "viewer/model.h"

#define HEAP_CLASSES 40

static inline uint32_t heap_random(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	return *state ^= *state << 5;
}

static inline void heap_slot(struct slot *slot, uint64_t now_ms, uint32_t *state, size_t classes)
{
	uint32_t draw = heap_random(state);
	memset(slot, 0, sizeof(*slot));
	slot->since_ms = now_ms;
	slot->class = SLOT_NO_CLASS;
	if (draw % 16 == 0 || classes == 0)
		return;
	slot->state = draw % 16 == 1 ? SLOT_EMPTY : SLOT_ACTIVE;
	slot->class = (uint8_t)(draw / 16 % classes);
	slot->capacity = 4096 / (slot->class + 1u);
	slot->used = slot->state == SLOT_ACTIVE ? draw / 1024 % (slot->capacity + 1) : 0;
	slot->span = 1;
	slot->since_ms = now_ms - draw % 5000;
}

static inline void heap_row(struct superslab *row, uint64_t now_ms, uint64_t index, uint32_t *state)
{
	memset(row, 0, sizeof(*row));
	row->index = index;
	row->address = 0x7f0000000000 + index * 2097152;
	for (unsigned i = 0; i < MODEL_SLOTS; i++) {
		heap_slot(&row->slots[i], now_ms, state, HEAP_CLASSES);
		row->active_slots += row->slots[i].state == SLOT_ACTIVE;
	}
	superslab_finish(row);
}

/* The first snapshot, of `superslabs` SuperSlabs with every second index. */
static inline struct snapshot *heap_make(size_t superslabs, uint32_t *state)
{
	struct snapshot *s = calloc(1, sizeof(*s));
	if (s == NULL || (s->classes = calloc(HEAP_CLASSES, sizeof(*s->classes))) == NULL ||
		(s->threads = calloc(3, sizeof(*s->threads))) == NULL ||
		(s->superslabs = calloc(superslabs + 1, sizeof(*s->superslabs))) == NULL)
		abort();
	s->protocol = 1;
	s->time_us = 1000000000;
	s->uptime_us = 5000000;
	s->process.pid = 4711;
	strcpy(s->process.exe, "/usr/bin/sample");
	strcpy(s->trace.groups, "acquire,lru");
	s->geometry.superslab_bytes = 2097152;
	s->geometry.slot_bytes = 65536;
	s->geometry.slots_per_superslab = MODEL_SLOTS;
	for (s->class_count = 0; s->class_count < HEAP_CLASSES; s->class_count++) {
		s->classes[s->class_count].class = s->class_count;
		s->classes[s->class_count].block_bytes = 16 * (s->class_count + 1);
	}
	for (s->thread_count = 0; s->thread_count < 3; s->thread_count++) {
		s->threads[s->thread_count].tid = 4711 + s->thread_count;
		strcpy(s->threads[s->thread_count].name, "worker");
	}
	for (s->superslab_count = 0; s->superslab_count < superslabs; s->superslab_count++)
		heap_row(&s->superslabs[s->superslab_count], s->time_us / 1000, 2 * s->superslab_count, state);
	return s;
}

/* Time goes on by `us`, and `changes` slots change. */
static inline void heap_move(struct snapshot *s, uint64_t us, unsigned changes, uint32_t *state)
{
	s->seq++;
	s->time_us += us;
	s->uptime_us += us;
	for (size_t i = 0; i < s->class_count; i++) {
		s->classes[i].allocs += heap_random(state) % 1000;
		s->classes[i].live_blocks = heap_random(state) % 100000;
	}
	s->memory.live_bytes = heap_random(state);
	for (unsigned i = 0; i < changes && s->superslab_count > 0; i++) {
		struct superslab *row = &s->superslabs[heap_random(state) % s->superslab_count];
		heap_slot(&row->slots[heap_random(state) % MODEL_SLOTS], s->time_us / 1000, state, s->class_count);
		superslab_finish(row);
	}
}

/* The same heap at another time, as old as it is. */
static inline void heap_at(struct snapshot *s, uint64_t time_us)
{
	uint64_t by_ms = time_us / 1000 - s->time_us / 1000;
	s->time_us = time_us;
	for (size_t i = 0; i < s->superslab_count; i++) {
		for (unsigned j = 0; j < MODEL_SLOTS; j++)
			s->superslabs[i].slots[j].since_ms += by_ms;
	}
}

/* Whether two snapshots show the same, ages within 2 ms. */
static inline bool heap_same(const struct snapshot *a, const struct snapshot *b)
{
	bool same = a->seq == b->seq && a->time_us == b->time_us && a->superslab_count == b->superslab_count &&
		a->class_count == b->class_count && a->thread_count == b->thread_count &&
		memcmp(&a->memory, &b->memory, sizeof(a->memory)) == 0 && strcmp(a->process.exe, b->process.exe) == 0 &&
		strcmp(a->trace.groups, b->trace.groups) == 0 &&
		memcmp(a->classes, b->classes, a->class_count * sizeof(*a->classes)) == 0;
	for (size_t i = 0; same && i < a->thread_count; i++)
		same = a->threads[i].tid == b->threads[i].tid && strcmp(a->threads[i].name, b->threads[i].name) == 0;
	for (size_t i = 0; same && i < a->superslab_count; i++) {
		const struct superslab *x = &a->superslabs[i], *y = &b->superslabs[i];
		same = x->index == y->index && x->address == y->address && x->in_lru == y->in_lru && x->active_slots == y->active_slots;
		for (unsigned j = 0; same && j < MODEL_SLOTS; j++) {
			const struct slot *p = &x->slots[j], *q = &y->slots[j];
			same = p->state == q->state && p->class == q->class && p->used == q->used && p->capacity == q->capacity &&
				p->span == q->span && p->lead == q->lead && p->since_ms + 2 >= q->since_ms && q->since_ms + 2 >= p->since_ms;
		}
	}
	return same;
}

#endif
