/* The file: where it lies, what is in it, who removes it, and what a child may store there. Each case in a child of its
 * own, as a process has one such file. */
#include "introspect/trace_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "introspect/memory.h"
#include "introspect/ring.h"
#include "introspect/trace_layout.h"
#include "lib/hakmem.h"
#include "lib/inspect.h"
#include "lib/trace.h"
#include "tests/unit/folder.h"

#define BYTES (1u << 20)

static char tried[512];

static int open_file(const char *path)
{
	struct hak_trace_file_options options = {.path = path, .hakmem_dir = folder, .bytes = BYTES};
	return hak_trace_file_open(&options, tried, sizeof(tried));
}

static void remove_folder(void)
{
	char command[128];
	snprintf(command, sizeof(command), "rm -r '%s'", folder);
	UNIT_EQUAL(system(command), 0);
}

static int files(void)
{
	DIR *directory = opendir(folder);
	int count = -2; /* . and .. */
	while (directory && readdir(directory))
		count++;
	closedir(directory);
	return count;
}

static void emit(uint64_t number)
{
	struct hak_event event = {number, (uint32_t)gettid(), HAK_EVENT_ID_large_free, 0, {number}};
	if (*hak_trace_file_alive())
		hak_ring_record(&event);
}

/* What the file at `path` holds: the events, and the pool's sequence word. Reads as another process would. */
static char *contents(const char *path)
{
	static char bytes[BYTES + 65536];
	int fd = open(path, O_RDONLY);
	ssize_t length = fd < 0 ? -1 : read(fd, bytes, sizeof(bytes));
	if (fd >= 0)
		close(fd);
	return length > 0 ? bytes : NULL;
}

static const struct hak_trace_section *section(const char *bytes, const char *name)
{
	const struct hak_trace_header *header = (const struct hak_trace_header *)bytes;
	const struct hak_trace_section *sections = (const struct hak_trace_section *)(bytes + header->sections_at);
	for (uint32_t i = 0; i < header->sections; i++) {
		if (strcmp(sections[i].name, name) == 0)
			return &sections[i];
	}
	return NULL;
}

/* Σ over the rings of the events ever written. */
static uint64_t recorded(const char *bytes)
{
	const struct hak_trace_section *rings = section(bytes, "rings");
	uint64_t sum = 0, head;
	for (uint64_t i = 0; i < rings->count; i++) {
		memcpy(&head, bytes + rings->at + i * rings->stride, sizeof(head));
		sum += head;
	}
	return sum;
}

static uint32_t pool_sequence(const char *bytes)
{
	uint32_t sequence;
	memcpy(&sequence, bytes + section(bytes, "pool")->at, sizeof(sequence));
	return sequence;
}

static void run_made(void *argument)
{
	struct stat status = {0};
	int lowest = dup(STDERR_FILENO);
	(void)argument;
	close(lowest);
	unsigned descriptors = unit_descriptors();
	fprintf(stderr, "%d ", open_file(NULL));
	fprintf(stderr, "%d ", stat(tried, &status) == 0 && status.st_size == BYTES && status.st_blocks * 512 >= BYTES);
	fprintf(stderr, "%o %d ", status.st_mode & 07777, unit_descriptors() == descriptors);
	fprintf(stderr, "%d ", dup(STDERR_FILENO) - lowest);
	for (uint64_t i = 0; i < 10; i++)
		emit(i);
	hak_free(hak_malloc(3 << 20));
	const char *bytes = contents(tried);
	fprintf(stderr, "%d %d %d ", bytes && memcmp(bytes, "HAKTRACE", 8) == 0, (int)recorded(bytes),
		pool_sequence(bytes) > 0 && pool_sequence(bytes) % 2 == 0);
	hak_trace_file_end();
	fprintf(stderr, "%d", files());
}

static void made_and_removed(void)
{
	char seen[256];
	make_folder();
	UNIT_EQUAL(unit_in_child(run_made, NULL, seen, sizeof(seen)), 0);
	UNIT_STRING(seen, "0 1 600 1 0 1 10 1 0");
	remove_folder();
}

static void run_killed(void *argument)
{
	open_file(argument);
	raise(SIGKILL);
}

static void run_named(void *argument)
{
	char path[256];
	snprintf(path, sizeof(path), "%s", below("name"));
	(void)argument;
	fprintf(stderr, "%d ", open_file(path));
	hak_trace_file_end();
	uint64_t ended;
	const char *bytes = contents(path);
	memcpy(&ended, bytes + section(bytes, "process")->at + 32, sizeof(ended));
	fprintf(stderr, "%d", ended > 0);
}

/* A name that the user chose is kept; another process's replaces it, but nothing that is no file. */
static void names_are_kept(void)
{
	char seen[64];
	make_folder();
	UNIT_EQUAL(unit_in_child(run_named, NULL, seen, sizeof(seen)), 0);
	UNIT_STRING(seen, "0 1");
	UNIT_EQUAL(unit_in_child(run_named, NULL, seen, sizeof(seen)), 0);
	UNIT_STRING(seen, "0 1");
	UNIT_EQUAL(files(), 1);
	UNIT_EQUAL(open_file("/dev/null"), -EEXIST);
	UNIT_EQUAL(open_file("/nonexistent/x"), -ENOENT);
	remove_folder();
}

