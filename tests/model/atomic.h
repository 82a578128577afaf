/* atomic.h: stands in for lib/atomic.h, whose guard it takes: every operation is a step of the explorer. */
#ifndef HAK_ATOMIC_H
#define HAK_ATOMIC_H

#include "lib/base.h"
#include "tests/model/explore.h"

/* Each use has a name of its own: one operation may be an argument of another. */
#define MODEL_STEP(...) MODEL_STEP_(__COUNTER__, __VA_ARGS__)
#define MODEL_STEP_(...) MODEL_STEP__(__VA_ARGS__)
#define MODEL_STEP__(number, kind_, order_, p, operand, expected) \
	__extension__({ \
		static struct model_site site_##number = { \
			.file = __FILE__, .line = __LINE__, .kind = (kind_), .order = (order_)}; \
		site_##number.function = __func__; \
		model_step(&site_##number, (p), sizeof(*(p)), (uint64_t)(uintptr_t)(operand), (expected)); \
	})
/* A variable, so that the value has the location's type without its qualifiers, and nobody has to use it. */
#define MODEL_VALUE(...) MODEL_VALUE_(__COUNTER__, __VA_ARGS__)
#define MODEL_VALUE_(...) MODEL_VALUE__(__VA_ARGS__)
#define MODEL_VALUE__(number, p, ...) \
	__extension__({ \
		__typeof__(*(p)) value_##number = (__typeof__(*(p) + 0))(uintptr_t)MODEL_STEP(__VA_ARGS__); \
		value_##number; \
	})

#define hak_load_relaxed(p) MODEL_VALUE(p, MODEL_LOAD, MODEL_RELAXED, p, 0, 0)
#define hak_load_acquire(p) MODEL_VALUE(p, MODEL_LOAD, MODEL_ACQUIRE, p, 0, 0)
#define hak_load_word(p) hak_load_relaxed(p)
#define hak_store_relaxed(p, v) ((void)MODEL_STEP(MODEL_STORE, MODEL_RELAXED, p, v, 0))
#define hak_store_release(p, v) ((void)MODEL_STEP(MODEL_STORE, MODEL_RELEASE, p, v, 0))
#define hak_add_relaxed(p, v) MODEL_VALUE(p, MODEL_ADD, MODEL_RELAXED, p, v, 0)
#define hak_or_relaxed(p, v) MODEL_VALUE(p, MODEL_OR, MODEL_RELAXED, p, v, 0)
#define hak_and_relaxed(p, v) MODEL_VALUE(p, MODEL_AND, MODEL_RELAXED, p, v, 0)
#define hak_exchange_acquire(p, v) MODEL_VALUE(p, MODEL_EXCHANGE, MODEL_ACQUIRE, p, v, 0)
#define hak_exchange_release(p, v) MODEL_VALUE(p, MODEL_EXCHANGE, MODEL_RELEASE, p, v, 0)
#define hak_fence_acquire() ((void)MODEL_STEP(MODEL_FENCE, MODEL_ACQUIRE, (char *)0, 0, 0))
#define hak_fence_release() ((void)MODEL_STEP(MODEL_FENCE, MODEL_RELEASE, (char *)0, 0, 0))
#define hak_single_writer_add(p, v) hak_store_relaxed((p), hak_load_relaxed(p) + (v))
#define hak_countdown_ends(p) \
	__extension__({ \
		__typeof__(*(p)) value_ = hak_load_relaxed(p) - 1; \
		hak_store_relaxed((p), value_); \
		value_ < 0; \
	})

/* A failed exchange leaves the value that it found in *expected. */
#define MODEL_CAS_DONE(old, step) \
	__extension__({ \
		bool done_ = (step); \
		if (!done_) \
			*(old) = (__typeof__(*(old)))model_cas_found; \
		done_; \
	})
extern uint64_t model_cas_found;

#define hak_cas_acquire_u32(p, old, new_value) MODEL_CAS_DONE(old, MODEL_STEP(MODEL_CAS, MODEL_ACQUIRE, p, new_value, *(old)))
#define hak_cas_acquire_u8(p, old, new_value) hak_cas_acquire_u32(p, old, new_value)

/* Where orders are spelled out. An exchange's in the case of failure is a site of its own, at the same line. */
#define MODEL_ORDER(order) \
	((order) == __ATOMIC_SEQ_CST ? MODEL_SEQ_CST : (order) == __ATOMIC_RELEASE ? MODEL_RELEASE \
		: (order) == __ATOMIC_ACQUIRE ? MODEL_ACQUIRE : MODEL_RELAXED)
#define __atomic_load_n(p, order) MODEL_VALUE(p, MODEL_LOAD, MODEL_ORDER(order), p, 0, 0)
#define __atomic_store_n(p, v, order) ((void)MODEL_STEP(MODEL_STORE, MODEL_ORDER(order), p, v, 0))
#define __atomic_fetch_add(p, v, order) MODEL_VALUE(p, MODEL_ADD, MODEL_ORDER(order), p, v, 0)
#define __atomic_fetch_sub(p, v, order) MODEL_VALUE(p, MODEL_ADD, MODEL_ORDER(order), p, -(uint64_t)(v), 0)
#define MODEL_CAS_STEP(number, p, old, new_value, success, failure_order) \
	__extension__({ \
		static struct model_site failure_##number = {.file = __FILE__, .line = __LINE__, .kind = MODEL_LOAD, \
			.order = MODEL_ORDER(failure_order)}; \
		static struct model_site site_##number = {.file = __FILE__, .line = __LINE__, .kind = MODEL_CAS, \
			.order = MODEL_ORDER(success), .failure = &failure_##number}; \
		site_##number.function = failure_##number.function = __func__; \
		model_step(&site_##number, (p), sizeof(*(p)), (uint64_t)(uintptr_t)(new_value), (uint64_t)(uintptr_t)*(old)); \
	})
#define MODEL_CAS_NUMBERED(...) MODEL_CAS_STEP(__VA_ARGS__)
#define __atomic_compare_exchange_n(p, old, new_value, weak, success, failure) \
	MODEL_CAS_DONE(old, MODEL_CAS_NUMBERED(__COUNTER__, p, old, new_value, success, failure))

#endif
