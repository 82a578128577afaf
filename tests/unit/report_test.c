/* Reports of misuse: the exact text and facts, how many are printed, and what follows. */
#include "lib/report.h"

#include "lib/front_cache.h"
#include "lib/hakmem.h"
#include "lib/settings.h"
#include "lib/stats.h"
#include "lib/trace.h"
#include "tests/unit/reports.h"
#include "tests/unit/unit.h"

#define FOREIGN ((void *)0x1000)

static char said[8192];

static void report_some(void *count)
{
	hak_settings.on_error = HAK_ON_ERROR_REPORT;
	for (int i = 0; i < *(int *)count; i++) {
		hak_report(HAK_REPORT_INVALID_FREE, FOREIGN);
		hak_trace_flush();
	}
	_exit((int)hak_stat_get(misuse_reports));
}

static void text_of_a_report(void)
{
	int count = 1;
	int status = unit_in_child(report_some, &count, said, sizeof(said));
	UNIT_EQUAL(WEXITSTATUS(status), 1);
	UNIT_STRING(said, "hakmem: free of an address that is not HAKMEM's (address=0x1000)\n");
}

/* A loop over bad pointers must not fill a disk: eight are printed, all are counted. */
static void only_the_first_are_printed(void)
{
	int count = 100;
	unsigned lines = 0;
	int status = unit_in_child(report_some, &count, said, sizeof(said));
	UNIT_EQUAL(WEXITSTATUS(status), 100);
	CU_ASSERT_PTR_NOT_NULL(strstr(said, "; further reports of this kind are only counted\n"));
	for (char *p = said; (p = strchr(p, '\n')) != NULL; p++)
		lines++;
	UNIT_EQUAL(lines, 8);
}

/* What is known of an address of ours: each line is built here once more from the heap's geometry. */
#define NOT_A_BLOCK "of an address that is not the start of a live block"
#define DAMAGED "free list damaged by a write to freed memory, or by a free inside a block"

/* Says on stdout what is expected of the next report. `slab` is the slab's start, or where there is none the slot's. */
static void expect(const char *text, const void *address, const void *slab, const char *rest)
{
	uintptr_t start = (uintptr_t)slab;
	printf("hakmem: %s (address=%p ss=0x%zx slab=%zu state=%s)\n", text, address,
		(size_t)hak_align_down(start, HAK_SS_BYTES), (size_t)(start % HAK_SS_BYTES / HAK_SLOT_BYTES), rest);
}

/* What guards say, of a block that isn't in the heap's range. */
static void report_guarded_facts(void)
{
	struct hak_guarded block = {.address = 0x2000, .bytes = 100, .state = HAK_GUARDED_LIVE};
	struct hak_report_details details;
	printf("hakmem: write beyond a block's end (address=0x2064 guarded block=0x2000 bytes=100 offset=100 live damage=3)\n");
	hak_report_damage(HAK_REPORT_OVERFLOW, (void *)0x2064, 3, &block);
	printf("hakmem: write before a block's beginning (address=0x1fff guarded block=0x2000 bytes=100 offset=-1 live damage=1)\n");
	hak_report_damage(HAK_REPORT_UNDERFLOW, (void *)0x1fff, 1, &block);
	block.state = HAK_GUARDED_FREED;
	printf("hakmem: block freed twice (address=0x2000 guarded block=0x2000 bytes=100 offset=0 freed)\n");
	hak_report_guarded(HAK_REPORT_DOUBLE_FREE, (void *)0x2000, &block);
	printf("hakmem: block freed with a size or an alignment that it can't have (address=0x2000 guarded block=0x2000 bytes=100 "
	       "offset=0 freed said_bytes=200 said_alignment=64)\n");
	hak_report_size((void *)0x2000, 200, 64, &block);
	hak_trace_flush();
	/* Of a fault the caller is told, who prints it. */
	printf("hakmem: access to a block that was freed (address=0x2001 guarded block=0x2000 bytes=100 offset=1 freed access=write)\n");
	if (!hak_report_fault(HAK_REPORT_FAULT_AFTER_FREE, 0x2001, HAK_ACCESS_WRITE, &block, &details) ||
		details.end != HAK_REPORT_GOES_ON || details.tid != (uint32_t)getpid() || details.block.bytes != 100)
		_exit(3);
	fprintf(stderr, "%s\n", details.line);
}

