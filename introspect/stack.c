#include "introspect/stack.h"

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <sched.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <ucontext.h>
#include <unistd.h>

#include "introspect/gcc.h"
#include "introspect/library.h"
#include "introspect/proc.h"
#include "introspect/snapshot.h"
#include "introspect/stack_bounds.h"
#include "introspect/stack_table.h"
#include "introspect/walk.h"
#include "lib/atomic.h"

#define OWN_FRAMES 16    /* frames of this library above the program's, most */
#define FORK_YIELDS 20000

const char *const hak_unwind_words[] = {"tables", "libunwind", "gcc", "fp", NULL};

static uint64_t failures[HAK_STACK_FAILURE_COUNT];

static uint32_t engine_now = HAK_STACK_NONE; /* enum hak_stack_engine */
static bool begun;
static int (*unwind_backtrace)(void **frames, int size);
static bool has_gcc;

static uint32_t capturing; /* threads that are */
static uint32_t forking;   /* threads that are about to fork, or in it: handlers of several run at a time */

/* Where this library's code lies, to leave its frames out; empty in a program that it is linked into. */
static uintptr_t own_start, own_end;

/* ---- Engines ---- */

/* The pipe that libunwind opens: what fstat said of its ends. While they are what they were, it is its own. */
static struct {
	int fd[2]; /* -1: none */
	dev_t device;
	ino_t inode;
} libunwinds_pipe = {.fd = {-1, -1}};

/* Whether two descriptors are the ends of one pipe. */
static bool is_pipe(const int fd[2], dev_t *device, ino_t *inode)
{
	struct stat ends[2];

	if (fstat(fd[0], &ends[0]) != 0 || fstat(fd[1], &ends[1]) != 0)
		return false;
	*device = ends[0].st_dev;
	*inode = ends[0].st_ino;
	return S_ISFIFO(ends[0].st_mode) && ends[0].st_dev == ends[1].st_dev && ends[0].st_ino == ends[1].st_ino;
}

static bool pipe_is_left_alone(void)
{
	dev_t device;
	ino_t inode;

	if (libunwinds_pipe.fd[0] < 0)
		return true;
	return is_pipe(libunwinds_pipe.fd, &device, &inode) && device == libunwinds_pipe.device &&
		inode == libunwinds_pipe.inode;
}

/* Has libunwind do what it does at its first use. The two lowest free descriptors are those that it takes. Without
 * UNW_CACHE_NONE its cache of tables would be behind a lock that is held while the loader's is waited for. What makes
 * unw_backtrace fast is another one, a thread's own. */
static bool warm_libunwind_up(int (*set_policy)(void *space, int policy), void *space)
{
	const int cache_none = 0;
	void *frames[4];
	int lowest[2];

	if (pipe2(lowest, O_CLOEXEC) != 0)
		return false;
	close(lowest[0]);
	close(lowest[1]);
	set_policy(space, cache_none);
	unwind_backtrace(frames, HAK_COUNT_OF(frames));
	if (is_pipe(lowest, &libunwinds_pipe.device, &libunwinds_pipe.inode)) {
		libunwinds_pipe.fd[0] = lowest[0];
		libunwinds_pipe.fd[1] = lowest[1];
	}
	return true;
}

static bool load_libunwind(void)
{
#if defined(__x86_64__)
	static const char set_policy_name[] = "_ULx86_64_set_caching_policy";
	static const char space_name[] = "_ULx86_64_local_addr_space";
#else
	static const char set_policy_name[] = "_ULaarch64_set_caching_policy";
	static const char space_name[] = "_ULaarch64_local_addr_space";
#endif
	/* The endpoint's thread has descriptors of its own: the pipe would be in its table only. */
	void *library = hak_library_load && gettid() == getpid() ? hak_library_load("libunwind.so.8") : NULL;
	int (*set_policy)(void *space, int policy);
	void **space;

	if (!library)
		return false;
	*(void **)&set_policy = hak_library_symbol(library, set_policy_name);
	*(void **)&unwind_backtrace = hak_library_symbol(library, "unw_backtrace");
	space = hak_library_symbol(library, space_name);
	if (!set_policy || !unwind_backtrace || !space)
		return false;
	return warm_libunwind_up(set_policy, *space);
}

