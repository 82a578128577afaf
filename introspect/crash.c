#include "introspect/crash.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "introspect/dump.h"
#include "introspect/encode.h"
#include "introspect/memory.h"
#include "introspect/misuse.h"
#include "introspect/proc.h"
#include "introspect/profile.h"
#include "introspect/protocol.h"
#include "introspect/quiet.h"
#include "introspect/snapshot.h"
#include "lib/atomic.h"
#include "lib/guard.h"
#include "lib/postmortem.h"

#define CHUNK_BYTES ((size_t)64 << 10)
#define STACK_WORDS 256u
#define THREADS 4096u /* rows; threads beyond them are counted in the sums, and not shown */
#define PARTS_MAX 8u
#define PAGE 4096u /* the smallest: where the stack may begin to be readable */

/* What a dump takes, mapped beforehand. One thread at a time uses it: who has hak_fault's right to write. */
struct workshop {
	struct hak_snapshot snapshot;
	struct hak_superslab_info row;
	struct hak_dump_target target;
	uint64_t stack[STACK_WORDS];
	char path[HAK_DUMP_PATH_MAX];
	char chunk[CHUNK_BYTES];
	struct hak_thread_info threads[THREADS];
	struct hak_snapshot_name names[THREADS];
};

static struct workshop *workshop;
static const char *path_pattern;
static uint32_t memory_was_out; /* a dump was written because of it */

/* The document under way. */
struct document {
	struct hak_json json;
	const char *reason;
	const struct hak_fault *fault; /* NULL: memory is out */
	uint64_t bytes;                /* that were asked for then */
	volatile uint32_t words;       /* of the stack that could be read */
	uint32_t number;               /* of the SuperSlab, or of the stack's page, that a step is about */
	uint64_t address;              /* that is looked up */
	struct hak_whereabouts at;
	struct hak_guarded guarded; /* likewise: address 0 if it is not a guarded block's */
	const char *incomplete[PARTS_MAX];
	unsigned incompletes;
};

static uint64_t own_tid(void)
{
	return (uint64_t)syscall(SYS_gettid);
}

/* Runs a step of the document. One that crashes is closed where it was, and remembered. */
static bool part(struct document *document, const char *name, void (*step)(void *))
{
	unsigned depth = document->json.depth;

	if (hak_fault_guard(step, document))
		return true;
	hak_json_unwind(&document->json, depth);
	if (document->incompletes && strcmp(document->incomplete[document->incompletes - 1], name) == 0)
		return false;
	if (document->incompletes < PARTS_MAX)
		document->incomplete[document->incompletes++] = name;
	return false;
}

/* ---- Addresses ---- */

static void look_up(void *argument)
{
	struct document *document = argument;

	hak_postmortem_find(document->address, &document->at);
}

static void look_in_caches(void *argument)
{
	struct document *document = argument;

	hak_postmortem_cached(&document->at);
}

static void look_among_guards(void *argument)
{
	struct document *document = argument;

	hak_guard_find(document->address, &document->guarded);
}

/* Looks `address` up in the records. Returns false if they can't be read. */
static bool find(struct document *document, uint64_t address)
{
	document->address = address;
	document->guarded.address = 0;
	part(document, "guards", look_among_guards);
	return part(document, "superslabs", look_up);
}

/* What guards know of the address. */
static void encode_guarded(void *argument)
{
	struct document *document = argument;

	if (!document->guarded.address)
		return;
	hak_json_key(&document->json, "guarded");
	hak_misuse_encode_block(&document->json, &document->guarded);
}

