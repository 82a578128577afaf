/* The lock (lib/lock.c): one thread at a time, what it wrote is seen by the next, and nobody sleeps for ever. */
#include <time.h>
#include <unistd.h>

#include "tests/model/atomic.h"

#undef HAK_TLS
#define HAK_TLS __attribute__((section("model_tls")))
#define SPINS 1
#define syscall(number, word, operation, value, ...) model_futex(word, operation, value)
#define nanosleep(time, left) ((void)(time)) /* only a favour to others: nothing may depend on it */
#include "lib/lock.c"

static struct hak_lock lock;
static char guarded;
static unsigned tries_that_failed;

static void setup(void)
{
	lock = (struct hak_lock)HAK_LOCK_INIT(HAK_RANK_POOL);
	tries_that_failed = 0;
}

static void use(void)
{
	hak_lock_acquire(&lock);
	model_plain(&guarded);
	hak_lock_release(&lock);
}

static void use_twice(void)
{
	use();
	use();
}

static void hand_over(void)
{
	hak_lock_acquire(&lock);
	model_plain(&guarded);
	hak_lock_hand_over(&lock);
}

static void try(void)
{
	if (!hak_lock_try(&lock)) {
		tries_that_failed++;
		return;
	}
	model_plain(&guarded);
	hak_lock_release(&lock);
}

static void check(void)
{
	model_require(lock.state == 0, "the lock is free at the end");
	model_require(tries_that_failed <= 1, "a try counts once");
}

int main(void)
{
	static const struct model models[] = {
		{"two threads, twice each", setup, {use_twice, use_twice}, check, {0}},
		{"three threads", setup, {use, use, use}, check, {0}},
		{"one hands over", setup, {hand_over, use_twice}, check, {0}},
		{"a try beside two", setup, {use, use, try}, check, {0}},
		{0},
	};
	static const struct model_spare spares[] = {{0}};

	return model_main(models, spares);
}
