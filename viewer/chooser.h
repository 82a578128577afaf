/* chooser.h: a list of processes to choose from. */
#ifndef VIEWER_CHOOSER_H
#define VIEWER_CHOOSER_H

#include "viewer/discover.h"

/* Lets the user choose one of those that are open. Returns NULL if they choose none. */
const struct found *chooser_run(const struct discovery *discovery);

#endif
