/* unit.h: what a unit test's file needs: CUnit, a main, and a way to run a piece of code in a child process.
 *
 * A test file is tests/unit/<module>_test.c; it ends with UNIT_MAIN("module", UNIT(case), …) and is registered by one line in
 * tests/suites.def. With a case's name as its argument the program runs that case alone. */
#ifndef HAK_TESTS_UNIT_H
#define HAK_TESTS_UNIT_H

#include <CUnit/Basic.h>
#include <dirent.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Which sanitizer the program is built with: some cases can't be had under one, and say so. */
#if defined(__SANITIZE_ADDRESS__)
#define UNIT_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define UNIT_ASAN 1
#endif
#endif
#ifndef UNIT_ASAN
#define UNIT_ASAN 0
#endif
#if defined(__SANITIZE_THREAD__)
#define UNIT_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define UNIT_TSAN 1
#endif
#endif
#ifndef UNIT_TSAN
#define UNIT_TSAN 0
#endif

/* Whether the program runs under qemu's user mode (tests/aarch64/run says so), which doesn't do everything that Linux does. */
static inline bool unit_is_emulated(void)
{
	return getenv("HAK_EMULATED") != NULL;
}

/* Ends the case when `condition` holds, and prints why it can't be had here. */
#define UNIT_LEAVE_IF(condition, reason) \
	do { \
		if (condition) { \
			fprintf(stderr, "(left out: %s) ", (reason)); \
			CU_PASS(reason); \
			return; \
		} \
	} while (0)

struct unit_case {
	const char *name;
	void (*run)(void);
};

#define UNIT(function) {#function, function}

/* Runs the cases (all, or the one named by the first argument) and returns the exit status: 0 if every assertion held and at
 * least one was made. */
static inline int unit_run(const char *suite_name, const struct unit_case *cases, size_t count, int argc, char **argv)
{
	size_t added = 0;
	if (CU_initialize_registry() != CUE_SUCCESS)
		return 2;
	CU_pSuite suite = CU_add_suite(suite_name, NULL, NULL);
	for (size_t i = 0; suite != NULL && i < count; i++) {
		if (argc < 2 || strcmp(argv[1], cases[i].name) == 0)
			added += CU_add_test(suite, cases[i].name, cases[i].run) != NULL;
	}
	if (added == 0) {
		fprintf(stderr, "%s: no such case\n", suite_name);
		return 2;
	}
	CU_basic_set_mode(CU_BRM_VERBOSE);
	CU_basic_run_tests();
	bool good = CU_get_number_of_asserts() > 0 && CU_get_number_of_failures() == 0;
	CU_cleanup_registry();
	return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* The number of this process's open descriptors. */
static inline unsigned unit_descriptors(void)
{
	unsigned count = 0;
	DIR *directory = opendir("/proc/self/fd");
	while (directory && readdir(directory))
		count++;
	if (directory)
		closedir(directory);
	return count; /* and a constant: what is read here, and the two dots */
}

#define UNIT_MAIN(suite_name, ...) \
	int main(int argc, char **argv) \
	{ \
		static const struct unit_case cases[] = {__VA_ARGS__}; \
		return unit_run(suite_name, cases, sizeof(cases) / sizeof(cases[0]), argc, argv); \
	}

/* Both values are printed when they differ, which a bare CU_ASSERT_EQUAL doesn't do. */
#define UNIT_EQUAL(actual, expected) \
	do { \
		unsigned long long unit_actual_ = (unsigned long long)(actual); \
		unsigned long long unit_expected_ = (unsigned long long)(expected); \
		if (unit_actual_ != unit_expected_) \
			fprintf(stderr, "\n    %s:%d: %s is %llu (0x%llx), not %llu (0x%llx)\n", __FILE__, __LINE__, #actual, \
				unit_actual_, unit_actual_, unit_expected_, unit_expected_); \
		CU_ASSERT_TRUE(unit_actual_ == unit_expected_); \
	} while (0)

#define UNIT_STRING(actual, expected) \
	do { \
		const char *unit_actual_ = (actual); \
		const char *unit_expected_ = (expected); \
		if (strcmp(unit_actual_, unit_expected_) != 0) \
			fprintf(stderr, "\n    %s:%d: got      \"%s\"\n    expected \"%s\"\n", __FILE__, __LINE__, unit_actual_, \
				unit_expected_); \
		CU_ASSERT_TRUE(strcmp(unit_actual_, unit_expected_) == 0); \
	} while (0)

/* Monotonic milliseconds, for deadlines of polling loops. */
static inline long long unit_now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Polls until `condition` holds, for 20 seconds at most, and asserts that it did. */
#define UNIT_EVENTUALLY(condition) \
	do { \
		long long unit_deadline_ = unit_now_ms() + 20000; \
		while (!(condition) && unit_now_ms() < unit_deadline_) \
			usleep(1000); \
		CU_ASSERT_TRUE(condition); \
	} while (0)

/* Runs function(argument) in a child process and collects what it writes to stderr in `out` (terminated, cut to `size`). Returns
 * the status of waitpid; the child exits with 0 when the function returns. */
static inline int unit_in_child(void (*function)(void *argument), void *argument, char *out, size_t size)
{
	int ends[2];
	int status = -1;
	size_t length = 0;
	if (pipe(ends) != 0)
		return -1;
	fflush(NULL);
	pid_t child = fork();
	if (child == 0) {
		close(ends[0]);
		dup2(ends[1], STDERR_FILENO);
		close(ends[1]);
		function(argument);
		_exit(0);
	}
	close(ends[1]);
	for (;;) {
		char spill[256];
		bool room = length + 1 < size;
		ssize_t got = room ? read(ends[0], out + length, size - length - 1) : read(ends[0], spill, sizeof(spill));
		if (got <= 0)
			break;
		if (room)
			length += (size_t)got;
	}
	out[length] = '\0';
	close(ends[0]);
	waitpid(child, &status, 0);
	return status;
}

#endif
