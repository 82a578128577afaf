/* Libraries are loaded for ourselves alone, and their symbols found. */
#include "introspect/library.h"

#include <dlfcn.h>

#include "tests/unit/unit.h"

static void loading(void)
{
	CU_ASSERT_PTR_NULL(hak_library_load("libhakmem-knows-none-of-this-name.so.0"));
	UNIT_LEAVE_IF(unit_is_emulated(), "there are no other libraries");
	void *library = hak_library_load("libgcc_s.so.1");
	CU_ASSERT_PTR_NOT_NULL_FATAL(library);
	CU_ASSERT_PTR_NOT_NULL(hak_library_symbol(library, "_Unwind_Backtrace"));
	CU_ASSERT_PTR_NULL(hak_library_symbol(library, "no_such_symbol"));
}

static void symbols_of_the_program(void)
{
	CU_ASSERT_PTR_EQUAL(hak_library_symbol(NULL, "getpid"), dlsym(RTLD_DEFAULT, "getpid"));
	CU_ASSERT_PTR_NOT_NULL(hak_library_symbol(NULL, "getpid"));
}

UNIT_MAIN("library", UNIT(loading), UNIT(symbols_of_the_program))
