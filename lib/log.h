/* log.h: how a line reaches stderr, or the file that HAKMEM_LOG_FILE names. */
#ifndef HAK_LOG_H
#define HAK_LOG_H

#include "base.h"

/* Sends what follows to the file at `path`, appending; "" is stderr. The text must stay valid. Before a second thread
 * exists. */
void hak_log_set_path(const char *path);

/* Writes `text`, which ends in a newline, with a single write(2) where the system takes it whole. Holds no lock, keeps
 * errno and is no cancellation point; a broken pipe doesn't kill the program. Returns false if it could not be written,
 * or if descriptor 2 now names a file that the program opened for itself. Any thread; takes no allocator lock. */
bool hak_log_write(const char *text, size_t length);

/* The same for a text without a newline, which is added; cut at 638 bytes. */
bool hak_log_line(const char *line);

#endif
