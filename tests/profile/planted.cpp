/* A program with stacks that are known: it prints the files that its code lies in, and the return addresses at some of its
 * places, from which document.py makes a profile. Each place prints its line. */
#include <cstdio>
#include <cstdlib>
#include <execinfo.h>
#include <link.h>
#include <setjmp.h>
#include <signal.h>

namespace {

int place; /* of the stack that is printed next: its number is its id */

/* The return addresses from the caller on, as an unwinder in malloc would have captured them. */
__attribute__((noinline)) void capture(int line)
{
	void *addresses[64];
	int count = backtrace(addresses, 64);
	printf("stack %d %d", ++place, line);
	for (int i = 1; i < count; i++)
		printf(" %p", addresses[i]);
	printf("\n");
}

int print_module(struct dl_phdr_info *info, size_t, void *)
{
	ElfW(Addr) end = info->dlpi_addr;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) &segment = info->dlpi_phdr[i];
		if (segment.p_type == PT_LOAD && info->dlpi_addr + segment.p_vaddr + segment.p_memsz > end)
			end = info->dlpi_addr + segment.p_vaddr + segment.p_memsz;
	}
	printf("module 0x%lx 0x%lx %s\n", (unsigned long)info->dlpi_addr, (unsigned long)end, info->dlpi_name);
	return 0;
}

} // namespace

namespace planted {

template <class T> struct tree {
	T value; // NOLINT(misc-non-private-member-variables-in-classes): it is a plain struct with a function
	__attribute__((noinline)) int grow(int depth);
};

inline __attribute__((always_inline)) int sprout(int depth)
{
	capture(__LINE__);
	return depth + 1;
}

template <class T> int tree<T>::grow(int depth)
{
	return sprout(depth) + 1; /* no call in tail position: each function keeps its frame */
}

} // namespace planted

extern "C" __attribute__((noinline, visibility("default"))) int compare_and_keep(const void *left, const void *right)
{
	static bool done;
	if (!done)
		capture(__LINE__);
	done = true;
	return *(const int *)left - *(const int *)right;
}

/* Its first instruction faults: the one before it belongs to another function. */
#if defined(__x86_64__)
#define FAULT "ud2"
#else
#define FAULT ".inst 0"
#endif
extern "C" void faults_at_once();
__asm__(".text\n"
	".globl comes_before\n.hidden comes_before\n.type comes_before,%function\n"
	"comes_before:\n.cfi_startproc\n" FAULT "\n.cfi_endproc\n.size comes_before,.-comes_before\n"
	".globl faults_at_once\n.hidden faults_at_once\n.type faults_at_once,%function\n"
	"faults_at_once:\n.cfi_startproc\n" FAULT "\n.cfi_endproc\n.size faults_at_once,.-faults_at_once\n");

static sigjmp_buf after;

extern "C" __attribute__((visibility("default"))) void on_fault(int)
{
	capture(__LINE__);
	siglongjmp(after, 1);
}

int main()
{
	planted::tree<double> tree = {1};
	int numbers[] = {3, 1, 2};
	int sum = tree.grow(0);
	qsort(numbers, 3, sizeof(numbers[0]), compare_and_keep);
	signal(SIGILL, on_fault);
	if (sigsetjmp(after, 1) == 0)
		faults_at_once();
	dl_iterate_phdr(print_module, nullptr);
	return sum == 2 ? 0 : 1;
}
