// Threads whose allocations have their stacks looked at, while others load and unload libraries, throw, and fork: for so many rounds,
// or with a number as the argument for so many seconds. Ends with 0 if everybody came through; a watchdog ends it with a signal if not.
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <stdexcept>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

static const int ALLOCATING = 88, LOADING = 4, THROWING = 6, FORKING = 2; // a hundred
static const int ROUNDS = 60;
static std::atomic<bool> stop;
static std::atomic<unsigned> failures;
static const char *plugin;

// NOLINTNEXTLINE(misc-no-recursion)
static __attribute__((noinline)) void descend(int depth, unsigned &random)
{
	random = random * 1664525 + 1013904223;
	void *block = std::malloc(16 + (random >> 20));
	std::memset(block, 1, 16);
	if (depth > 0)
		descend(depth - 1, random);
	std::free(block);
	__asm__ volatile("" ::: "memory");
}

// NOLINTNEXTLINE(misc-no-recursion)
static __attribute__((noinline)) void throw_up(int depth)
{
	std::vector<std::string> owned(3, std::string(200, 'z'));
	if (depth == 0)
		throw std::runtime_error(owned[0]);
	throw_up(depth - 1);
}

static void load()
{
	void *library = dlopen(plugin, RTLD_NOW | RTLD_LOCAL);
	auto throws = library ? reinterpret_cast<int (*)(int)>(dlsym(library, "plugin_throws")) : nullptr;
	if (!throws || throws(5) != 5)
		failures++;
	if (library)
		dlclose(library);
}

static void fork_once()
{
	pid_t child = fork();
	int status = 0;
	if (child == 0) {
		unsigned random = static_cast<unsigned>(getpid());
		descend(20, random);
		_exit(0);
	}
	if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
		failures++;
}

template <typename Work> static void repeat(bool timed, int rounds, Work work)
{
	for (int i = 0; timed ? !stop.load() : i < rounds; i++)
		work();
}

int main(int argc, char **argv)
{
	int seconds = argc > 2 ? std::atoi(argv[2]) : 0;
	bool timed = seconds > 0;
	std::vector<std::thread> threads;
	threads.reserve(ALLOCATING + LOADING + THROWING + FORKING);
	plugin = argc > 1 ? argv[1] : "";
	alarm(static_cast<unsigned>(seconds) + 250);
	for (int i = 0; i < ALLOCATING; i++)
		threads.emplace_back([=] {
			unsigned random = static_cast<unsigned>(i);
			repeat(timed, ROUNDS, [&] { descend(static_cast<int>(random >> 16) % 40, random); });
		});
	for (int i = 0; i < LOADING; i++)
		threads.emplace_back([=] { repeat(timed, ROUNDS, load); });
	for (int i = 0; i < THROWING; i++)
		threads.emplace_back([=] {
			repeat(timed, ROUNDS * 4, [&] {
				try {
					throw_up(12);
					failures++;
				} catch (const std::exception &failure) {
					failures += std::strlen(failure.what()) != 200;
				}
			});
		});
	for (int i = 0; i < FORKING; i++)
		threads.emplace_back([=] { repeat(timed, ROUNDS / 4, fork_once); });
	if (timed) {
		std::this_thread::sleep_for(std::chrono::seconds(seconds));
		stop = true;
	}
	for (auto &thread : threads)
		thread.join();
	std::printf("%u failures\n", failures.load());
	return failures.load() != 0;
}
