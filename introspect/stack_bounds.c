#include "introspect/stack_bounds.h"

#include <pthread.h>
#include <sys/auxv.h>
#include <sys/resource.h>

/* The kernel keeps as much free below the first thread's stack as the limit is when the program begins. One that is higher than
 * anybody's default may have been raised since, and other memory lie there. */
#define LIMIT_MAX (64u << 20)

/* The bounds of the first thread's stack by the limit of its size. Returns false if that doesn't tell them. */
static bool by_limit(struct hak_stack_bounds *bounds)
{
	/* Sixteen bytes that the kernel put above the arguments, and so above all frames. */
	uintptr_t high = getauxval(AT_RANDOM) / sizeof(uintptr_t) * sizeof(uintptr_t);
	struct rlimit limit;

	if (getrlimit(RLIMIT_STACK, &limit) != 0 || limit.rlim_cur > LIMIT_MAX || limit.rlim_cur > high)
		return false;
	*bounds = (struct hak_stack_bounds){high - limit.rlim_cur, high};
	return true;
}

struct hak_stack_bounds hak_stack_bounds_of(uintptr_t address)
{
	struct hak_stack_bounds bounds;
	pthread_attr_t attributes;
	void *low;
	size_t size;

	if (by_limit(&bounds) && address >= bounds.low && address < bounds.high)
		return bounds;
	bounds = (struct hak_stack_bounds){0, 1};
	if (pthread_getattr_np(pthread_self(), &attributes) != 0)
		return bounds;
	if (pthread_attr_getstack(&attributes, &low, &size) == 0)
		bounds = (struct hak_stack_bounds){(uintptr_t)low, (uintptr_t)low + size};
	pthread_attr_destroy(&attributes);
	return bounds;
}
