#include "viewer/dwarf.h"

#include <fcntl.h>

#include "tests/unit/here.h"

static char debug_path[] = "+:.debug:/usr/lib/debug";

static struct dwarf *open_here(void)
{
	struct dwarf *dwarf = dwarf_open(open("/proc/self/exe", O_RDONLY | O_CLOEXEC), "/proc/self/exe", debug_path);
	if (dwarf == NULL)
		abort();
	return dwarf;
}

static bool ends_with(const char *text, const char *end)
{
	size_t length = text != NULL ? strlen(text) : 0;
	return length >= strlen(end) && strcmp(text + length - strlen(end), end) == 0;
}

/* A call in a function that was inlined into another one: both, with the lines of both calls. */
static void inlined_functions(void)
{
	struct dwarf_line lines[DWARF_LINES_MAX];
	struct dwarf *dwarf = open_here();
	struct here here = here_find();
	uint64_t address = (uint64_t)(uintptr_t)here_outer() - 1 - here.base;
	UNIT_EQUAL(dwarf_lines(dwarf, address, lines), 2);
	UNIT_STRING(lines[0].linkage, "here_inlined");
	CU_ASSERT_TRUE(lines[0].inlined && !lines[1].inlined);
	CU_ASSERT_TRUE(ends_with(lines[0].file, "tests/unit/here.h"));
	UNIT_EQUAL(lines[0].line, HERE_INNER_LINE);
	UNIT_STRING(lines[1].linkage, "here_outer");
	CU_ASSERT_TRUE(ends_with(lines[1].file, "tests/unit/here.h"));
	UNIT_EQUAL(lines[1].line, HERE_OUTER_LINE);
	CU_ASSERT_FALSE(dwarf_is_signal_frame(dwarf, address));
	dwarf_close(dwarf);
}

static void addresses_of_nothing(void)
{
	struct dwarf_line lines[DWARF_LINES_MAX];
	static const uint64_t addresses[] = {0, 1, 1ull << 32, UINT64_MAX, UINT64_MAX / 2};
	struct dwarf *dwarf = open_here();
	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		UNIT_EQUAL(dwarf_lines(dwarf, addresses[i], lines), 0);
		CU_ASSERT_FALSE(dwarf_is_signal_frame(dwarf, addresses[i]));
	}
	dwarf_close(dwarf);
}

/* What is no ELF file is refused, and its descriptor closed. */
static void other_files(void)
{
	unsigned before = unit_descriptors();
	CU_ASSERT_PTR_NULL(dwarf_open(open("/proc/self/status", O_RDONLY | O_CLOEXEC), "status", debug_path));
	CU_ASSERT_PTR_NULL(dwarf_open(open("/dev/null", O_RDONLY | O_CLOEXEC), "null", debug_path));
	UNIT_EQUAL(unit_descriptors(), before);
}

UNIT_MAIN("dwarf", UNIT(inlined_functions), UNIT(addresses_of_nothing), UNIT(other_files))
