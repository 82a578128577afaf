/* os.h: everything that HAKMEM asks of the kernel about memory, each call counted in stats.def. All keep errno. */
#ifndef HAK_OS_H
#define HAK_OS_H

#include "base.h"

/* The system's page size in bytes, read once. */
size_t hak_os_page_size(void);

/* Reserves address space that can't be accessed yet and is left out of core dumps. `hint` is where it should lie (0:
 * anywhere); with `exact` it lies there or the call fails. Returns its address or 0. */
uintptr_t hak_os_reserve(uintptr_t hint, size_t bytes, bool exact);

/* Maps zeroed, writable memory for metadata. Returns its address or NULL. */
void *hak_os_map(size_t bytes);

/* Maps zeroed, writable memory where a part of a reservation was given back. Returns 0, EEXIST if something else lies
 * there by now, or another error if the system refuses. */
int hak_os_map_at(uintptr_t address, size_t bytes);

/* Gives a mapping or a part of one back. Returns false if the system refused: it is still there. */
bool hak_os_unmap(void *address, size_t bytes);

/* Makes a part of a reservation readable and writable and puts it back into core dumps. Returns false if the system
 * refuses; nothing has changed then. */
bool hak_os_commit(uintptr_t address, size_t bytes);

/* Makes a part of a mapping accessible, or inaccessible with its contents kept. Returns false if the system refuses.
 * Async-signal-safe. */
bool hak_os_protect(uintptr_t address, size_t bytes, bool accessible);

/* Puts a part of a reservation into core dumps that isn't accessible. */
void hak_os_dump(uintptr_t address, size_t bytes);

/* Drops the pages' contents, so that they read as zero. Returns false if the system refused (locked pages): the data is
 * still there. */
bool hak_os_purge(uintptr_t address, size_t bytes);

/* Asks for small pages: metadata is sparse and would swell to whole huge pages. */
void hak_os_no_huge_pages(uintptr_t address, size_t bytes);

/* The limit on this process's address space in bytes, SIZE_MAX if there is none. */
size_t hak_os_address_space_limit(void);

/* Milliseconds of CLOCK_MONOTONIC_COARSE: a few nanoseconds to read, some milliseconds fine. Wraps after 49 days:
 * compare differences. */
uint32_t hak_os_clock_ms(void);
/* Nanoseconds of CLOCK_MONOTONIC. */
uint64_t hak_os_clock_ns(void);
/* The same, some microseconds old at most: cheaper for a thread that asks again and again. It may be behind what another thread
 * was told. */
uint64_t hak_os_clock_near_ns(void);

/* The calling thread's kernel id, asked for once a thread. */
int32_t hak_os_tid(void);
/* In a child of fork: the thread has another id. */
void hak_os_fork_child(void);

/* A number below 2^32 that differs from run to run, from where the kernel put things and the clock. Not from AT_RANDOM:
 * libc's stack canary is made of that, and what is made of this shows in every pointer. */
uint64_t hak_os_random(void);

#endif
