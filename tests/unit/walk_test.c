/* Our walk over the tables of exceptions against libgcc's, through frames of every kind that compilers make; and that nothing
 * beyond the stack's bounds is read. */
#include "introspect/walk.h"

#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <unwind.h>

#include "tests/unit/unit.h"

#define ROOM 64
#define BARRIER() __asm__ volatile("" ::: "memory")

struct stacks {
	uintptr_t ours[ROOM], theirs[ROOM];
	unsigned our_count, their_count;
	enum hak_cfi_kind last;
};
static __thread struct stacks found;

/* NOLINTBEGIN(bugprone-signal-handler,cert-sig30-c): a handler is among their callers, of a signal that is raised */
static uintptr_t stack_end(void)
{
	static __thread uintptr_t end; /* asked for outside handlers first, as it allocates */
	pthread_attr_t attributes;
	void *address;
	size_t size;
	if (end == 0) {
		pthread_getattr_np(pthread_self(), &attributes);
		pthread_attr_getstack(&attributes, &address, &size);
		pthread_attr_destroy(&attributes);
		end = (uintptr_t)address + size;
	}
	return end;
}

static _Unwind_Reason_Code take(struct _Unwind_Context *context, void *ignored)
{
	(void)ignored;
	if (found.their_count < ROOM && _Unwind_GetIP(context) != 0)
		found.theirs[found.their_count++] = _Unwind_GetIP(context);
	return _URC_NO_REASON;
}

/* What is remembered of walks, when `remembering`: result r is the r-th stack that came of one. */
#define STACKS 4000
static struct hak_trails *trails;
static uintptr_t remembered[STACKS + 1][ROOM];
static unsigned remembered_counts[STACKS + 1], results, known, wrong;
static bool remembering;

static void remember(void)
{
	uintptr_t frames[ROOM];
	struct hak_walk_start start = {.ra = 0};
	enum hak_cfi_kind last;
	uint32_t result;
	unsigned count;
	hak_walk_here(start);
	result = hak_trail_find(trails, start.sp, start.fp, hak_walk_unloads());
	struct hak_trail *trail = hak_trail_begin(trails, start.sp, start.fp, hak_walk_unloads());
	count = hak_walk(&start, frames, ROOM, stack_end(), &last, trail);
	if (result) {
		known++;
		wrong += remembered_counts[result] != count ||
			memcmp(remembered[result], frames, count * sizeof(frames[0])) != 0;
	} else if (results < STACKS) {
		result = ++results;
		memcpy(remembered[result], frames, count * sizeof(frames[0]));
		remembered_counts[result] = count;
	}
	if (result)
		hak_trail_end(trails, trail, result, frames[1]);
}

/* Both from here. */
static __attribute__((noinline)) void look(void)
{
	struct hak_walk_start start = {.ra = 0};
	hak_walk_here(start);
	found.our_count = hak_walk(&start, found.ours, ROOM, stack_end(), &found.last, NULL);
	if (remembering)
		remember();
	found.their_count = 0;
	_Unwind_Backtrace(take, NULL);
	BARRIER();
}

/* NOLINTEND(bugprone-signal-handler,cert-sig30-c) */

/* Whether they agree on all callers of look. */
static bool alike(void)
{
	if (found.our_count < 2 || found.last != HAK_CFI_OUTERMOST)
		return false;
	/* Theirs begins in look itself. */
	for (unsigned i = 0; i < found.our_count; i++) {
		if (i + 1 >= found.their_count || found.ours[i] != found.theirs[i + 1])
			return false;
	}
	return found.our_count + 1 == found.their_count;
}

/* NOLINTNEXTLINE(misc-no-recursion) */
static __attribute__((noinline)) void plain(int depth)
{
	if (depth > 0)
		plain(depth - 1);
	else
		look();
	BARRIER();
}

