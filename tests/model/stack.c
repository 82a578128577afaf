/* Captures of stacks and fork (introspect/stack.c): where fork is told that nobody captures, nobody does until it is over, so that
 * the child finds no engine's lock held. */
#include <sched.h>

#include "tests/model/atomic.h"

#undef HAK_TLS
#define HAK_TLS __attribute__((section("model_tls")))
static int yield(void);

#define sched_yield() yield()
#include "introspect/stack.c"

/* Fork's waiting is looked at so long. */
#define YIELDS 2

static char engine; /* stands for what engines hold while they walk */
static unsigned yields, captured, quiet;

static int yield(void)
{
	if (++yields > YIELDS)
		model_beyond();
	return 0;
}

static void setup(void)
{
	begun = true;
	engine_now = HAK_STACK_TABLES;
	capturing = forking = 0;
	memory.quiet_fork = false;
	yields = captured = quiet = 0;
	failures[HAK_STACK_FAILED_fork] = 0;
}

static void capture_one(void)
{
	if (!begin_capture())
		return;
	model_plain(&engine);
	captured++;
	end_capture();
}

static void capture_two(void)
{
	capture_one();
	capture_one();
}

/* Two threads capture at the same time, each with its own locks: only fork may not come between. */
static char other_engine;

static void capture_other(void)
{
	if (!begin_capture())
		return;
	model_plain(&other_engine);
	end_capture();
}

static void fork_quietly(void)
{
	hak_stack_fork_prepare();
	if (memory.quiet_fork) {
		model_plain(&engine);
		model_plain(&other_engine);
		quiet++;
	}
	hak_stack_fork_parent();
}

static void fork_twice(void)
{
	fork_quietly();
	fork_quietly();
}

/* Two threads fork at the same time: neither's end lets captures begin before the other is over. */
static void capture_both(void)
{
	if (!begin_capture())
		return;
	model_plain(&engine);
	model_plain(&other_engine);
	end_capture();
}

static void fork_first(void)
{
	hak_stack_fork_prepare();
	if (memory.quiet_fork) {
		model_plain(&engine);
		quiet++;
	}
	hak_stack_fork_parent();
}

static void fork_second(void)
{
	hak_stack_fork_prepare();
	if (memory.quiet_fork) {
		model_plain(&other_engine);
		quiet++;
	}
	hak_stack_fork_parent();
}

static void check_two(void)
{
	model_require(capturing == 0 && forking == 0, "captures and forks are over");
	model_require(quiet == 2, "both forks waited until it was quiet");
}

static void check(void)
{
	model_require(capturing == 0 && forking == 0, "captures and fork are over");
	model_require(captured + failures[HAK_STACK_FAILED_fork] >= 1, "a capture is made or counted as failed");
	model_require(quiet == 1, "fork waited until it was quiet");
}

/* The engine is chosen once, when all is ready that a capture uses. */
static char ready;

static void setup_nothing(void)
{
	setup();
	engine_now = HAK_STACK_NONE;
}

static void begin_engine(void)
{
	model_plain(&ready);
	hak_store_release(&engine_now, (uint32_t)HAK_STACK_TABLES);
}

static void capture_if_begun(void)
{
	if (!begin_capture())
		return;
	model_plain(&ready);
	end_capture();
}

int main(void)
{
	static const struct model models[] = {
		{"a capture, and fork", setup, {capture_one, fork_quietly}, check, {0}},
		{"two captures, and fork", setup, {capture_two, fork_quietly}, check, {0}},
		{"two capture, and fork", setup, {capture_one, capture_other, fork_quietly}, check, {0}},
		{"a capture, and two forks", setup, {capture_one, fork_twice}, check_two, {0}},
		{"a capture, and two who fork", setup, {capture_both, fork_first, fork_second}, check_two, {0}},
		{"an engine is chosen", setup_nothing, {begin_engine, capture_if_begun}, NULL, {0}},
		{0},
	};
	static const struct model_spare spares[] = {
		{"begin_capture", 3, NULL, 0, "gives up a capture that was not made"},
		{0},
	};

	return model_main(models, spares);
}
