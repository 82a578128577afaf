/* watch.h: everything known of the program that is looked at. Panels draw a struct watch; messages and files fill
 * it. */
#ifndef VIEWER_WATCH_H
#define VIEWER_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "viewer/binaries.h"
#include "viewer/courses.h"
#include "viewer/document.h"
#include "viewer/events.h"
#include "viewer/guard_model.h"
#include "viewer/model.h"
#include "viewer/output.h"
#include "viewer/past.h"
#include "viewer/profile_model.h"
#include "viewer/recording.h"

enum watch_state {
	WATCH_WAITING, /* connected or about to be; no snapshot yet */
	WATCH_LIVE,
	WATCH_LOST,    /* the connection ended: the last snapshot stays */
	WATCH_FILE,    /* a dump */
	WATCH_REPLAY,  /* a recording */
};

/* While what is shown stands still: what goes on behind it. */
struct present {
	struct rates rates;
	bool rates_are_means;
	struct courses courses;
	struct event_log events;
};

/* How a recording runs; travel.h moves in it. */
struct replay {
	struct recording recording;
	double speed;
	bool begun;              /* since_ms and from_us hold */
	int64_t since_ms;        /* when it was at from_us, by the viewer's clock */
	uint64_t from_us;
	size_t profile_shown;    /* the number of the profile that is shown (recording_profile_number) */
};

struct family;

struct watch {
	enum watch_state state;
	char target[256];          /* what the user named: a command, a pid, a file */
	char note[PROBLEM_MAX];    /* how a target was lost, or what it refused; may be empty */
	struct snapshot *snapshot; /* the one that is shown; NULL before the first */
	struct snapshot *pending;  /* while paused: the newest one */
	bool paused;               /* what is shown stands still: at its moment, or at an earlier one (`away`) */
	struct present present;    /* while paused */
	uint64_t until_us;         /* while paused: later events are not shown */
	struct past past;          /* the last minutes */
	struct replay *replay;     /* a recording that is looked at; NULL: none */
	bool away;                 /* travel.h has gone to moment `moment` of the timeline */
	uint64_t moment;
	struct snapshot *mark;     /* what to compare with: the first one, until the user marks another; NULL: none */
	bool marked;               /* by the user */
	struct profile *profile;   /* the last one that came; NULL: none. It stands still while paused */
	struct guards *guards;     /* the last answer about guarded blocks, or what a dump has of them; NULL: none */
	struct binaries_where where; /* the files that the profile's symbols are in */
	struct record *record;     /* where all that comes is written; NULL: nowhere */
	bool resyncing;            /* a whole snapshot has been asked for: deltas are ignored until it comes */
	struct rates rates;
	bool rates_are_means;      /* since the program's start, as there is no earlier snapshot */
	struct courses courses;
	struct event_log events;
	uint64_t dropped;          /* snapshots that the target could not send in time */
	struct document document;  /* the message that is being taken */
	bool replied;              /* a reply other than a stream's message came */
	struct output *output;     /* what a launched command printed; NULL: it isn't captured */
	const struct family *family; /* the user's HAKMEM processes; NULL: nobody has looked yet */
};

/* What a message was. */
enum watch_message {
	WATCH_BAD,      /* not JSON, or a snapshot with a wrong field: `problem` says which */
	WATCH_SNAPSHOT, /* applied, or kept while paused; also what a delta made of the one before */
	WATCH_RESYNC,   /* a delta that doesn't fit: a whole snapshot is to be asked for */
	WATCH_EVENTS,
	WATCH_PROFILE,
	WATCH_GUARDED, /* the answer to a request about guarded blocks */
	WATCH_REPLY,    /* an ok, a pong, … */
	WATCH_REFUSED,  /* an error message: `problem` quotes it */
	WATCH_OTHER,    /* a type that this viewer doesn't know; ignored */
};

/* Takes one line of the protocol, or a whole dump. */
enum watch_message watch_take(struct watch *watch, const char *json, size_t length, struct problem *problem);
/* Shows another snapshot, which watch then owns: rates and courses follow. */
void watch_show(struct watch *watch, struct snapshot *snapshot);
/* Freezes what is shown, or goes on with the newest snapshot. Not for a recording: travel.h. */
void watch_pause(struct watch *watch, bool paused);
/* Marks what is shown, to compare with it later. */
void watch_mark(struct watch *watch);
/* Notes that the target is gone and why. */
void watch_lose(struct watch *watch, const char *reason);
/* Reads a dump file. Returns false and says what is wrong with it. */
bool watch_load(struct watch *watch, const char *path, struct problem *problem);
/* The same, keeping the file's text with a zero behind it, to be freed; NULL where watch_load returns false. */
char *watch_load_text(struct watch *watch, const char *path, size_t *length, struct problem *problem);
/* Reads a whole file, with a zero behind it; to be freed. NULL: it can't be had, or is no file, or over 1 GiB. */
char *watch_read_file(const char *path, size_t *length, struct problem *problem);
void watch_free(struct watch *watch);

#endif