/* The members of an object about `address`. */
static void encode_whereabouts(struct document *document, uint64_t address)
{
	static const char *const states[] = {"UNUSED", "ACTIVE", "EMPTY"};
	struct hak_json *json = &document->json;
	struct hak_whereabouts *at = &document->at;

	hak_json_member_hex(json, "address", address);
	if (!find(document, address)) {
		hak_json_member_string(json, "kind", "unknown");
		return;
	}
	part(document, "caches", look_in_caches);
	hak_json_member_string(json, "kind", hak_whereabouts_names[at->kind]);
	part(document, "guards", encode_guarded);
	if (!at->superslab)
		return;
	hak_json_member_hex(json, "ss", at->superslab);
	hak_json_member_u64(json, "slot", at->slot);
	hak_json_member_string(json, "state", states[at->state]);
	hak_json_key(json, "class");
	if (at->class == HAK_NO_CLASS)
		hak_json_null(json);
	else
		hak_json_u64(json, at->class);
	if (!at->block)
		return;
	hak_json_member_hex(json, "block", at->block);
	hak_json_member_u64(json, "number", at->block_number);
	hak_json_member_u64(json, "block_bytes", at->block_bytes);
	hak_json_member_u64(json, "offset", at->offset);
}

/* A search among the mappings. */
struct search {
	struct hak_json *json;
	uint64_t address;
	bool found;
};

static bool encode_if_here(void *argument, const struct hak_proc_mapping *mapping)
{
	struct search *search = argument;

	if (search->address < mapping->start || search->address >= mapping->end)
		return search->address >= mapping->start;
	hak_json_object(search->json);
	hak_json_member_hex(search->json, "start", mapping->start);
	hak_json_member_hex(search->json, "end", mapping->end);
	hak_json_member_string(search->json, "permissions", mapping->permissions);
	hak_json_member_string(search->json, "path", mapping->path);
	hak_json_end(search->json);
	search->found = true;
	return false;
}

/* The member "mapping": the one that `address` lies in, or null. */
static void encode_mapping(struct hak_json *json, uint64_t address)
{
	struct search search = {json, address, false};

	hak_json_key(json, "mapping");
	hak_proc_mappings(encode_if_here, &search);
	if (!search.found)
		hak_json_null(json);
}

/* ---- Registers ---- */

#if defined(__x86_64__)
static const char *const register_names[] = {"r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "rdi", "rsi", "rbp",
	"rbx", "rdx", "rax", "rcx", "rsp", "rip", "eflags"};
#define REGISTER_SP REG_RSP
#define REGISTER_PC REG_RIP

static uint64_t register_value(const ucontext_t *context, unsigned number)
{
	return (uint64_t)context->uc_mcontext.gregs[number];
}
#elif defined(__aarch64__)
static const char *const register_names[] = {"x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12",
	"x13", "x14", "x15", "x16", "x17", "x18", "x19", "x20", "x21", "x22", "x23", "x24", "x25", "x26", "x27", "x28", "x29",
	"x30", "sp", "pc", "pstate"};
#define REGISTER_SP 31
#define REGISTER_PC 32

static uint64_t register_value(const ucontext_t *context, unsigned number)
{
	return number < REGISTER_SP  ? context->uc_mcontext.regs[number]
		: number == REGISTER_SP ? context->uc_mcontext.sp
		: number == REGISTER_PC ? context->uc_mcontext.pc
					: context->uc_mcontext.pstate;
}
#endif

/* The registers that point into the heap: where a crash is one step away from a stale pointer, this names its block. */
static void encode_pointers(struct document *document, const ucontext_t *context)
{
	struct hak_json *json = &document->json;

	hak_json_key(json, "pointers");
	hak_json_array(json);
	for (unsigned i = 0; i < HAK_COUNT_OF(register_names); i++) {
		if (find(document, register_value(context, i)) && document->at.kind == HAK_AT_foreign &&
			!document->guarded.address)
			continue;
		hak_json_object(json);
		hak_json_member_string(json, "register", register_names[i]);
		encode_whereabouts(document, register_value(context, i));
		hak_json_end(json);
	}
	hak_json_end(json);
}

static void encode_registers(struct document *document, const ucontext_t *context)
{
	struct hak_json *json = &document->json;

	hak_json_member_hex(json, "pc", register_value(context, REGISTER_PC));
	hak_json_member_hex(json, "sp", register_value(context, REGISTER_SP));
	hak_json_key(json, "registers");
	hak_json_object(json);
	for (unsigned i = 0; i < HAK_COUNT_OF(register_names); i++)
		hak_json_member_hex(json, register_names[i], register_value(context, i));
	hak_json_end(json);
	encode_pointers(document, context);
}

