/* Rules out of this program's own tables. Walks by them, beside libgcc's, are tested by walk_test.c. */
#include "introspect/cfi.h"

#include <link.h>

#include "tests/unit/unit.h"

#define BARRIER() __asm__ volatile("" ::: "memory")

static const uint8_t *header;

/* The program comes first. */
static int take_header(struct dl_phdr_info *info, size_t size, void *ignored)
{
	(void)size, (void)ignored;
	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		if (info->dlpi_phdr[i].p_type == PT_GNU_EH_FRAME)
			header = (const uint8_t *)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr);
	}
	return 1;
}

static __attribute__((noinline)) uintptr_t here(void)
{
	uintptr_t address = (uintptr_t)__builtin_return_address(0);
	BARRIER();
	return address;
}

static __attribute__((noinline)) uintptr_t plain(void)
{
	uintptr_t address = here();
	BARRIER();
	return address;
}

static __attribute__((noinline)) uintptr_t variable(size_t bytes)
{
	char *room = __builtin_alloca(bytes);
	memset(room, 1, bytes);
	__asm__ volatile("" : : "r"(room) : "memory");
	uintptr_t address = here();
	BARRIER();
	return address;
}

static void functions(void)
{
	dl_iterate_phdr(take_header, NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(header);
	/* A function's first instruction: nothing is saved yet, but the return address by the call itself. */
	struct hak_cfi_rule first = hak_cfi_read(header, (uintptr_t)&plain);
	UNIT_EQUAL(first.kind, HAK_CFI_SP);
#if defined(__x86_64__)
	UNIT_EQUAL(first.cfa_offset, 8);
	CU_ASSERT_TRUE(first.ra_at == -1 && first.fp_at == HAK_CFI_SAME);
#else
	UNIT_EQUAL(first.cfa_offset, 0);
	CU_ASSERT_TRUE(first.ra_at == HAK_CFI_SAME && first.fp_at == HAK_CFI_SAME);
#endif
	/* In the midst of it. */
	struct hak_cfi_rule middle = hak_cfi_read(header, plain() - 1);
	CU_ASSERT_TRUE(middle.kind == HAK_CFI_SP || middle.kind == HAK_CFI_FP);
	CU_ASSERT_TRUE(middle.cfa_offset >= 16 && middle.ra_at < 0);
	/* Its stack's length is known at run time only. */
	struct hak_cfi_rule by_fp = hak_cfi_read(header, variable(500) - 1);
	UNIT_EQUAL(by_fp.kind, HAK_CFI_FP);
	CU_ASSERT_TRUE(by_fp.fp_at < 0 && by_fp.ra_at < 0);
}

static void what_is_no_code(void)
{
	static const uint8_t nonsense[64] = {9, 9, 9, 9};
	int variable_of_stack;
	dl_iterate_phdr(take_header, NULL);
	UNIT_EQUAL(hak_cfi_read(header, 64).kind, HAK_CFI_NO_ENTRY);
	UNIT_EQUAL(hak_cfi_read(header, (uintptr_t)&variable_of_stack).kind, HAK_CFI_NO_ENTRY);
	UNIT_EQUAL(hak_cfi_read(header, UINTPTR_MAX).kind, HAK_CFI_NO_ENTRY);
	UNIT_EQUAL(hak_cfi_read(nonsense, (uintptr_t)&plain).kind, HAK_CFI_UNKNOWN); /* a header of another form */
}

UNIT_MAIN("cfi", UNIT(functions), UNIT(what_is_no_code))
