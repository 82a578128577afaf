#include "viewer/launch.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>

#include "tests/unit/unit.h"
#include "viewer/signals.h"

/* Any library does: what counts is that it is preloaded. */
#define LIBRARY "libm.so.6"

static struct launch launch;
static struct problem problem;

static bool start(char **command, const char *output, int *status)
{
	sigset_t mask;
	sigprocmask(SIG_SETMASK, NULL, &mask);
	const struct launch_how how = {.command = command, .library = LIBRARY, .output_file = output, .mask = &mask};
	problem.text[0] = '\0';
	return launch_start(&launch, &how, status, &problem);
}

static int run(const char *script, const char *output)
{
	int status = -1;
	char *command[] = {"sh", "-c", (char *)script, NULL};
	CU_ASSERT_TRUE_FATAL(start(command, output, &status));
	launch_wait(&launch);
	return launch_status(&launch);
}

static void statuses_are_passed_on(void)
{
	char text[128];
	UNIT_EQUAL(run("exit 0", NULL), 0);
	UNIT_EQUAL(run("exit 37", NULL), 37);
	launch_describe(&launch, text, sizeof(text));
	UNIT_STRING(text, "ended with status 37");
	UNIT_EQUAL(run("kill -TERM $$", NULL), 128 + SIGTERM);
	launch_describe(&launch, text, sizeof(text));
	UNIT_STRING(text, "was killed by signal 15 (Terminated)");
}

static void the_environment_is_set(void)
{
	setenv("LD_PRELOAD", "libdl.so.2", 1);
	UNIT_EQUAL(run("test \"$LD_PRELOAD\" = " LIBRARY ":libdl.so.2 && test \"$HAKMEM_INTROSPECT\" = 1", NULL), 0);
	unsetenv("LD_PRELOAD");
	UNIT_EQUAL(run("test \"$LD_PRELOAD\" = " LIBRARY, NULL), 0);
}

static void commands_that_cannot_run(void)
{
	int status = -1;
	char *missing[] = {"launch-test-no-such-command", NULL}, *folder[] = {"/", NULL};
	CU_ASSERT_FALSE(start(missing, NULL, &status));
	UNIT_EQUAL(status, 127);
	UNIT_STRING(problem.text, "launch-test-no-such-command: command not found");
	CU_ASSERT_FALSE(start(folder, NULL, &status));
	UNIT_EQUAL(status, 126);
	char path[] = "./launch_test_XXXXXX", *script[] = {path, NULL};
	int fd = mkstemp(path);
	CU_ASSERT_TRUE_FATAL(fd >= 0 && dprintf(fd, "#!/nowhere/at/all\n") > 0 && fchmod(fd, 0700) == 0);
	close(fd);
	CU_ASSERT_FALSE(start(script, NULL, &status));
	UNIT_EQUAL(status, 127);
	CU_ASSERT_PTR_NOT_NULL(strstr(problem.text, "interpreter"));
	/* A missing command is that, whatever -o names. */
	CU_ASSERT_FALSE(start(missing, path, &status));
	UNIT_EQUAL(status, 127);
	unlink(path);
	char *command[] = {"true", NULL};
	CU_ASSERT_FALSE(start(command, "/nowhere/at/all", &status));
	UNIT_EQUAL(status, 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(problem.text, "/nowhere/at/all"));
}

static void output_goes_to_the_file(void)
{
	char path[] = "launch_test_XXXXXX", text[64] = "";
	int fd = mkstemp(path);
	CU_ASSERT_TRUE_FATAL(fd >= 0);
	UNIT_EQUAL(run("echo out; echo err >&2", path), 0);
	CU_ASSERT_EQUAL(read(fd, text, sizeof(text) - 1), 8);
	UNIT_STRING(text, "out\nerr\n");
	close(fd);
	unlink(path);
}

