#include "fmt.h"

void hak_fmt_begin(struct hak_fmt *fmt, char *out, size_t size)
{
	fmt->out = out;
	fmt->size = size;
	fmt->length = 0;
	out[0] = '\0';
}

void hak_fmt_char(struct hak_fmt *fmt, char c)
{
	if (fmt->length + 1 < fmt->size) {
		fmt->out[fmt->length++] = c;
		fmt->out[fmt->length] = '\0';
	}
}

void hak_fmt_text(struct hak_fmt *fmt, const char *text)
{
	while (*text)
		hak_fmt_char(fmt, *text++);
}

static void fmt_digits(struct hak_fmt *fmt, uint64_t value, unsigned base)
{
	char digits[20]; /* 2^64 - 1 has 20 decimal digits */
	size_t n = 0;

	do {
		digits[n++] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value);
	while (n)
		hak_fmt_char(fmt, digits[--n]);
}

void hak_fmt_unsigned(struct hak_fmt *fmt, uint64_t value)
{
	fmt_digits(fmt, value, 10);
}

void hak_fmt_hex(struct hak_fmt *fmt, uint64_t value)
{
	hak_fmt_text(fmt, "0x");
	fmt_digits(fmt, value, 16);
}