static bool begin_gcc(bool load)
{
	has_gcc = hak_gcc_walk != NULL;
	if (has_gcc)
		hak_gcc_begin(load);
	return has_gcc;
}

static HAK_TLS struct hak_stack_bounds bounds; /* of the thread's stack, asked for once */

static bool on_own_stack(uintptr_t frame, uintptr_t *end)
{
	if (!bounds.high)
		bounds = hak_stack_bounds_of(frame);
	*end = bounds.high;
	return frame >= bounds.low && frame < bounds.high;
}

static unsigned walk_tables(const struct hak_walk_start *start, uintptr_t *frames, unsigned room)
{
	enum hak_cfi_kind last = HAK_CFI_UNKNOWN;
	uintptr_t end;
	unsigned count = 0;

	if (on_own_stack(start->sp, &end))
		count = hak_walk(start, frames, room, end, &last, NULL);
	else if (!has_gcc)
		hak_add_relaxed(&failures[HAK_STACK_FAILED_strange_stack], 1u);
	return last == HAK_CFI_UNKNOWN && has_gcc ? hak_gcc_walk(frames, room) : count;
}

/* Each frame holds its caller's frame pointer and the return address, higher up on the same stack. */
static unsigned walk_frame_pointers(uintptr_t *frames, unsigned room)
{
	uintptr_t frame = (uintptr_t)__builtin_frame_address(0), end;
	unsigned count = 0;

	if (!on_own_stack(frame, &end)) {
		hak_add_relaxed(&failures[HAK_STACK_FAILED_strange_stack], 1u);
		return 0;
	}
	while (count < room && frame % sizeof(frame) == 0 && frame <= end - 2 * sizeof(frame)) {
		const uintptr_t *at = (const uintptr_t *)frame;

		if (at[1] < 4096)
			break;
		frames[count++] = at[1];
		if (at[0] <= frame)
			break;
		frame = at[0];
	}
	return count;
}

/* `start` is a moment of a caller's: our own engine begins there, the others in the midst of this library. */
static unsigned walk_stack(const struct hak_walk_start *start, uintptr_t *frames, unsigned room)
{
	int count;

	switch ((enum hak_stack_engine)hak_load_relaxed(&engine_now)) {
	case HAK_STACK_TABLES:
		return walk_tables(start, frames, room);
	case HAK_STACK_LIBUNWIND:
		if (!pipe_is_left_alone()) {
			hak_store_relaxed(&engine_now, (uint32_t)HAK_STACK_TABLES);
			return walk_tables(start, frames, room);
		}
		count = unwind_backtrace((void **)frames, (int)room);
		return count > 0 ? (unsigned)count : 0;
	case HAK_STACK_GCC:
		return hak_gcc_walk(frames, room);
	case HAK_STACK_FRAME_POINTERS:
		return walk_frame_pointers(frames, room);
	case HAK_STACK_NONE:
		break;
	}
	return 0;
}

/* ---- Capturing ---- */

static void find_own_code(void)
{
	/* The linker's name for the file's first byte. */
	extern const ElfW(Ehdr) header __asm__("__ehdr_start") HAK_HIDDEN;
	const ElfW(Phdr) *segments = (const ElfW(Phdr) *)((uintptr_t)&header + header.e_phoff);
	uintptr_t start = (uintptr_t)&header, end = start;

	for (unsigned i = 0; i < header.e_phnum; i++) {
		if (segments[i].p_type == PT_LOAD && start + segments[i].p_vaddr + segments[i].p_memsz > end)
			end = start + segments[i].p_vaddr + segments[i].p_memsz;
	}
	/* A program's own headers lie within it. */
	if (getauxval(AT_PHDR) - start < end - start)
		return;
	own_start = start;
	own_end = end;
}

