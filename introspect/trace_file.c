#include "introspect/trace_file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "introspect/endpoint.h"
#include "introspect/memory.h"
#include "introspect/proc.h"
#include "introspect/protocol.h"
#include "introspect/quiet.h"
#include "introspect/ring.h"
#include "introspect/snapshot.h"
#include "introspect/trace_layout.h"
#include "lib/inspect.h"
#include "lib/trace.h"

#define MIRROR_SHARE 4            /* the mirror gets one part of so many of the file */
#define THREAD_BYTES (128u << 10) /* of the file, one row of threads */
#define THREADS_MIN 16u
#define THREADS_MAX 1024u
#define SHM_DIRECTORY "/dev/shm/hakmem-" /* where the other directories are on a disk */

/* Facts about the process, constant but for its end. */
struct process_row {
	uint32_t pid, ppid;
	uint64_t start_time;  /* as in a socket's name */
	uint64_t started_us;  /* CLOCK_MONOTONIC when the file was made */
	uint64_t realtime_us; /* CLOCK_REALTIME then */
	uint64_t ended_us;    /* CLOCK_MONOTONIC of a normal end, else 0 */
	uint64_t superslab_bytes, slot_bytes, slots_per_superslab;
	uint64_t ring_records; /* records of one ring */
	uint64_t groups;       /* bits of event groups that are recorded from the start */
	char version[16];
	char exe[512], cmdline[1024];
};

struct group_row {
	char name[16];
};

#define SIZE_OF(type, member) sizeof(((type *)0)->member)
#define NUMBER(type, member) {#member, offsetof(type, member), SIZE_OF(type, member), HAK_TRACE_NUMBER, 1, 0},
#define TEXT(type, member) {#member, offsetof(type, member), SIZE_OF(type, member), HAK_TRACE_TEXT, 1, 0},
/* A member of the structs that an array of the row holds, as "array.member". */
/* NOLINTBEGIN(bugprone-macro-parentheses): a member's name can't stand in parentheses */
#define COLUMN(type, array, member) \
	{#array "." #member, offsetof(type, array[0].member), SIZE_OF(type, array[0].member), HAK_TRACE_NUMBER, \
		SIZE_OF(type, array) / SIZE_OF(type, array[0]), SIZE_OF(type, array[0])},
/* NOLINTEND(bugprone-macro-parentheses) */

#define PROCESS_NUMBER(member) NUMBER(struct process_row, member)
#define POOL_NUMBER(member) NUMBER(struct hak_mirror_pool, member)
#define CLASS_NUMBER(member) NUMBER(struct hak_mirror_class, member)
#define SLOT_COLUMN(member) COLUMN(struct hak_mirror_superslab, slots, member)
#define COUNT_COLUMN(member) COLUMN(struct hak_mirror_thread, bins, member)

static const struct hak_trace_field process_fields[] = {
	PROCESS_NUMBER(pid) PROCESS_NUMBER(ppid) PROCESS_NUMBER(start_time) PROCESS_NUMBER(started_us)
	PROCESS_NUMBER(realtime_us) PROCESS_NUMBER(ended_us) PROCESS_NUMBER(superslab_bytes) PROCESS_NUMBER(slot_bytes)
	PROCESS_NUMBER(slots_per_superslab) PROCESS_NUMBER(ring_records) PROCESS_NUMBER(groups)
	TEXT(struct process_row, version) TEXT(struct process_row, exe) TEXT(struct process_row, cmdline)
};
static const struct hak_trace_field pool_fields[] = {
	POOL_NUMBER(sequence) POOL_NUMBER(clock_ms) POOL_NUMBER(heap_base) POOL_NUMBER(reserved_bytes)
	POOL_NUMBER(committed_bytes) POOL_NUMBER(metadata_bytes) POOL_NUMBER(superslabs_taken)
	POOL_NUMBER(superslabs_in_use) POOL_NUMBER(lru_length) POOL_NUMBER(large_slots) POOL_NUMBER(empty_slots)
	POOL_NUMBER(lru_capacity) POOL_NUMBER(drain_interval) POOL_NUMBER(threads_beyond)
#define HAK_STAT(name, meaning) {#name, offsetof(struct hak_mirror_pool, stats.name), 8, HAK_TRACE_NUMBER, 1, 0},
#include "lib/stats.def"
#undef HAK_STAT
};
static const struct hak_trace_field class_fields[] = {
	CLASS_NUMBER(block_bytes) CLASS_NUMBER(slots_per_slab) CLASS_NUMBER(slabs) CLASS_NUMBER(empty_slots)
	CLASS_NUMBER(stage1) CLASS_NUMBER(stage2) CLASS_NUMBER(stage3) CLASS_NUMBER(converted) CLASS_NUMBER(from_lru)
	CLASS_NUMBER(free_list_peak) CLASS_NUMBER(depot)
};
static const struct hak_trace_field superslab_fields[] = {
	NUMBER(struct hak_mirror_superslab, sequence) NUMBER(struct hak_mirror_superslab, place)
	NUMBER(struct hak_mirror_superslab, active_slots)
	SLOT_COLUMN(state) SLOT_COLUMN(class) SLOT_COLUMN(capacity) SLOT_COLUMN(span) SLOT_COLUMN(since_ms)
	SLOT_COLUMN(used)
};
static const struct hak_trace_field thread_fields[] = {
	NUMBER(struct hak_mirror_thread, kind) NUMBER(struct hak_mirror_thread, tid)
	COUNT_COLUMN(allocs) COUNT_COLUMN(frees) COUNT_COLUMN(cached_blocks)
};
static const struct hak_trace_field ring_fields[] = {
	{"head", HAK_RING_HEAD_AT, 8, HAK_TRACE_NUMBER, 1, 0}, {"first", HAK_RING_FIRST_AT, 8, HAK_TRACE_NUMBER, 1, 0}};