static void preload_paths(void)
{
	char out[64];
	CU_ASSERT_TRUE(launch_preload("/lib/a.so", NULL, out, sizeof(out), &problem));
	UNIT_STRING(out, "/lib/a.so");
	CU_ASSERT_TRUE(launch_preload("/lib/a.so", "", out, sizeof(out), &problem));
	UNIT_STRING(out, "/lib/a.so");
	CU_ASSERT_TRUE(launch_preload("/lib/a.so", "b.so c.so", out, sizeof(out), &problem));
	UNIT_STRING(out, "/lib/a.so:b.so c.so");
	CU_ASSERT_TRUE(launch_preload("/lib/a.so", "/x/libhakmem.so:b.so /y/libhakmem-core.so:libhakmem.so.1", out,
		sizeof(out), &problem));
	UNIT_STRING(out, "/lib/a.so:b.so");
	CU_ASSERT_TRUE(launch_preload("/lib/libhakmem.so", "/x/libhakmem.so", out, sizeof(out), &problem));
	UNIT_STRING(out, "/lib/libhakmem.so");
	CU_ASSERT_FALSE(launch_without_hakmem(" b.so:/libhakmem.so.d/c.so notlibhakmem.so", out));
	UNIT_STRING(out, " b.so:/libhakmem.so.d/c.so notlibhakmem.so");
	CU_ASSERT_FALSE(launch_preload("/my lib/a.so", NULL, out, sizeof(out), &problem));
	CU_ASSERT_PTR_NOT_NULL(strstr(problem.text, "/my lib/a.so"));
	CU_ASSERT_FALSE(launch_preload("/a:b.so", NULL, out, sizeof(out), &problem));
	CU_ASSERT_FALSE(launch_preload("/lib/a.so", NULL, out, 5, &problem));
}

static void finding_the_library(void)
{
	char out[4096];
	CU_ASSERT_FALSE(launch_find_library("/nowhere/libhakmem.so", out, sizeof(out), &problem));
	CU_ASSERT_PTR_NOT_NULL(strstr(problem.text, "--library"));
	setenv("HAKMEM_LIB", "/nowhere/else.so", 1);
	CU_ASSERT_FALSE(launch_find_library(NULL, out, sizeof(out), &problem));
	CU_ASSERT_PTR_NOT_NULL(strstr(problem.text, "HAKMEM_LIB"));
	CU_ASSERT_TRUE(launch_find_library("/proc/self/exe", out, sizeof(out), &problem));
	unsetenv("HAKMEM_LIB");
	/* This program lies in a folder of its own, without a library beside it or in ../lib. */
	CU_ASSERT_FALSE(launch_find_library(NULL, out, sizeof(out), &problem));
	CU_ASSERT_PTR_NOT_NULL(strstr(problem.text, "--library FILE or HAKMEM_LIB"));
}

/* The viewer blocks signals to read them; the command must not inherit that. */
static void signals_are_read_and_the_command_has_its_own_mask(void)
{
	sigset_t before;
	bool from_terminal = true;
	int status, fd = signals_open(&before);
	CU_ASSERT_TRUE_FATAL(fd >= 0);
	char *command[] = {"sh", "-c", "kill -INT $$; exit 5", NULL};
	const struct launch_how how = {.command = command, .library = LIBRARY, .mask = &before};
	CU_ASSERT_TRUE_FATAL(launch_start(&launch, &how, &status, &problem));
	struct pollfd readable = {fd, POLLIN, 0};
	CU_ASSERT_EQUAL(poll(&readable, 1, 20000), 1);
	UNIT_EQUAL(signals_next(fd, &from_terminal), SIGCHLD);
	CU_ASSERT_TRUE(launch_reap(&launch));
	UNIT_EQUAL(launch_status(&launch), 128 + SIGINT);
	UNIT_EQUAL(signals_next(fd, &from_terminal), 0);
	raise(SIGTERM);
	UNIT_EQUAL(signals_next(fd, &from_terminal), SIGTERM);
	CU_ASSERT_FALSE(from_terminal);
	UNIT_EQUAL(signals_next(-1, &from_terminal), 0);
	close(fd);
	sigprocmask(SIG_SETMASK, &before, NULL);
}

UNIT_MAIN("launch", UNIT(statuses_are_passed_on), UNIT(the_environment_is_set), UNIT(commands_that_cannot_run),
	UNIT(output_goes_to_the_file), UNIT(preload_paths), UNIT(finding_the_library),
	UNIT(signals_are_read_and_the_command_has_its_own_mask))
