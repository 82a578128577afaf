/* format.h: numbers as short text, and text made safe to show. Pure functions; nothing here keeps state. */
#ifndef VIEWER_FORMAT_H
#define VIEWER_FORMAT_H

#include <stddef.h>
#include <stdint.h>

#define FORMAT_MAX 32

/* Each writes a terminated string into `out` and returns it. */

/* Bytes in at most five columns, powers of 1024: 0B, 512B, 1.50K, 38.2M, 1023G. */
const char *format_bytes(char out[FORMAT_MAX], uint64_t bytes);
/* A count in at most five columns, powers of 1000: 0, 9999, 12.3k, 1.24M, 999G. */
const char *format_count(char out[FORMAT_MAX], uint64_t count);
/* A rate per second, as format_count followed by "/s"; negative and NaN rates are shown as "-". */
const char *format_rate(char out[FORMAT_MAX], double per_second);
/* part of whole: 61.6%, 0.0%, 100%; "-" when whole is 0. */
const char *format_percent(char out[FORMAT_MAX], uint64_t part, uint64_t whole);
/* Microseconds as a clock: 0:07, 12:34, 1:02:03, 3d 04:05. */
const char *format_clock(char out[FORMAT_MAX], uint64_t microseconds);
/* An age: 12ms, 1.2s, 3m04s, 2h05m, 4d06h. */
const char *format_age(char out[FORMAT_MAX], uint64_t milliseconds);

/* Reads one code point of the terminated string *text and moves *text behind it. Returns 0 at the end; 0xFFFD for a
 * byte that belongs to no valid UTF-8 sequence (overlong forms, surrogates and values above 0x10FFFF are invalid). */
uint32_t format_utf8_next(const char **text);
/* Writes `code` as UTF-8 into `out` without a terminator; returns the number of bytes, 1 to 4. */
size_t format_utf8_put(char out[4], uint32_t code);
/* Copies `text` with every control character as '?', invalid bytes too, at most size - 1 bytes, always whole
 * characters. */
const char *format_printable(char *out, size_t size, const char *text);

#endif
