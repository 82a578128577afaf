#include "hakmem.h"

#include <errno.h>
#include <string.h>

#include "entry.h"
#include "guard.h"
#include "init.h"
#include "inspect.h"
#include "realloc.h"
#include "shared_pool.h"
#include "stats.h"
#include "trace.h"

void *hak_malloc(size_t bytes)
{
	return hak_entry_malloc(bytes);
}

void hak_free(void *block)
{
	hak_entry_free(block);
}

void *hak_calloc(size_t count, size_t bytes)
{
	return hak_entry_calloc(count, bytes);
}

void *hak_realloc(void *block, size_t bytes)
{
	return hak_entry_realloc(block, bytes);
}

void *hak_memalign(size_t alignment, size_t bytes)
{
	return hak_entry_memalign(alignment, bytes);
}

size_t hak_usable_size(const void *block)
{
	return hak_entry_usable_size(block);
}

bool hak_trim(void)
{
	hak_inspect_request_drain();
	return hak_inspect_purge() != 0;
}

size_t hak_drain(void)
{
	return hak_inspect_request_drain();
}

size_t hak_purge(void)
{
	return hak_inspect_purge();
}

size_t hak_check(void)
{
	struct hak_guard_checked sums;

	hak_guard_check(&sums);
	return (size_t)sums.damaged;
}

bool hak_mark(const char *text)
{
	return hak_trace_text(text);
}

/* introspect/api.c has the ones that do something, and its definitions go first. */

__attribute__((weak)) int64_t hak_snapshot(char *buffer, size_t size)
{
	(void)buffer;
	(void)size;
	return -ENOSYS;
}

__attribute__((weak)) int hak_snapshot_to(int descriptor)
{
	(void)descriptor;
	return -ENOSYS;
}

__attribute__((weak)) int hak_dump(const char *path)
{
	(void)path;
	return -ENOSYS;
}

void hak_stage_counts(struct hak_stage_counts *out)
{
	memset(out, 0, sizeof(*out));
	for (unsigned class = 0; class < HAK_CLASS_COUNT; class ++) {
		hak_lock_acquire(&hak_depots[class].lock);
		out->depot += hak_depots[class].hits;
		hak_lock_release(&hak_depots[class].lock);
	}
	hak_lock_acquire(&hak_pool.lock);
	for (unsigned class = 0; class < HAK_CLASS_COUNT; class ++) {
		const struct hak_pool_kind *kind = &hak_pool.kinds[class];

		out->stage1 += kind->stage1;
		out->stage2 += kind->stage2;
		out->stage3 += kind->stage3;
		out->converted += kind->converted;
		out->from_lru += kind->from_lru;
	}
	out->superslabs = hak_stat_get(superslabs_created);
	hak_lock_release(&hak_pool.lock);
}

const char *hak_version(void)
{
	return HAKMEM_VERSION;
}
