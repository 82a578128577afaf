// Exceptions thrown in many threads at once, through frames that own memory, caught in others: exception objects are allocated and
// freed by different threads, and the unwinder allocates too.
#include <cstdio>
#include <exception>
#include <future>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

class Failure : public std::runtime_error {
public:
	explicit Failure(int number) : std::runtime_error("failure " + std::to_string(number)), payload(number, 'x')
	{
	}
	std::size_t size() const
	{
		return payload.size();
	}

private:
	std::string payload;
};

// NOLINTNEXTLINE(misc-no-recursion): frames to throw through
static int descend(int depth, int number)
{
	std::vector<std::string> owned(static_cast<std::size_t>(depth) + 1, std::string(static_cast<std::size_t>(number % 500) + 1, 'y'));
	std::map<int, std::string> more;
	more[depth] = owned.back();
	if (depth == 0)
		throw Failure(number);
	return descend(depth - 1, number) + static_cast<int>(owned.size() + more.size());
}

static int caught_here(int rounds)
{
	int caught = 0;
	for (int i = 0; i < rounds; i++) {
		try {
			descend(i % 12, i);
		} catch (const Failure &failure) {
			caught += failure.size() == static_cast<std::size_t>(i);
		}
	}
	return caught;
}

int main()
{
	const int threads = 6, rounds = 1500;
	std::vector<std::future<int>> inside, across;
	int good = 0;
	for (int i = 0; i < threads; i++)
		inside.push_back(std::async(std::launch::async, caught_here, rounds));
	for (int i = 0; i < 200; i++)
		across.push_back(std::async(std::launch::async, descend, i % 9, i));
	for (auto &future : inside)
		good += future.get();
	for (int i = 0; i < 200; i++) {
		try {
			across[static_cast<std::size_t>(i)].get();
		} catch (const std::exception &failure) {
			good += failure.what() == "failure " + std::to_string(i);
		}
	}
	if (good != threads * rounds + 200) {
		std::printf("only %d exceptions arrived whole\n", good);
		return 1;
	}
	std::puts("all exceptions arrived");
	return 0;
}
