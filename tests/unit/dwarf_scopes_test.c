#include "viewer/dwarf_scopes.h"

#include <dwarf.h>
#include <fcntl.h>

#include "tests/unit/here.h"

/* The unit of this file, and what is wanted of it. */
static Dwarf *debug;
static Dwarf_Die unit;
static int fd;

static void start(Dwarf_Addr address)
{
	Dwarf_Off at = 0, next;
	size_t head;
	bool found = false;
	fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	debug = dwarf_begin(fd, DWARF_C_READ);
	CU_ASSERT_PTR_NOT_NULL_FATAL(debug);
	while (!found && dwarf_nextcu(debug, at, &next, &head, NULL, NULL, NULL) == 0) {
		found = dwarf_offdie(debug, at + head, &unit) != NULL && dwarf_haspc(&unit, address) > 0;
		at = next;
	}
	CU_ASSERT_TRUE_FATAL(found);
}

static void end(dwarf_scopes *scopes)
{
	dwarf_scopes_free(scopes);
	dwarf_end(debug);
	close(fd);
}

static void innermost_first(void)
{
	Dwarf_Die found[8];
	dwarf_scopes scopes = NULL;
	Dwarf_Addr address = (uint64_t)(uintptr_t)here_outer() - 1 - here_find().base;
	start(address);
	for (int again = 0; again < 2; again++) {
		UNIT_EQUAL(dwarf_scopes_at(&scopes, debug, &unit, address, found, 8), 2);
		UNIT_STRING(dwarf_diename(&found[0]), "here_inlined");
		UNIT_EQUAL(dwarf_tag(&found[0]), DW_TAG_inlined_subroutine);
		UNIT_STRING(dwarf_diename(&found[1]), "here_outer");
		UNIT_EQUAL(dwarf_tag(&found[1]), DW_TAG_subprogram);
	}
	/* Where there is room for one only, it is the function that all the others lie in. */
	UNIT_EQUAL(dwarf_scopes_at(&scopes, debug, &unit, address, found, 1), 1);
	UNIT_STRING(dwarf_diename(&found[0]), "here_outer");
	end(&scopes);
}

static void no_function(void)
{
	Dwarf_Die found[8];
	dwarf_scopes scopes = NULL;
	start((uint64_t)(uintptr_t)here_outer() - 1 - here_find().base);
	UNIT_EQUAL(dwarf_scopes_at(&scopes, debug, &unit, 0, found, 8), 0);
	UNIT_EQUAL(dwarf_scopes_at(&scopes, debug, &unit, UINT64_MAX, found, 8), 0);
	end(&scopes);
}

UNIT_MAIN("dwarf_scopes", UNIT(innermost_first), UNIT(no_function))
