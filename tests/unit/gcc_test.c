/* libgcc's unwinder: what it finds, by the copy and by the program's own. */
#include "introspect/gcc.h"

#include <signal.h>
#include <unwind.h>

#include "introspect/object.h"
#include "tests/unit/unit.h"

#define ROOM 64
#define BARRIER() __asm__ volatile("" ::: "memory")

static uintptr_t frames[ROOM], theirs[ROOM];
static unsigned count, their_count;

static _Unwind_Reason_Code take(struct _Unwind_Context *context, void *ignored)
{
	(void)ignored;
	if (their_count < ROOM && _Unwind_GetIP(context) != 0)
		theirs[their_count++] = _Unwind_GetIP(context);
	return _URC_NO_REASON;
}

/* NOLINTBEGIN(bugprone-signal-handler,cert-sig30-c): a handler is among their callers, of a signal that is raised */
static __attribute__((noinline)) void look(unsigned room)
{
	their_count = 0;
	count = hak_gcc_walk(frames, room);
	_Unwind_Backtrace(take, NULL);
	BARRIER();
}

/* What lies above `look`, which calls both from different instructions. */
static bool alike(unsigned upto)
{
	unsigned ours = 0, their = 0;
	while (ours < count && frames[ours] - (uintptr_t)&look >= 256)
		ours++;
	while (their < their_count && theirs[their] - (uintptr_t)&look >= 256)
		their++;
	for (unsigned i = 1; i < upto; i++) {
		if (ours + i >= count || their + i >= their_count || frames[ours + i] != theirs[their + i])
			return false;
	}
	return true;
}

/* NOLINTNEXTLINE(misc-no-recursion) */
static __attribute__((noinline)) void deep(unsigned depth, unsigned room)
{
	if (depth > 0)
		deep(depth - 1, room);
	else
		look(room);
	BARRIER();
}

static void handle(int signal)
{
	(void)signal;
	deep(2, ROOM);
}

/* NOLINTEND(bugprone-signal-handler,cert-sig30-c) */

static void check(void)
{
	deep(0, ROOM);
	CU_ASSERT_TRUE(count >= 3 && alike(3));
	deep(30, ROOM);
	CU_ASSERT_TRUE(count > 30 && alike(30));
	deep(30, 10);
	UNIT_EQUAL(count, 10);
	deep(200, ROOM);
	UNIT_EQUAL(count, ROOM);
	/* Through the frame of a handler, where our own engine doesn't go on. */
	signal(SIGUSR1, handle);
	raise(SIGUSR1);
	signal(SIGUSR1, SIG_DFL);
	CU_ASSERT_TRUE(count > 7 && alike(8));
}

static void walks(void)
{
	UNIT_LEAVE_IF(unit_is_emulated(), "the libraries that unwind are not there");
	hak_object_begin();
	check(); /* before it began it is the copy */
	hak_gcc_begin(false);
	check();
	hak_gcc_begin(true);
	check();
}

UNIT_MAIN("gcc", UNIT(walks))