static void the_newest_of_the_dead_are_kept(void)
{
	char seen[64];
	make_folder();
	for (int i = 0; i < HAK_TRACE_FILES_KEPT + 3; i++)
		unit_in_child(run_killed, NULL, seen, sizeof(seen));
	/* The last one's was made after the sweep. */
	UNIT_EQUAL(files(), HAK_TRACE_FILES_KEPT + 1);
	/* What is not ours to remove. */
	close(open(below("1-1.trace"), O_CREAT | O_WRONLY, 0600)); /* a living pid with another start time: dead */
	close(open(below("other.trace"), O_CREAT | O_WRONLY, 0600));
	close(open(below(".2000000000-5.trace"), O_CREAT | O_WRONLY, 0600)); /* half made, process gone */
	mkdir(below("2000000001-5.trace"), 0700);
	unit_in_child(run_made, NULL, seen, sizeof(seen));
	UNIT_EQUAL(access(below("other.trace"), F_OK), 0);
	UNIT_EQUAL(access(below("2000000001-5.trace"), F_OK), 0);
	CU_ASSERT_TRUE(access(below(".2000000000-5.trace"), F_OK) != 0);
	CU_ASSERT_TRUE(access(below("1-1.trace"), F_OK) != 0);
	UNIT_EQUAL(files(), HAK_TRACE_FILES_KEPT + 2);
	remove_folder();
}

static void run_without_room(void *argument)
{
	struct rlimit limit = {BYTES / 2, BYTES / 2};
	(void)argument;
	setrlimit(RLIMIT_FSIZE, &limit);
	fprintf(stderr, "%d %d %d", open_file(NULL) == -EFBIG, files(), (int)hak_ring_count());
}

static void no_room_no_file(void)
{
	char seen[64];
	make_folder();
	UNIT_EQUAL(unit_in_child(run_without_room, NULL, seen, sizeof(seen)), 0);
	UNIT_STRING(seen, "1 0 0");
	remove_folder();
}

/* What a child does with the heap and the rings, its parent's file untouched. */
static void be_child(void)
{
	emit(1000);
	for (int i = 0; i < 100; i++)
		hak_free(hak_malloc((size_t)(3 + i) << 20));
}

/* Makes a child by `how` and lets it work; tells whether the file changed meanwhile. */
static bool child_changes_file(const char *how)
{
	uint64_t before = recorded(contents(tried));
	uint32_t sequence = pool_sequence(contents(tried));
	pid_t child = strcmp(how, "_Fork") == 0 ? _Fork() : strcmp(how, "clone") == 0 ? (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) : fork();
	if (child == 0) {
		be_child();
		_exit(0);
	}
	waitpid(child, NULL, 0);
	return recorded(contents(tried)) != before || pool_sequence(contents(tried)) != sequence;
}

static void run_children(void *argument)
{
	(void)argument;
	open_file(NULL);
	hak_free(hak_malloc(3 << 20));
	emit(1);
	fprintf(stderr, "%d ", child_changes_file("_Fork"));
	fprintf(stderr, "%d ", child_changes_file("clone"));
	fprintf(stderr, "%d ", child_changes_file("fork"));
	emit(2);
	hak_free(hak_malloc(3 << 20));
	fprintf(stderr, "%d ", (int)recorded(contents(tried)));
	pid_t child = fork();
	if (child == 0) {
		/* As attach.c does in its handler, and later. */
		char parents[512];
		memcpy(parents, tried, sizeof(parents));
		hak_trace_file_after_fork();
		hak_ring_abandon();
		emit(3);
		int result = open_file(NULL);
		fprintf(stderr, "%d %d ", result, strcmp(parents, tried) != 0);
		emit(4);
		hak_free(hak_malloc(3 << 20));
		fprintf(stderr, "%d %d ", (int)recorded(contents(tried)), pool_sequence(contents(tried)) > 2);
		fprintf(stderr, "%d ", (int)recorded(contents(parents)));
		hak_trace_file_end();
		_exit(0);
	}
	waitpid(child, NULL, 0);
	fprintf(stderr, "%d ", files());
	hak_trace_file_end();
	fprintf(stderr, "%d", files());
}

static void children_have_their_own(void)
{
	UNIT_LEAVE_IF(unit_is_emulated(), "the emulator ignores MADV_WIPEONFORK");
	char seen[256];
	make_folder();
	UNIT_EQUAL(unit_in_child(run_children, NULL, seen, sizeof(seen)), 0);
	UNIT_STRING(seen, "0 0 0 2 0 1 1 1 2 1 0");
	remove_folder();
}

UNIT_MAIN("trace_file", UNIT(made_and_removed), UNIT(names_are_kept), UNIT(the_newest_of_the_dead_are_kept),
	UNIT(no_room_no_file), UNIT(children_have_their_own))
