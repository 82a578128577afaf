/* chrome.h: events in the Trace Event Format, which Perfetto's UI and chrome://tracing open.
 *
 * The file is the format's array form: a reader takes it as it stands even if its end is missing, so a recording that was
 * cut off is none the worse. Each event of HAKMEM's becomes an instant ("ph": "i") in its thread's track, with its group
 * as the category and its arguments; each snapshot a point of the counters ("C"); names are metadata ("M"). Times are
 * microseconds of CLOCK_MONOTONIC, which other recorders on the machine use too. */
#ifndef VIEWER_CHROME_H
#define VIEWER_CHROME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "viewer/problem.h"

struct chrome_name;

struct chrome {
	FILE *out;
	double pid;                /* of the last snapshot; events messages don't say it */
	uint64_t events, lost;     /* taken so far */
	bool begun;                /* something stands in the array */
	struct chrome_name *names; /* of threads, as they were written */
	size_t name_count;
};

/* Begins a recording on `out`. */
void chrome_begin(struct chrome *chrome, FILE *out);
/* Takes a snapshot, a dump or an events message; other messages are passed over. Returns false and says why if it is not
 * JSON, is an error message, or could not be written. */
bool chrome_take(struct chrome *chrome, const char *json, size_t length, struct problem *problem);
/* Ends the array and gives memory back. Returns false if the file could not be written. */
bool chrome_end(struct chrome *chrome);

#endif
