#include "introspect/guards.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "introspect/config.h"
#include "introspect/dump.h"
#include "introspect/encode_guard.h"
#include "introspect/memory.h"
#include "introspect/misuse.h"
#include "introspect/misuse_text.h"
#include "introspect/proc.h"
#include "introspect/protocol.h"
#include "introspect/quiet.h"
#include "introspect/snapshot.h"
#include "introspect/stack.h"
#include "lib/atomic.h"
#include "lib/log.h"

#define WAIT_MS 3000
#define BLOCKS_MAX 1024 /* of a message */
#define LOOKS_EVERY 4096
#define STACKS_TIMES 4 /* of HAKMEM_PROF_STACKS: where every block has a stack there are more of them */
#define STACKS_MAX (16u << 20)

static uint32_t level;     /* enum hak_guard_level, that is in force */
static uint32_t reporting; /* kernel id of the thread that is, 0: none */

bool hak_guards_wanted(void)
{
	struct hak_guard_counts counts;

	hak_guard_count(&counts);
	hak_store_relaxed(&level, (uint32_t)counts.choice.level);
	return counts.choice.level != HAK_GUARD_OFF;
}

bool hak_guards_prepare(void)
{
	uint64_t stacks = hak_config.prof_stacks * STACKS_TIMES;

	if (stacks > STACKS_MAX)
		stacks = hak_config.prof_stacks;
	return hak_stack_begin((enum hak_stack_engine)hak_config.unwind, (uint32_t)stacks) && hak_misuse_prepare();
}

bool hak_guards_set(const struct hak_guard_choice *choice)
{
	hak_store_relaxed(&level, (uint32_t)choice->level);
	if (choice->level == HAK_GUARD_OFF)
		return hak_guard_set(choice);
	if (!hak_guards_prepare())
		return false;
	hak_fault_install_guard(hak_guards_fault);
	return hak_guard_set(choice);
}

/* At level sample stacks are captured rarely, and faults are what it is for; at full, often, and only large blocks' pages fault. */
uint32_t hak_guards_capture(void)
{
	static HAK_TLS uint32_t captures;
	uint32_t every = hak_load_relaxed(&level) == HAK_GUARD_SAMPLE ? 1 : LOOKS_EVERY;

	if (captures++ % every == 0)
		hak_fault_keep_guard();
	return hak_stack_capture_top();
}

bool hak_guards_stack_has(uint32_t stack, uintptr_t address)
{
	const uintptr_t *frames;
	unsigned count = hak_stack_frames(stack, &frames);

	for (unsigned i = 0; i < count; i++) {
		if (frames[i] == address)
			return true;
	}
	return false;
}

/* ---- One at a time ---- */

/* Waits for its turn, for WAIT_MS at most: whoever is stuck in a report must not keep others from theirs. Returns whether it is
 * this thread's. */
static bool begin_turn(void)
{
	static const struct timespec pause = {0, 1000000};
	uint32_t none = 0, tid = (uint32_t)syscall(SYS_gettid);

	for (unsigned i = 0; i < WAIT_MS && !hak_cas_acquire_u32(&reporting, &none, tid); i++) {
		none = 0;
		nanosleep(&pause, NULL);
	}
	return hak_load_relaxed(&reporting) == tid;
}

static void end_turn(bool mine)
{
	if (mine)
		hak_store_release(&reporting, 0); /* pairs with the acquire in begin_turn */
}

void hak_guards_after_fork(void)
{
	hak_store_release(&reporting, 0);
}

/* ---- Reports ---- */

/* In one piece, so that two processes that share stderr don't mix theirs. */
static void print(const struct hak_misuse *misuse)
{
	char *text = hak_memory_map(HAK_MISUSE_TEXT_BYTES, HAK_MEMORY_PRIVATE);
	struct hak_fmt fmt;

	if (!text) {
		hak_log_line(misuse->details.line);
		return;
	}
	hak_fmt_begin(&fmt, text, HAK_MISUSE_TEXT_BYTES);
	hak_misuse_text(&fmt, misuse);
	hak_log_write(text, fmt.length);
	hak_memory_unmap(text, HAK_MISUSE_TEXT_BYTES);
}

