/* The mutex: it excludes, it wakes sleepers, and debug builds stop at a wrong order. */
#include "lib/lock.h"

#include <errno.h>
#include <pthread.h>

#include "lib/atomic.h"
#include "tests/unit/unit.h"

#define THREADS 4
#define ROUNDS 20000

static struct hak_lock lock = HAK_LOCK_INIT(HAK_RANK_DEPOT);
static struct hak_lock pool_lock = HAK_LOCK_INIT(HAK_RANK_POOL);
static unsigned counter; /* protected by lock, and not atomic: a lost update shows that the lock doesn't exclude */
static uint32_t started;

static void *count_up(void *ignored)
{
	for (int i = 0; i < ROUNDS; i++) {
		hak_lock_acquire(&lock);
		counter++;
		hak_lock_release(&lock);
	}
	return ignored;
}

static void excludes(void)
{
	pthread_t threads[THREADS];
	for (int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, count_up, NULL);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	UNIT_EQUAL(counter, THREADS * ROUNDS);
	UNIT_EQUAL(lock.state, 0);
}

static void try_fails_while_taken(void)
{
	CU_ASSERT_TRUE(hak_lock_try(&lock));
	CU_ASSERT_FALSE(hak_lock_try(&lock));
	hak_lock_release(&lock);
	CU_ASSERT_TRUE(hak_lock_try(&lock));
	hak_lock_release(&lock);
}

/* Who holds all locks, around fork, goes on as if it took them; others wait until it has said that it is over. */
static void who_holds_all_goes_on(void)
{
	hak_lock_acquire(&lock);
	hak_lock_hold_all(true);
	hak_lock_acquire(&lock);
	hak_lock_hand_over(&lock);
	hak_lock_release(&lock);
	CU_ASSERT_TRUE(hak_lock_try(&lock));
	UNIT_EQUAL(lock.state, 1);
	hak_lock_hold_all(false);
	CU_ASSERT_FALSE(hak_lock_try(&lock));
	hak_lock_release(&lock);
	UNIT_EQUAL(lock.state, 0);
}

static void *wait_for_lock(void *ignored)
{
	hak_add_relaxed(&started, 1u);
	hak_lock_acquire(&lock);
	counter = 77;
	hak_lock_release(&lock);
	return ignored;
}

/* The waiter marks the word with 2 before it sleeps, so the release that follows must wake it; a lost wake-up hangs
 * here. */
static void wakes_a_sleeper(void)
{
	pthread_t thread;
	counter = 0;
	hak_lock_acquire(&lock);
	pthread_create(&thread, NULL, wait_for_lock, NULL);
	UNIT_EVENTUALLY(hak_load_relaxed(&lock.state) == 2);
	UNIT_EQUAL(counter, 0);
	hak_lock_release(&lock);
	pthread_join(thread, NULL);
	UNIT_EQUAL(counter, 77);
}

static void hands_over_to_a_sleeper(void)
{
	pthread_t thread;
	counter = 0;
	hak_lock_acquire(&lock);
	pthread_create(&thread, NULL, wait_for_lock, NULL);
	UNIT_EVENTUALLY(hak_load_relaxed(&lock.state) == 2);
	errno = 4712;
	hak_lock_hand_over(&lock);
	UNIT_EQUAL(errno, 4712);
	pthread_join(thread, NULL);
	UNIT_EQUAL(counter, 77);
	hak_lock_acquire(&lock); /* nobody waits any more */
	hak_lock_hand_over(&lock);
	UNIT_EQUAL(lock.state, 0);
}

/* It lives on, and is cancelled where it asks to be. */
static void *hand_over_while_cancelled(void *ignored)
{
	(void)ignored;
	hak_lock_acquire(&lock);
	hak_store_relaxed(&lock.state, 2u); /* as if somebody were waiting */
	pthread_cancel(pthread_self());
	hak_lock_hand_over(&lock);
	counter = 78;
	pthread_testcancel();
	return NULL;
}

static void is_no_point_of_cancellation(void)
{
	pthread_t thread;
	void *end = NULL;
	pthread_create(&thread, NULL, hand_over_while_cancelled, NULL);
	pthread_join(thread, &end);
	CU_ASSERT_PTR_EQUAL(end, PTHREAD_CANCELED);
	UNIT_EQUAL(counter, 78);
	UNIT_EQUAL(lock.state, 0);
}

static void keeps_errno(void)
{
	pthread_t thread;
	hak_lock_acquire(&lock);
	pthread_create(&thread, NULL, wait_for_lock, NULL);
	UNIT_EVENTUALLY(hak_load_relaxed(&lock.state) == 2);
	errno = 4711;
	hak_lock_release(&lock);
	UNIT_EQUAL(errno, 4711);
	pthread_join(thread, NULL);
}

static void wrong_order(void *ignored)
{
	(void)ignored;
	hak_lock_acquire(&pool_lock);
	hak_lock_acquire(&lock);
}

static void order_is_checked(void)
{
	hak_lock_acquire(&lock);
	hak_lock_acquire(&pool_lock);
	char said[512];
	UNIT_EQUAL(hak_lock_held(HAK_RANK_DEPOT), 1);
	UNIT_EQUAL(hak_lock_held(HAK_RANK_POOL), 1);
	hak_lock_release(&pool_lock);
	hak_lock_release(&lock);
	UNIT_EQUAL(hak_lock_held(HAK_RANK_DEPOT), 0);
	int status = unit_in_child(wrong_order, NULL, said, sizeof(said));
	CU_ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	CU_ASSERT_PTR_NOT_NULL(strstr(said, "hakmem: assertion failed: held[rank] == 0"));
}

UNIT_MAIN("lock", UNIT(excludes), UNIT(try_fails_while_taken), UNIT(who_holds_all_goes_on), UNIT(wakes_a_sleeper), UNIT(hands_over_to_a_sleeper), UNIT(is_no_point_of_cancellation),
	UNIT(keeps_errno), UNIT(order_is_checked))
