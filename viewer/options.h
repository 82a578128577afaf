/* options.h: the command line. */
#ifndef VIEWER_OPTIONS_H
#define VIEWER_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "viewer/problem.h"
#include "viewer/site_values.h"

/* What --report is about. */
enum report { REPORT_NONE, REPORT_HEAP, REPORT_GUARD, REPORT_SITES, REPORT_PINNED, REPORT_LEAKS };

enum action {
	ACTION_WATCH, /* attach, choose, launch or read a dump */
	ACTION_LIST,
	ACTION_HELP,
	ACTION_VERSION,
	ACTION_HELP_ENV,
	ACTION_HELP_ENV_MD,
};

struct options {
	enum action action;
	bool batch, json, readonly;
	enum report report;
	const char *suppressions; /* of --report=leaks: a file */
	bool limits_leaks;        /* --fail-if-leaks, and its bytes */
	uint64_t leaks;
	/* Files to write a profile to, in formats of other tools. */
	const char *pprof, *collapsed, *flamegraph, *heap_v2;
	enum site_value value;    /* what --collapsed and --flamegraph show */
	const char *binaries;     /* folders with the files of a profile's modules */
	const char *debug_dir;    /* folders with separate debug files; NULL: the system's */
	bool metrics;
	long frames;        /* 0: until the target ends */
	int interval_ms;    /* 0: the mode's default */
	const char *output; /* -o: where a launched command's output goes */
	const char *library;
	const char *dump;   /* --dump: the file to write */
	const char *record; /* --record: the file to write */
	uint64_t record_max; /* its bytes before it is rotated; 0: the default */
	bool replay;        /* --replay: the target is a recording */
	double speed;       /* 0: a recording's frames as fast as they can be written, its screen as it was */
	const char *html;   /* --html: the page to write */
	const char *diff;   /* --diff: what the target is compared with */
	bool limits_growth; /* --fail-if-growth, and its bytes */
	uint64_t growth;
	const char *chrome; /* --chrome-trace: the file to write */
	const char *target; /* a process id, a socket or a file; NULL: choose */
	char **command;     /* after --; NULL: none */
};

/* Reads the command line. Returns false for one that can't be obeyed and says why. */
bool options_parse(struct options *options, int argc, char **argv, struct problem *problem);
void options_help(FILE *out);

#endif
