/* here.h: this test's own program as a module of a profile, and addresses in it that are known. */
#ifndef HAK_TESTS_HERE_H
#define HAK_TESTS_HERE_H

#include <link.h>
#include <stdint.h>

#include "tests/unit/unit.h"

struct here {
	uint64_t base, end;
	char build_id[129]; /* hex; "" without one */
};

static inline void here_find_id(struct here *here, const char *notes, size_t size)
{
	for (size_t at = 0; at + sizeof(ElfW(Nhdr)) <= size;) {
		const ElfW(Nhdr) *note = (const void *)(notes + at);
		size_t name = at + sizeof(*note), id = name + ((note->n_namesz + 3) & ~3u);
		if (note->n_type == NT_GNU_BUILD_ID && note->n_namesz == 4 && memcmp(notes + name, "GNU", 4) == 0) {
			for (size_t i = 0; i < note->n_descsz && i < 64; i++)
				snprintf(here->build_id + 2 * i, 3, "%02x", (unsigned char)notes[id + i]);
		}
		at = id + ((note->n_descsz + 3) & ~3u);
	}
}

/* Takes the first module, which is the program. */
static int here_collect(struct dl_phdr_info *info, size_t size, void *argument)
{
	struct here *here = argument;
	(void)size;
	here->base = here->end = info->dlpi_addr;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
		uint64_t start = info->dlpi_addr + segment->p_vaddr;
		if (segment->p_type == PT_LOAD && start + segment->p_memsz > here->end)
			here->end = start + segment->p_memsz;
		if (segment->p_type == PT_NOTE)
			here_find_id(here, (const char *)start, segment->p_memsz);
	}
	return 1;
}

static inline struct here here_find(void)
{
	struct here here = {0};
	dl_iterate_phdr(here_collect, &here);
	return here;
}

/* The address that a call of it returns to. */
__attribute__((noinline)) static void *here_after_call(void)
{
	__asm__ volatile("" ::: "memory");
	return __builtin_return_address(0);
}

/* The lines of the two calls below. */
enum { HERE_INNER_LINE = __LINE__ + 3 };
__attribute__((always_inline)) static inline void *here_inlined(void)
{
	return here_after_call();
}

enum { HERE_OUTER_LINE = __LINE__ + 3 };
__attribute__((noinline, unused)) static void *here_outer(void)
{
	void *address = here_inlined();
	__asm__ volatile("" ::: "memory");
	return address;
}

#endif