#define EVENT_NUMBER(member) \
	{#member, HAK_RING_EVENT_AT + offsetof(struct hak_event, member), SIZE_OF(struct hak_event, member), \
		HAK_TRACE_NUMBER, 1, 0},
static const struct hak_trace_field record_fields[] = {
	{"sequence", 0, 8, HAK_TRACE_NUMBER, 1, 0},
	EVENT_NUMBER(time_ns) EVENT_NUMBER(tid) EVENT_NUMBER(id)
	{"arg", HAK_RING_EVENT_AT + offsetof(struct hak_event, arg), 8, HAK_TRACE_NUMBER, HAK_EVENT_ARGS, 8},
};
static const struct hak_trace_field lost_fields[] = {{"unrecorded", 0, 8, HAK_TRACE_NUMBER, 1, 0}};
#define TYPE struct hak_event_type
static const struct hak_trace_field type_fields[] = {
	TEXT(TYPE, name) NUMBER(TYPE, group) NUMBER(TYPE, args)
	{"kind", offsetof(TYPE, kind), 1, HAK_TRACE_NUMBER, HAK_EVENT_ARGS, 1},
	{"arg", offsetof(TYPE, arg), SIZE_OF(TYPE, arg[0]), HAK_TRACE_TEXT, HAK_EVENT_ARGS, SIZE_OF(TYPE, arg[0])},
};
static const struct hak_trace_field group_fields[] = {TEXT(struct group_row, name)};

/* The sections: X(name, fields, bytes of a row). */
#define SECTIONS(X) \
	X(process, process_fields, sizeof(struct process_row)) \
	X(pool, pool_fields, sizeof(struct hak_mirror_pool)) \
	X(classes, class_fields, sizeof(struct hak_mirror_class)) \
	X(groups, group_fields, sizeof(struct group_row)) \
	X(event_types, type_fields, sizeof(struct hak_event_type)) \
	X(threads, thread_fields, sizeof(struct hak_mirror_thread)) \
	X(superslabs, superslab_fields, sizeof(struct hak_mirror_superslab)) \
	X(rings, ring_fields, 0) \
	X(records, record_fields, 0) \
	X(lost, lost_fields, sizeof(uint64_t))

enum section {
#define X(name, fields, stride) SECTION_##name,
	SECTIONS(X)
#undef X
	SECTION_COUNT
};

static const struct section_type {
	const char *name;
	const struct hak_trace_field *fields;
	uint32_t count;
	uint32_t stride;
} section_types[] = {
#define X(name, fields, stride) {#name, fields, HAK_COUNT_OF(fields), stride},
	SECTIONS(X)
#undef X
};

/* Where everything is in a file. */
struct plan {
	struct hak_trace_section sections[SECTION_COUNT];
	uint64_t bytes, sections_at, fields_at, ring_bytes, rings_at;
	uint32_t fields;
};

/* Wiped in a child that is forked, by whatever means. */
struct control {
	struct hak_mirror mirror;
	uint32_t alive;
};