static void report_facts(void)
{
	char *small = hak_malloc(100), *large = hak_malloc(200000), *huge = hak_malloc(5 << 20), at[40], inside[40], link[60];
	size_t block = (uintptr_t)small % HAK_SLOT_BYTES / 112;
	hak_settings.on_error = HAK_ON_ERROR_REPORT;
	snprintf(at, sizeof(at), "ACTIVE class=6 block=%zu offset=0", block);
	snprintf(inside, sizeof(inside), "ACTIVE class=6 block=%zu offset=16", block);
	snprintf(link, sizeof(link), "%s link=0x1000", at);
	expect("free " NOT_A_BLOCK, small + 16, small, inside);
	hak_report(HAK_REPORT_INVALID_FREE, small + 16);
	expect("realloc " NOT_A_BLOCK, large + 65537, large, "ACTIVE large slots=4 offset=65537");
	hak_report(HAK_REPORT_INVALID_REALLOC, large + 65537);
	expect("malloc_usable_size " NOT_A_BLOCK, huge + 4259840, huge, "ACTIVE large slots=96 offset=4259840");
	hak_report(HAK_REPORT_INVALID_USABLE, huge + 4259840);
	expect("block freed twice", small, small, at);
	hak_report(HAK_REPORT_DOUBLE_FREE, small);
	expect("block freed with a size or an alignment that it can't have", small, small, at);
	hak_report(HAK_REPORT_WRONG_SIZE, small);
	expect(DAMAGED, small, small, link);
	hak_report_link(small, FOREIGN);
	printf("hakmem: " DAMAGED " (address=0x1000)\n");
	hak_report_link(NULL, FOREIGN);
	/* Freed, it waits in the thread's cache: that tells a second free from any other. */
	hak_free(large);
	expect("block freed twice", large, large, "ACTIVE large slots=4 offset=0");
	hak_free(large);
	hak_trim();
	expect("free " NOT_A_BLOCK, large, large, "EMPTY large slots=4 offset=0");
	hak_free(large);
	hak_free(huge);
	hak_trim();
	expect("free " NOT_A_BLOCK, huge + 100000, huge + HAK_SLOT_BYTES, "UNUSED");
	hak_free(huge + 100000);
	report_guarded_facts();
	fflush(stdout);
}

/* The child's stdout, which says what is expected, goes to a file. */
static void report_facts_beside(void *path)
{
	if (freopen(path, "w", stdout) == NULL)
		_exit(2);
	report_facts();
}

static void each_report_has_its_facts(void)
{
	char path[] = "/tmp/hakmem-report-XXXXXX", expected[sizeof(said)];
	int fd = mkstemp(path);
	CU_ASSERT_TRUE_FATAL(fd >= 0);
	UNIT_EQUAL(unit_in_child(report_facts_beside, path, said, sizeof(said)), 0);
	ssize_t length = read(fd, expected, sizeof(expected) - 1);
	close(fd);
	unlink(path);
	CU_ASSERT_TRUE_FATAL(length > 0);
	expected[length] = '\0';
	UNIT_STRING(said, expected);
}

/* ---- What follows ---- */

struct mistake {
	enum hak_on_error setting;
	void *address; /* NULL: inside a block of ours */
	bool locked;   /* reported with a lock held, released before the flush */
};

static void say(const char *text)
{
	if (write(STDERR_FILENO, text, strlen(text)) < 0)
		_exit(9);
}

static void make_mistake(void *argument)
{
	static struct hak_lock lock = HAK_LOCK_INIT(HAK_RANK_POOL);
	const struct mistake *mistake = argument;
	char *block = hak_malloc(100);
	hak_settings.on_error = mistake->setting;
	if (mistake->locked)
		hak_lock_acquire(&lock);
	hak_report(HAK_REPORT_INVALID_FREE, mistake->address != NULL ? mistake->address : block + 16);
	say("reported\n");
	if (mistake->locked)
		hak_lock_release(&lock);
	hak_trace_flush();
	say("went on\n");
}

static void the_setting_decides_what_follows(void)
{
	static const struct {
		struct mistake mistake;
		bool ends;
	} cases[] = {{{HAK_ON_ERROR_AUTO, FOREIGN, false}, false}, {{HAK_ON_ERROR_AUTO, NULL, false}, true},
		{{HAK_ON_ERROR_AUTO, NULL, true}, true}, {{HAK_ON_ERROR_ABORT, FOREIGN, false}, true},
		{{HAK_ON_ERROR_ABORT, NULL, false}, true}, {{HAK_ON_ERROR_REPORT, FOREIGN, false}, false},
		{{HAK_ON_ERROR_REPORT, NULL, true}, false}};
	for (size_t i = 0; i < HAK_COUNT_OF(cases); i++) {
		struct mistake mistake = cases[i].mistake;
		int status = unit_in_child(make_mistake, &mistake, said, sizeof(said));
		/* The line waits for the locks, and comes before the end. */
		CU_ASSERT_TRUE(strncmp(said, "reported\nhakmem: free of an address", 35) == 0);
		UNIT_EQUAL(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, cases[i].ends);
		UNIT_EQUAL(strstr(said, "went on\n") == NULL, cases[i].ends);
		UNIT_EQUAL(strstr(said, "; ending by abort, as HAKMEM_ON_ERROR demands\n") != NULL, cases[i].ends);
	}
}

