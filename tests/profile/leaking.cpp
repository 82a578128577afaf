// Leaks so many blocks of such sizes from two places, and frees as many others from a third. Says where and how many.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

struct Node {
	Node *next;
	char payload[200];
};

static Node *list;
static std::vector<std::unique_ptr<std::string>> kept;

static __attribute__((noinline)) void leak_nodes(int count)
{
	for (int i = 0; i < count; i++) {
		auto *node = new Node; // the first place
		node->next = list;
		list = node;
	}
}

static __attribute__((noinline)) char *leak_text(std::size_t bytes)
{
	auto *text = static_cast<char *>(std::malloc(bytes)); // the second place
	std::memset(text, 'x', bytes);
	return text;
}

static __attribute__((noinline)) void hold_and_let_go(int count)
{
	for (int i = 0; i < count; i++)
		kept.push_back(std::make_unique<std::string>(static_cast<std::size_t>(i % 300), 'y'));
	kept.clear();
	kept.shrink_to_fit();
}

static char *texts[100];

int main(int argc, char **argv)
{
	bool leak = argc > 1 && std::strcmp(argv[1], "leak") == 0;
	hold_and_let_go(5000);
	if (leak) {
		leak_nodes(123);
		for (int i = 0; i < 45; i++)
			texts[i] = leak_text(1000 + static_cast<std::size_t>(i));
	}
	std::puts("done");
	return 0;
}
