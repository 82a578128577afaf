/* guard_report.h: guarded blocks and the mistakes that were reported, as text, their stacks with names. */
#ifndef VIEWER_GUARD_REPORT_H
#define VIEWER_GUARD_REPORT_H

#include <stdio.h>

#include "viewer/guard_model.h"
#include "viewer/model.h"
#include "viewer/symbols.h"

#define GUARD_WORDS 256

/* "8 bytes behind the end of a freed block of 40 bytes at 0x…, class 2, guarded at level sample". */
const char *guard_words_where(char out[GUARD_WORDS], uint64_t address, const struct guard_block *block);
/* Whether there is anything to say of guards: they are on, or were, or a mistake was reported. */
bool guard_matters(const struct snapshot *snapshot);
/* "sample, one malloc in 50000; 3 blocks armed of 128, 12 guarded so far; 4 in quarantine (160 bytes); 0 mistakes reported". */
const char *guard_words_level(char out[GUARD_WORDS], const struct snapshot *snapshot);

/* Who allocated a block and who freed it, with stacks, each line after `indent` spaces. */
void guard_report_block(FILE *out, const struct guards *guards, struct symbols *symbols, const struct guard_block *block, int indent);
/* All reports. symbols may be NULL: then stacks are addresses. */
void guard_report_text(FILE *out, const struct guards *guards, struct symbols *symbols);

#endif
