/* hakmem.h: the public C API of HAKMEM.
 *
 * Programs that preload or link the library use malloc, free and the rest of libc's family as ever. This header is for
 * those that want more: the same functions under names of their own, and a few figures. Every function may be called
 * from any thread, none from a signal handler. */
#ifndef HAKMEM_H
#define HAKMEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* The malloc family under its own names, with libc's contracts: 16-byte alignment, NULL and errno = ENOMEM when memory
 * runs out or the size is above PTRDIFF_MAX, malloc(0) gives a unique block, realloc(p, 0) frees and returns NULL,
 * free(NULL) does nothing, errno is kept on success and by hak_free. */
void *hak_malloc(size_t bytes);
void hak_free(void *block);
void *hak_calloc(size_t count, size_t bytes);
void *hak_realloc(void *block, size_t bytes);

/* A block of `bytes` whose address is a multiple of `alignment`. Returns NULL with errno EINVAL if alignment is not a
 * power of two, ENOMEM if memory runs out. */
void *hak_memalign(size_t alignment, size_t bytes);

/* Bytes that may be used of `block`, at least those requested; 0 for NULL. Stable for the block's life. */
size_t hak_usable_size(const void *block);

/* Gives memory back to the system: drains this thread's cache and the shared ones, then purges all idle memory. Other
 * threads drain at their next slow path. Returns true if anything went back. */
bool hak_trim(void);

/* The two halves of it: asks every thread to give its cached blocks back, this one at once, the others at their next slow
 * path, and returns how many there are; returns idle memory to the system now, and how many bytes that were. */
size_t hak_drain(void);
size_t hak_purge(void);

/* Puts an event named mark, with the first 40 bytes of `text`, among the others (HAKMEM_TRACE, subscribers). Returns
 * whether anybody records it. */
bool hak_mark(const char *text);

/* The state of the heap, as the JSON document that the endpoint answers to `snapshot` (introspect/PROTOCOL.md), into
 * `size` bytes at `buffer`, with a zero behind it. Returns its length; if that is not below `size`, there was no room, and
 * nothing but a zero (if size is not 0) has been written. hak_snapshot_to writes it to a descriptor, with a newline, and
 * returns 0. Neither needs the endpoint. Both return a negative errno on failure; -ENOSYS is libhakmem-core.so's answer,
 * which has no introspection. */
int64_t hak_snapshot(char *buffer, size_t size);
int hak_snapshot_to(int descriptor);

/* Writes a dump to `path`; NULL: to where HAKMEM_DUMP_PATH says. Returns 0 or a negative errno, as above. */
int hak_dump(const char *path);

/* Verifies the zones of every guarded block, and what quarantine holds, as HAKMEM_GUARD=full has them: what is found is reported
 * as ever, before this returns. Returns how many blocks were damaged. */
size_t hak_check(void);

/* How slabs were acquired since the process started, over all classes (README.md, "stages"). */
struct hak_stage_counts {
	uint64_t depot;      /* refills served by the depot, without a new slab */
	uint64_t stage1;     /* EMPTY slots of the same class reused */
	uint64_t stage2;     /* UNUSED slots taken, or EMPTY ones of another class converted */
	uint64_t converted;  /* of stage2: converted */
	uint64_t stage3;     /* new SuperSlabs */
	uint64_t from_lru;   /* of stage3: out of the LRU cache */
	uint64_t superslabs; /* SuperSlabs made: committed fresh, or made again of a retired range */
};
void hak_stage_counts(struct hak_stage_counts *out);

/* The version as text, "0.1.0". */
const char *hak_version(void);

#ifdef HAK_AUDIT
/* Checks every invariant of the heap (audit.h). Only in debug and test builds, and only while no other thread uses the
 * heap. Returns NULL if all hold, else a text that names the first that doesn't. */
const char *hak_audit_all(void);
#endif

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
