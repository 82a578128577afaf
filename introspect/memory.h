/* memory.h: introspect's own memory, straight from mmap.
 *
 * Nothing of introspect may call malloc inside a target: the blocks would show in the counts of the program that is
 * being looked at, and a call made on malloc's own slow path would re-enter it. Every mapping is counted, so that the
 * endpoint can tell what looking costs. */
#ifndef HAK_MEMORY_H
#define HAK_MEMORY_H

#include "lib/base.h"

enum hak_memory_fork {
	HAK_MEMORY_INHERIT, /* a child of fork gets a copy, as of any memory; kept for the process's life */
	HAK_MEMORY_PRIVATE, /* absent in a child (MADV_DONTFORK), which must forget its pointer before it looks */
};

/* Maps at least `bytes` (> 0) of zeroed memory, rounded up to whole pages. Returns NULL with errno set if the system
 * refuses. Thread-safe, as is every function here that does not share a buffer. */
void *hak_memory_map(size_t bytes, enum hak_memory_fork fork);

/* Maps `bytes` of a file, shared. A child of fork has it too, and unmaps it. Returns NULL with errno set if the system
 * refuses. */
void *hak_memory_map_file(int fd, size_t bytes);

/* Unmaps what hak_memory_map gave for `bytes`. NULL is allowed. */
void hak_memory_unmap(void *address, size_t bytes);

/* Bytes that introspect has mapped at present. */
uint64_t hak_memory_mapped(void);

/* Tells a child of fork that its HAK_MEMORY_PRIVATE mappings are gone. */
void hak_memory_after_fork(void);

/* Copies what fits of `text` (NULL: nothing) into `size` > 0 bytes, and terminates it. */
void hak_copy_text(char *out, size_t size, const char *text);

/* Bytes that grow at the end and go away at the front. All zero is an empty buffer. One thread at a time. */
struct hak_buffer {
	char *data;
	size_t length;
	size_t capacity;
};

/* Makes room for `extra` more bytes behind length. Returns false with errno set, the buffer unchanged, if memory is
 * refused. data may move. */
bool hak_buffer_reserve(struct hak_buffer *buffer, size_t extra);

/* Appends a copy of `bytes`. Returns false, appending nothing, if memory is refused. */
bool hak_buffer_append(struct hak_buffer *buffer, const void *bytes, size_t length);

/* Removes the first `length` bytes (at most buffer->length). */
void hak_buffer_consume(struct hak_buffer *buffer, size_t length);

/* Gives memory beyond max(length, keep) back to the system. */
void hak_buffer_trim(struct hak_buffer *buffer, size_t keep);

/* Gives everything back; the buffer is empty then. */
void hak_buffer_free(struct hak_buffer *buffer);

/* An array of elements of one size in a mapping of its own. All zero but element is an empty array. One thread at a
 * time. */
struct hak_array {
	void *data;
	size_t capacity; /* elements that fit */
	size_t element;  /* bytes of one, less than a page: capacity * element then rounds up to the mapping's size */
};

/* Makes room for `count` elements; the present ones keep their values. Returns false with errno set if memory is
 * refused. */
bool hak_array_reserve(struct hak_array *array, size_t count);

/* Gives everything back; the array is empty then. */
void hak_array_free(struct hak_array *array);

#endif