/* Written by one thread at a time (attach.c); `memory` is there for good once it is. */
static struct {
	char *memory;
	struct plan plan;
	struct control *control;
	uint32_t *moving; /* of control's mirror; kept for the child's, like control */
	size_t moving_count;
	char path[HAK_PROTOCOL_PATH_MAX];
	bool in_runtime_dir;
	pid_t owner;
	dev_t device;
	ino_t inode;
} file;

/* ---- Layout ---- */

static void plan_section(struct plan *plan, enum section section, uint64_t count, uint64_t *at)
{
	struct hak_trace_section *out = &plan->sections[section];

	out->at = *at;
	out->count = count;
	out->stride = section_types[section].stride;
	*at += hak_align_up(count * out->stride, 64);
}

/* The rings get what the rest leaves. */
static void plan_rings(struct plan *plan, uint64_t at)
{
	uint64_t left = plan->bytes > at ? plan->bytes - at : 0;
	struct hak_ring_layout rings;

	/* A ring's own row is a 64th of the smallest ring. */
	plan->ring_bytes = left - left / 64;
	plan->rings_at = at;
	hak_ring_layout(plan->ring_bytes, &rings);
	plan->sections[SECTION_rings].at = at + rings.rings_at;
	plan->sections[SECTION_rings].count = rings.rings;
	plan->sections[SECTION_rings].stride = rings.ring_stride;
	plan->sections[SECTION_records].at = at + rings.records_at;
	plan->sections[SECTION_records].count = rings.rings * rings.records;
	plan->sections[SECTION_records].stride = rings.record_stride;
	plan->sections[SECTION_lost].at = at + rings.unrecorded_at;
	plan->sections[SECTION_lost].count = 1;
	plan->sections[SECTION_lost].stride = sizeof(uint64_t);
	at += hak_ring_bytes(plan->ring_bytes);
	if (at > plan->bytes)
		plan->bytes = at; /* there is a least number of rings, of a least size */
}

static void make_plan(struct plan *plan, uint64_t bytes)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uint64_t at = sizeof(struct hak_trace_header), threads = bytes / THREAD_BYTES;

	*plan = (struct plan){.bytes = bytes, .sections_at = at};
	at += SECTION_COUNT * sizeof(struct hak_trace_section);
	plan->fields_at = at;
	for (unsigned i = 0; i < SECTION_COUNT; i++) {
		memcpy(plan->sections[i].name, section_types[i].name, strlen(section_types[i].name));
		plan->sections[i].first_field = plan->fields;
		plan->sections[i].fields = section_types[i].count;
		plan->fields += section_types[i].count;
	}
	at = hak_align_up(at + plan->fields * sizeof(struct hak_trace_field), 64);
	plan_section(plan, SECTION_process, 1, &at);
	plan_section(plan, SECTION_pool, 1, &at);
	plan_section(plan, SECTION_classes, HAK_CLASS_COUNT, &at);
	plan_section(plan, SECTION_groups, HAK_TRACE_GROUP_COUNT, &at);
	plan_section(plan, SECTION_event_types, HAK_EVENT_ID_COUNT, &at);
	threads = threads < THREADS_MIN ? THREADS_MIN : threads > THREADS_MAX ? THREADS_MAX : threads;
	plan_section(plan, SECTION_threads, threads, &at);
	plan_section(plan, SECTION_superslabs, bytes / MIRROR_SHARE / sizeof(struct hak_mirror_superslab), &at);
	plan_rings(plan, hak_align_up(at, page));
	plan->bytes = hak_align_up(plan->bytes, page);
}

static void *section_at(const struct plan *plan, char *memory, enum section section)
{
	return memory + plan->sections[section].at;
}