/* Its CFA is by the frame pointer, as its stack's length is known at run time only. */
static __attribute__((noinline)) void variable(size_t bytes)
{
	char *room = __builtin_alloca(bytes);
	memset(room, 1, bytes);
	__asm__ volatile("" : : "r"(room) : "memory");
	plain(2);
	BARRIER();
}

/* Its frame is realigned: the CFA is saved in it, or in a register that no rule knows. */
static __attribute__((noinline)) void realigned(void)
{
	char room[100] __attribute__((aligned(128)));
	memset(room, 1, sizeof(room));
	__asm__ volatile("" : : "r"(room) : "memory");
	variable(300);
	BARRIER();
}

static int compare(const void *a, const void *b)
{
	static bool once;
	if (!once)
		plain(1);
	once = true;
	return *(const int *)a - *(const int *)b;
}

static void frames_of_every_kind(void)
{
	CU_ASSERT_TRUE(hak_walk_begin());
	for (int round = 0; round < 2; round++) { /* looked up, then from the cache */
		plain(0);
		CU_ASSERT_TRUE(alike());
		plain(20);
		CU_ASSERT_TRUE(alike());
		variable(round ? 5000 : 10);
		CU_ASSERT_TRUE(alike());
	}
	int numbers[] = {3, 1, 2};
	qsort(numbers, 3, sizeof(int), compare); /* through libc */
	CU_ASSERT_TRUE(alike());
	realigned();
	/* Either it is followed, or its end is told: then libgcc is asked. */
	CU_ASSERT_TRUE(alike() || found.last == HAK_CFI_UNKNOWN);
}

static void *in_thread(void *ignored)
{
	(void)ignored;
	for (int i = 0; i < 2000; i++)
		plain(i % 30);
	return (void *)(uintptr_t)alike();
}

static void threads_share_the_cache(void)
{
	pthread_t threads[4];
	void *good;
	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, in_thread, NULL);
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], &good);
		CU_ASSERT_TRUE(good != NULL);
	}
}

/* The frame of a signal's handler is where it ends. */
static void handler(int signal)
{
	(void)signal;
	plain(3);
}

static void a_handler_ends_it(void)
{
	plain(1);
	signal(SIGUSR1, handler); /* raised here: it may do what it likes. NOLINT(bugprone-signal-handler,cert-sig30-c) */
	raise(SIGUSR1);
	signal(SIGUSR1, SIG_DFL);
	/* The emulator's handlers return to code of its own, which is in no file. */
	UNIT_EQUAL(found.last, unit_is_emulated() ? HAK_CFI_NO_TABLE : HAK_CFI_UNKNOWN);
	CU_ASSERT_TRUE(found.our_count >= 4 && found.our_count + 1 < found.their_count);
	for (unsigned i = 0; i < found.our_count; i++)
		UNIT_EQUAL(found.ours[i], found.theirs[i + 1]);
}

/* A function that says nothing of itself in the tables calls `function`. */
void call_by_hand(void (*function)(void));
#if defined(__x86_64__)
__asm__(".text\n.type call_by_hand, @function\ncall_by_hand:\n\tsub $8, %rsp\n\tcall *%rdi\n\tadd $8, %rsp\n\tret\n"
	".size call_by_hand, . - call_by_hand\n");
#else
__asm__(".text\n.type call_by_hand, %function\ncall_by_hand:\n\tstp x29, x30, [sp, -16]!\n\tblr x0\n\tldp x29, x30, [sp], 16\n\tret\n"
	".size call_by_hand, . - call_by_hand\n");
#endif

static void look_from_there(void)
{
	plain(3);
}

/* Where the tables say nothing, libgcc's walk ends too: it isn't asked. */
static void code_by_hand(void)
{
	call_by_hand(look_from_there);
	UNIT_EQUAL(found.last, HAK_CFI_NO_ENTRY);
	CU_ASSERT_TRUE(found.our_count >= 5);
	UNIT_EQUAL(found.our_count + 1, found.their_count);
	for (unsigned i = 0; i < found.our_count; i++)
		UNIT_EQUAL(found.ours[i], found.theirs[i + 1]);
}