static void make_mistake_for_exit(void *foreign)
{
	hak_settings.on_error = HAK_ENV_WITH_NUMBER(HAK_ON_ERROR_EXIT, 42);
	hak_report(HAK_REPORT_INVALID_FREE, foreign ? FOREIGN : (char *)hak_malloc(100) + 16);
	hak_trace_flush();
	say("went on\n");
}

static void exit_has_its_status(void)
{
	for (int foreign = 0; foreign < 2; foreign++) {
		int status = unit_in_child(make_mistake_for_exit, foreign ? FOREIGN : NULL, said, sizeof(said));
		UNIT_EQUAL(WIFEXITED(status), 1);
		UNIT_EQUAL(WEXITSTATUS(status), 42);
		CU_ASSERT_PTR_NOT_NULL(strstr(said, "); ending by exit, as HAKMEM_ON_ERROR demands, with the status 42\n"));
		CU_ASSERT_PTR_NULL(strstr(said, "went on"));
	}
}

/* ---- The sink ---- */

static uint32_t capture(void)
{
	hak_free(hak_malloc(100000));
	return 4711;
}

/* It may use the heap, and make a mistake itself, which is a line then; the end waits for it. */
static void print_report(const struct hak_report_details *details)
{
	char text[600];
	hak_report(HAK_REPORT_INVALID_USABLE, FOREIGN);
	hak_free(hak_malloc(100000));
	hak_trace_flush();
	snprintf(text, sizeof(text), "sink: %s, %s, stack %u, end %u\n", details->line, details->text, details->stack, details->end);
	say(text);
}

static void report_to_a_sink(void *ignored)
{
	static const struct hak_sink sink = {.event = ignore_event, .capture = capture, .report = print_report};
	struct mistake mistake = {HAK_ON_ERROR_AUTO, NULL, true};
	(void)ignored;
	hak_trace_set_sink(&sink);
	make_mistake(&mistake);
}

static void a_sink_prints_the_report(void)
{
	int status = unit_in_child(report_to_a_sink, NULL, said, sizeof(said));
	CU_ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	CU_ASSERT_TRUE(strncmp(said, "reported\nhakmem: malloc_usable_size of", 38) == 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(said, "\nsink: hakmem: free of an address that is not the start of a live block (address="));
	CU_ASSERT_PTR_NOT_NULL(strstr(said, "HAKMEM_ON_ERROR demands, free of an address that is not the start of a live block, "
					    "stack 4711, end 1\n"));
	CU_ASSERT_PTR_NULL(strstr(said, "went on"));
}

static struct hak_event fatal;

static void keep_fatal(const struct hak_event *event)
{
	if (event->id == HAK_EVENT_ID_fatal)
		fatal = *event;
}

/* NOLINTBEGIN(bugprone-signal-handler,cert-sig30-c): it comes from within hak_report, which must allow this */
/* A program's handler uses the heap, makes another mistake, and ends the program as it likes. The event was there
 * before. */
static void on_abort(int signal)
{
	(void)signal;
	for (int i = 0; i < 1000; i++)
		hak_free(hak_malloc((size_t)i * 100));
	hak_report(HAK_REPORT_INVALID_FREE, FOREIGN);
	hak_report(HAK_REPORT_DOUBLE_FREE, FOREIGN);
	hak_trace_flush();
	bool right = fatal.arg[0] == HAK_REPORT_INVALID_FREE && fatal.arg[2] % HAK_SS_BYTES == 0 &&
		fatal.arg[1] - fatal.arg[2] < HAK_SS_BYTES && fatal.arg[3] < 32 && fatal.arg[4] == HAK_BIN_OF_CLASS(6);
	_exit(right ? 7 : 8);
}
/* NOLINTEND(bugprone-signal-handler,cert-sig30-c) */

static void abort_with_a_handler(void *ignored)
{
	static const struct hak_sink sink = {.event = keep_fatal};
	struct mistake mistake = {HAK_ON_ERROR_AUTO, NULL, true};
	(void)ignored;
	hak_trace_set_sink(&sink);
	hak_trace_set_groups(HAK_GROUP_ERROR);
	signal(SIGABRT, on_abort);
	alarm(20);
	make_mistake(&mistake);
}

static void a_handler_of_sigabrt_may_use_the_heap(void)
{
	UNIT_LEAVE_IF(!HAK_TRACE, "no events in this build");
	int status = unit_in_child(abort_with_a_handler, NULL, said, sizeof(said));
	UNIT_EQUAL(WIFEXITED(status), 1);
	UNIT_EQUAL(WEXITSTATUS(status), 7);
	CU_ASSERT_PTR_NOT_NULL(strstr(said, "hakmem: block freed twice (address=0x1000)\n"));
}

UNIT_MAIN("report", UNIT(text_of_a_report), UNIT(only_the_first_are_printed), UNIT(each_report_has_its_facts),
	UNIT(the_setting_decides_what_follows), UNIT(exit_has_its_status), UNIT(a_sink_prints_the_report), UNIT(a_handler_of_sigabrt_may_use_the_heap))
