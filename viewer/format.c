#include "viewer/format.h"

#include <stdio.h>
#include <string.h>

/* Three significant digits: value < 1024 by the callers' scaling. */
static void three_digits(char out[FORMAT_MAX], double value, const char *unit)
{
	int decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
	snprintf(out, FORMAT_MAX, "%.*f%s", decimals, value, unit);
}

const char *format_bytes(char out[FORMAT_MAX], uint64_t bytes)
{
	static const char *const units[] = {"B", "K", "M", "G", "T", "P", "E"};
	if (bytes < 1024) {
		snprintf(out, FORMAT_MAX, "%uB", (unsigned)bytes);
		return out;
	}
	double value = (double)bytes;
	size_t unit = 0;
	/* 1023.5 would be rounded to 1024 of the unit, which is one of the next. */
	while (value >= 1023.5 && unit + 1 < sizeof(units) / sizeof(units[0])) {
		value /= 1024;
		unit++;
	}
	three_digits(out, value, units[unit]);
	return out;
}

const char *format_count(char out[FORMAT_MAX], uint64_t count)
{
	static const char *const units[] = {"", "k", "M", "G", "T", "P", "E"};
	if (count < 10000) {
		snprintf(out, FORMAT_MAX, "%u", (unsigned)count);
		return out;
	}
	double value = (double)count;
	size_t unit = 0;
	while (value >= 999.5 && unit + 1 < sizeof(units) / sizeof(units[0])) {
		value /= 1000;
		unit++;
	}
	three_digits(out, value, units[unit]);
	return out;
}

const char *format_rate(char out[FORMAT_MAX], double per_second)
{
	if (!(per_second >= 0)) {
		snprintf(out, FORMAT_MAX, "-");
		return out;
	}
	if (per_second > 9e18)
		per_second = 9e18;
	char count[FORMAT_MAX];
	format_count(count, (uint64_t)(per_second + 0.5));
	snprintf(out, FORMAT_MAX, "%.*s/s", FORMAT_MAX - 3, count);
	return out;
}

const char *format_percent(char out[FORMAT_MAX], uint64_t part, uint64_t whole)
{
	if (whole == 0) {
		snprintf(out, FORMAT_MAX, "-");
		return out;
	}
	double percent = 100.0 * (double)part / (double)whole;
	snprintf(out, FORMAT_MAX, percent >= 99.95 ? "%.0f%%" : "%.1f%%", percent);
	return out;
}

const char *format_clock(char out[FORMAT_MAX], uint64_t microseconds)
{
	uint64_t seconds = microseconds / 1000000;
	unsigned long long days = seconds / 86400;
	unsigned hours = seconds / 3600 % 24, minutes = seconds / 60 % 60, rest = seconds % 60;
	if (days > 0)
		snprintf(out, FORMAT_MAX, "%llud %02u:%02u", days, hours, minutes);
	else if (hours > 0)
		snprintf(out, FORMAT_MAX, "%u:%02u:%02u", hours, minutes, rest);
	else
		snprintf(out, FORMAT_MAX, "%u:%02u", minutes, rest);
	return out;
}

const char *format_age(char out[FORMAT_MAX], uint64_t milliseconds)
{
	unsigned long long seconds = milliseconds / 1000, tenths = milliseconds / 100;
	if (milliseconds < 1000)
		snprintf(out, FORMAT_MAX, "%ums", (unsigned)milliseconds);
	else if (seconds < 60)
		snprintf(out, FORMAT_MAX, "%.1fs", (double)tenths / 10);
	else if (seconds < 3600)
		snprintf(out, FORMAT_MAX, "%llum%02llus", seconds / 60, seconds % 60);
	else if (seconds < 86400)
		snprintf(out, FORMAT_MAX, "%lluh%02llum", seconds / 3600, seconds / 60 % 60);
	else
		snprintf(out, FORMAT_MAX, "%llud%02lluh", seconds / 86400, seconds / 3600 % 24);
	return out;
}

uint32_t format_utf8_next(const char **text)
{
	const unsigned char *p = (const unsigned char *)*text;
	if (*p == 0)
		return 0;
	unsigned length = *p < 0x80 ? 1 : *p >= 0xc2 && *p < 0xe0 ? 2 : (*p & 0xf0) == 0xe0 ? 3 : *p >= 0xf0 &&
		*p < 0xf5 ? 4 : 0;
	if (length == 0) {
		*text += 1;
		return 0xfffd;
	}
	if (length == 1) {
		*text += 1;
		return *p;
	}
	uint32_t code = *p & (0x7fu >> length);
	for (unsigned i = 1; i < length; i++) {
		/* A terminating zero is not a continuation byte either, so this never reads behind the end. */
		if ((p[i] & 0xc0) != 0x80) {
			*text += 1;
			return 0xfffd;
		}
		code = code << 6 | (p[i] & 0x3fu);
	}
	static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
	*text += length;
	if (code < smallest[length] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
		return 0xfffd;
	return code;
}

size_t format_utf8_put(char out[4], uint32_t code)
{
	if (code < 0x80) {
		out[0] = (char)code;
		return 1;
	}
	if (code < 0x800) {
		out[0] = (char)(0xc0 | code >> 6);
		out[1] = (char)(0x80 | (code & 0x3f));
		return 2;
	}
	if (code < 0x10000) {
		out[0] = (char)(0xe0 | code >> 12);
		out[1] = (char)(0x80 | (code >> 6 & 0x3f));
		out[2] = (char)(0x80 | (code & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | code >> 18);
	out[1] = (char)(0x80 | (code >> 12 & 0x3f));
	out[2] = (char)(0x80 | (code >> 6 & 0x3f));
	out[3] = (char)(0x80 | (code & 0x3f));
	return 4;
}

const char *format_printable(char *out, size_t size, const char *text)
{
	size_t length = 0;
	for (uint32_t code; (code = format_utf8_next(&text)) != 0;) {
		if (code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0xfffd)
			code = '?';
		char bytes[4];
		size_t count = format_utf8_put(bytes, code);
		if (length + count >= size)
			break;
		memcpy(out + length, bytes, count);
		length += count;
	}
	out[length] = '\0';
	return out;
}
