/* heap.h: what the tests of the whole heap share: a picture of it, and the differences between two. */
#ifndef HAK_TESTS_HEAP_H
#define HAK_TESTS_HEAP_H

#include "lib/hakmem.h"
#include "lib/inspect.h"
#include "tests/unit/unit.h"

#define HEAP_SUPERSLABS 4096
#define HEAP_THREADS 256

/* A picture of the heap. Its arrays are static: one picture at a time holds rows. */
static inline struct hak_inspect heap_look(void)
{
	static struct hak_superslab_info superslabs[HEAP_SUPERSLABS];
	static struct hak_thread_info threads[HEAP_THREADS];
	struct hak_inspect heap = {.superslabs = superslabs, .superslab_capacity = HEAP_SUPERSLABS, .threads = threads,
		.thread_capacity = HEAP_THREADS};
	hak_inspect(&heap);
	return heap;
}

/* Sums of a column over the classes. */
#define HEAP_SUM(heap, column) \
	__extension__({ \
		uint64_t sum_ = 0; \
		for (unsigned class_ = 0; class_ < HAK_CLASS_COUNT; class_++) \
			sum_ += (heap)->classes[class_].column; \
		sum_; \
	})

/* Live blocks of all kinds. */
static inline uint64_t heap_live(const struct hak_inspect *heap)
{
	return HEAP_SUM(heap, allocs) - HEAP_SUM(heap, frees) + heap->large_allocs - heap->large_frees;
}

#endif
