/* misuse_text.h: a report of misuse as the block of text that is printed. */
#ifndef HAK_MISUSE_TEXT_H
#define HAK_MISUSE_TEXT_H

#include "introspect/misuse.h"
#include "lib/fmt.h"

#define HAK_MISUSE_TEXT_BYTES ((size_t)32 << 10) /* has room for any */

/* Writes it, its one line first, each line ended. Frames are files and offsets (object.h), for addr2line; a fault's pc, and calls
 * rather than the return addresses behind them. Takes no lock, allocates nothing. */
void hak_misuse_text(struct hak_fmt *fmt, const struct hak_misuse *misuse);

#endif
