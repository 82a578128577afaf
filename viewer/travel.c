#include "viewer/travel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "viewer/client.h"
#include "viewer/format.h"

#define TREND_MOMENTS 64 /* that sparklines are made of after a long way */
#define EVENTS_BACK 512  /* moments whose events are shown after a long way */

static struct timeline *timeline_of(struct watch *watch)
{
	return watch->replay != NULL ? &watch->replay->recording.timeline : &watch->past.timeline;
}

static const struct timeline *const_timeline_of(const struct watch *watch)
{
	return watch->replay != NULL ? &watch->replay->recording.timeline : &watch->past.timeline;
}

static uint64_t last_of(const struct timeline *timeline)
{
	return timeline->first + timeline->count - 1;
}

bool travel_possible(const struct watch *watch)
{
	return const_timeline_of(watch)->count > 1;
}

bool travel_is_away(const struct watch *watch)
{
	return watch->away || (watch->replay != NULL && watch->moment != last_of(&watch->replay->recording.timeline));
}

/* The moment that is shown. */
static uint64_t shown(const struct watch *watch)
{
	const struct timeline *timeline = const_timeline_of(watch);
	if (watch->away || watch->replay != NULL)
		return watch->moment < timeline->first ? timeline->first : watch->moment;
	return watch->snapshot != NULL ? timeline_find(timeline, watch->snapshot->time_us) : last_of(timeline);
}

/* ---- Showing a moment ---- */

/* What rates need of a snapshot: all but its slot map. */
static struct snapshot *figures_of(const struct snapshot *snapshot)
{
	struct snapshot light = *snapshot;
	light.superslab_count = 0;
	return moment_copy(&light);
}

/* The uptime at a time of this process: the offset between the two stays. */
static uint64_t uptime_at(const struct watch *watch, uint64_t time_us)
{
	const struct snapshot *near = watch->pending != NULL ? watch->pending : watch->snapshot;
	uint64_t begun_us = near != NULL && near->time_us > near->uptime_us ? near->time_us - near->uptime_us : 0;
	return time_us > begun_us ? time_us - begun_us : 0;
}

/* Rates at moment `number`, and the courses up to it, which are worked out anew if what is there doesn't reach it. Returns
 * the moment before without its slot map, to be freed; NULL: there is none. */
static struct snapshot *show_trend(struct watch *watch, struct timeline *timeline, uint64_t number, const struct courses *known)
{
	uint64_t uptime_us = uptime_at(watch, timeline_time(timeline, number)), from = number > timeline->first ? number - 1 : number;
	if (known != &watch->courses)
		watch->courses = *known;
	courses_cut(&watch->courses, uptime_us);
	bool anew = !courses_reach(&watch->courses, uptime_us);
	if (anew) {
		memset(&watch->courses, 0, sizeof(watch->courses));
		from = number - timeline->first > TREND_MOMENTS ? number - TREND_MOMENTS : timeline->first;
	}
	struct snapshot *before = NULL, *last = NULL;
	watch->rates.known = false;
	for (uint64_t i = from; i <= number; i++) {
		const struct snapshot *snapshot = timeline_load(timeline, i, NULL);
		if (snapshot == NULL)
			break;
		rates_between(&watch->rates, last, snapshot);
		if (anew)
			courses_add(&watch->courses, snapshot, &watch->rates);
		watch->rates_are_means = !watch->rates.known;
		if (!watch->rates.known)
			rates_since_start(&watch->rates, snapshot);
		snapshot_free(before);
		before = last;
		last = figures_of(snapshot);
	}
	snapshot_free(last);
	return before;
}

/* The events up to the moment: of a recording the newest that there are in it, of a target those that are kept. */
static void show_events(struct watch *watch, uint64_t number, uint64_t time_us)
{
	if (watch->replay == NULL) {
		watch->until_us = time_us;
		watch->events = events_until(&watch->present.events, time_us);
		return;
	}
	events_free(&watch->events);
	for (uint64_t i = number > EVENTS_BACK ? number - EVENTS_BACK : 0; i <= number; i++)
		recording_events(&watch->replay->recording, i, &watch->events);
}

/* What is known of the target's end, or that the file is cut, at a recording's last moment; else nothing. */
static void show_note(struct watch *watch, uint64_t number)
{
	const struct recording *recording = &watch->replay->recording;
	watch->note[0] = '\0';
	if (number != last_of(&recording->timeline))
		return;
	for (size_t i = 0; i < recording->text_count; i++) {
		if (!recording->texts[i].is_mark)
			snprintf(watch->note, sizeof(watch->note), "%s", recording->texts[i].text);
	}
	if (recording->cut.text[0] != '\0')
		snprintf(watch->note, sizeof(watch->note), "%s", recording->cut.text);
}