/* Whatever the bounds say, nothing above them is read: they are a page's end, and the next one can't be read. */
static __attribute__((noinline)) unsigned bounded(uintptr_t end, enum hak_cfi_kind *last)
{
	uintptr_t frames[ROOM];
	struct hak_walk_start start = {.ra = 0};
	hak_walk_here(start);
	unsigned count = hak_walk(&start, frames, ROOM, end, last, NULL);
	BARRIER();
	return count;
}

static void bounds_hold(void)
{
	uintptr_t here = (uintptr_t)__builtin_frame_address(0);
	enum hak_cfi_kind last;
	unsigned before = 0;
	for (uintptr_t end = here - 4096; end < here + 4096; end += 8) {
		unsigned count = bounded(end, &last);
		CU_ASSERT_TRUE(count >= before && count < ROOM);
		before = count;
	}
	CU_ASSERT_TRUE(before > 1);
	UNIT_EQUAL(bounded(64, &last), 0);
	UNIT_EQUAL(last, HAK_CFI_UNKNOWN);
}

/* Calls in every order, so that a walk shares with the one before it its outer frames, its inner ones, both or none. Frames have
 * different sizes, some a frame pointer, and at some calls the words of an old frame lie where a new one has a variable. */
static uint32_t turns;
static unsigned unlike;

static uint32_t turn(void)
{
	turns = turns * 1664525 + 1013904223;
	return turns >> 24;
}

static void wander(unsigned depth);

static __attribute__((noinline)) void small_frame(unsigned depth)
{
	wander(depth);
	BARRIER();
}

static __attribute__((noinline)) void big_frame(unsigned depth)
{
	volatile uintptr_t words[40];
	words[turn() % 40] = 1;
	wander(depth);
	words[0] = words[turn() % 40];
}

static __attribute__((noinline)) void frame_of_any_size(unsigned depth)
{
	volatile char *bytes = __builtin_alloca(16 + turn());
	bytes[0] = 1;
	wander(depth);
	bytes[1] = bytes[0];
}

static __attribute__((noinline)) void two_calls(unsigned depth)
{
	wander(depth);
	BARRIER();
	wander(depth > 2 ? depth - 2 : 0);
	BARRIER();
}

static __attribute__((noinline)) void wander(unsigned depth)
{
	static void (*const ways[])(unsigned) = {small_frame, big_frame, frame_of_any_size, two_calls};
	if (turn() % 2 || depth == 0) {
		look();
		unlike += !alike();
	}
	if (depth)
		ways[turn() % 4](depth - 1);
	BARRIER();
}

static void wander_about(void)
{
	for (turns = 0; turns < 400;) {
		uint32_t seed = turns;
		wander(4 + seed % 9);
		turns = seed + 1;
	}
}

static void calls_in_every_order(void)
{
	unlike = 0;
	wander_about();
	UNIT_EQUAL(unlike, 0);
}

/* Stacks of every kind come again and again, some of them from the same stack pointer: what is remembered of one is what a walk
 * finds anew. */
static void trails_lead_where_walks_do(void)
{
	CU_ASSERT_TRUE_FATAL(hak_walk_begin());
	trails = hak_trails_make();
	remembering = true;
	for (int round = 0; round < 300; round++) {
		plain(round % 7);
		variable((size_t)(round % 5 * 16));
		realigned();
		if (round % 2)
			plain(2);
		else
			variable(48);
	}
	CU_ASSERT_TRUE(known > 900);
	known = 0;
	wander_about();
	wander_about();
	remembering = false;
	CU_ASSERT_TRUE(known > 500);
	UNIT_EQUAL(wrong, 0);
	hak_trails_free(trails);
}