/* context: of a fault, else NULL. */
static void report(const struct hak_report_details *details, const void *context, bool printed)
{
	struct hak_misuse *misuse = hak_misuse_begin(details, context);

	if (misuse && printed)
		print(misuse);
	else if (printed)
		hak_log_line(details->line);
	if (misuse)
		hak_misuse_end(misuse);
}

void hak_guards_report(const struct hak_report_details *details)
{
	struct hak_undisturbed undisturbed;
	bool mine;

	/* This is free to the program: no point where a thread is cancelled. And a handler of signals that makes a mistake too would
	 * wait for itself. */
	hak_undisturbed_begin(&undisturbed);
	mine = begin_turn();
	report(details, NULL, true);
	end_turn(mine);
	hak_undisturbed_end(&undisturbed);
}

/* ---- The blocks of a range ---- */

static void encode_blocks(struct hak_json *json, uintptr_t address, uint64_t bytes)
{
	uintptr_t end = address ? address + (bytes ? bytes : 1) : 0, last = 0;
	struct hak_guarded block;
	unsigned count = 0;

	for (uintptr_t at = address; at < end && count < BLOCKS_MAX; at += HAK_ALIGNMENT) {
		if (!hak_guard_find(at, &block) || block.address == last)
			continue;
		/* One whose zone reaches into the range is not in it. */
		if (bytes && (block.address >= end || block.address + block.bytes <= address))
			continue;
		hak_misuse_encode_block(json, &block);
		last = block.address;
		count++;
	}
}

void hak_guards_message(struct hak_json *json, uintptr_t address, uint64_t bytes)
{
	struct hak_guard_counts counts;
	char exe[HAK_PROC_TEXT_MAX];

	hak_proc_exe(exe, sizeof(exe));
	hak_json_object(json);
	hak_json_member_string(json, "type", HAK_TYPE_GUARDED);
	hak_json_member_u64(json, "time_us", hak_snapshot_now_us());
	hak_guard_count(&counts);
	hak_json_key(json, "guard");
	hak_encode_guard(json, &counts);
	hak_json_key(json, "blocks");
	hak_json_array(json);
	encode_blocks(json, address, bytes);
	hak_json_end(json);
	hak_misuse_encode(json);
	hak_dump_modules(json, exe);
	hak_json_end(json);
}

/* ---- Faults ---- */

static enum hak_access access_of(const void *context)
{
	const char *word = hak_fault_access(context);

	return !word ? HAK_ACCESS_UNKNOWN : strcmp(word, "write") == 0 ? HAK_ACCESS_WRITE : HAK_ACCESS_READ;
}

/* Whether a guarded block's page can be read by now: another thread's fault has opened it. */
static bool is_open(uintptr_t address)
{
	char byte;
	struct iovec to = {&byte, 1}, from = {(void *)address, 1};

	return process_vm_readv(getpid(), &to, 1, &from, 1, 0) == 1;
}

bool hak_guards_fault(const struct hak_fault *fault)
{
	uintptr_t address = (uintptr_t)fault->info->si_addr;
	struct hak_report_details details;
	struct hak_guarded block;
	bool mine, printed = false, goes_on;
	int cancel;

	/* A program that makes use of faults waits for nobody. */
	if (!hak_guard_find(address, &block))
		return false;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel); /* nor is an access such a point */
	mine = begin_turn();
	goes_on = is_open(address);
	/* One report an error: who comes second finds the page open, and tries again. */
	if (!goes_on && hak_guard_fault(address, access_of(fault->context), &details, &printed)) {
		report(&details, fault->context, printed);
		if (details.end == HAK_REPORT_EXITS)
			_exit(details.exit_status);
		goes_on = details.end == HAK_REPORT_GOES_ON && hak_guard_open(address);
	}
	end_turn(mine);
	pthread_setcancelstate(cancel, &cancel);
	return goes_on;
}