/* A static program may have been linked without the index of its tables, so that none leads anywhere. */
static bool has_tables(void)
{
	struct hak_cfi_rule rule = hak_walk_find((uintptr_t)&hak_stack_begin);

	return rule.kind != HAK_CFI_NO_TABLE;
}

bool hak_stack_begin(enum hak_stack_engine wanted, uint32_t stacks_wanted)
{
	enum hak_stack_engine engine = wanted;
	uintptr_t end;

	if (begun)
		return true;
	if (!hak_stack_table_begin(stacks_wanted) || !hak_walk_begin())
		return false;
	find_own_code();
	if (engine == HAK_STACK_LIBUNWIND && !load_libunwind())
		engine = HAK_STACK_TABLES;
	if (engine != HAK_STACK_FRAME_POINTERS && !begin_gcc(engine == HAK_STACK_GCC) && engine == HAK_STACK_GCC)
		engine = HAK_STACK_TABLES;
	if (engine == HAK_STACK_TABLES && !has_gcc && !has_tables())
		engine = HAK_STACK_FRAME_POINTERS;
	begun = true;
	hak_store_release(&engine_now, engine); /* pairs with the acquire in hak_stack_capture */
	/* What an engine does at its first use is done here. Ours has done so when it knows the bounds. */
	if (engine != HAK_STACK_TABLES)
		hak_stack_capture();
	else
		on_own_stack((uintptr_t)__builtin_frame_address(0), &end);
	return true;
}

enum hak_stack_engine hak_stack_engine(void)
{
	return (enum hak_stack_engine)hak_load_relaxed(&engine_now);
}

/* How many of the frames, from the leaf on, are this library's. */
HAK_INLINE unsigned own_frames(const uintptr_t *frames, unsigned count)
{
	unsigned own = 0;

	while (own < count && frames[own] - own_start < own_end - own_start)
		own++;
	return own;
}

/* The number of a stack of `count` frames, of which the first `most` are to be kept. */
HAK_INLINE uint32_t number_of(const uintptr_t *frames, unsigned count, unsigned most)
{
	if (HAK_UNLIKELY(!count)) {
		hak_add_relaxed(&failures[HAK_STACK_FAILED_empty], 1u);
		return 0;
	}
	return hak_stack_table_number(frames, count < most ? count : most);
}

static HAK_NOINLINE uint32_t capture_by_engine(const struct hak_walk_start *start, unsigned most)
{
	uintptr_t frames[OWN_FRAMES + HAK_STACK_FRAMES];
	unsigned count = walk_stack(start, frames, OWN_FRAMES + most), own = own_frames(frames, count);

	return number_of(frames + own, count - own, most);
}

/* Begins to capture. Returns false if that can't be done now. */
HAK_INLINE bool begin_capture(void)
{
	if (hak_load_acquire(&engine_now) == HAK_STACK_NONE) {
		hak_add_relaxed(&failures[begun ? HAK_STACK_FAILED_no_engine : HAK_STACK_FAILED_not_ready], 1u);
		return false;
	}
	/* Either a fork sees that we are at it, or we see that it is coming: both are told in one order. */
	__atomic_fetch_add(&capturing, 1u, __ATOMIC_SEQ_CST);
	if (HAK_LIKELY(!__atomic_load_n(&forking, __ATOMIC_SEQ_CST)))
		return true;
	__atomic_fetch_sub(&capturing, 1u, __ATOMIC_RELEASE);
	hak_add_relaxed(&failures[HAK_STACK_FAILED_fork], 1u);
	return false;
}

HAK_INLINE void end_capture(void)
{
	__atomic_fetch_sub(&capturing, 1u, __ATOMIC_RELEASE);
}

enum kind { WHOLE, TOP, KINDS };

/* What a thread remembers of its walks, by what they kept. One that walks often does, so many in so short a time: for the others
 * that would be memory wasted, some hundred KiB of each thread of a server. */
