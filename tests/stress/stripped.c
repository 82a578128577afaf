/* stripped CASE FOLDER: programs that let go of their descriptors. The allocator must neither need one nor take one that the program
 * expects to get, nor write into a file that has come to lie where stderr was. Whether all went well is told by the file FOLDER/result,
 * which a program without stdout can write too:
 *   closes_all   threads allocate while every descriptor is closed, in the process and in its children
 *   daemon       two forks, a session of its own, no descriptor but /dev/null
 *   born_bare    started without stdin, stdout and stderr */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS 2

static char result_path[4096], data_path[4096], data2_path[4096];
static atomic_bool stop;
static atomic_uint rounds;

/* Writes the result and ends: "well", or the line whose condition did not hold. */
static _Noreturn void end(int line)
{
	char text[32];
	int length = line ? snprintf(text, sizeof(text), "line %d\n", line) : snprintf(text, sizeof(text), "well\n");
	int fd = open(result_path, O_WRONLY | O_CREAT | O_APPEND, 0600);
	if (fd < 0 || write(fd, text, (size_t)length) != length)
		_exit(9);
	_exit(line ? 8 : 0);
}

#define EXPECT(condition) \
	do { \
		if (!(condition)) \
			end(__LINE__); \
	} while (0)

/* Enough for slow paths of every kind, and with debug lines on for a few hundred lines. */
static void churn(unsigned seed, unsigned count)
{
	unsigned char *blocks[500] = {0};
	for (unsigned i = 0; i < count; i++) {
		seed = seed * 1664525u + 1013904223u;
		unsigned place = (seed >> 8) % 500, bytes = 1 + (seed >> 10) % (i % 100 ? 3000 : 200000);
		EXPECT(blocks[place] == NULL || blocks[place][0] == (unsigned char)place);
		free(blocks[place]);
		blocks[place] = malloc(bytes);
		EXPECT(blocks[place] != NULL);
		blocks[place][0] = (unsigned char)place;
	}
	for (unsigned place = 0; place < 500; place++)
		free(blocks[place]);
}

static void *allocate_without_pause(void *seed)
{
	while (!atomic_load(&stop)) {
		churn((unsigned)(uintptr_t)seed, 500);
		atomic_fetch_add(&rounds, 1);
	}
	return NULL;
}

static void with_threads(void (*work)(void))
{
	pthread_t threads[THREADS];
	atomic_store(&stop, false);
	for (uintptr_t i = 0; i < THREADS; i++)
		EXPECT(pthread_create(&threads[i], NULL, allocate_without_pause, (void *)(i + 1)) == 0);
	work();
	for (unsigned before = atomic_load(&rounds); atomic_load(&rounds) < before + 20;)
		churn(9, 1000);
	atomic_store(&stop, true);
	for (int i = 0; i < THREADS; i++)
		EXPECT(pthread_join(threads[i], NULL) == 0);
}

static off_t length_of(const char *path)
{
	struct stat status;
	EXPECT(stat(path, &status) == 0);
	return status.st_size;
}

static void close_everything(void)
{
	long most = sysconf(_SC_OPEN_MAX);
	for (int fd = 0; fd < (most < 5000 ? most : 5000); fd++)
		close(fd);
}

/* Puts files of the program's own where the standard ones were, and fills one of them. */
static void open_data(const char *path)
{
	EXPECT(open("/dev/null", O_RDONLY) == STDIN_FILENO);
	EXPECT(open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600) == STDOUT_FILENO);
	EXPECT(open(path, O_WRONLY) == STDERR_FILENO);
	EXPECT(write(STDERR_FILENO, "data\n", 5) == 5);
}

static void expect_exit_of(pid_t child)
{
	int status;
	EXPECT(child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status));
	if (WEXITSTATUS(status) != 0)
		_exit(WEXITSTATUS(status)); /* it has said why */
}

/* A pointer that is not HAKMEM's, whose report must not be written where the data lies. */
static void free_a_foreign_pointer(void)
{
	static char text[64];
	static char *volatile foreign = text + 16;
	free(foreign); /* NOLINT(clang-analyzer-unix.Malloc): that is the fault */
}

static void close_and_go_on(void)
{
	close_everything();
	churn(3, 5000);
	free_a_foreign_pointer();
	open_data(data_path);
	churn(4, 20000);
	free_a_foreign_pointer();
	for (int i = 0; i < 10; i++) {
		pid_t child = fork();
		if (child == 0) {
			close_everything();
			churn(5, 5000);
			open_data(data2_path);
			churn(6, 5000);
			free_a_foreign_pointer();
			_exit(0);
		}
		expect_exit_of(child);
		EXPECT(length_of(data2_path) == 5);
	}
	EXPECT(length_of(data_path) == 5);
}

static void closes_all(void)
{
	with_threads(close_and_go_on);
	EXPECT(length_of(data_path) == 5);
	end(0);
}

static void nothing(void)
{
}

static void become_daemon(void)
{
	pid_t child = fork();
	EXPECT(child >= 0);
	if (child != 0)
		_exit(0);
	EXPECT(setsid() == getpid());
	child = fork();
	EXPECT(child >= 0);
	if (child != 0)
		_exit(0);
	EXPECT(chdir("/") == 0);
	close_everything();
	EXPECT(open("/dev/null", O_RDWR) == 0 && dup(0) == 1 && dup(0) == 2);
	churn(7, 20000);
	with_threads(nothing);
	end(0);
}

static void born_bare(void)
{
	open_data(data_path);
	free_a_foreign_pointer();
	with_threads(nothing);
	EXPECT(length_of(data_path) == 5);
	end(0);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} cases[] = {{"closes_all", closes_all}, {"born_bare", born_bare}};
	if (argc != 3)
		return 2;
	snprintf(result_path, sizeof(result_path), "%s/result", argv[2]);
	snprintf(data_path, sizeof(data_path), "%s/data", argv[2]);
	snprintf(data2_path, sizeof(data2_path), "%s/data2", argv[2]);
	alarm(100);
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (strcmp(argv[1], cases[i].name) == 0)
			cases[i].run();
	}
	if (strcmp(argv[1], "daemon") == 0)
		with_threads(become_daemon);
	return 2;
}