/* Makes the snapshot of moment `number` the one that is shown; `before` is the one before it. */
static bool show_snapshot(struct watch *watch, struct timeline *timeline, uint64_t number, const struct snapshot *before)
{
	struct problem problem = {"out of memory"};
	const struct snapshot *snapshot = timeline_load(timeline, number, &problem);
	struct snapshot *copy = snapshot != NULL ? moment_copy(snapshot) : NULL;
	if (copy == NULL) {
		snprintf(watch->note, sizeof(watch->note), "%s", problem.text);
		return false;
	}
	rates_of_threads(before, copy);
	/* The newest one is what the target goes on from. */
	if (watch->replay == NULL && watch->pending == NULL && !watch->away)
		watch->pending = watch->snapshot;
	else
		snapshot_free(watch->snapshot);
	watch->snapshot = copy;
	if (watch->mark == NULL)
		watch->mark = moment_copy(copy);
	watch->moment = number;
	watch->away = watch->replay == NULL;
	return true;
}

/* The profile of a recording's moment. One that is damaged leaves none. */
static void show_profile(struct watch *watch, uint64_t number)
{
	struct recording *recording = &watch->replay->recording;
	size_t wanted = recording_profile_number(recording, number), length = 0;
	if (wanted == watch->replay->profile_shown)
		return;
	watch->replay->profile_shown = wanted;
	char *text = recording_profile(recording, number, &length);
	cJSON *document = text != NULL ? cJSON_ParseWithLength(text, length) : NULL;
	profile_free(watch->profile);
	watch->profile = document != NULL ? profile_parse(document, NULL) : NULL;
	cJSON_Delete(document);
	free(text);
}

bool travel_to(struct watch *watch, uint64_t number)
{
	struct timeline *timeline = timeline_of(watch);
	if (watch->replay != NULL)
		show_profile(watch, number);
	bool next = watch->replay != NULL && watch->snapshot != NULL && number == watch->moment + 1;
	if (next) {
		/* The usual way of a recording that runs. */
		const struct snapshot *snapshot = timeline_load(timeline, number, NULL);
		struct snapshot *copy = snapshot != NULL ? moment_copy(snapshot) : NULL;
		if (copy != NULL) {
			watch_show(watch, copy);
			watch->moment = number;
			recording_events(&watch->replay->recording, number, &watch->events);
			show_note(watch, number);
			return true;
		}
	}
	uint64_t time_us = timeline_time(timeline, number);
	/* The courses first: that leaves the timeline standing at the moment. */
	struct snapshot *before = show_trend(watch, timeline, number, watch->replay != NULL ? &watch->courses : &watch->present.courses);
	bool shown_now = show_snapshot(watch, timeline, number, before);
	snapshot_free(before);
	if (!shown_now)
		return false;
	show_events(watch, number, time_us);
	if (watch->replay != NULL)
		show_note(watch, number);
	return true;
}

/* ---- Steps ---- */

static void go_to(struct watch *watch, uint64_t number)
{
	if (watch->replay != NULL) {
		watch->replay->begun = false;
		travel_to(watch, number);
		return;
	}
	watch_pause(watch, true);
	travel_to(watch, number);
}

static void restrict_and_go(struct watch *watch, uint64_t from, uint64_t to)
{
	const struct timeline *timeline = timeline_of(watch);
	if (to < timeline->first)
		to = timeline->first;
	if (watch->replay == NULL && to > from && to >= last_of(timeline)) {
		travel_end(watch);
		return;
	}
	if (to > last_of(timeline))
		to = last_of(timeline);
	if (to != from || (watch->replay == NULL && !watch->away))
		go_to(watch, to);
}

void travel_by(struct watch *watch, int moments)
{
	if (!travel_possible(watch))
		return;
	uint64_t from = shown(watch), back = (uint64_t)-(int64_t)moments;
	if (watch->replay != NULL)
		watch->paused = true; /* single steps are to be looked at */
	if (moments >= 0)
		restrict_and_go(watch, from, from + (uint64_t)moments);
	else
		restrict_and_go(watch, from, back > from ? 0 : from - back);
}

void travel_by_time(struct watch *watch, int64_t microseconds)
{
	if (!travel_possible(watch))
		return;
	const struct timeline *timeline = timeline_of(watch);
	uint64_t from = shown(watch), time_us = timeline_time(timeline, from);
	uint64_t wanted = microseconds < 0 && time_us < (uint64_t)-microseconds ? 0 : time_us + (uint64_t)microseconds;
	uint64_t to = timeline_find(timeline, wanted);
	/* A gap is crossed, however long. */
	if (to == from)
		to = microseconds > 0 ? from + 1 : from > 0 ? from - 1 : 0;
	restrict_and_go(watch, from, to);
}

void travel_begin(struct watch *watch)
{
	if (travel_possible(watch))
		go_to(watch, timeline_of(watch)->first);
}

