#include "lock.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "atomic.h"

#define WAKE_UP_NS 50000 /* a thread is awake by then, if there is a processor for it */
/* Most critical sections are a few hundred instructions, so a short wait usually beats a system call. The model of the
 * lock has its own number. */
#ifndef SPINS
#define SPINS 100
#endif

static HAK_TLS bool holds_all;

void hak_lock_hold_all(bool held)
{
	holds_all = held;
}

#if HAK_DEBUG
static HAK_TLS uint8_t held[HAK_RANK_COUNT];

unsigned hak_lock_held(enum hak_lock_rank rank)
{
	return held[rank];
}

static void note_acquire(const struct hak_lock *lock)
{
	for (unsigned rank = lock->rank + 1; rank < HAK_RANK_COUNT; rank++)
		HAK_ASSERT(held[rank] == 0);
	held[lock->rank]++;
}

static void note_release(const struct hak_lock *lock)
{
	HAK_ASSERT(held[lock->rank] > 0);
	held[lock->rank]--;
}
#else
static void note_acquire(const struct hak_lock *lock)
{
	(void)lock;
}

static void note_release(const struct hak_lock *lock)
{
	(void)lock;
}
#endif

static void cpu_pause(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

/* The word goes to 2 before anybody sleeps, and whoever takes the lock from here on leaves it at 2, so that a release
 * never misses a sleeper. The acquire of the exchange pairs with the release in hak_lock_release. */
static HAK_NOINLINE void lock_wait(struct hak_lock *lock)
{
	int saved = errno;

	for (int i = 0; i < SPINS; i++) {
		uint32_t expected = 0;

		if (hak_load_relaxed(&lock->state) == 0 && hak_cas_acquire_u32(&lock->state, &expected, 1))
			goto done;
		cpu_pause();
	}
	while (hak_exchange_acquire(&lock->state, 2u) != 0)
		syscall(SYS_futex, &lock->state, FUTEX_WAIT_PRIVATE, 2, NULL, NULL, 0);
done:
	errno = saved;
}

bool hak_lock_try(struct hak_lock *lock)
{
	uint32_t expected = 0;

	if (HAK_UNLIKELY(holds_all))
		return true;
	if (!hak_cas_acquire_u32(&lock->state, &expected, 1))
		return false;
	note_acquire(lock);
	return true;
}

void hak_lock_acquire(struct hak_lock *lock)
{
	uint32_t expected = 0;

	if (HAK_UNLIKELY(holds_all))
		return;
	if (!hak_cas_acquire_u32(&lock->state, &expected, 1))
		lock_wait(lock);
	note_acquire(lock);
}

/* Returns whether anybody may have been waiting. */
static bool release(struct hak_lock *lock)
{
	int saved;

	if (HAK_UNLIKELY(holds_all))
		return false;
	note_release(lock);
	if (HAK_LIKELY(hak_exchange_release(&lock->state, 0u) != 2))
		return false;
	saved = errno;
	syscall(SYS_futex, &lock->state, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	errno = saved;
	return true;
}

void hak_lock_release(struct hak_lock *lock)
{
	release(lock);
}

void hak_lock_hand_over(struct hak_lock *lock)
{
	const struct timespec wake_up = {.tv_nsec = WAKE_UP_NS};
	int saved = errno, state;

	if (!release(lock))
		return;
	/* A thread that is to be cancelled must not vanish here, in the midst of malloc. */
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	nanosleep(&wake_up, NULL);
	pthread_setcancelstate(state, NULL);
	errno = saved;
}
