/* Stacks: what the engines find, and that each different stack has one number. */
#include "introspect/stack.h"

#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "introspect/memory.h"
#include "introspect/snapshot.h"
#include "lib/atomic.h"
#include "tests/unit/unit.h"

#define CAPACITY 1024
#define BARRIER() __asm__ volatile("" ::: "memory")

static const uintptr_t *frames;

static bool holds(unsigned count, const void *address)
{
	for (unsigned i = 0; i < count; i++) {
		if (frames[i] == (uintptr_t)address)
			return true;
	}
	return false;
}

/* A call that is not turned into a jump, so that its frame is there. */
static __attribute__((noinline)) uint32_t inner(void **caller)
{
	*caller = __builtin_return_address(0);
	uint32_t number = hak_stack_capture();
	BARRIER();
	return number;
}

static __attribute__((noinline)) uint32_t outer(void **inner_caller, void **caller)
{
	*caller = __builtin_return_address(0);
	uint32_t number = inner(inner_caller);
	BARRIER();
	return number;
}

static int check_engine(enum hak_stack_engine wanted)
{
	struct hak_stack_counts counts;
	void *inner_caller, *caller;
	if (hak_stack_capture() != 0)
		return 1;
	hak_stack_count(&counts);
	if (counts.failures[HAK_STACK_FAILED_not_ready] != 1)
		return 2;
	if (!hak_stack_begin(wanted, CAPACITY) || hak_stack_engine() != wanted)
		return 3;
	uint32_t first = 0;
	for (volatile int i = 0; i < 3; i++) { /* volatile: not unrolled, which would make three calls of it */
		uint32_t number = outer(&inner_caller, &caller);
		unsigned count = hak_stack_frames(number, &frames);
		if (number == 0 || count < 3 || count > HAK_STACK_FRAMES)
			return 4;
		if (!holds(count, inner_caller) || !holds(count, caller))
			return 5;
		first = i ? first : number;
		if (number != first) /* the same stack */
			return 6;
	}
	if (outer(&inner_caller, &caller) == first) /* called from elsewhere */
		return 7;
	hak_stack_count(&counts);
	if (counts.lost || counts.capacity != CAPACITY || counts.stacks < 2)
		return 8;
	if (hak_stack_frames(0, &frames) || hak_stack_frames(hak_stack_end(), &frames) || hak_stack_frames(UINT32_MAX, &frames))
		return 9;
	return 0;
}

static void in_child(void *wanted)
{
	_exit(check_engine(*(enum hak_stack_engine *)wanted));
}

static void engines(void)
{
	static const enum hak_stack_engine all[] = {HAK_STACK_TABLES, HAK_STACK_LIBUNWIND, HAK_STACK_GCC, HAK_STACK_FRAME_POINTERS};
	char said[1000];
	UNIT_LEAVE_IF(unit_is_emulated(), "the libraries that unwind are not there");
	for (unsigned i = 0; i < 4; i++) {
		enum hak_stack_engine wanted = all[i];
		UNIT_EQUAL(unit_in_child(in_child, &wanted, said, sizeof(said)), 0);
		UNIT_STRING(said, "");
	}
}

static uint32_t (*volatile capture)(void) = hak_stack_capture;

/* A stack for each pattern of bits: at each depth one function or the other is called. */
/* NOLINTBEGIN(misc-no-recursion) */
static uint32_t branch(unsigned pattern, unsigned depth);

static __attribute__((noinline)) uint32_t left(unsigned pattern, unsigned depth)
{
	uint32_t number = branch(pattern, depth);
	BARRIER();
	return number;
}

static __attribute__((noinline)) uint32_t right(unsigned pattern, unsigned depth)
{
	uint32_t number = branch(pattern, depth);
	BARRIER();
	BARRIER();
	return number + 0 * depth;
}

