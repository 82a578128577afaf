/* panel_events.c: the tail of the target's events. */
#include <stdio.h>
#include <string.h>

#include "viewer/format.h"
#include "viewer/panel.h"

static enum style style_of_group(const char *group)
{
	static const struct {
		const char *group;
		enum style style;
	} styles[] = {
		{"acquire", STYLE_STAGE1}, {"release", STYLE_STAGE2}, {"lru", STYLE_SIZE7}, {"drain", STYLE_CACHED},
		{"memory", STYLE_STAGE3}, {"large", STYLE_LARGE}, {"thread", STYLE_GOOD}, {"error", STYLE_BAD},
	};
	for (size_t i = 0; i < sizeof(styles) / sizeof(styles[0]); i++) {
		if (strcmp(group, styles[i].group) == 0)
			return styles[i].style;
	}
	return STYLE_NORMAL;
}

/* Times count from the first event that came, as their clock's zero is of no interest. */
static void draw_event(struct area area, int y, const struct event *event, uint64_t base)
{
	uint64_t since = event->time_us >= base ? event->time_us - base : 0;
	int x = area_printf(area, 0, y, STYLE_FAINT, "%6llu.%06llu", (unsigned long long)(since / 1000000),
		(unsigned long long)(since % 1000000)) + 1;
	if (area.width >= 60)
		x = area_printf(area, x, y, STYLE_FAINT, "%7llu ", (unsigned long long)event->tid);
	x = area_printf(area, x, y, style_of_group(event->group), "%-17s", event->name) + 1;
	area_text(area, x, y, STYLE_NORMAL, event->arguments);
}

static void draw_head(struct area area, const struct watch *watch, const struct panel_place *place)
{
	char received[FORMAT_MAX], lost[FORMAT_MAX];
	const struct event_log *log = &watch->events;
	area_fill(area, 0, 0, area.width, STYLE_COLUMN_HEAD);
	area_printf(area, 1, 0, STYLE_COLUMN_HEAD, "%s events, %s lost%s%s%s", format_count(received, log->received),
		format_count(lost, log->lost), place->unfollowed ? ", stopped: End follows" : "",
		watch->snapshot != NULL && watch->snapshot->trace.groups[0] != '\0' ? "   groups: " : "",
		watch->snapshot != NULL ? watch->snapshot->trace.groups : "");
}

static void draw(struct area area, const struct watch *watch, struct panel_place *place, bool with_cursor)
{
	(void)with_cursor;
	const struct event_log *log = &watch->events;
	place->body = 1;
	/* A full ring moves on under a view that stands still, so the row that is shown goes with it as long as it is
	 * there. */
	panel_scroll(&panel_events, place, (int)log->count, area.height - 1);
	draw_head(area, watch, place);
	if (log->count == 0) {
		area_text(area, 1, 2, STYLE_FAINT, watch->state == WATCH_FILE ?
			"The dump holds no events." : "No events yet.");
		return;
	}
	for (int i = 0; i < place->page && place->first + i < place->rows; i++)
		draw_event(area, 1 + i, events_at(log, (size_t)place->first + (size_t)i), log->base_us);
}

const struct panel panel_events = {
	.grows = true, .draw = draw,
};
