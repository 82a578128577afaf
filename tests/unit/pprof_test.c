#include "viewer/pprof.h"

#include <zlib.h>

#include "tests/unit/sample_profile.h"

/* What was written, unpacked. */
static uint8_t plain[65536];
static size_t plain_length;

static void write_sample(void)
{
	static const struct binaries_where nowhere = {.folders = NULL};
	struct profile_source source = {.profile = sample_profile_read(), .uptime_us = 7};
	struct symbols *symbols = symbols_open(source.profile, &nowhere);
	struct sites_filter filter = SITES_NO_FILTER;
	struct sites sites;
	struct bytes bytes = {.data = NULL};
	CU_ASSERT_TRUE_FATAL(symbols != NULL && sites_make(&sites, source.profile, &filter));
	CU_ASSERT_TRUE_FATAL(pprof_write(&bytes, &source, &sites, symbols));
	z_stream stream = {.next_in = bytes.data, .avail_in = (uInt)bytes.length, .next_out = plain, .avail_out = sizeof(plain)};
	UNIT_EQUAL(inflateInit2(&stream, 15 + 16), Z_OK);
	UNIT_EQUAL(inflate(&stream, Z_FINISH), Z_STREAM_END);
	plain_length = stream.total_out;
	inflateEnd(&stream);
	bytes_free(&bytes);
	sites_free(&sites);
	symbols_close(symbols);
	profile_free(source.profile);
}

/* Member `member` number `number` of a message: its bytes in a reader, or its number in *value. */
static bool find(struct reader message, unsigned member, unsigned number, struct reader *part, uint64_t *value)
{
	while (reader_left(&message) > 0) {
		uint64_t tag = reader_number(&message), count = reader_number(&message);
		CU_ASSERT_FALSE_FATAL(message.bad);
		if ((tag & 7) == 2) {
			CU_ASSERT_TRUE_FATAL(count <= reader_left(&message));
			*part = (struct reader){.at = message.at, .end = message.at + count};
			message.at += count;
		} else {
			UNIT_EQUAL(tag & 7, 0);
			*value = count;
		}
		if (tag >> 3 == member && number-- == 0)
			return true;
	}
	return false;
}

static struct reader whole(void)
{
	return (struct reader){.at = plain, .end = plain + plain_length};
}

static const char *string_at(uint64_t number)
{
	static char text[256];
	struct reader part = {.at = NULL};
	uint64_t value;
	CU_ASSERT_TRUE_FATAL(find(whole(), 6, (unsigned)number, &part, &value));
	snprintf(text, sizeof(text), "%.*s", (int)(part.end - part.at), (const char *)part.at);
	return text;
}

static uint64_t number_in(struct reader message, unsigned member)
{
	struct reader part;
	uint64_t value = 0;
	return find(message, member, 0, &part, &value) ? value : 0;
}

static void types(void)
{
	static const char *const names[][2] = {
		{"alloc_objects", "count"}, {"alloc_space", "bytes"}, {"inuse_objects", "count"}, {"inuse_space", "bytes"},
	};
	struct reader part = {.at = NULL};
	uint64_t value;
	write_sample();
	UNIT_STRING(string_at(0), "");
	for (unsigned i = 0; i < 4; i++) {
		CU_ASSERT_TRUE_FATAL(find(whole(), 1, i, &part, &value));
		UNIT_STRING(string_at(number_in(part, 1)), names[i][0]);
		UNIT_STRING(string_at(number_in(part, 2)), names[i][1]);
	}
	CU_ASSERT_TRUE_FATAL(find(whole(), 11, 0, &part, &value));
	UNIT_STRING(string_at(number_in(part, 1)), "space");
	UNIT_EQUAL(number_in(whole(), 12), 65536);
	UNIT_EQUAL(number_in(whole(), 10), 7000);
	UNIT_STRING(string_at(number_in(whole(), 14)), "inuse_space");
}

static void samples(void)
{
	static const uint64_t values[] = {100, 500000, 14, 410000}, addresses[] = {0x500122, 0x40100f, 0x40101f};
	struct reader sample = {.at = NULL}, part = {.at = NULL}, location = {.at = NULL};
	uint64_t value;
	write_sample();
	/* Stacks are in the order of their ids: 3, 7, 9. */
	CU_ASSERT_TRUE_FATAL(find(whole(), 2, 1, &sample, &value));
	CU_ASSERT_TRUE_FATAL(find(sample, 2, 0, &part, &value));
	for (int i = 0; i < 4; i++)
		UNIT_EQUAL(reader_number(&part), values[i]);
	UNIT_EQUAL(reader_left(&part), 0);
	CU_ASSERT_TRUE_FATAL(find(sample, 1, 0, &part, &value));
	for (int i = 0; i < 3; i++) {
		uint64_t id = reader_number(&part);
		CU_ASSERT_TRUE_FATAL(find(whole(), 4, (unsigned)id - 1, &location, &value));
		UNIT_EQUAL(number_in(location, 1), id);
		UNIT_EQUAL(number_in(location, 3), addresses[i]);
	}
	UNIT_EQUAL(reader_left(&part), 0);
}

/* The program comes first, whatever its address. */
static void mappings(void)
{
	struct reader part = {.at = NULL};
	uint64_t value;
	write_sample();
	CU_ASSERT_TRUE_FATAL(find(whole(), 3, 0, &part, &value));
	UNIT_STRING(string_at(number_in(part, 5)), "/usr/lib/libthing.so"); /* it is the first of the sample's */
	UNIT_STRING(string_at(number_in(part, 6)), "00ffa1");
	UNIT_EQUAL(number_in(part, 2), 0x500000);
	UNIT_EQUAL(number_in(part, 3), 0x510000);
	UNIT_EQUAL(number_in(part, 7), 0); /* nothing of it is known */
	CU_ASSERT_TRUE_FATAL(find(whole(), 3, 1, &part, &value));
	UNIT_STRING(string_at(number_in(part, 5)), "/usr/bin/thing");
}

UNIT_MAIN("pprof", UNIT(types), UNIT(samples), UNIT(mappings))
