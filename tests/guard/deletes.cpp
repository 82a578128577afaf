// One planted bug a name, in C++: deletes NAME. A block is given back by another operator delete than its operator new
// asks for. What is made of them is in expected.py.
#include "bug.h"

#include <cstdlib>
#include <new>

namespace
{

constexpr size_t PLAIN_BYTES = 48;

struct Base {
	char bytes[40];
};
struct Derived : Base {
	char more[200];
};
struct Plain {
	char bytes[256];
};
struct alignas(256) Aligned {
	char bytes[256];
};

// Read anew each time, so that no compiler follows the block from one operator to the other.
void *volatile it;

template <class T> __attribute__((noinline)) void allocates_it()
{
	it = new T;
	told_block(it, sizeof(T));
}

template <class T> __attribute__((noinline)) void allocates_it_as_array(size_t count)
{
	it = new T[count];
	told_block(it, count * sizeof(T));
}

__attribute__((noinline)) void allocates_it_by_malloc(size_t bytes)
{
	it = std::malloc(bytes);
	told_block(it, bytes);
}

__attribute__((noinline)) void allocates_it_by_new(size_t bytes)
{
	it = ::operator new(bytes);
	told_block(it, bytes);
}

template <class T> __attribute__((noinline)) void misuses_it_by_delete()
{
	told_misuse(it, 1);
	delete static_cast<T *>(it);
	STAYS();
}

__attribute__((noinline)) void misuses_it_by_aligned_delete(size_t bytes, std::align_val_t alignment)
{
	told_misuse(it, 1);
	::operator delete(it, bytes, alignment);
	STAYS();
}

// A class without a virtual destructor, deleted as its base: operator delete is told the base's size.
void delete_as_base()
{
	allocates_it<Derived>();
	misuses_it_by_delete<Base>();
}

// delete where delete[] was due: operator delete is told the size of one.
void delete_of_array()
{
	allocates_it_as_array<Base>(20);
	misuses_it_by_delete<Base>();
}

// As an allocator does that remembers another alignment than it asked for. Of neighbouring blocks of this size, few lie
// as aligned ones would.
void delete_aligned_of_plain()
{
	for (int i = 0; i < 8; i++) {
		allocates_it_by_new(PLAIN_BYTES);
		if (reinterpret_cast<uintptr_t>(it) % 64 != 0)
			break;
	}
	misuses_it_by_aligned_delete(PLAIN_BYTES, std::align_val_t{64});
}

void delete_plain_of_aligned()
{
	allocates_it<Aligned>();
	misuses_it_by_delete<Plain>();
}

void delete_of_malloc()
{
	allocates_it_by_malloc(sizeof(Base));
	misuses_it_by_delete<Base>();
}

} // namespace

int main(int argc, char **argv)
{
	static const bug bugs[] = {BUG(delete_as_base), BUG(delete_of_array), BUG(delete_aligned_of_plain),
		BUG(delete_plain_of_aligned), BUG(delete_of_malloc)};
	return bug_main(argc, argv, bugs, sizeof(bugs) / sizeof(bugs[0]));
}
