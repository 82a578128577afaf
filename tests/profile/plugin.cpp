// A C++ library that a C program loads: it throws and catches by itself, on memory that it allocates on the way.
#include <stdexcept>
#include <string>
#include <vector>

// NOLINTNEXTLINE(misc-no-recursion)
static __attribute__((noinline)) int descend(int depth, int number)
{
	std::vector<std::string> owned(static_cast<std::size_t>(depth) + 1, std::string(100, 'x'));
	if (depth == 0)
		throw std::runtime_error("number " + std::to_string(number) + std::string(50, '.'));
	return descend(depth - 1, number) + static_cast<int>(owned.size());
}

extern "C" __attribute__((visibility("default"))) int plugin_throws(int rounds);

int plugin_throws(int rounds)
{
	int caught = 0;
	for (int i = 0; i < rounds; i++) {
		try {
			descend(i % 10, i);
		} catch (const std::exception &failure) {
			caught += std::string(failure.what()).find("number " + std::to_string(i)) == 0;
		}
	}
	return caught;
}