static __attribute__((noinline)) uint32_t branch(unsigned pattern, unsigned depth)
{
	uint32_t number = depth == 0 ? capture() : pattern & 1 ? left(pattern >> 1, depth - 1) : right(pattern >> 1, depth - 1);
	BARRIER();
	return number;
}

/* NOLINTEND(misc-no-recursion) */

/* A profile that begins while another thread forks captures nothing at first: that is no reason for another engine. */
static void begin_while_forking(void *ignored)
{
	(void)ignored;
	hak_stack_fork_prepare();
	bool begun = hak_stack_begin(HAK_STACK_TABLES, CAPACITY) && hak_stack_engine() == HAK_STACK_TABLES;
	hak_stack_fork_parent();
	_exit(begun && hak_stack_capture() != 0 ? 0 : 1);
}

static void begins_while_a_thread_forks(void)
{
	char said[1000];
	UNIT_EQUAL(unit_in_child(begin_while_forking, NULL, said, sizeof(said)), 0);
	UNIT_STRING(said, "");
}

/* What comes of a stack that is remembered is what came of it when it was walked over: of whole ones and of tops, of short ones and
 * of those that are longer than what is kept. */
static int check_memory(void)
{
	static uint32_t (*const captures[])(void) = {hak_stack_capture, hak_stack_capture_top};
	static const unsigned depths[] = {1, 4, 9, 40, 200}, most[] = {HAK_STACK_FRAMES, HAK_STACK_TOP_FRAMES};
	static uint32_t known[5][64][2];
	if (!hak_stack_begin(HAK_STACK_TABLES, CAPACITY))
		return 1;
	for (unsigned i = 0; i < 20 * 5 * 64; i++) {
		unsigned depth = depths[i / 64 % 5], counts[2];
		const uintptr_t *found[2];
		for (volatile unsigned kind = 0; kind < 2; kind++) { /* volatile: both come from one call */
			uint32_t *number = &known[i / 64 % 5][i % 64][kind], before = *number;
			capture = captures[kind];
			*number = branch(i % 64, depth);
			if (*number == 0 || (before && *number != before))
				return 2;
			counts[kind] = hak_stack_frames(*number, &found[kind]);
			if (counts[kind] > most[kind] || (depth == 200 && counts[kind] != most[kind]))
				return 3;
		}
		if (counts[1] > counts[0] || memcmp(found[0], found[1], counts[1] * sizeof(*found[0])) != 0)
			return 4;
	}
	return 0;
}

static void check_memory_in_child(void *ignored)
{
	(void)ignored;
	_exit(check_memory());
}

static void remembered_stacks(void)
{
	char said[1000];
	UNIT_EQUAL(unit_in_child(check_memory_in_child, NULL, said, sizeof(said)), 0);
	UNIT_STRING(said, "");
}

/* Memory for what a thread remembers is taken when it walks often, given back at its end, and not taken after that. */
static void walk_often(unsigned times)
{
	for (unsigned i = 0; i < times; i++)
		hak_stack_capture();
}

static int check_thrift(void)
{
	if (!hak_stack_begin(HAK_STACK_TABLES, CAPACITY))
		return 1;
	uint64_t before = hak_memory_mapped();
	for (unsigned i = 0; i < 3; i++) {
		uint64_t began = hak_snapshot_now_us();
		walk_often(32);
		while (hak_snapshot_now_us() - began < 110000) /* that long at least: longer does no harm */
			usleep(1000);
		walk_often(32);
		if (hak_memory_mapped() != before)
			return 2;
	}
	for (unsigned i = 0; i < 1000 && hak_memory_mapped() == before; i++)
		walk_often(64);
	if (hak_memory_mapped() == before)
		return 3;
	hak_stack_thread_death();
	if (hak_memory_mapped() != before)
		return 4;
	walk_often(10000);
	return hak_memory_mapped() != before ? 5 : 0;
}

static void check_thrift_in_child(void *ignored)
{
	(void)ignored;
	_exit(check_thrift());
}

