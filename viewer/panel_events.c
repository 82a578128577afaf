/* panel_events.c: the tail of the target's events. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "viewer/format.h"
#include "viewer/panel.h"

/* What filter and search look at: group=, thread= and the arguments are words of their own. */
static bool matches(const struct event *event, const char *wanted)
{
	char words[256];
	if (*wanted == '\0')
		return true;
	snprintf(words, sizeof(words), "%s group=%s thread=%llu %s", event->name, event->group,
		(unsigned long long)event->tid, event->arguments);
	return panel_matches(words, wanted);
}

/* The places of the events that pass the filter. */
static size_t collect(const struct event_log *log, const char *filter, size_t *places)
{
	size_t kept = 0;
	for (size_t i = 0; i < log->count; i++) {
		if (matches(events_at(log, i), filter))
			places[kept++] = i;
	}
	return kept;
}

/* Events keep their number while the ring moves on under them, so that a view that was scrolled away stands still as long
 * as its events are there. */
static uint64_t number_of(const struct event_log *log, size_t place)
{
	return log->received - log->count + place;
}

static void keep_view(const struct event_log *log, struct panel_place *place, const size_t *places, size_t count)
{
	size_t low = 0, high = count;
	if (!place->unfollowed)
		return;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (number_of(log, places[middle]) < place->anchor)
			low = middle + 1;
		else
			high = middle;
	}
	/* What keys moved since the last drawing is moved from there. */
	int first = (int)low + place->first - place->anchor_row;
	place->first = first > 0 ? first : 0;
}

/* Shows the event that was looked for near the middle. */
static void find(const struct event_log *log, struct panel_place *place, const size_t *places, int count, int page)
{
	place->row = place->row < place->first || place->row >= place->first + page ? place->first + page - 1 : place->row;
	for (int row; (row = panel_find(place, count)) >= 0;) {
		if (!matches(events_at(log, places[row]), place->find))
			continue;
		panel_found(place, row);
		place->first = row > page / 2 ? row - page / 2 : 0;
		place->unfollowed = true;
	}
}

static void draw_head(struct area area, const struct watch *watch, const struct panel_place *place, size_t passed)
{
	char received[FORMAT_MAX], lost[FORMAT_MAX], shown[FORMAT_MAX];
	const struct event_log *log = &watch->events;
	area_fill(area, 0, 0, area.width, STYLE_COLUMN_HEAD);
	int x = area_printf(area, 1, 0, STYLE_COLUMN_HEAD, "%s events, %s lost", format_count(received, log->received),
		format_count(lost, log->lost));
	if (*place->filter != '\0')
		x = area_printf(area, x, 0, STYLE_COLUMN_HEAD, ", %s pass", format_count(shown, passed));
	if (place->unfollowed)
		x = area_text(area, x, 0, STYLE_COLUMN_SORTED, ", stopped: End follows");
	if (watch->snapshot != NULL && watch->snapshot->trace.groups[0] != '\0')
		area_printf(area, x, 0, STYLE_COLUMN_HEAD, "   groups: %s", watch->snapshot->trace.groups);
}

static const char *nothing(const struct watch *watch, const struct panel_place *place)
{
	if (watch->events.count > 0 && *place->filter != '\0')
		return "No event that is kept passes the filter.";
	return watch->state == WATCH_FILE ? "The dump holds no events." : "No events yet.";
}

static void draw(struct area area, const struct watch *watch, struct panel_place *place, bool with_cursor)
{
	const struct event_log *log = &watch->events;
	size_t *places = malloc((log->count + 1) * sizeof(*places));
	if (places == NULL)
		return;
	size_t count = collect(log, place->filter, places);
	int page = area.height > 2 ? area.height - 1 : 1;
	bool finding = place->find_step != 0;
	keep_view(log, place, places, count);
	place->body = 1;
	if (finding)
		find(log, place, places, (int)count, page);
	panel_scroll(&panel_events, place, (int)count, page);
	draw_head(area, watch, place, count);
	if (count == 0)
		area_text(area, 1, 2, STYLE_FAINT, nothing(watch, place));
	for (int i = 0; i < place->page && place->first + i < place->rows; i++) {
		const struct event *event = events_at(log, places[place->first + i]);
		draw_event(area, 1 + i, event, log->base_us);
		if (with_cursor && *place->find != '\0' && matches(event, place->find))
			area_reverse(area, 0, 1 + i, area.width);
	}
	place->anchor = place->first < (int)count ? number_of(log, places[place->first]) : log->received;
	place->anchor_row = place->first;
	free(places);
}

const struct panel panel_events = {
	.grows = true, .keys = KEY_FINDS | KEY_FILTERS, .draw = draw,
};
