/* profile_model.h: a heap profile as C structs: the sampled blocks, the stacks that they come from, and the files that hold
 * their code. It comes from another process or from a file and is not trusted: every field's type and range is checked,
 * and the first that is wrong is named. */
#ifndef VIEWER_PROFILE_MODEL_H
#define VIEWER_PROFILE_MODEL_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "viewer/problem.h"

/* How a program comes to have a profile, for whoever looks for one and finds none. */
#define PROFILE_REQUEST "set prof_rate=524288"
#define PROFILE_WANTED "HAKMEM_PROF=1 starts it with the program, the request " PROFILE_REQUEST " while it runs"

#define PROFILE_STACKS_MAX (1u << 20)
#define PROFILE_BLOCKS_MAX (1u << 22)
#define PROFILE_DEPTH_MAX 1024
#define PROFILE_FRAMES_MAX (1u << 24) /* of all stacks together */
#define PROFILE_MODULES_MAX (1u << 16)
#define PROFILE_LIFETIMES_MAX 16
#define PROFILE_FAILURES_MAX 16
#define PROFILE_NO_CLASS (-1) /* the class of large blocks */
#define PROFILE_BUILD_ID_MAX 64 /* bytes; gcc and clang make 20 */

/* What was counted of a stack's allocations, all of it estimated from samples. */
#define PROFILE_SITE(X) \
	X(allocs) X(alloc_bytes) X(alloc_variance) X(frees) X(free_bytes) X(temporary)
#define PROFILE_DOUBLE(name) double name;
struct profile_site {
	uint32_t stack; /* a place in the profile's stacks */
	PROFILE_SITE(PROFILE_DOUBLE)
	double lifetimes[PROFILE_LIFETIMES_MAX]; /* frees after so long a life */
};

/* A sampled block that is live. */
struct profile_block {
	uint64_t address, bytes, tid, age_ms;
	uint32_t stack;
	int class;     /* PROFILE_NO_CLASS: large */
	double weight; /* live blocks that it stands for: one by the probability of having been sampled */
	/* The slab that its stand-in lies in; all 0 for a large block. */
	uint64_t slab_live, slab_capacity, slab_cached, slab_bytes, block_bytes;
};

struct profile_stack {
	uint64_t id;
	const uint64_t *frames; /* leaf first, as captured: return addresses */
	unsigned depth;
};

struct profile_module {
	char *path;
	uint64_t base, end; /* where its first segment lies, and behind its last one */
	uint8_t build_id[PROFILE_BUILD_ID_MAX];
	unsigned build_id_bytes; /* 0: none is known */
	bool is_main;            /* the program: the first that the target names */
};

/* Sampled blocks whose stack could not be had, by the reason. */
struct profile_failure {
	char kind[32];
	uint64_t count;
};

/* X(field): counters that must be there; O(field): 0 where they are not. */
#define PROFILE_COUNTERS(X, O) \
	X(rate) X(samples) X(live_samples) O(lost_samples) O(stack_capacity) O(lost_stacks) O(seq) O(time_us)
#define PROFILE_NUMBER(name) uint64_t name;

struct profile {
	PROFILE_COUNTERS(PROFILE_NUMBER, PROFILE_NUMBER)
	uint64_t serial; /* no two profiles that a viewer has read have the same */
	bool on;         /* it goes on sampling */
	char engine[32]; /* how stacks are had */
	struct profile_failure failures[PROFILE_FAILURES_MAX];
	size_t failure_count;
	uint64_t lifetime_bounds_ms[PROFILE_LIFETIMES_MAX]; /* upper ones; the last of the lifetimes has none */
	size_t lifetime_count;                              /* lifetimes: one more than bounds; 0: not said */
	struct profile_site *sites;
	size_t site_count;
	struct profile_block *blocks;
	size_t block_count;
	/* By id. The last one has no frames: it stands for those whose frames are not told. */
	struct profile_stack *stacks;
	size_t stack_count;
	uint64_t *frames;
	struct profile_module *modules; /* by address */
	size_t module_count;
};

/* Reads a profile message, or a document that has one as its member "profile". Returns NULL and says what is wrong with
 * which field, or that there is no profile. Members and columns that it does not know are ignored. */
struct profile *profile_parse(const cJSON *document, struct problem *problem);
/* Whether a document has a profile, as profile_parse would look for it. */
bool profile_is_in(const cJSON *document);
void profile_free(struct profile *profile);

/* The module that an address lies in; NULL: in none. */
const struct profile_module *profile_module_of(const struct profile *profile, uint64_t address);
/* The last part of a module's path. */
const char *profile_module_name(const struct profile_module *module);
/* Whether it is libhakmem.so, whose frames lead every stack. */
bool profile_module_is_allocator(const struct profile_module *module);

#endif