static void memory_is_for_those_who_walk_often(void)
{
	char said[1000];
	UNIT_EQUAL(unit_in_child(check_thrift_in_child, NULL, said, sizeof(said)), 0);
	UNIT_STRING(said, "");
}

/* ---- Nothing is allocated ---- */

static __thread unsigned allocations; /* of the calling thread, by whichever library */

#if !UNIT_ASAN && !UNIT_TSAN /* which need malloc for themselves */
/* NOLINTBEGIN(bugprone-reserved-identifier): glibc's own */
void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t bytes);
void *__libc_realloc(void *block, size_t bytes);
void *__libc_memalign(size_t alignment, size_t bytes);
/* NOLINTEND(bugprone-reserved-identifier) */

HAK_EXPORT void *malloc(size_t bytes)
{
	allocations++;
	return __libc_malloc(bytes);
}

HAK_EXPORT void *calloc(size_t count, size_t bytes)
{
	allocations++;
	return __libc_calloc(count, bytes);
}

HAK_EXPORT void *realloc(void *block, size_t bytes)
{
	allocations++;
	return __libc_realloc(block, bytes);
}

HAK_EXPORT void *aligned_alloc(size_t alignment, size_t bytes)
{
	allocations++;
	return __libc_memalign(alignment, bytes);
}

HAK_EXPORT void *memalign(size_t alignment, size_t bytes);
void *memalign(size_t alignment, size_t bytes)
{
	return aligned_alloc(alignment, bytes);
}

HAK_EXPORT int posix_memalign(void **out, size_t alignment, size_t bytes)
{
	*out = aligned_alloc(alignment, bytes);
	return *out ? 0 : ENOMEM;
}
#endif

static unsigned allocated_in_handler;

static void walk_in_handler(int signal, siginfo_t *info, void *context)
{
	uintptr_t found[HAK_STACK_FRAMES];
	unsigned before = allocations;
	(void)signal, (void)info;
	if (hak_stack_of_context(context, found, HAK_STACK_FRAMES) == 0)
		_exit(9);
	allocated_in_handler += allocations - before;
}

/* What walks allocate, of stacks that were met before and of new ones. Returns 0 if it is nothing. */
static int check_walks(void)
{
	unsigned before = allocations;
	for (volatile unsigned i = 0; i < 3 * 64; i++) {
		capture = i % 2 ? hak_stack_capture : hak_stack_capture_top;
		if (branch(i % 64, i % 3 * 30) == 0)
			return 1;
	}
	if (allocations != before)
		return 2;
	for (int i = 0; i < 10; i++)
		pthread_kill(pthread_self(), SIGUSR1);
	return allocated_in_handler == 0 ? 0 : 3;
}

static void *check_walks_of_thread(void *result)
{
	pthread_kill(pthread_self(), SIGUSR1); /* handlers need no first capture */
	*(int *)result = capture() == 0 ? 4 : check_walks();
	return NULL;
}

static void check_allocations_in_child(void *ignored)
{
	struct sigaction action = {.sa_flags = SA_SIGINFO};
	struct rlimit limit;
	char *(*volatile duplicate)(const char *) = strdup; /* volatile: else it might be left out */
	pthread_t thread;
	int result = -1;
	unsigned before = allocations;
	(void)ignored;
	/* Libc's own allocations are counted too. */
	free(duplicate("a name"));
	if (allocations != before + 1)
		_exit(10);
	action.sa_sigaction = walk_in_handler; /* of signals raised here. NOLINT(bugprone-signal-handler,cert-sig30-c) */
	sigaction(SIGUSR1, &action, NULL);
	/* The first thread's stack is bounded by its limit, so that its first capture is as any other. */
	getrlimit(RLIMIT_STACK, &limit);
	limit.rlim_cur = limit.rlim_cur < 8u << 20 ? limit.rlim_cur : 8u << 20;
	setrlimit(RLIMIT_STACK, &limit);
	if (!hak_stack_begin(HAK_STACK_TABLES, CAPACITY))
		_exit(11);
	before = allocations;
	if (capture() == 0 || allocations != before)
		_exit(12);
	result = check_walks();
	if (result != 0)
		_exit(result);
	pthread_create(&thread, NULL, check_walks_of_thread, &result);
	pthread_join(thread, NULL);
	_exit(result != 0 ? 20 + result : 0);
}