/* ---- The stack ---- */

static uint64_t stack_start(const struct document *document)
{
	const ucontext_t *context = document->fault->context;

	return (register_value(context, REGISTER_SP) & ~(uint64_t)7) + (uint64_t)document->number * PAGE;
}

static void read_stack(void *argument)
{
	struct document *document = argument;
	const uint64_t *from = (const uint64_t *)stack_start(document);

	for (document->words = 0; document->words < STACK_WORDS; document->words++)
		workshop->stack[document->words] = *(const volatile uint64_t *)&from[document->words];
}

/* The words on the stack, from its pointer upwards. Where that points below the stack's end, as it does after an
 * overflow, the first page above is taken that can be read. */
static void encode_stack(struct document *document)
{
	struct hak_json *json = &document->json;

	document->words = 0;
	for (document->number = 0; document->number < 4; document->number++) {
		if (hak_fault_guard(read_stack, document) || document->words)
			break;
	}
	hak_json_key(json, "stack");
	hak_json_object(json);
	hak_json_member_hex(json, "address", stack_start(document));
	hak_json_key(json, "words");
	hak_json_array(json);
	for (unsigned i = 0; i < document->words; i++)
		hak_json_hex(json, workshop->stack[i]);
	hak_json_end(json);
	hak_json_end(json);
}

/* ---- The crash section ---- */

static const char *code_name(int signal, int code)
{
	static const struct {
		int signal, code; /* signal 0: any */
		const char *name;
	} names[] = {
		{SIGSEGV, SEGV_MAPERR, "SEGV_MAPERR"}, {SIGSEGV, SEGV_ACCERR, "SEGV_ACCERR"},
		{SIGBUS, BUS_ADRALN, "BUS_ADRALN"}, {SIGBUS, BUS_ADRERR, "BUS_ADRERR"}, {SIGBUS, BUS_OBJERR, "BUS_OBJERR"},
		{SIGBUS, BUS_MCEERR_AR, "BUS_MCEERR_AR"}, {SIGBUS, BUS_MCEERR_AO, "BUS_MCEERR_AO"},
		{SIGILL, ILL_ILLOPC, "ILL_ILLOPC"}, {SIGILL, ILL_ILLOPN, "ILL_ILLOPN"}, {SIGILL, ILL_PRVOPC, "ILL_PRVOPC"},
		{SIGFPE, FPE_INTDIV, "FPE_INTDIV"}, {SIGFPE, FPE_INTOVF, "FPE_INTOVF"}, {SIGFPE, FPE_FLTDIV, "FPE_FLTDIV"},
		{SIGFPE, FPE_FLTINV, "FPE_FLTINV"}, {SIGSYS, 1, "SYS_SECCOMP"}, {0, SI_USER, "SI_USER"},
		{0, SI_TKILL, "SI_TKILL"}, {0, SI_QUEUE, "SI_QUEUE"}, {0, SI_KERNEL, "SI_KERNEL"},
	};

	for (size_t i = 0; i < HAK_COUNT_OF(names); i++) {
		if ((!names[i].signal || names[i].signal == signal) && names[i].code == code)
			return names[i].name;
	}
	return "";
}

/* Whether the signal came with the address that it is about. On x86-64 the processor doesn't say which one was not
 * canonical: SI_KERNEL then. */
static bool has_address(const struct hak_fault *fault)
{
	if (fault->info->si_code <= 0 || fault->info->si_code == SI_KERNEL)
		return false;
	return fault->signal == SIGSEGV || fault->signal == SIGBUS || fault->signal == SIGILL || fault->signal == SIGFPE;
}

