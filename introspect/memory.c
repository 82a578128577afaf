/* memory.c: mappings that grow with mremap, so that a grown buffer's pages move by page table and are never copied. */
#include "introspect/memory.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/stats.h"

/* Bytes mapped, by any thread, and those of them that a child of fork has too; relaxed, for they order nothing. */
static uint64_t mapped_bytes, inherited_bytes;

static size_t page_round(size_t bytes)
{
	return hak_align_up(bytes, (size_t)sysconf(_SC_PAGESIZE));
}

void *hak_memory_map(size_t bytes, enum hak_memory_fork fork)
{
	size_t rounded = page_round(bytes);
	void *address;

	if (rounded < bytes) {
		errno = ENOMEM;
		return NULL;
	}
	hak_stat_add(mmap, 1);
	address = mmap(NULL, rounded, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (address == MAP_FAILED)
		return NULL;
	if (fork == HAK_MEMORY_PRIVATE) {
		/* Where the advice is refused a child merely keeps a copy that it never uses. */
		hak_stat_add(madvise, 1);
		(void)madvise(address, rounded, MADV_DONTFORK);
	} else {
		hak_add_relaxed(&inherited_bytes, rounded);
	}
	hak_add_relaxed(&mapped_bytes, rounded);
	return address;
}

void *hak_memory_map_file(int fd, size_t bytes)
{
	void *address;

	hak_stat_add(mmap, 1);
	address = mmap(NULL, page_round(bytes), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (address == MAP_FAILED)
		return NULL;
	hak_add_relaxed(&mapped_bytes, page_round(bytes));
	return address;
}

void hak_memory_unmap(void *address, size_t bytes)
{
	size_t rounded = page_round(bytes);

	if (!address)
		return;
	hak_stat_add(munmap, 1);
	if (munmap(address, rounded) == 0)
		hak_add_relaxed(&mapped_bytes, -(uint64_t)rounded);
}

uint64_t hak_memory_mapped(void)
{
	return hak_load_relaxed(&mapped_bytes);
}

void hak_memory_after_fork(void)
{
	hak_store_relaxed(&mapped_bytes, hak_load_relaxed(&inherited_bytes));
}

void hak_copy_text(char *out, size_t size, const char *text)
{
	size_t length = text ? strlen(text) : 0;

	if (length > size - 1)
		length = size - 1;
	if (length)
		memcpy(out, text, length);
	out[length] = 0;
}

/* Changes a mapping's size, both sizes whole pages. The advice about fork stays with it. */
static void *resize(void *address, size_t old_bytes, size_t new_bytes)
{
	void *moved;

	hak_stat_add(mremap, 1);
	moved = mremap(address, old_bytes, new_bytes, MREMAP_MAYMOVE);
	if (moved == MAP_FAILED)
		return NULL;
	hak_add_relaxed(&mapped_bytes, (uint64_t)new_bytes - old_bytes);
	return moved;
}

bool hak_buffer_reserve(struct hak_buffer *buffer, size_t extra)
{
	size_t wanted = buffer->length + extra;
	size_t capacity;
	void *data;

	if (wanted < extra) {
		errno = ENOMEM;
		return false;
	}
	if (wanted <= buffer->capacity)
		return true;
	/* Growing by half at least keeps the number of mremap calls logarithmic in the final length. */
	capacity = page_round(wanted > buffer->capacity + buffer->capacity / 2 ? wanted : buffer->capacity * 3 / 2);
	if (buffer->data)
		data = resize(buffer->data, buffer->capacity, capacity);
	else
		data = hak_memory_map(capacity, HAK_MEMORY_PRIVATE);
	if (!data)
		return false;
	buffer->data = data;
	buffer->capacity = capacity;
	return true;
}

bool hak_buffer_append(struct hak_buffer *buffer, const void *bytes, size_t length)
{
	if (!hak_buffer_reserve(buffer, length))
		return false;
	if (length)
		memcpy(buffer->data + buffer->length, bytes, length);
	buffer->length += length;
	return true;
}

void hak_buffer_consume(struct hak_buffer *buffer, size_t length)
{
	HAK_ASSERT(length <= buffer->length);
	buffer->length -= length;
	if (buffer->length)
		memmove(buffer->data, buffer->data + length, buffer->length);
}

void hak_buffer_trim(struct hak_buffer *buffer, size_t keep)
{
	size_t capacity = page_round(buffer->length > keep ? buffer->length : keep);
	void *data;

	if (capacity == 0) {
		hak_buffer_free(buffer);
		return;
	}
	if (capacity >= buffer->capacity)
		return;
	data = resize(buffer->data, buffer->capacity, capacity);
	if (data) {
		buffer->data = data;
		buffer->capacity = capacity;
	}
}

void hak_buffer_free(struct hak_buffer *buffer)
{
	hak_memory_unmap(buffer->data, buffer->capacity);
	*buffer = (struct hak_buffer){0};
}

bool hak_array_reserve(struct hak_array *array, size_t count)
{
	struct hak_buffer buffer = {array->data, 0, 0};
	size_t bytes;

	if (count <= array->capacity)
		return true;
	if (__builtin_mul_overflow(count, array->element, &bytes)) {
		errno = ENOMEM;
		return false;
	}
	if (array->data)
		buffer.capacity = page_round(array->capacity * array->element);
	if (!hak_buffer_reserve(&buffer, bytes))
		return false;
	array->data = buffer.data;
	array->capacity = buffer.capacity / array->element;
	return true;
}

void hak_array_free(struct hak_array *array)
{
	if (array->data)
		hak_memory_unmap(array->data, array->capacity * array->element);
	array->data = NULL;
	array->capacity = 0;
}
