/* profile.h: the heap profile: who allocated what lives, and what went.
 *
 * lib chooses the blocks (lib/sample.h) and tells of each when it is allocated, resized and freed; stack.h says who
 * allocated it. What is summed up here, by stack, are estimates: each sample counts for as many blocks as it stands for. */
#ifndef HAK_PROFILE_H
#define HAK_PROFILE_H

#include "introspect/json.h"
#include "lib/base.h"
#include "lib/trace.h"

#define HAK_PROFILE_RATE_MAX ((uint64_t)1 << 40)

/* Readies what a rate that is not 0 needs, once. Returns false if memory is refused. */
bool hak_profile_prepare(uint64_t rate);

/* Starts the profiler, or changes its rate: bytes between two samples on the average, 1 for every block; 0 ends it, and
 * what lives goes on being followed. Returns false if memory is refused at the first start, which also loads the engine that
 * unwinds: so not from within malloc. One caller at a time: the constructor, then the endpoint's thread. */
bool hak_profile_set_rate(uint64_t rate);

/* The present rate, 0 if it is off. */
uint64_t hak_profile_rate(void);

/* Whether it was on at any time. */
bool hak_profile_has_data(void);

/* For the sink. */
uint32_t hak_profile_sample(const struct hak_sample *sample);
void hak_profile_sample_freed(const struct hak_sample *sample, uint64_t lived_ns, bool temporary);

/* The members of the profile, without its modules, for the object that is open. With `crashed` no lock is taken, and what
 * keeps slabs is left out. */
void hak_profile_encode(struct hak_json *json, bool crashed);

/* The reply to the verb `profile`, with the modules. For the endpoint's thread. */
void hak_profile_message(struct hak_json *json);

/* What lives, by stack. */
struct hak_profile_site {
	double blocks, bytes;      /* estimated */
	double variance;           /* of bytes */
	uint64_t samples;
};
/* Sums up what lives now: sites[number] of each stack's number below `count`, those beyond and unknown ones at 0. */
void hak_profile_live(struct hak_profile_site *sites, uint32_t count);

#endif
