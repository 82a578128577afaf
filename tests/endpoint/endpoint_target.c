/* A program to be looked into, for robustness.py. One thread allocates and frees all the time; the main one obeys lines
 * on stdin and answers each with one line on stdout:
 *   count     prints how many rounds the allocating thread has done
 *   gently    lets that thread rest between its rounds from now on, where a test only waits; prints "gentle"
 * fork      makes a child that allocates as well; prints its pid. It ends when the parent closes its pipe: by `reap` or
 * at the end
 *   reap      ends the children and prints how many exited with 0
 *   exec      replaces the process by a new image of this program, which prints "ready" again
 *   close     closes every descriptor above 2, as daemons do; prints "closed"
 *   fill      opens files until the table is full; prints how many
 *   unfill    closes them; prints "unfilled"
 *   lowest    closes descriptor 0 and opens another in its place, again and again, until the next line has come; prints
 *             "many" when it was 10,000 times, and at the end how often it was not 0
 *   large     allocates and frees SuperSlabs; prints "done"
 *   refuse accept   has the kernel refuse accept4 to all threads from now on; prints "refused"
 *   close stderr    closes descriptor 2; prints nothing but "closed"
 * It ends with status 7 at the end of stdin. */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PLACES 2000
#define CHILDREN 16
#define FILES 4096
#define MANY_TRIES 10000u

static atomic_ullong rounds;
static atomic_bool gentle;
static pid_t children[CHILDREN];
static int child_pipes[CHILDREN];
static int child_count;
static int files[FILES];
static int file_count;

static void one_round(void **places, uint32_t *random)
{
	for (int i = 0; i < 1000; i++) {
		*random = *random * 1664525u + 1013904223u;
		void **place = &places[(*random >> 8) % PLACES];

		free(*place);
		*place = malloc(16 + (*random >> 10) % 3000);
		if (!*place)
			abort();
		*(char *)*place = 1;
	}
	atomic_fetch_add_explicit(&rounds, 1, memory_order_relaxed);
}

static void *allocate(void *argument)
{
	static void *places[PLACES];
	uint32_t random = 1;

	(void)argument;
	for (;;) {
		one_round(places, &random);
		if (atomic_load_explicit(&gentle, memory_order_relaxed))
			usleep(1000);
	}
	return NULL;
}

static void answer(const char *text)
{
	char line[64];
	int length = snprintf(line, sizeof(line), "%s\n", text);

	if (write(STDOUT_FILENO, line, (size_t)length) < 0)
		_exit(3);
}

static void be_gentle(void)
{
	atomic_store(&gentle, 1);
	answer("gentle");
}

static void answer_number(unsigned long long number)
{
	char text[32];

	snprintf(text, sizeof(text), "%llu", number);
	answer(text);
}

/* The child: allocates until its end of the pipe says that the parent has closed the other. Never returns. */
static void be_child(int parent_pipe)
{
	static void *places[PLACES];
	uint32_t random = 2;
	fd_set set;

	for (;;) {
		struct timeval at_once = {0, 0};

		one_round(places, &random);
		FD_ZERO(&set);
		FD_SET(parent_pipe, &set);
		if (select(parent_pipe + 1, &set, NULL, NULL, &at_once) == 1)
			exit(0);
	}
}

static void make_child(void)
{
	int ends[2];
	pid_t pid;

	if (child_count == CHILDREN || pipe(ends) != 0) {
		answer("no child");
		return;
	}
	pid = fork();
	if (pid == 0) {
		close(ends[1]);
		for (int i = 0; i < child_count; i++)
			close(child_pipes[i]);
		be_child(ends[0]);
	}
	close(ends[0]);
	children[child_count] = pid;
	child_pipes[child_count++] = ends[1];
	answer_number((unsigned long long)pid);
}

static void reap(void)
{
	int good = 0;

	for (int i = 0; i < child_count; i++)
		close(child_pipes[i]);
	for (int i = 0; i < child_count; i++) {
		int status;

		if (waitpid(children[i], &status, 0) == children[i] && WIFEXITED(status) && WEXITSTATUS(status) == 0)
			good++;
	}
	child_count = 0;
	answer_number((unsigned long long)good);
}

static void close_all(void)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	for (int fd = 3; fd < (int)limit.rlim_cur && fd < 1 << 20; fd++)
		close(fd);
	answer("closed");
}

static void fill(void)
{
	while (file_count < FILES) {
		int fd = dup(STDIN_FILENO);

		if (fd < 0)
			break;
		files[file_count++] = fd;
	}
	answer_number((unsigned long long)file_count);
}

static void unfill(void)
{
	while (file_count)
		close(files[--file_count]);
	answer("unfilled");
}

/* stdin comes back as 0 for each look at whether a line is there. */
static void take_lowest(void)
{
	unsigned long long tries = 0, others = 0;
	char line[64];
	int kept = dup(STDIN_FILENO);
	fd_set set;

	for (;;) {
		struct timeval at_once = {0, 0};

		for (int i = 0; i < 100; i++) {
			close(STDIN_FILENO);
			int fd = open("/dev/null", O_RDONLY);

			tries++;
			others += fd != STDIN_FILENO;
			if (fd != STDIN_FILENO)
				dup2(fd, STDIN_FILENO);
			if (fd > STDIN_FILENO)
				close(fd);
		}
		if (tries == MANY_TRIES)
			answer("many");
		FD_ZERO(&set);
		FD_SET(kept, &set);
		if (select(kept + 1, &set, NULL, NULL, &at_once) == 1)
			break;
	}
	dup2(kept, STDIN_FILENO);
	close(kept);
	if (!fgets(line, sizeof(line), stdin))
		_exit(4);
	answer_number(others);
}

static void be_large(void)
{
	void *blocks[8];

	for (int i = 0; i < 8; i++) {
		blocks[i] = malloc(4 << 20);
		if (!blocks[i])
			abort();
	}
	for (int i = 0; i < 8; i++)
		free(blocks[i]);
	answer("done");
}

static void refuse_accept(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_accept4, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof(filter) / sizeof(filter[0]), filter};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
		syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) == 0)
		answer("refused");
	else
		answer("no filter");
}

int main(int argc, char **argv)
{
	char line[64];
	pthread_t thread;

	(void)argc;
	if (pthread_create(&thread, NULL, allocate, NULL) != 0)
		return 2;
	answer("ready");
	/* Unbuffered, so that no line is lost to a buffer by exec. */
	setvbuf(stdin, NULL, _IONBF, 0);
	while (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = 0;
		if (strcmp(line, "count") == 0)
			answer_number(atomic_load(&rounds));
		else if (strcmp(line, "gently") == 0)
			be_gentle();
		else if (strcmp(line, "fork") == 0)
			make_child();
		else if (strcmp(line, "reap") == 0)
			reap();
		else if (strcmp(line, "exec") == 0)
			execv("/proc/self/exe", argv);
		else if (strcmp(line, "close") == 0)
			close_all();
		else if (strcmp(line, "fill") == 0)
			fill();
		else if (strcmp(line, "unfill") == 0)
			unfill();
		else if (strcmp(line, "lowest") == 0)
			take_lowest();
		else if (strcmp(line, "large") == 0)
			be_large();
		else if (strcmp(line, "refuse accept") == 0)
			refuse_accept();
		else if (strcmp(line, "close stderr") == 0)
			answer(close(STDERR_FILENO) == 0 ? "closed" : "not closed");
		else
			answer("what?");
	}
	reap();
	return 7;
}
