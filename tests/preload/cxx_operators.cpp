// Every form of operator new and delete: where the block comes from, its alignment, and what happens when memory runs out. The
// binary was linked against libstdc++, whose operators the library replaces.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <malloc.h>
#include <new>
#include <vector>

// The sized forms, which clang declares only when asked to.
void operator delete(void *block, std::size_t bytes) noexcept;
void operator delete[](void *block, std::size_t bytes) noexcept;
void operator delete(void *block, std::size_t bytes, std::align_val_t alignment) noexcept;
void operator delete[](void *block, std::size_t bytes, std::align_val_t alignment) noexcept;

#define CHECK(condition) \
	do { \
		if (!(condition)) { \
			std::fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #condition); \
			std::_Exit(1); \
		} \
	} while (0)

static volatile std::size_t huge = SIZE_MAX / 2 - 4096;
static int handler_calls;

// Where blocks go that nobody uses: the compiler may leave out an allocation whose result it sees unused.
static void *volatile sink;

static bool ours(void *block, std::size_t bytes, std::size_t alignment)
{
	return block != nullptr && reinterpret_cast<std::uintptr_t>(block) % alignment == 0 && malloc_usable_size(block) >= bytes;
}

static void plain_forms()
{
	for (std::size_t bytes : {0ul, 1ul, 24ul, 1000ul, 40000ul, 3000000ul}) {
		void *a = ::operator new(bytes), *b = ::operator new[](bytes);
		void *c = ::operator new(bytes, std::nothrow), *d = ::operator new[](bytes, std::nothrow);
		CHECK(ours(a, bytes, 16) && ours(b, bytes, 16) && ours(c, bytes, 16) && ours(d, bytes, 16));
		CHECK(a != b && b != c && c != d);
		::operator delete(a, bytes);
		::operator delete[](b, bytes);
		::operator delete(c, std::nothrow);
		::operator delete[](d, std::nothrow);
		::operator delete(::operator new(bytes));
		::operator delete[](::operator new[](bytes));
	}
	::operator delete(nullptr);
	::operator delete[](nullptr);
	CHECK(malloc_usable_size(::operator new(25)) <= 32); // glibc would say 40
}

static void aligned_forms()
{
	for (std::size_t alignment : {16ul, 64ul, 4096ul, 4194304ul}) {
		std::align_val_t align{alignment};
		void *a = ::operator new(100, align), *b = ::operator new[](100, align);
		void *c = ::operator new(100, align, std::nothrow), *d = ::operator new[](100, align, std::nothrow);
		CHECK(ours(a, 100, alignment) && ours(b, 100, alignment) && ours(c, 100, alignment) && ours(d, 100, alignment));
		::operator delete(a, align);
		::operator delete[](b, align);
		::operator delete(c, align, std::nothrow);
		::operator delete[](d, align, std::nothrow);
		::operator delete(::operator new(100, align), 100, align);
		::operator delete[](::operator new[](100, align), 100, align);
	}
}

// Real programs pass sizes and alignments that are not those of the block: deleting a derived object by a pointer to a base without a
// virtual destructor is enough. The block knows better.
static void wrong_sizes()
{
	std::size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
	for (std::size_t bytes : {1ul, 100ul, 1000ul, 40000ul, 3000000ul}) {
		for (std::size_t said : {0ul, 1ul, 24ul, 5000ul, 70000ul, 5000000ul}) {
			::operator delete(::operator new(bytes), said);
			::operator delete[](::operator new[](bytes), said);
			::operator delete(::operator new(bytes), said, std::align_val_t{4096});
			::operator delete[](::operator new[](bytes), said, std::align_val_t{4096});
			::operator delete(::operator new(bytes), std::align_val_t{1 << 21});
		}
	}
	CHECK(mallinfo2().uordblks + mallinfo2().hblkhd == before);
	void *a = ::operator new(1000), *b = ::operator new(1000);
	CHECK(a != b && ours(a, 1000, 16) && ours(b, 1000, 16));
	::operator delete(a);
	::operator delete(b);
}

template <typename Function> static bool throws_bad_alloc(Function function)
{
	try {
		function();
	} catch (const std::bad_alloc &) {
		return true;
	}
	return false;
}

static void out_of_memory()
{
	std::align_val_t align{64};
	CHECK(throws_bad_alloc([] { sink = ::operator new(huge); }));
	CHECK(throws_bad_alloc([] { sink = ::operator new[](huge); }));
	CHECK(throws_bad_alloc([=] { sink = ::operator new(huge, align); }));
	CHECK(throws_bad_alloc([=] { sink = ::operator new[](huge, align); }));
	CHECK(throws_bad_alloc([] { std::vector<char> v(huge); }));
	CHECK(::operator new(huge, std::nothrow) == nullptr);
	CHECK(::operator new[](huge, std::nothrow) == nullptr);
	CHECK(::operator new(huge, align, std::nothrow) == nullptr);
	CHECK(::operator new[](huge, align, std::nothrow) == nullptr);
}

// The handler is called until it gives up by taking itself off, or throws.
static void give_up_at_the_third_call()
{
	if (++handler_calls == 3)
		std::set_new_handler(nullptr);
}

static void throw_an_int()
{
	throw 42;
}

static void new_handlers()
{
	std::set_new_handler(give_up_at_the_third_call);
	CHECK(throws_bad_alloc([] { sink = ::operator new(huge); }));
	CHECK(handler_calls == 3);
	handler_calls = 0;
	std::set_new_handler(give_up_at_the_third_call);
	CHECK(::operator new(huge, std::nothrow) == nullptr);
	CHECK(handler_calls == 3);
	std::set_new_handler(throw_an_int);
	int caught = 0;
	try {
		sink = ::operator new(huge);
	} catch (int number) {
		caught = number;
	}
	CHECK(caught == 42);
	// The forms that must not throw swallow it.
	CHECK(::operator new(huge, std::nothrow) == nullptr);
	CHECK(::operator new[](huge, std::align_val_t(64), std::nothrow) == nullptr);
	std::set_new_handler(nullptr);
}

// An argument leaves out what guards report.
int main(int argc, char **)
{
	plain_forms();
	aligned_forms();
	if (argc == 1)
		wrong_sizes();
	out_of_memory();
	new_handlers();
	std::puts("operators work");
	return 0;
}