#define OFTEN_WALKS 64
#define OFTEN_MS 100
#define NEVER UINT8_MAX
static HAK_TLS struct {
	struct hak_trails *trails[KINDS];
	uint8_t own_frames[KINDS]; /* of this library, that the last walk came by */
	uint16_t since_ms;         /* when it was that `walks` was 0, the lower half */
	uint8_t walks;             /* without trails, since then; NEVER: it is to have none */
	bool quiet_fork;           /* nobody was capturing at this thread's fork. Here, where it takes no room. */
} memory;

static void begin_to_remember(enum kind kind)
{
	if (memory.walks == NEVER)
		return;
	if (memory.walks == 0)
		memory.since_ms = (uint16_t)(hak_snapshot_now_us() / 1000);
	if (++memory.walks < OFTEN_WALKS)
		return;
	memory.walks = 0;
	if ((uint16_t)(hak_snapshot_now_us() / 1000 - memory.since_ms) < OFTEN_MS)
		memory.trails[kind] = hak_trails_make();
}

/* Walks from `start`, its caller's registers, and remembers what comes of it. */
static HAK_NOINLINE uint32_t walk_and_remember(enum kind kind, const struct hak_walk_start *start, unsigned most)
{
	uintptr_t frames[OWN_FRAMES + HAK_STACK_FRAMES], end;
	unsigned room = (memory.own_frames[kind] ? memory.own_frames[kind] : OWN_FRAMES) + most, count, own;
	enum hak_cfi_kind last;
	struct hak_trail *trail;
	uint32_t number;

	if (!memory.trails[kind])
		begin_to_remember(kind);
	if (!memory.trails[kind] || !on_own_stack(start->sp, &end))
		return capture_by_engine(start, most);
	trail = hak_trail_begin(memory.trails[kind], start->sp, start->fp, hak_walk_unloads());
	count = hak_walk(start, frames, room, end, &last, trail);
	own = own_frames(frames, count);
	memory.own_frames[kind] = (uint8_t)(own < OWN_FRAMES ? own : OWN_FRAMES);
	/* There may be more: another engine is asked, or room made for more of our own. */
	if (last < HAK_CFI_NO_ENTRY || (count == room && count - own < most))
		return capture_by_engine(start, most);
	number = number_of(frames + own, count - own, most);
	/* Many a program has one function that calls malloc: its callers' caller tells more. */
	if (number)
		hak_trail_end(memory.trails[kind], trail, number, frames[own + 2 < count ? own + 2 : own]);
	return number;
}

/* What was remembered is read from the thread's own memory alone: it needs no engine, and a fork may come at any time. `start` is
 * a moment of the calling function's. */
HAK_INLINE uint32_t capture(enum kind kind, const struct hak_walk_start *start, unsigned most)
{
	uint32_t number = 0;
	int kept;

	if (HAK_LIKELY(memory.trails[kind] && start->sp - bounds.low < bounds.high - bounds.low)) {
		number = hak_trail_find(memory.trails[kind], start->sp, start->fp, hak_walk_unloads());
		if (HAK_LIKELY(number))
			return number;
	}
	kept = errno;
	if (begin_capture()) {
		number = hak_stack_engine() == HAK_STACK_TABLES ? walk_and_remember(kind, start, most) : capture_by_engine(start, most);
		end_capture();
	}
	errno = kept;
	return number;
}

HAK_NOINLINE uint32_t hak_stack_capture(void)
{
	struct hak_walk_start start = {.ra = 0};

	hak_walk_here(start);
	return capture(WHOLE, &start, HAK_STACK_FRAMES);
}

HAK_NOINLINE uint32_t hak_stack_capture_top(void)
{
	struct hak_walk_start start = {.ra = 0};

	hak_walk_here(start);
	return capture(TOP, &start, HAK_STACK_TOP_FRAMES);
}

void hak_stack_thread_death(void)
{
	memory.walks = NEVER; /* not again, by destructors that come later */
	for (unsigned kind = 0; kind < KINDS; kind++) {
		struct hak_trails *trails = memory.trails[kind];

		memory.trails[kind] = NULL;
		if (trails)
			hak_trails_free(trails);
	}
}