static void encode_address(struct document *document)
{
	struct hak_json *json = &document->json;
	uint64_t address = (uintptr_t)document->fault->info->si_addr;

	if (!has_address(document->fault)) {
		hak_json_key(json, "address");
		hak_json_null(json);
		return;
	}
	hak_json_member_hex(json, "address", address);
	hak_json_key(json, "heap");
	hak_json_object(json);
	encode_whereabouts(document, address);
	hak_json_end(json);
	encode_mapping(json, address);
}

static void encode_crash(void *argument)
{
	struct document *document = argument;
	const struct hak_fault *fault = document->fault;
	struct hak_json *json = &document->json;
	const char *abbreviation = sigabbrev_np(fault->signal);
	char name[16] = "SIG", thread[HAK_PROC_NAME_MAX];
	const char *access = hak_fault_access(fault->context);

	hak_copy_text(name + 3, sizeof(name) - 3, abbreviation);
	hak_json_key(json, "crash");
	hak_json_object(json);
	hak_json_member_u64(json, "signal", (uint64_t)fault->signal);
	hak_json_member_string(json, "name", name);
	hak_json_key(json, "code");
	hak_json_i64(json, fault->info->si_code);
	hak_json_member_string(json, "code_name", code_name(fault->signal, fault->info->si_code));
	hak_json_member_u64(json, "tid", own_tid());
	hak_proc_thread_name((pid_t)own_tid(), thread);
	hak_json_member_string(json, "thread", thread);
	if (fault->info->si_code == SI_USER || fault->info->si_code == SI_TKILL || fault->info->si_code == SI_QUEUE)
		hak_json_member_u64(json, "sender", (uint64_t)fault->info->si_pid);
	if (access && has_address(fault))
		hak_json_member_string(json, "access", access);
	encode_address(document);
	encode_registers(document, fault->context);
	encode_stack(document);
	hak_json_end(json);
}

/* What HAKMEM has said of the program before, and what it knows of that address now. */
static void encode_report(void *argument)
{
	struct document *document = argument;
	struct hak_json *json = &document->json;
	uintptr_t address;
	const char *text = hak_postmortem_report(&address);

	if (!text)
		return;
	hak_json_key(json, "report");
	hak_json_object(json);
	hak_json_member_string(json, "text", text);
	encode_whereabouts(document, address);
	hak_json_end(json);
}

static void encode_refusal(struct document *document)
{
	struct hak_json *json = &document->json;

	hak_json_key(json, "refused");
	hak_json_object(json);
	hak_json_member_u64(json, "bytes",
		document->bytes < HAK_JSON_NUMBER_MAX ? document->bytes : HAK_JSON_NUMBER_MAX);
	hak_json_member_u64(json, "tid", own_tid());
	hak_json_end(json);
}

/* ---- The heap ---- */

static void take_threads(void *argument)
{
	struct hak_inspect *heap = &workshop->snapshot.heap;

	(void)argument;
	hak_inspect_threads(heap);
}

static void take_state(void *argument)
{
	struct hak_snapshot *snapshot = &workshop->snapshot;

	(void)argument;
	if (snapshot->heap.thread_count > THREADS)
		snapshot->heap.thread_count = THREADS;
	hak_inspect_figures(&snapshot->heap);
	hak_snapshot_facts(snapshot);
}

static void encode_state(void *argument)
{
	struct document *document = argument;

	hak_encode_state_members(&document->json, &workshop->snapshot);
}

/* The SuperSlab `number`, if it is in the place that is being written: those in the LRU cache come last. */
static void encode_superslab(struct document *document, bool in_lru)
{
	bool in_motion;

	if (hak_inspect_superslab(document->number, &workshop->row, &in_motion) && workshop->row.in_lru == in_lru)
		hak_encode_superslab(&document->json, &workshop->row, in_motion);
}

static void encode_used_superslab(void *argument)
{
	encode_superslab(argument, false);
}

static void encode_lru_superslab(void *argument)
{
	encode_superslab(argument, true);
}

