/* The file that an address lies in: by the loader's list, and by glibc's look-up without a lock, which must agree. */
#include "introspect/object.h"

#include <dlfcn.h>
#include <link.h>
#include <stdlib.h>

#include "tests/unit/unit.h"

static int a_variable = 1;

static void check_own(void)
{
	struct hak_object object;
	Dl_info info;
	CU_ASSERT_TRUE_FATAL(hak_object_find((uintptr_t)&check_own, &object));
	CU_ASSERT_TRUE(dladdr((void *)&check_own, &info) != 0);
	UNIT_EQUAL(object.bias, info.dli_fbase);
	UNIT_STRING(object.path, "");
	CU_ASSERT_PTR_NOT_NULL(object.unwind_table);
	CU_ASSERT_TRUE(hak_object_find((uintptr_t)&a_variable, &object));
	UNIT_EQUAL(object.bias, info.dli_fbase);
}

static void check_libc(void)
{
	struct hak_object object;
	uintptr_t in_libc = (uintptr_t)dlsym(RTLD_NEXT, "qsort");
	Dl_info info;
	CU_ASSERT_TRUE_FATAL(hak_object_find(in_libc, &object));
	CU_ASSERT_TRUE(dladdr((void *)in_libc, &info) != 0);
	UNIT_EQUAL(object.bias, info.dli_fbase);
	UNIT_STRING(object.path, info.dli_fname);
}

static void check_nothing(void)
{
	struct hak_object object;
	int on_stack;
	CU_ASSERT_FALSE(hak_object_find(64, &object));
	CU_ASSERT_FALSE(hak_object_find((uintptr_t)&on_stack, &object));
	CU_ASSERT_FALSE(hak_object_find(UINTPTR_MAX, &object));
}

static void by_the_loaders_list(void)
{
	check_own();
	check_libc();
	check_nothing();
}

static void without_a_lock(void)
{
	hak_object_begin();
	by_the_loaders_list();
}

static void as_text(void)
{
	char text[512], expected[64];
	struct hak_object object;
	struct hak_fmt fmt;
	hak_object_begin();
	hak_object_find((uintptr_t)&as_text, &object);
	hak_fmt_begin(&fmt, text, sizeof(text));
	hak_object_format(&fmt, (uintptr_t)&as_text);
	snprintf(expected, sizeof(expected), "/unit_object+0x%lx", (unsigned long)((uintptr_t)&as_text - object.bias));
	CU_ASSERT_TRUE(text[0] == '/' && strlen(text) > strlen(expected));
	UNIT_STRING(text + strlen(text) - strlen(expected), expected);
	hak_fmt_begin(&fmt, text, sizeof(text));
	hak_object_format(&fmt, 64);
	UNIT_STRING(text, "0x40");
}

UNIT_MAIN("object", UNIT(by_the_loaders_list), UNIT(without_a_lock), UNIT(as_text))
