/* shown.h: what every snapshot keeps that a reader lets through, whatever it was given, and the panels that draw it. */
#ifndef HAK_TESTS_FUZZ_SHOWN_H
#define HAK_TESTS_FUZZ_SHOWN_H

#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "viewer/frame.h"
#include "viewer/panel.h"
#include "viewer/watch.h"

static inline bool is_printable(const char *text, size_t size)
{
	size_t length = strnlen(text, size);

	for (size_t i = 0; i < length; i++) {
		if ((unsigned char)text[i] < ' ' || text[i] == 127)
			return false;
	}
	return length < size;
}

static inline void check_snapshot(const struct snapshot *snapshot)
{
	FUZZ_CHECK(is_printable(snapshot->reason, sizeof(snapshot->reason)));
	FUZZ_CHECK(is_printable(snapshot->process.exe, sizeof(snapshot->process.exe)));
	FUZZ_CHECK(is_printable(snapshot->process.cmdline, sizeof(snapshot->process.cmdline)));
	FUZZ_CHECK(is_printable(snapshot->trace.groups, sizeof(snapshot->trace.groups)));
	FUZZ_CHECK(snapshot->class_count <= MODEL_CLASSES_MAX);
	for (size_t i = 0; i < snapshot->class_count; i++)
		FUZZ_CHECK(snapshot->classes[i].class == i);
	for (size_t i = 0; i < snapshot->thread_count; i++)
		FUZZ_CHECK(is_printable(snapshot->threads[i].name, sizeof(snapshot->threads[i].name)));
	for (size_t i = 0; i < snapshot->superslab_count; i++) {
		const struct superslab *superslab = &snapshot->superslabs[i];

		FUZZ_CHECK(superslab->active_slots <= MODEL_SLOTS);
		for (int j = 0; j < MODEL_SLOTS; j++) {
			const struct slot *slot = &superslab->slots[j];
			double fill = slot_fill(superslab, (unsigned)j);

			FUZZ_CHECK(slot->state <= SLOT_EMPTY && slot->lead <= j && slot->lead >= -1);
			FUZZ_CHECK(slot->class == SLOT_NO_CLASS || slot->class < snapshot->class_count);
			FUZZ_CHECK(fill >= 0 && fill <= 1);
		}
	}
}

static inline void check_events(const struct event_log *log)
{
	FUZZ_CHECK(log->count <= EVENTS_MAX);
	for (size_t i = 0; i < log->count; i++) {
		const struct event *event = events_at(log, i);

		FUZZ_CHECK(is_printable(event->name, sizeof(event->name)) && is_printable(event->group, sizeof(event->group)));
		FUZZ_CHECK(is_printable(event->arguments, sizeof(event->arguments)));
	}
}

static inline void draw(const struct watch *watch, int width, int height)
{
	struct canvas canvas;

	FUZZ_CHECK(canvas_init(&canvas, width, height, GLYPHS_UNICODE));
	FUZZ_CHECK(frame_batch(&canvas, watch) <= canvas.height);
	for (int i = 0; i < PANEL_COUNT; i++) {
		struct panel_place place;

		panel_place_init(panels[i], &place);
		for (int mode = 0; mode < 3; mode++) {
			canvas_clear(&canvas);
			panels[i]->draw(canvas_area(&canvas), watch, &place, true);
			/* Wherever the user goes, the next drawing brings the place back into range. */
			panel_act(panels[i], &place, ACT_MODE);
			panel_act(panels[i], &place, mode == 0 ? ACT_LAST : ACT_NEXT_SORT);
			panel_act(panels[i], &place, mode == 0 ? ACT_RIGHT : ACT_PAGE_DOWN);
		}
	}
	canvas_free(&canvas);
}

#endif