void travel_end(struct watch *watch)
{
	if (watch->replay == NULL)
		watch_pause(watch, false);
	else if (watch->moment != last_of(timeline_of(watch)))
		go_to(watch, last_of(timeline_of(watch)));
}

/* ---- A recording that runs ---- */

void travel_pause(struct watch *watch, bool paused)
{
	if (watch->replay == NULL) {
		watch_pause(watch, paused);
		return;
	}
	watch->paused = paused;
	watch->replay->begun = false;
	if (!paused && watch->moment == last_of(timeline_of(watch)))
		travel_to(watch, timeline_of(watch)->first);
}

void travel_faster(struct watch *watch, bool faster)
{
	if (watch->replay == NULL)
		return;
	double speed = watch->replay->speed * (faster ? 2 : 0.5);
	watch->replay->speed = speed < TRAVEL_SPEED_MIN ? TRAVEL_SPEED_MIN : speed > TRAVEL_SPEED_MAX ? TRAVEL_SPEED_MAX : speed;
	watch->replay->begun = false;
}

bool travel_open(struct watch *watch, const char *path, double speed, struct problem *problem)
{
	struct replay *replay = calloc(1, sizeof(*replay));
	if (replay == NULL)
		return problem_set(problem, "out of memory");
	if (!recording_open(&replay->recording, path, problem)) {
		free(replay);
		return false;
	}
	replay->speed = speed;
	watch->replay = replay;
	watch->state = WATCH_REPLAY;
	format_printable(watch->target, sizeof(watch->target), path);
	if (travel_to(watch, replay->recording.timeline.first))
		return true;
	return problem_set(problem, "%s: %s", path, watch->note);
}

bool travel_run(struct watch *watch, int64_t now_ms)
{
	struct replay *replay = watch->replay;
	if (replay == NULL || watch->paused)
		return false;
	const struct timeline *timeline = &replay->recording.timeline;
	if (watch->moment == last_of(timeline)) {
		watch->paused = true;
		return true;
	}
	if (!replay->begun) {
		replay->begun = true;
		replay->since_ms = now_ms;
		replay->from_us = timeline_time(timeline, watch->moment);
	}
	double later_us = (double)(now_ms - replay->since_ms) * 1000 * replay->speed;
	uint64_t to = timeline_find(timeline, replay->from_us + (uint64_t)later_us);
	if (to <= watch->moment)
		return false;
	/* A damaged moment is passed by; its note stays until the next one. */
	if (!travel_to(watch, to))
		watch->moment = to;
	return true;
}

int travel_patience(const struct watch *watch, int64_t now_ms, int longest)
{
	const struct replay *replay = watch->replay;
	if (replay == NULL || watch->paused)
		return longest;
	const struct timeline *timeline = &replay->recording.timeline;
	if (!replay->begun || watch->moment == last_of(timeline))
		return 0;
	double wait_us = (double)(timeline_time(timeline, watch->moment + 1) - replay->from_us) / replay->speed;
	double left_ms = wait_us / 1000 - (double)(now_ms - replay->since_ms);
	return left_ms <= 0 ? 0 : left_ms >= longest ? longest : (int)left_ms + 1;
}

/* ---- Words ---- */

/* ", at 14:03:22" by the clock of the target's machine, in this one's time zone. */
static void put_clock(char *out, size_t size, uint64_t realtime_us)
{
	time_t seconds = (time_t)(realtime_us / 1000000);
	struct tm parts;
	out[0] = '\0';
	if (realtime_us != 0 && localtime_r(&seconds, &parts) != NULL)
		strftime(out, size, ", at %H:%M:%S", &parts);
}

const char *travel_banner(const struct watch *watch, bool brief, char *out, size_t size)
{
	const struct timeline *timeline = const_timeline_of(watch);
	char at[FORMAT_MAX], of[FORMAT_MAX], clock[FORMAT_MAX];
	out[0] = '\0';
	if (watch->snapshot == NULL)
		return out;
	put_clock(clock, sizeof(clock), watch->snapshot->realtime_us);
	if (watch->replay != NULL) {
		uint64_t begin_us = timeline_time(timeline, timeline->first);
		format_clock(at, timeline_time(timeline, watch->moment) - begin_us);
		format_clock(of, timeline_time(timeline, last_of(timeline)) - begin_us);
		if (brief)
			snprintf(out, size, "%s/%s", at, of);
		else
			snprintf(out, size, "%s of %s%s, %gx", at, of, clock, watch->replay->speed);
	} else if (watch->away && watch->pending != NULL) {
		uint64_t ago_us = watch->pending->time_us - watch->snapshot->time_us;
		format_age(at, ago_us / 1000);
		snprintf(out, size, "%s%s%s%s", brief ? "-" : "", at, brief ? "" : " ago", brief ? "" : clock);
	}
	return out;
}
