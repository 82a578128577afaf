/* pprof.h: a profile in the format of google/pprof, for `go tool pprof` and all that reads the same: profile.proto,
 * compressed by gzip. */
#ifndef VIEWER_PPROF_H
#define VIEWER_PPROF_H

#include "viewer/bytes.h"
#include "viewer/profile_source.h"
#include "viewer/sites.h"
#include "viewer/symbols.h"

/* Appends the file's bytes to `out`. Returns false without memory. */
bool pprof_write(struct bytes *out, const struct profile_source *source, const struct sites *sites, struct symbols *symbols);

#endif
