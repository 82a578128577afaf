/* Programs that die, or ask for a dump, one way each: crashes CASE. What the test needs to know is printed first. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS 8

static char *volatile wild; /* what is written to */

static void say(const char *name, const void *address)
{
	printf("%s=%p\n", name, address);
	fflush(stdout);
}

static void touch(void)
{
	*wild = 1;
}

static void null_pointer(void)
{
	wild = (char *)16;
	touch();
}

static void not_canonical(void)
{
	wild = (char *)0x1234567890abcdef;
	touch();
}

static void aborts(void)
{
	abort();
}

/* A mistake that is reported; the program, or HAKMEM, then ends by abort. */
static void reported(void)
{
	char *block = malloc(100000);
	say("block", block);
	free(block + 32);
	abort();
}

static void divides(void)
{
	volatile int number = 7, zero = 0;
	/* NOLINTNEXTLINE(clang-analyzer-core.DivideZero): that is the fault */
	number = number / zero;
}

static void bad_file(void)
{
	char name[] = "/tmp/hakmem-test-XXXXXX";
	int fd = mkstemp(name);
	unlink(name);
	if (fd < 0 || ftruncate(fd, 4096) != 0)
		exit(9);
	wild = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	wild += 4096 + 8;
	touch();
}

/* Writes to a block whose pages were taken away, 24 bytes behind its start. */
static void write_to_closed(char *block, size_t bytes)
{
	uintptr_t page = (uintptr_t)block & ~(uintptr_t)4095;
	mprotect((void *)page, ((uintptr_t)block + bytes + 4095 - page) & ~(uintptr_t)4095, PROT_NONE);
	wild = block + 24;
	touch();
}

static void live_block(void)
{
	char *block = malloc(3000);
	say("block", block);
	write_to_closed(block, 3000);
}

static void freed_block(void)
{
	char *block = malloc(3000);
	say("block", block);
	free(block);
	write_to_closed(block, 3000);
}

static void large_block(void)
{
	char *block = malloc(5 << 20);
	say("block", block);
	write_to_closed(block, 5 << 20);
}

/* Beyond what the heap has brought into use. */
static void beyond_the_heap(void)
{
	char *block = malloc(100);
	wild = block + ((uintptr_t)1 << 30);
	touch();
}

/* NOLINTNEXTLINE(misc-no-recursion): that is the fault */
static uint64_t __attribute__((noinline)) deeper(uint64_t depth)
{
	volatile char room[512];
	room[depth % 512] = 1;
	if (depth == UINT64_MAX)
		return 0;
	return deeper(depth + 1) + (uint64_t)room[depth % 500];
}

static void stack_overflow(void)
{
	free(malloc(1));
	exit((int)deeper(1));
}

static void *overflow_in_thread(void *ignored)
{
	stack_overflow();
	return ignored;
}

static void thread_stack_overflow(void)
{
	pthread_t thread;
	pthread_create(&thread, NULL, overflow_in_thread, NULL);
	pthread_join(thread, NULL);
}

/* The rest of a fresh slab can't be written to: malloc dies while it cuts blocks out of it, a lock in its hand. */
static void inside_malloc(void)
{
	char *block = malloc(2000);
	uintptr_t page = ((uintptr_t)block + 8191) & ~(uintptr_t)4095, end = ((uintptr_t)block | 0xffff) + 1;
	mprotect((void *)page, end - page, PROT_NONE);
	for (;;)
		if (malloc(2000) == NULL)
			exit(9);
}

static pthread_barrier_t barrier;

static void *crash_together(void *ignored)
{
	free(malloc(100));
	pthread_barrier_wait(&barrier);
	null_pointer();
	return ignored;
}

static void eight_threads(void)
{
	pthread_t threads[THREADS];
	pthread_barrier_init(&barrier, NULL, THREADS);
	for (int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, crash_together, NULL);
	pthread_join(threads[0], NULL);
}

static void *keep_busy(void *argument)
{
	static __thread void *blocks[256];
	uint32_t random = (uint32_t)(uintptr_t)argument * 2654435761u + 1;
	for (;;) {
		random ^= random << 13, random ^= random >> 17, random ^= random << 5;
		free(blocks[random % 256]);
		blocks[random % 256] = malloc(random >> 8 & (random & 1 ? 0x3fff : 0x1ffff));
	}
	return NULL;
}

