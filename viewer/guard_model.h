/* guard_model.h: what a target or a dump says of guarded blocks and of the mistakes that were reported, as C structs, with stacks
 * that symbols.h can name. It is not trusted: every field's type and range is checked, and the first that is wrong is named. */
#ifndef VIEWER_GUARD_MODEL_H
#define VIEWER_GUARD_MODEL_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "viewer/profile_model.h"

#define GUARDS_BLOCKS_MAX 65536u
#define GUARDS_REPORTS_MAX 1024u
#define GUARDS_TEXT_MAX 500
#define GUARDS_ROW 16   /* bytes of a row of memory */
#define GUARDS_ROWS_MAX 16

/* An allocation, a free, an access. */
struct guard_deed {
	uint64_t tid, time_us; /* time 0: not known */
	uint32_t stack;        /* a place in guards->profile's stacks, which may have no frames */
};

struct guard_block {
	uint64_t address, bytes; /* address 0: there is none */
	int class;               /* PROFILE_NO_CLASS: none */
	char level[12];
	bool freed;
	struct guard_deed allocated, gone; /* gone: if it was freed */
};

/* A mistake that was reported. */
struct guard_report {
	char text[GUARDS_TEXT_MAX], thread[32], access[12]; /* access: call, read, write, unknown */
	char end[12];                                       /* goes_on, aborts, exits */
	uint64_t address, damage, superslab; /* superslab 0: in none */
	unsigned slot;
	struct guard_deed by;
	struct guard_block block;
	uint64_t memory_at;
	unsigned row_count; /* of memory; 0: the address isn't HAKMEM's */
	bool readable[GUARDS_ROWS_MAX];
	uint8_t memory[GUARDS_ROWS_MAX][GUARDS_ROW];
};

struct guards {
	uint64_t time_us; /* when the document was made */
	bool is_dump;     /* and not just now, by a process that runs */
	struct guard_block *blocks; /* by address, each once */
	size_t block_count;
	struct guard_report *reports;
	size_t report_count;
	struct profile *profile; /* the stacks, and the files that they lie in */
};

/* Whether a document has any of it. */
bool guards_are_in(const cJSON *document);
/* Reads the answer to `guarded`, or a dump: its reports, and the blocks that its crash is about. Returns NULL and says what is
 * wrong. Members that it does not know are ignored. */
struct guards *guards_parse(const cJSON *document, struct problem *problem);
void guards_free(struct guards *guards);

/* The block that begins at `address`; NULL: none. */
const struct guard_block *guards_block_at(const struct guards *guards, uint64_t address);

#endif