/* ---- In a signal's handler ---- */

static struct hak_walk_start registers_of(const ucontext_t *context)
{
	struct hak_walk_start start = {0};
#if defined(__x86_64__)
	const greg_t *registers = context->uc_mcontext.gregs;

	start.pc = (uintptr_t)registers[REG_RIP];
	start.sp = (uintptr_t)registers[REG_RSP];
	start.fp = (uintptr_t)registers[REG_RBP];
#elif defined(__aarch64__)
	const mcontext_t *registers = &context->uc_mcontext;

	start.pc = registers->pc;
	start.sp = registers->sp;
	start.fp = registers->regs[29];
	start.ra = registers->regs[30];
#endif
	return start;
}

/* A mapping that is looked for. */
struct wanted {
	uintptr_t address, end; /* end 0: not found */
};

static bool end_if_here(void *argument, const struct hak_proc_mapping *mapping)
{
	struct wanted *wanted = argument;

	if (wanted->address >= mapping->start && wanted->address < mapping->end && mapping->permissions[0] == 'r')
		wanted->end = mapping->end;
	return wanted->address >= mapping->end;
}

/* For the lines of maps: a handler's stack may be small. */
static char maps_text[2 * HAK_PROC_TEXT_MAX];

unsigned hak_stack_of_context(const void *context, uintptr_t *frames, unsigned room)
{
	struct hak_walk_start start = registers_of(context);
	struct wanted stack = {.address = start.sp};
	enum hak_cfi_kind last;

	/* Asking libc for the bounds would allocate, and a stack of the program's own making isn't known to it. */
	hak_proc_mappings_by(maps_text, sizeof(maps_text), end_if_here, &stack);
	return stack.end ? hak_walk_in_handler(&start, frames, room, stack.end, &last) : 0;
}

uintptr_t hak_stack_pc(const void *context)
{
	return registers_of(context).pc;
}

/* ---- Looking at it ---- */

uint32_t hak_stack_end(void)
{
	return hak_stack_table_end();
}

unsigned hak_stack_frames(uint32_t number, const uintptr_t **frames)
{
	return hak_stack_table_frames(number, frames);
}

void hak_stack_count(struct hak_stack_counts *out)
{
	hak_stack_table_count(&out->stacks, &out->capacity, &out->lost);
	for (unsigned i = 0; i < HAK_STACK_FAILURE_COUNT; i++)
		out->failures[i] = hak_load_relaxed(&failures[i]);
}

/* ---- Fork ---- */

void hak_stack_fork_prepare(void)
{
	__atomic_fetch_add(&forking, 1u, __ATOMIC_SEQ_CST);
	memory.quiet_fork = false;
	/* Once is enough: those who come later see that a fork is coming, and count themselves only for a moment. */
	for (unsigned i = 0; !memory.quiet_fork && i < FORK_YIELDS; i++) {
		memory.quiet_fork = __atomic_load_n(&capturing, __ATOMIC_SEQ_CST) == 0;
		if (!memory.quiet_fork)
			sched_yield();
	}
}

void hak_stack_fork_parent(void)
{
	/* Pairs with the load in begin_capture: who captures again does so behind all forks, of which none may end for another. */
	__atomic_fetch_sub(&forking, 1u, __ATOMIC_RELEASE);
}

void hak_stack_fork_child(void)
{
	/* Where a lock of an engine's may be held by a thread that isn't there any more. */
	if (!memory.quiet_fork && hak_stack_engine() != HAK_STACK_NONE)
		hak_store_relaxed(&engine_now, (uint32_t)HAK_STACK_FRAME_POINTERS);
	/* The same is true of the loader's, which libunwind asks for at every frame that it doesn't know. */
	hak_walk_fork_child();
	if (hak_stack_engine() == HAK_STACK_LIBUNWIND)
		hak_store_relaxed(&engine_now, (uint32_t)HAK_STACK_TABLES);
	capturing = 0;
	hak_store_release(&forking, 0u);
}
