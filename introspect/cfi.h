/* cfi.h: where a caller's frame is, by the tables that compilers write for exceptions (.eh_frame, "call frame information").
 *
 * A function's table says for each of its instructions where the frame of the caller begins (the canonical frame address, CFA),
 * by one of two registers, and where on the stack the return address and the caller's frame pointer lie. Such a rule fits a
 * word. What needs more (frames of signal handlers, other registers) is not told. */
#ifndef HAK_CFI_H
#define HAK_CFI_H

#include "lib/base.h"

enum hak_cfi_kind {
	HAK_CFI_NO_TABLE,  /* code that no loaded file has a table for */
	HAK_CFI_UNKNOWN,   /* the table says more than a rule can hold */
	HAK_CFI_NO_ENTRY,  /* it says nothing of this instruction: no reader of tables goes on from here. The loader's first steps, for one */
	HAK_CFI_OUTERMOST, /* there is no caller */
	HAK_CFI_SP,        /* the CFA by the stack pointer */
	HAK_CFI_FP,        /* by the frame pointer */
	HAK_CFI_FP_SAVED   /* what lies at this offset from the frame pointer is the CFA: frames that were realigned */
};

/* Where the caller of an instruction is. */
struct hak_cfi_rule {
	unsigned kind : 4; /* enum hak_cfi_kind */
	int cfa_offset : 28;
	int fp_at : 16, ra_at : 16; /* words from the CFA to where they were saved; HAK_CFI_SAME: still in the register */
};
_Static_assert(sizeof(struct hak_cfi_rule) == sizeof(uint64_t), "a rule is a word");
#define HAK_CFI_SAME INT16_MIN

/* Reads the rule for the instruction at `pc` out of `header`, the .eh_frame_hdr of the file that holds it. Pure; the file must
 * stay loaded meanwhile. */
struct hak_cfi_rule hak_cfi_read(const uint8_t *header, uintptr_t pc);

#endif
