/* fmt.h: text from numbers without stdio, locale or allocation, for places where malloc can't be called. */
#ifndef HAK_FMT_H
#define HAK_FMT_H

#include "base.h"

/* A text being built in the caller's buffer. It is always zero-terminated; what doesn't fit is cut off. */
struct hak_fmt {
	char *out;
	size_t size; /* of out, at least 1 */
	size_t length;
};

void hak_fmt_begin(struct hak_fmt *fmt, char *out, size_t size);
void hak_fmt_char(struct hak_fmt *fmt, char c);
void hak_fmt_text(struct hak_fmt *fmt, const char *text);
void hak_fmt_unsigned(struct hak_fmt *fmt, uint64_t value);
/* 0x and lower-case hex digits, without leading zeros. */
void hak_fmt_hex(struct hak_fmt *fmt, uint64_t value);

#endif
