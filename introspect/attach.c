#include "introspect/attach.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "introspect/config.h"
#include "introspect/crash.h"
#include "introspect/dump.h"
#include "introspect/fault.h"
#include "introspect/guards.h"
#include "introspect/leaks.h"
#include "introspect/memory.h"
#include "introspect/misuse.h"
#include "introspect/proc.h"
#include "introspect/profile.h"
#include "introspect/protocol.h"
#include "introspect/quiet.h"
#include "introspect/ring.h"
#include "introspect/server.h"
#include "introspect/snapshot.h"
#include "introspect/stack.h"
#include "introspect/tally.h"
#include "introspect/trace_file.h"
#include "introspect/walk.h"
#include "lib/atomic.h"
#include "lib/env.h"
#include "lib/fmt.h"
#include "lib/trace.h"

/* A child of fork gets its endpoint so long after the fork: most children exec or exit sooner, and pay nothing. */
#define CHILD_DELAY_US 100000

/* Written by the constructor, and in a child by the fork handler and the first tick: each time by a thread that no
 * other one runs beside, but for `starting`. */
static struct {
	pid_t owner; /* the process that this state is about; 0: nothing is on */
	struct hak_server *server;
	uint64_t fork_us;
	bool dumps_out_of_memory;
	uint32_t starting; /* claimed by the thread whose tick starts the child's endpoint */
	/* Copies, as programs overwrite their environment's strings; HAKMEM_DIR is absolute here. */
	char hakmem_dir[HAK_PROTOCOL_PATH_MAX], xdg_runtime_dir[HAK_PROTOCOL_PATH_MAX];
	char trace_file[HAK_PROTOCOL_PATH_MAX]; /* HAKMEM_TRACE_FILE, absolute, its places not filled in yet */
	bool is_child;
	bool told; /* that there is no trace file */
} attached;

/* Not 0 while events may be recorded. With a trace file it is a word that children find wiped, whatever they were made
 * by: until they have a file of their own, nothing of theirs goes into their parent's. */
static const uint32_t always = 1;
static const uint32_t *recording = &always;

static void record(const struct hak_event *event)
{
	if (HAK_LIKELY(hak_load_relaxed(hak_load_relaxed(&recording))))
		hak_ring_record(event);
}

/* Fills in the places of HAKMEM_TRACE_FILE. The children of a process that did not think of them get a file each. */
static bool trace_file_path(char *out, size_t size)
{
	struct hak_protocol_text text = {out, size, 0, false};
	char exe[HAK_PROC_TEXT_MAX];

	hak_proc_exe(exe, sizeof(exe));
	if (!hak_dump_expand(attached.trace_file, exe, attached.owner, out, size))
		return false;
	if (attached.is_child && !strstr(attached.trace_file, "%p")) {
		text.length = strlen(out);
		hak_protocol_put(&text, ".");
		hak_protocol_put_number(&text, (uint64_t)attached.owner);
	}
	return !text.overflow;
}

static void start_trace_file(void)
{
	char path[HAK_PROTOCOL_PATH_MAX] = "", tried[HAK_PROTOCOL_PATH_MAX] = "";
	struct hak_trace_file_options options = {
		.path = path,
		.hakmem_dir = attached.hakmem_dir,
		.xdg_runtime_dir = attached.xdg_runtime_dir,
		.bytes = hak_config.trace_bytes,
		.groups = (uint32_t)hak_config.trace,
	};
	int error = -ENAMETOOLONG;

	if (!attached.trace_file[0] || trace_file_path(path, sizeof(path)))
		error = hak_trace_file_open(&options, tried, sizeof(tried));
	if (error == 0) {
		hak_store_release(&recording, hak_trace_file_alive());
		return;
	}
	hak_store_release(&recording, &always);
	/* A directory that is not to be had is what the endpoint complains of too. */
	if (!attached.told && (attached.trace_file[0] || (error != -EPERM && error != -ENOENT && error != -EACCES &&
							error != -ENOTDIR && error != -EROFS && error != -ELOOP)))
		hak_quiet_complain("no trace file, events are kept in memory", tried, -error);
	attached.told = true;
}

/* Whether rings and slot map are to lie in a file. */
static bool wants_trace_file(void)
{
	return hak_config.introspect || attached.trace_file[0];
}

/* Readies the rings, in the file if there is to be one. */
static void start_recording(void)
{
	if (wants_trace_file())
		start_trace_file();
	if (hak_config.trace && !hak_ring_start(hak_config.trace_bytes)) {
		hak_quiet_complain("no memory for HAKMEM_TRACE", "", errno);
		hak_config.trace = 0;
	}
}