/* Writes what stays constant. `row` tells of the process. The magic comes last. */
static void write_constants(const struct plan *plan, char *memory, const struct process_row *row)
{
	struct hak_trace_header header = {.byte_order = HAK_TRACE_FILE_ORDER, .version = HAK_TRACE_FILE_VERSION,
		.word_bytes = sizeof(void *), .file_bytes = plan->bytes, .sections_at = plan->sections_at,
		.fields_at = plan->fields_at, .sections = SECTION_COUNT, .fields = plan->fields,
		.section_stride = sizeof(struct hak_trace_section), .field_stride = sizeof(struct hak_trace_field)};
	struct hak_trace_field *fields = (struct hak_trace_field *)(memory + plan->fields_at);
	struct process_row *process = section_at(plan, memory, SECTION_process);
	struct group_row *groups = section_at(plan, memory, SECTION_groups);

	memcpy(memory, &header, sizeof(header));
	memcpy(memory + plan->sections_at, plan->sections, sizeof(plan->sections));
	for (unsigned i = 0; i < SECTION_COUNT; i++) {
		memcpy(fields, section_types[i].fields, section_types[i].count * sizeof(*fields));
		fields += section_types[i].count;
	}
	*process = *row;
	process->ring_records = plan->sections[SECTION_records].count / plan->sections[SECTION_rings].count;
	memcpy(section_at(plan, memory, SECTION_event_types), hak_event_types, sizeof(hak_event_types));
	for (unsigned i = 0; i < HAK_TRACE_GROUP_COUNT; i++)
		hak_copy_text(groups[i].name, sizeof(groups[i].name), hak_trace_group_names[i]);
	memcpy(memory, HAK_TRACE_FILE_MAGIC, sizeof(header.magic));
}

/* ---- The file in its directory ---- */

/* Maps a file that was just made, and closes it. Returns the memory, or NULL with errno set. */
static char *map_and_close(int fd, uint64_t bytes)
{
	struct hak_quiet quiet;
	char *memory = NULL;
	int error;

	/* A limit on the size of files raises a signal. */
	hak_quiet_begin(&quiet);
	error = posix_fallocate(fd, 0, (off_t)bytes);
	hak_quiet_end(&quiet);
	if (error == 0) {
		memory = hak_memory_map_file(fd, bytes);
		error = memory ? 0 : errno;
	}
	close(fd);
	errno = error;
	return memory;
}

/* Makes the file `name` in the directory: under a temporary name until it can be read. The descriptors' lock is held.
 * Returns 0 or a negative errno. */
static int make_in(int directory_fd, const char *name, const char *temporary, const struct process_row *row)
{
	struct stat status;
	int fd, result = 0;

	if (fstatat(directory_fd, name, &status, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISREG(status.st_mode))
		return -EEXIST; /* what is no file stays what it is */
	unlinkat(directory_fd, temporary, 0);
	fd = openat(directory_fd, temporary, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &status) != 0) {
		result = -errno;
		close(fd);
	} else {
		file.device = status.st_dev;
		file.inode = status.st_ino;
		file.memory = map_and_close(fd, file.plan.bytes);
		result = file.memory ? 0 : -errno;
	}
	if (result == 0) {
		write_constants(&file.plan, file.memory, row);
		if (renameat(directory_fd, temporary, directory_fd, name) == 0)
			return 0;
		result = -errno;
		hak_memory_unmap(file.memory, file.plan.bytes);
		file.memory = NULL;
	}
	unlinkat(directory_fd, temporary, 0);
	return result;
}

/* A path that the user chose. */
static int make_at(const char *path, const struct process_row *row)
{
	char temporary[HAK_PROTOCOL_PATH_MAX + 32];
	struct hak_protocol_text text = {temporary, sizeof(temporary), 0, false};
	int result;

	hak_protocol_put(&text, path);
	hak_protocol_put(&text, ".");
	hak_protocol_put_number(&text, row->pid);
	hak_protocol_put(&text, ".tmp");
	hak_copy_text(file.path, sizeof(file.path), path);
	if (text.overflow || strlen(path) >= sizeof(file.path))
		return -ENAMETOOLONG;
	result = make_in(AT_FDCWD, path, temporary, row);
	return result;
}

static void put_name(struct hak_protocol_text *text, pid_t pid, uint64_t start_time)
{
	hak_protocol_put_number(text, (uint64_t)pid);
	hak_protocol_put(text, "-");
	hak_protocol_put_number(text, start_time);
	hak_protocol_put(text, HAK_TRACE_FILE_SUFFIX);
}

/* Takes `<pid>-<start time>.trace` apart. */
static bool parse_name(const char *name, pid_t *pid, uint64_t *start_time)
{
	uint64_t number;
	const char *rest = hak_protocol_read_number(name, &number);

	if (!rest || number == 0 || number > INT32_MAX || *rest != '-')
		return false;
	*pid = (pid_t)number;
	rest = hak_protocol_read_number(rest + 1, start_time);
	return rest && strcmp(rest, HAK_TRACE_FILE_SUFFIX) == 0;
}

/* The newest files of dead processes that a sweep has come by. */
struct sweep {
	unsigned count;
	struct {
		uint64_t start_time;
		char name[HAK_PROTOCOL_NAME_MAX];
	} kept[HAK_TRACE_FILES_KEPT];
};