/* At any moment of 8 busy threads, one of them is hit. */
static void any_moment(void)
{
	pthread_t threads[THREADS];
	for (int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, keep_busy, (void *)(uintptr_t)i);
	usleep((unsigned)(getpid() * 7919 % 30000));
	pthread_kill(threads[0], SIGSEGV);
	pthread_join(threads[0], NULL);
}

static void out_of_memory(void)
{
	void *list = NULL, **block;
	size_t count = 0;
	while ((block = malloc(10000)) != NULL) {
		*block = list;
		list = block;
		count++;
	}
	printf("count=%zu\n", count);
	if (malloc(20000) != NULL)
		exit(9);
	exit(3);
}

static void asks(void)
{
	raise(SIGUSR2);
	puts("goes on");
	raise(SIGUSR2);
	exit(4);
}

/* The records of the heap themselves can't be read: what reads them crashes too. */
static void damaged_records(void)
{
	uintptr_t base = (uintptr_t)malloc(100) & ~(uintptr_t)0x1fffff;
	for (uintptr_t page = base - (64 << 20); page < base; page += 4096)
		mprotect((void *)page, 4096, PROT_NONE);
	null_pointer();
}

static void own_handler(int signal)
{
	_exit(signal == SIGSEGV ? 70 : 71);
}

/* Limits that are documented: a handler of the program's own takes ours away. */
static void later_handler(void)
{
	signal(SIGSEGV, own_handler);
	null_pointer();
}

static void in_child(void)
{
	int status;
	pid_t child = fork();
	if (child == 0) {
		malloc(1);
		null_pointer();
	}
	if (waitpid(child, &status, 0) != child || !WIFSIGNALED(status) || WTERMSIG(status) != SIGSEGV)
		exit(9);
	/* NOLINTBEGIN(clang-analyzer-security.insecureAPI.vfork,clang-analyzer-unix.Vfork): a child of vfork that crashes */
	child = vfork();
	if (child == 0) {
		kill(getpid(), SIGSEGV);
		_exit(1);
	}
	/* NOLINTEND(clang-analyzer-security.insecureAPI.vfork,clang-analyzer-unix.Vfork) */
	if (waitpid(child, &status, 0) != child || !WIFSIGNALED(status) || WTERMSIG(status) != SIGSEGV)
		exit(9);
}

static void kills_itself(void)
{
	kill(getpid(), SIGSEGV);
	pause();
}

static void quits_as_ever(void)
{
	raise(SIGTERM);
}

/* What was there before HAKMEM's handlers, in a program that links it. */
static char *closed_page;

static void opens_page(int signal, siginfo_t *info, void *context)
{
	(void)context;
	if (signal == SIGSEGV && (char *)info->si_addr == closed_page + 5 && info->si_code == SEGV_ACCERR)
		mprotect(closed_page, 4096, PROT_READ | PROT_WRITE);
	else
		_exit(72);
}

__attribute__((constructor(101))) static void come_first(void)
{
	struct sigaction action = {.sa_flags = SA_SIGINFO};
	action.sa_sigaction = opens_page;
	if (getenv("CRASHES_COME_FIRST") != NULL)
		sigaction(SIGSEGV, &action, NULL);
}

static void earlier_handler(void)
{
	closed_page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	wild = closed_page + 5;
	touch();
	exit(closed_page[5] == 1 ? 5 : 9);
}

#define CASE(name) {#name, name}
static const struct {
	const char *name;
	void (*run)(void);
} cases[] = {
	CASE(null_pointer), CASE(not_canonical), CASE(aborts), CASE(reported), CASE(divides), CASE(bad_file), CASE(live_block), CASE(freed_block),
	CASE(large_block), CASE(beyond_the_heap), CASE(stack_overflow), CASE(thread_stack_overflow), CASE(inside_malloc),
	CASE(eight_threads), CASE(any_moment), CASE(out_of_memory), CASE(asks), CASE(damaged_records), CASE(later_handler),
	CASE(earlier_handler), CASE(in_child), CASE(kills_itself), CASE(quits_as_ever),
};

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IONBF, 0);
	for (size_t i = 0; argc == 2 && i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (strcmp(argv[1], cases[i].name) == 0)
			cases[i].run();
	}
	return 8;
}