/* Our engine, after the first capture of a thread other than the first, which asks libc for the stack's bounds; and in handlers of
 * signals ever. */
static void walks_allocate_nothing(void)
{
	char said[1000];
	UNIT_LEAVE_IF(UNIT_ASAN || UNIT_TSAN, "the sanitizer needs malloc for itself");
	UNIT_LEAVE_IF(unit_is_emulated(), "the libraries that unwind are not there");
	UNIT_EQUAL(unit_in_child(check_allocations_in_child, NULL, said, sizeof(said)), 0);
	UNIT_STRING(said, "");
}

#define THREADS 4
static uint32_t numbers[THREADS][512];

static void *capture_all(void *argument)
{
	uint32_t *mine = argument;
	for (unsigned pattern = 0; pattern < 512; pattern++)
		mine[pattern] = branch(pattern, 9);
	return NULL;
}

/* Threads that capture the same stacks at the same time agree on their numbers; below the frames of the thread's start each
 * is another one. */
static void one_number_each(void)
{
	pthread_t threads[THREADS];
	CU_ASSERT_TRUE_FATAL(hak_stack_begin(HAK_STACK_GCC, CAPACITY));
	for (int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, capture_all, numbers[i]);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	unsigned wrong = 0, unknown = 0, same = 0;
	for (unsigned pattern = 0; pattern < 512; pattern++) {
		unknown += numbers[0][pattern] == 0;
		for (int i = 1; i < THREADS; i++)
			wrong += numbers[i][pattern] != numbers[0][pattern];
		same += pattern && numbers[0][pattern] == numbers[0][pattern - 1];
	}
	UNIT_EQUAL(unknown, 0);
	UNIT_EQUAL(wrong, 0);
	UNIT_EQUAL(same, 0);
}

/* More stacks than there is room for: counted, and those that are there are found as before. */
static void a_full_table(void)
{
	struct hak_stack_counts before, after;
	CU_ASSERT_TRUE_FATAL(hak_stack_begin(HAK_STACK_GCC, CAPACITY));
	hak_stack_count(&before);
	uint32_t first = branch(5, 12);
	CU_ASSERT_TRUE(first != 0);
	unsigned without = 0;
	for (unsigned pattern = 0; pattern < 4096; pattern++)
		without += branch(pattern, 12) == 0;
	hak_stack_count(&after);
	CU_ASSERT_TRUE(after.stacks <= CAPACITY && after.stacks > before.stacks);
	UNIT_EQUAL(after.lost - before.lost, without);
	CU_ASSERT_TRUE(without >= 4096 - CAPACITY);
	CU_ASSERT_TRUE(hak_stack_end() <= CAPACITY + 1);
}

/* The child of a fork goes on capturing, whatever other threads were at. */
static bool stop;

static void *capture_on(void *ignored)
{
	(void)ignored;
	while (!hak_load_relaxed(&stop))
		hak_stack_capture();
	return NULL;
}

static void capture_in_child(void *ignored)
{
	(void)ignored;
	hak_stack_fork_child();
	_exit(hak_stack_capture() != 0 ? 0 : 1);
}

static void forks(void)
{
	pthread_t threads[2];
	char said[1000];
	hak_store_relaxed(&stop, false);
	CU_ASSERT_TRUE_FATAL(hak_stack_begin(HAK_STACK_GCC, CAPACITY));
	for (int i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, capture_on, NULL);
	for (int i = 0; i < 20; i++) {
		hak_stack_fork_prepare();
		UNIT_EQUAL(hak_stack_capture(), 0); /* not now */
		UNIT_EQUAL(unit_in_child(capture_in_child, NULL, said, sizeof(said)), 0);
		hak_stack_fork_parent();
		CU_ASSERT_TRUE(hak_stack_capture() != 0);
	}
	hak_store_relaxed(&stop, true);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	struct hak_stack_counts counts;
	hak_stack_count(&counts);
	CU_ASSERT_TRUE(counts.failures[HAK_STACK_FAILED_fork] >= 20);
}