static void encode_superslabs(struct document *document)
{
	uint32_t count = hak_inspect_superslabs();

	hak_json_key(&document->json, "superslabs");
	hak_json_array(&document->json);
	for (document->number = 0; document->number < count; document->number++)
		part(document, "superslabs", encode_used_superslab);
	for (document->number = 0; document->number < count; document->number++)
		part(document, "superslabs", encode_lru_superslab);
	hak_json_end(&document->json);
}

/* ---- The document ---- */

static void encode_events(void *argument)
{
	struct document *document = argument;

	hak_dump_events(&document->json);
}

static void encode_reports(void *argument)
{
	struct document *document = argument;

	hak_misuse_encode(&document->json);
}

static void encode_profile(void *argument)
{
	struct document *document = argument;

	if (!hak_profile_has_data())
		return;
	hak_json_key(&document->json, "profile");
	hak_json_object(&document->json);
	hak_profile_encode(&document->json, true);
	hak_json_end(&document->json);
}

static void encode_modules(void *argument)
{
	struct document *document = argument;

	hak_dump_mapped_modules(&document->json);
}

static void prepare_snapshot(void)
{
	struct hak_snapshot *snapshot = &workshop->snapshot;

	hak_snapshot_init(snapshot);
	snapshot->heap.threads = workshop->threads;
	snapshot->heap.thread_capacity = THREADS;
	snapshot->names.data = workshop->names;
	snapshot->names.capacity = THREADS;
}

static void encode_incomplete(struct document *document)
{
	if (!document->incompletes)
		return;
	hak_json_key(&document->json, "incomplete");
	hak_json_array(&document->json);
	for (unsigned i = 0; i < document->incompletes; i++)
		hak_json_string(&document->json, document->incomplete[i]);
	hak_json_end(&document->json);
}

static int write_document(void *argument, int fd)
{
	struct document *document = argument;
	struct hak_json *json = &document->json;

	prepare_snapshot();
	hak_json_to_fd(json, fd, workshop->chunk, CHUNK_BYTES);
	hak_json_object(json);
	hak_json_member_string(json, "type", HAK_TYPE_DUMP);
	hak_json_member_string(json, "reason", document->reason);
	if (document->fault)
		part(document, "crash", encode_crash);
	else
		encode_refusal(document);
	part(document, "report", encode_report);
	part(document, "threads", take_threads);
	part(document, "state", take_state);
	part(document, "state", encode_state);
	encode_superslabs(document);
	part(document, "events", encode_events);
	part(document, "reports", encode_reports);
	part(document, "profile", encode_profile);
	part(document, "modules", encode_modules);
	encode_incomplete(document);
	hak_json_end(json);
	hak_json_newline(json);
	return hak_json_finish(json) ? 0 : -json->error;
}

/* The right to write is ours. */
static void write_dump(struct document *document)
{
	int result = -ENAMETOOLONG;

	hak_proc_exe(workshop->snapshot.exe, sizeof(workshop->snapshot.exe));
	workshop->target.bare = true;
	if (hak_dump_expand(path_pattern, workshop->snapshot.exe, getpid(), workshop->path, sizeof(workshop->path)))
		result = hak_dump_write_by(&workshop->target, workshop->path, write_document, document);
	if (result < 0)
		hak_quiet_complain("no dump", workshop->path, -result);
}

bool hak_crash_prepare(const char *pattern)
{
	path_pattern = pattern;
	workshop = hak_memory_map(sizeof(*workshop), HAK_MEMORY_INHERIT);
	return workshop != NULL;
}

void hak_crash_dump(const struct hak_fault *fault)
{
	struct document document = {.reason = fault->reason, .fault = fault};

	write_dump(&document);
}

void hak_crash_out_of_memory(uint64_t bytes)
{
	struct document document = {.reason = "oom", .bytes = bytes};
	uint32_t no = 0;

	if (hak_load_relaxed(&memory_was_out) || !hak_cas_acquire_u32(&memory_was_out, &no, 1) || !hak_fault_begin())
		return;
	write_dump(&document);
	hak_fault_end();
}

void hak_crash_after_fork(void)
{
	hak_store_relaxed(&memory_was_out, 0);
}
