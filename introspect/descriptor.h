/* descriptor.h: file descriptors inside a program that thinks it knows all of its own.
 *
 * Programs close whatever is open, expect the lowest free number, and fork. So the endpoint's thread has a table of its
 * own: the program's has nothing of it in it, not for a moment, and no child inherits any. What is opened on one of the
 * program's threads (for a dump) stands at a high number. */
#ifndef HAK_DESCRIPTOR_H
#define HAK_DESCRIPTOR_H

#include "lib/base.h"

/* Gives the calling thread a descriptor table that it shares with nobody, in which nothing is open but /dev/null (where
 * there is none, nothing that can be read or written) as 0, 1 and 2. Debug builds keep the program's stderr as 2.
 * Returns 0, or a negative errno where the system refuses: then the thread must end, or do without descriptors. */
int hak_fd_own_table(void);

/* For a thread with its own table, around what may print: until hak_fd_return_stderr its descriptor 2 is the one that the
 * program has now. Without that, closing it would not be seen at a pipe's other end. Where the system does not grant it
 * (before Linux 5.6, or by a filter), what is printed goes nowhere. */
void hak_fd_borrow_stderr(void);
void hak_fd_return_stderr(void);

/* Moves `fd` to a high number, close-on-exec set. Returns the new one, or -1 with errno set; `fd` is closed. */
int hak_fd_raise(int fd);

#endif
