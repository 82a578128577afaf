/* site_words.h: what is said of a call site, in short words: amounts with their errors, ages, lifetimes. */
#ifndef VIEWER_SITE_WORDS_H
#define VIEWER_SITE_WORDS_H

#include "viewer/sites.h"

#define SITE_WORDS 256

/* "1.20M ± 130K"; without an error "1.20M". */
const char *site_words_bytes(char out[SITE_WORDS], double bytes, double error);
/* "1234 blocks", "1 block": the live ones. */
const char *site_words_blocks(char out[SITE_WORDS], const struct site *site);
/* ", 3m04s old on average" with more than one block, ", 3m04s old" with one, "" without. */
const char *site_words_age(char out[SITE_WORDS], const struct site *site);
/* "<1ms 12%, <10ms 80%, longer 8%": those that are not 0. Returns false if nothing was freed. */
bool site_words_lives(char out[SITE_WORDS], const struct profile *profile, const struct site *site);
/* "every block", "one every 512K" (in full "a sample every 512K on average"); ", switched off" behind it, or that alone. */
const char *site_words_rate(char out[SITE_WORDS], const struct profile *profile, bool full);
/* "cut: 128 frames are kept". Returns false if the stack is shorter, with "". */
bool site_words_cut(char out[SITE_WORDS], const struct profile_stack *stack);

#endif
