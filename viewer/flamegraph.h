/* flamegraph.h: call sites as a picture: an SVG that holds all that it needs. */
#ifndef VIEWER_FLAMEGRAPH_H
#define VIEWER_FLAMEGRAPH_H

#include <stdio.h>

#include "viewer/profile_source.h"
#include "viewer/site_values.h"

/* Draws the tree, made top-down: main at the bottom, the functions that allocate at the top, each as wide as its value. In a
 * browser a click makes a function as wide as the picture, and what is typed after a click on "search" marks names. */
void flamegraph_write(FILE *out, const struct profile_source *source, const struct calltree *tree, enum site_value value);

#endif
