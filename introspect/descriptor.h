/* descriptor.h: file descriptors inside a program that thinks it knows all of its own.
 *
 * Programs close whatever is open, expect the lowest free number, and fork. So ours stand at high numbers, are known
 * here with the identity of what they refer to, are looked at before use, and are closed in a child of fork. The
 * functions lock: any thread may call them. */
#ifndef HAK_DESCRIPTOR_H
#define HAK_DESCRIPTOR_H

#include "lib/base.h"

#define HAK_FD_MAX 512 /* descriptors that can be held at once */

/* Hold this lock from before a descriptor is made until it is adopted or closed, so that no fork falls between. Never
 * hold it while calling into lib: fork takes it before lib's locks. */
void hak_fd_lock(void);
void hak_fd_unlock(void);

/* Until it is called with false, the calling thread takes no lock here: in a signal handler, where the lock may be held by
 * the very code that was interrupted. A child of fork may then inherit a descriptor, as long as that takes. */
void hak_fd_go_lockless(bool on);

/* Takes `fd` over: moves it to a high number with close-on-exec set, and remembers it. The lock must be held. Returns
 * the new number, or -1 with errno set, `fd` closed. */
int hak_fd_adopt(int fd);

/* Says whether `fd` is adopted and still refers to the same thing: the program may have closed it and reused its
 * number. */
bool hak_fd_is_ours(int fd);

/* Closes an adopted descriptor, if it is still ours, and forgets it. -1 is allowed. */
void hak_fd_close(int fd);

/* The same for a caller that holds the lock. */
void hak_fd_release(int fd);

/* The number of adopted descriptors. For tests. */
unsigned hak_fd_count(void);

/* In a child of fork, whose parent held the lock around fork: closes every adopted descriptor, and unlocks. */
void hak_fd_after_fork(void);

#endif