static void start_server(void)
{
	struct hak_server_options options = {
		.hakmem_dir = attached.hakmem_dir,
		.xdg_runtime_dir = attached.xdg_runtime_dir,
		.dump_pattern = hak_config.dump_path,
		.trace_groups = (uint32_t)hak_config.trace,
		.trace_bytes = hak_config.trace_bytes,
		.stuck_ms = HAK_STUCK_MS_DEFAULT,
	};
	char path[HAK_PROTOCOL_PATH_MAX] = "";
	struct hak_server *server;
	int error;

	server = hak_server_start(&options, &error, path, sizeof(path));
	if (!server)
		hak_quiet_complain("no endpoint", path, -error);
	hak_store_release(&attached.server, server);
}

static void fork_prepare(void)
{
	hak_stack_fork_prepare();
	hak_tally_fork_prepare();
}

static void fork_parent(void)
{
	hak_tally_fork_parent();
	hak_stack_fork_parent();
}

static void fork_child(void)
{
	hak_stack_fork_child();
	hak_tally_fork_child();
	/* The parent's thread, sockets and buffers do not exist here; its socket's path is left alone. */
	if (hak_trace_file_is_open()) {
		/* The page was wiped already; until the first tick nothing is recorded. */
		hak_trace_file_after_fork();
		hak_ring_abandon();
	} else {
		hak_ring_after_fork();
	}
	hak_memory_after_fork();
	hak_fault_after_fork();
	hak_guards_after_fork();
	hak_crash_after_fork();
	hak_trace_set_groups((uint32_t)hak_config.trace);
	attached.is_child = true;
	attached.server = NULL;
	attached.owner = getpid();
	attached.fork_us = hak_snapshot_now_us();
	attached.starting = 0;
	hak_snapshot_set_start(attached.fork_us);
	if (wants_trace_file())
		hak_trace_request_tick(true);
}

static void tick(void)
{
	struct hak_undisturbed undisturbed;
	uint32_t unclaimed = 0;
	int kept = errno;

	if (hak_snapshot_now_us() - attached.fork_us >= CHILD_DELAY_US && attached.owner == getpid()) {
		/* This is malloc to the program: no point where a thread is cancelled, nor one where a handler that
		 * forks would find a lock held. */
		hak_undisturbed_begin(&undisturbed);
		if (hak_cas_acquire_u32(&attached.starting, &unclaimed, 1)) {
			hak_trace_request_tick(false);
			start_recording();
			if (hak_config.introspect)
				start_server();
		}
		hak_undisturbed_end(&undisturbed);
	}
	errno = kept;
}

static void thread_death(void)
{
	/* The ring's owner word lies in the file too: a child's thread must not free its parent's. */
	if (HAK_LIKELY(hak_load_relaxed(hak_load_relaxed(&recording))))
		hak_ring_thread_death();
	hak_fault_thread_death();
	hak_stack_thread_death();
	hak_tally_thread_death();
}

static void out_of_memory(uint64_t bytes)
{
	int kept = errno;

	/* A child that was made without handlers would write under the name of its own, in its parent's memory. */
	if (attached.dumps_out_of_memory && attached.owner == getpid())
		hak_crash_out_of_memory(bytes);
	errno = kept;
}

static const struct hak_sink sink = {
	.event = record,
	.thread_birth = hak_fault_thread_birth,
	.thread_death = thread_death,
	.out_of_memory = out_of_memory,
	.fork_prepare = fork_prepare,
	.fork_parent = fork_parent,
	.fork_child = fork_child,
	.tick = tick,
	.sample = hak_profile_sample,
	.sample_freed = hak_profile_sample_freed,
	.capture = hak_guards_capture,
	.stack_has = hak_guards_stack_has,
	.report = hak_guards_report,
};

/* Prepares for the dumps that can't be written at leisure: fills in what their handlers are for. */
static void prepare_dumps(struct hak_fault_options *options)
{
	if (!(hak_config.dump_on & ~(uint64_t)HAK_DUMP_ON_EXIT))
		return;
	if (!hak_crash_prepare(hak_config.dump_path)) {
		hak_quiet_complain("no memory for HAKMEM_DUMP_ON", "", errno);
		return;
	}
	options->dump = hak_crash_dump;
	options->crash = hak_config.dump_on & HAK_DUMP_ON_CRASH;
	options->abort = hak_config.dump_on & HAK_DUMP_ON_ABORT;
	attached.dumps_out_of_memory = hak_config.dump_on & HAK_DUMP_ON_OOM;
	for (unsigned i = 0; hak_config.dump_on & HAK_DUMP_ON_SIGNAL && hak_dump_signal_words[i]; i++) {
		if (hak_config.dump_signal >> i & 1)
			sigaddset(&options->asks, hak_dump_signals[i]);
	}
}

/* The handlers of signals, for dumps and for guards. */
static void install_handlers(bool guards)
{
	struct hak_fault_options options = {.guard = guards ? hak_guards_fault : NULL};

	sigemptyset(&options.asks);
	prepare_dumps(&options);
	if (options.crash || options.abort || options.guard || (options.dump && hak_config.dump_on & HAK_DUMP_ON_SIGNAL))
		hak_fault_install(&options);
}

