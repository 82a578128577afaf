#include "viewer/demangle.h"

#include "tests/unit/unit.h"

static void names(void)
{
	static const char *const cases[][2] = {
		{"main", "main"},
		{"", ""},
		{"_Znwm", "operator new"},
		{"_ZN7planted4treeIdE4growEi", "planted::tree<double>::grow"},
		{"_ZNSt6vectorIiSaIiEE9push_backERKi", "std::vector<int, std::allocator<int> >::push_back"},
		{"_ZZ4mainENKUlvE_clEv", "main::{lambda()#1}::operator()"},
		/* Rust: as C++, with a hash; and its own way. */
		{"_ZN4core3fmt5Write9write_fmt17h0123456789abcdefE", "core::fmt::Write::write_fmt"},
		{"_RNvCs1234_7mycrate3foo", "mycrate::foo"},
		{"_RINvNtC3std3mem8align_ofjdE", "std::mem::align_of::<usize, f64>"},
		/* What can't be taken apart stays. */
		{"_Z", "_Z"},
		{"_ZN3foo", "_ZN3foo"},
		{"_RNvCs", "_RNvCs"},
		{"_start", "_start"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *name = demangle(cases[i][0]);
		UNIT_STRING(name, cases[i][1]);
		free(name);
	}
}

/* Names that would take very deep recursion, or very long, end. */
static void hostile_names(void)
{
	char deep[100001];
	memset(deep, 'P', sizeof(deep) - 1);
	memcpy(deep, "_Z1fP", 5);
	deep[sizeof(deep) - 1] = '\0';
	char *name = demangle(deep);
	UNIT_STRING(name, deep);
	free(name);
	deep[16000] = '\0';
	name = demangle(deep);
	CU_ASSERT_PTR_NOT_NULL(name);
	free(name);
}

UNIT_MAIN("demangle", UNIT(names), UNIT(hostile_names))