/* A rule that is not for this stack leads to what is no code. That there are no more callers must not be concluded from it. */
static void what_is_no_code_is_no_end(void)
{
	uintptr_t words[8] = {5}, frames[ROOM];
	const struct hak_walk_start start = {.pc = (uintptr_t)&wander_about, .sp = (uintptr_t)words};
	enum hak_cfi_kind last;
	UNIT_LEAVE_IF(HAK_CFI_SAME == hak_walk_find(start.pc).ra_at, "a call leaves nothing on the stack here");
	UNIT_EQUAL(hak_walk(&start, frames, ROOM, (uintptr_t)(words + 8), &last, NULL), 0);
	UNIT_EQUAL(last, HAK_CFI_UNKNOWN);
}

/* Files that go are noticed by walks of which every rule is known. */
static int read_unloads(struct dl_phdr_info *info, size_t size, void *unloads)
{
	(void)size;
	*(uint64_t *)unloads = info->dlpi_subs;
	return 1;
}

static void unloads_are_noticed(void)
{
	uint64_t before = 0, unloads = 0;
	for (volatile int i = 0; i < 200; i++) { /* volatile: one loop, with one call */
		if (i == 100) {
			before = hak_walk_unloads();
			void *library = dlopen("libresolv.so.2", RTLD_NOW);
			if (library)
				dlclose(library);
		}
		plain(0);
	}
	dl_iterate_phdr(read_unloads, &unloads);
	UNIT_LEAVE_IF(unloads == before, "nothing could be unloaded");
	UNIT_EQUAL(hak_walk_unloads(), unloads);
}

/* In the child of a fork that came while another thread had the loader's lock. */
static sem_t has_lock, may_go;

static int keep_lock(struct dl_phdr_info *info, size_t size, void *ignored)
{
	(void)info, (void)size, (void)ignored;
	sem_post(&has_lock);
	while (sem_wait(&may_go) != 0)
		continue;
	return 1;
}

static void *in_loader(void *ignored)
{
	dl_iterate_phdr(keep_lock, NULL);
	return ignored;
}

static void walk_in_child(void *ignored)
{
	(void)ignored;
	alarm(60); /* it would hang */
	hak_walk_fork_child();
	for (int i = 0; i < 100; i++)
		plain(i % 3);
	enum hak_cfi_kind kind = (enum hak_cfi_kind)hak_walk_find((uintptr_t)&in_loader).kind;
	_exit(kind >= HAK_CFI_SP ? 0 : 1);
}

static void no_lock_in_children(void)
{
	pthread_t thread;
	char said[1000];
	sem_init(&has_lock, 0, 0);
	sem_init(&may_go, 0, 0);
	pthread_create(&thread, NULL, in_loader, NULL);
	sem_wait(&has_lock);
	UNIT_EQUAL(unit_in_child(walk_in_child, NULL, said, sizeof(said)), 0);
	sem_post(&may_go);
	pthread_join(thread, NULL);
}

static void code_without_a_table(void)
{
	static char data[16]; /* beside code, if it were constant, in files of some linkers */
	UNIT_EQUAL(hak_walk_find(64).kind, HAK_CFI_NO_TABLE);
	UNIT_EQUAL(hak_walk_find((uintptr_t)&found).kind, HAK_CFI_NO_TABLE); /* a thread's memory is no file's */
	UNIT_EQUAL(hak_walk_find((uintptr_t)data).kind, HAK_CFI_UNKNOWN); /* of a file, but no code: a wrong step may have led there */
	CU_ASSERT_TRUE(hak_walk_find((uintptr_t)&look).kind >= HAK_CFI_SP);
}

UNIT_MAIN("walk", UNIT(frames_of_every_kind), UNIT(threads_share_the_cache), UNIT(a_handler_ends_it), UNIT(code_by_hand), UNIT(bounds_hold),
	UNIT(code_without_a_table), UNIT(what_is_no_code_is_no_end), UNIT(unloads_are_noticed), UNIT(no_lock_in_children),
	UNIT(calls_in_every_order), UNIT(trails_lead_where_walks_do))