/* Keeps the file if it is among the newest, and removes the one that it displaces. */
static void sweep_file(struct sweep *sweep, int directory_fd, const char *name, uint64_t start_time)
{
	unsigned oldest = 0;

	if (sweep->count < HAK_TRACE_FILES_KEPT) {
		oldest = sweep->count++;
	} else {
		for (unsigned i = 1; i < HAK_TRACE_FILES_KEPT; i++) {
			if (sweep->kept[i].start_time < sweep->kept[oldest].start_time)
				oldest = i;
		}
		if (start_time <= sweep->kept[oldest].start_time) {
			unlinkat(directory_fd, name, 0);
			return;
		}
		unlinkat(directory_fd, sweep->kept[oldest].name, 0);
	}
	sweep->kept[oldest].start_time = start_time;
	hak_copy_text(sweep->kept[oldest].name, sizeof(sweep->kept[oldest].name), name);
}

static bool sweep_visit(int directory_fd, const char *name, void *argument)
{
	bool temporary = *name == '.';
	struct stat status;
	uint64_t start_time;
	pid_t pid;

	if (!parse_name(name + temporary, &pid, &start_time) || strlen(name) >= HAK_PROTOCOL_NAME_MAX)
		return false;
	if (!hak_proc_is_gone(pid, start_time) || fstatat(directory_fd, name, &status, AT_SYMLINK_NOFOLLOW) != 0 ||
		!S_ISREG(status.st_mode) || status.st_uid != geteuid())
		return true;
	if (temporary)
		unlinkat(directory_fd, name, 0); /* its process died while it made the file */
	else
		sweep_file(argument, directory_fd, name, start_time);
	return true;
}

/* Whether a directory, or the one that it would be made in, is memory rather than a disk. */
static bool is_memory(const char *directory)
{
	char parent[HAK_PROTOCOL_PATH_MAX];
	struct statfs status;
	char *slash;

	hak_copy_text(parent, sizeof(parent), directory);
	if (statfs(parent, &status) != 0) {
		slash = strrchr(parent, '/');
		if (!slash || slash == parent)
			return false;
		*slash = 0;
		if (statfs(parent, &status) != 0)
			return false;
	}
	return status.f_type == TMPFS_MAGIC || status.f_type == RAMFS_MAGIC;
}

/* The directories to try, best first: those of the endpoint, then one in /dev/shm. Returns false behind the last. */
static bool candidate_directory(unsigned candidate, const struct hak_trace_file_options *options, const char *xdg,
	char *out, size_t size)
{
	struct hak_protocol_text text = {out, size, 0, false};

	if (hak_protocol_directory(candidate, options->hakmem_dir, xdg, geteuid(), out, size))
		return true;
	if ((options->hakmem_dir && *options->hakmem_dir) || candidate == 0 ||
		!hak_protocol_directory(candidate - 1, options->hakmem_dir, xdg, geteuid(), out, size))
		return false;
	text.length = 0;
	hak_protocol_put(&text, SHM_DIRECTORY);
	hak_protocol_put_number(&text, geteuid());
	return true;
}

static int make_in_directory(const char *directory, const struct process_row *row)
{
	char name[HAK_PROTOCOL_NAME_MAX] = ".";
	struct hak_protocol_text text = {name, sizeof(name), 1, false};
	struct hak_protocol_text path = {file.path, sizeof(file.path), 0, false};
	struct sweep sweep = {0};
	int directory_fd, result;

	put_name(&text, (pid_t)row->pid, row->start_time);
	hak_protocol_put(&path, directory);
	hak_protocol_put(&path, "/");
	hak_protocol_put(&path, name + 1);
	if (text.overflow || path.overflow)
		return -ENAMETOOLONG;
	/* First, so that there is room. */
	hak_endpoint_walk(directory, sweep_visit, &sweep);
	directory_fd = hak_endpoint_directory(directory);
	result = directory_fd < 0 ? directory_fd : make_in(directory_fd, name + 1, name, row);
	if (directory_fd >= 0)
		close(directory_fd);
	return result;
}

/* Tries the directories that are memory, then the others. */
static int make_in_runtime_dir(const struct hak_trace_file_options *options, const struct process_row *row)
{
	const char *xdg = hak_endpoint_runtime_dir(options->xdg_runtime_dir);
	char directory[HAK_PROTOCOL_PATH_MAX];
	int result = -ENAMETOOLONG;

	for (unsigned pass = 0; pass < 2 && result < 0; pass++) {
		for (unsigned i = 0; result < 0 && candidate_directory(i, options, xdg, directory, sizeof(directory)); i++) {
			if (is_memory(directory) == (pass == 0))
				result = make_in_directory(directory, row);
		}
	}
	return result;
}

