/* stack_text.h: call sites as lines of text that other people's tools read. */
#ifndef VIEWER_STACK_TEXT_H
#define VIEWER_STACK_TEXT_H

#include <stdio.h>

#include "viewer/profile_source.h"
#include "viewer/site_values.h"
#include "viewer/symbols.h"

/* Collapsed stacks: `main;work;make 4096`, the outermost function first, a line for each stack whose value isn't 0. Semicolons
 * in names become commas. */
void stack_text_collapsed(FILE *out, const struct sites *sites, struct symbols *symbols, enum site_value value);
/* jemalloc's heap_v2, for jeprof: addresses, with the files that they lie in. The figures are estimates, so that the rate is
 * given as 1, for which readers don't scale them again. */
void stack_text_heap_v2(FILE *out, const struct profile_source *source, const struct sites *sites);

#endif