/* What HAKMEM_GUARD needs of us. Its blocks are guarded without it too, but the reports have no stacks then. */
static void start_guards(void)
{
	if (!hak_guards_prepare())
		hak_quiet_complain("no memory for stacks of HAKMEM_GUARD", "", errno);
}

static void complain_of_setting(const char *setting)
{
	char line[128];
	struct hak_fmt fmt;

	hak_fmt_begin(&fmt, line, sizeof(line));
	hak_fmt_text(&fmt, "hakmem: ");
	hak_fmt_text(&fmt, setting);
	hak_fmt_text(&fmt, " has no effect without HAKMEM_PROF=1");
	hak_trace_queue_line(line, 0);
	hak_trace_flush();
}

/* Settings of a profiler that nothing will start: with an endpoint a request may. */
static void complain_of_idle_settings(void)
{
	if (hak_config.prof || hak_config.introspect)
		return;
	if (hak_config.prof_report & HAK_PROF_REPORT_EXIT)
		complain_of_setting("HAKMEM_PROF_REPORT=exit");
	if (hak_config.prof_leak_exit)
		complain_of_setting("HAKMEM_PROF_LEAK_EXIT");
}

bool hak_attach(char *const *environment)
{
	bool guards = hak_guards_wanted();

	hak_config_read(environment);
	complain_of_idle_settings();
	if (!hak_config.introspect && !hak_config.trace && !hak_config.dump_on && !hak_config.trace_file[0] && !hak_config.prof && !guards)
		return false;
	if (hak_config.trace_file[0] && !hak_config.trace)
		hak_config.trace = HAK_GROUP_ALL;
	hak_quiet_remember_stderr();
	hak_snapshot_set_start(hak_snapshot_now_us());
	attached.owner = getpid();
	hak_copy_text(attached.xdg_runtime_dir, sizeof(attached.xdg_runtime_dir),
		hak_config_variable(environment, "XDG_RUNTIME_DIR"));
	/* The program may change its directory before a child of it needs the endpoint's. */
	if (hak_config.dir[0] && !hak_dump_resolve(hak_config.dir, attached.hakmem_dir, sizeof(attached.hakmem_dir)))
		hak_copy_text(attached.hakmem_dir, sizeof(attached.hakmem_dir), hak_config.dir);
	if (hak_config.trace_file[0] &&
		!hak_dump_resolve(hak_config.trace_file, attached.trace_file, sizeof(attached.trace_file)))
		hak_copy_text(attached.trace_file, sizeof(attached.trace_file), hak_config.trace_file);
	start_recording();
	hak_misuse_prepare();
	hak_trace_set_sink(&sink);
	install_handlers(guards);
	if (guards)
		start_guards();
	hak_trace_set_groups((uint32_t)hak_config.trace);
	if (hak_config.prof && !hak_profile_set_rate(hak_config.prof_rate))
		hak_quiet_complain("no memory for HAKMEM_PROF", "", errno);
	if (hak_config.introspect)
		start_server();
	return true;
}

static void exit_dump(void)
{
	char path[HAK_DUMP_PATH_MAX], exe[HAK_PROC_TEXT_MAX];
	struct hak_undisturbed undisturbed;
	uint64_t bytes;
	int result = -ENAMETOOLONG;

	hak_undisturbed_begin(&undisturbed);
	hak_proc_exe(exe, sizeof(exe));
	if (hak_dump_expand(hak_config.dump_path, exe, getpid(), path, sizeof(path)))
		result = hak_dump_write(path, "exit", &bytes);
	else
		hak_copy_text(path, sizeof(path), hak_config.dump_path);
	if (result < 0)
		hak_quiet_complain("no dump", path, -result);
	hak_undisturbed_end(&undisturbed);
}

/* What lives at the end. Returns whether it decides the exit status. */
static bool report_leaks(void)
{
	bool print = hak_config.prof_report & HAK_PROF_REPORT_EXIT;

	if (!hak_profile_has_data() || (!print && !hak_config.prof_leak_exit))
		return false;
	if (hak_config.prof_leak_exit)
		hak_leaks_free_libcs_own();
	return hak_leaks_report(print) && hak_config.prof_leak_exit;
}

void hak_detach(void)
{
	const struct hak_server *server;
	bool leaks;

	if (!attached.owner || attached.owner != getpid())
		return;
	if (hak_config.dump_on & HAK_DUMP_ON_EXIT)
		exit_dump();
	leaks = report_leaks();
	server = hak_load_acquire(&attached.server);
	if (server)
		hak_server_unlink(server);
	hak_trace_file_end();
	if (leaks)
		_exit((int)hak_config.prof_leak_exit);
}

/* After lib's own constructor, which has priority 101. */
__attribute__((constructor(102))) static void attach_at_load(void)
{
	hak_attach(hak_env_at_start());
}

__attribute__((destructor(102))) static void detach_at_end(void)
{
	hak_detach();
}