/* ---- The file in use ---- */

/* The page that is wiped in children, and the mirror's list. They serve a child's own file too. */
static int make_control(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t rows = file.plan.sections[SECTION_superslabs].count;
	struct control *control = file.control;

	_Static_assert(sizeof(struct control) <= 4096, "it fits the smallest page");
	if (!file.moving)
		file.moving = hak_memory_map(rows * sizeof(*file.moving), HAK_MEMORY_INHERIT);
	if (!file.moving)
		return -ENOMEM;
	if (!control)
		control = hak_memory_map(page, HAK_MEMORY_INHERIT);
	if (!control)
		return -ENOMEM;
	hak_stat_add(madvise, 1);
	if (madvise(control, page, MADV_WIPEONFORK) != 0) {
		int error = errno;

		if (!file.control)
			hak_memory_unmap(control, page);
		return -error;
	}
	file.control = control;
	return 0;
}

static void start(void)
{
	char *memory = file.memory;
	struct plan *plan = &file.plan;
	struct control *control = file.control;

	if (hak_ring_count() == 0)
		hak_ring_start_in(memory + plan->rings_at, plan->ring_bytes);
	control->mirror = (struct hak_mirror){
		.superslabs = section_at(plan, memory, SECTION_superslabs),
		.superslab_count = (uint32_t)plan->sections[SECTION_superslabs].count,
		.classes = section_at(plan, memory, SECTION_classes),
		.pool = section_at(plan, memory, SECTION_pool),
		.threads = section_at(plan, memory, SECTION_threads),
		.thread_count = (uint32_t)plan->sections[SECTION_threads].count,
		.moving = file.moving,
	};
	hak_store_release(&control->alive, 1);
	hak_inspect_mirror(&control->mirror);
}

int hak_trace_file_open(const struct hak_trace_file_options *options, char *tried, size_t size)
{
	struct process_row row = {.pid = (uint32_t)getpid(), .ppid = (uint32_t)getppid(), .groups = options->groups,
		.superslab_bytes = HAK_SS_BYTES, .slot_bytes = HAK_SLOT_BYTES, .slots_per_superslab = HAK_SLOTS_PER_SS,
		.started_us = hak_snapshot_now_us(), .realtime_us = hak_snapshot_clock_us(CLOCK_REALTIME)};
	bool in_runtime_dir = !options->path || !*options->path;
	struct hak_proc_stat stat;
	int result;

	hak_proc_stat(&stat);
	row.start_time = stat.start_time;
	hak_proc_exe(row.exe, sizeof(row.exe));
	hak_proc_cmdline(row.cmdline, sizeof(row.cmdline));
	hak_copy_text(row.version, sizeof(row.version), HAKMEM_VERSION);
	make_plan(&file.plan, options->bytes);
	hak_copy_text(file.path, sizeof(file.path), NULL);
	file.in_runtime_dir = in_runtime_dir;
	result = make_control();
	if (result == 0)
		result = in_runtime_dir ? make_in_runtime_dir(options, &row) : make_at(options->path, &row);
	hak_copy_text(tried, size, file.path);
	if (result < 0)
		return result;
	file.owner = getpid();
	start();
	return 0;
}

bool hak_trace_file_is_open(void)
{
	return file.memory != NULL;
}

const uint32_t *hak_trace_file_alive(void)
{
	return file.control ? &file.control->alive : NULL;
}

void hak_trace_file_after_fork(void)
{
	if (!file.memory)
		return;
	/* The control record is filled in again while other threads run. */
	hak_inspect_mirror(NULL);
	hak_memory_unmap(file.memory, file.plan.bytes);
	file.memory = NULL;
	file.owner = 0;
}

void hak_trace_file_end(void)
{
	struct process_row *process;
	struct stat status;

	if (!file.memory || file.owner != getpid())
		return;
	process = section_at(&file.plan, file.memory, SECTION_process);
	hak_store_relaxed(&process->ended_us, hak_snapshot_now_us());
	if (file.in_runtime_dir && lstat(file.path, &status) == 0 && status.st_dev == file.device &&
		status.st_ino == file.inode)
		unlink(file.path);
}