/* Faults in a function that has no frame, one that has, and in libc: the handler finds their callers. The page is opened by it, so
 * that the program goes on. */
static struct {
	char *page;
	uintptr_t frames[64], pc;
	unsigned count;
} fault;

static void handle_fault(int signal, siginfo_t *info, void *context)
{
	(void)signal, (void)info;
	fault.pc = hak_stack_pc(context);
	fault.count = hak_stack_of_context(context, fault.frames, 64);
	mprotect(fault.page, 4096, PROT_READ | PROT_WRITE);
}

static __attribute__((noinline)) void touch(void **caller)
{
	*caller = __builtin_return_address(0);
	*(volatile char *)fault.page = 1;
}

static __attribute__((noinline)) void touch_with_frame(void **caller)
{
	char room[200];
	memset(room, 1, sizeof(room));
	__asm__ volatile("" : : "r"(room) : "memory");
	*caller = __builtin_return_address(0);
	*(volatile char *)fault.page = 1;
	BARRIER();
}

static __attribute__((noinline)) void touch_by_libc(void **caller)
{
	void *volatile page = fault.page; /* so that it is a call */
	*caller = __builtin_return_address(0);
	memset(page, 1, 4096);
	BARRIER();
}

static bool is_found(const void *address)
{
	frames = fault.frames;
	return holds(fault.count, address);
}

static __attribute__((noinline)) void fault_by(void (*way)(void **caller), void **caller, void **next_caller)
{
	*next_caller = __builtin_return_address(0);
	mprotect(fault.page, 4096, PROT_NONE);
	fault.count = 0;
	way(caller);
	BARRIER();
}

static void *in_handlers(void *ignored)
{
	void (*const ways[])(void **) = {touch, touch_with_frame, touch_by_libc};
	void *caller, *next_caller;
	(void)ignored;
	for (volatile unsigned i = 0; i < 3; i++) {
		fault_by(ways[i], &caller, &next_caller);
		CU_ASSERT_TRUE(fault.count >= 3 && fault.count < 64);
		CU_ASSERT_TRUE(is_found(caller));
		CU_ASSERT_TRUE(is_found(next_caller));
		if (i < 2) {
			UNIT_EQUAL(fault.frames[0], caller);
			CU_ASSERT_TRUE(fault.pc - (uintptr_t)ways[i] < 512);
		}
	}
	return NULL;
}

static void the_stack_of_a_fault(void)
{
	struct sigaction action = {.sa_flags = SA_SIGINFO}, before;
	pthread_t thread;
	UNIT_LEAVE_IF(UNIT_ASAN || UNIT_TSAN, "the sanitizer's memset is another one, and its handler comes first");
	action.sa_sigaction = handle_fault; /* of faults made here. NOLINT(bugprone-signal-handler,cert-sig30-c) */
	fault.page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CU_ASSERT_TRUE_FATAL(hak_stack_begin(HAK_STACK_GCC, CAPACITY));
	sigaction(SIGSEGV, &action, &before);
	in_handlers(NULL);
	pthread_create(&thread, NULL, in_handlers, NULL);
	pthread_join(thread, NULL);
	sigaction(SIGSEGV, &before, NULL);
	munmap(fault.page, 4096);
}

UNIT_MAIN("stack", UNIT(engines), UNIT(begins_while_a_thread_forks), UNIT(remembered_stacks), UNIT(memory_is_for_those_who_walk_often), UNIT(walks_allocate_nothing), UNIT(the_stack_of_a_fault), UNIT(forks), UNIT(one_number_each), UNIT(a_full_table))
