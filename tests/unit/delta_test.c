/* Deltas: from any earlier snapshot on, what has changed and nothing else. */
#include "introspect/delta.h"

#include <string.h>

#include "lib/hakmem.h"
#include "tests/unit/unit.h"

#define BLOCKS 2000
#define BLOCK_BYTES 32768

static struct hak_snapshot snapshot;
static struct hak_delta delta;
static char text[16 << 20];
static void *blocks[BLOCKS];

static uint64_t next(void)
{
	CU_ASSERT_TRUE_FATAL(hak_snapshot_take(&snapshot));
	CU_ASSERT_TRUE_FATAL(hak_delta_note(&delta, &snapshot));
	return snapshot.seq;
}

static const char *from(uint64_t base)
{
	struct hak_json json;
	hak_json_to_memory(&json, text, sizeof(text) - 1);
	hak_delta_encode(&json, &delta, &snapshot, base);
	CU_ASSERT_TRUE(hak_json_finish(&json));
	text[json.length] = 0;
	return text;
}

static unsigned count_of(const char *what)
{
	unsigned count = 0;
	for (const char *at = text; (at = strstr(at, what)); at++)
		count++;
	return count;
}

static unsigned row_of(const void *block)
{
	uintptr_t superslab;
	unsigned slot;
	struct hak_slot_info info;
	CU_ASSERT_TRUE_FATAL(hak_inspect_address(block, &superslab, &slot, &info));
	for (size_t i = 0; i < snapshot.heap.superslab_count; i++) {
		if (snapshot.heap.superslabs[i].address == superslab)
			return (unsigned)i;
	}
	CU_FAIL_FATAL("the block's SuperSlab has no row");
	return 0;
}

static void begin(void)
{
	memset(&delta, 0, sizeof(delta));
	hak_snapshot_init(&snapshot);
	hak_snapshot_follow(&snapshot, true);
	for (int i = 0; i < BLOCKS; i++)
		CU_ASSERT_PTR_NOT_NULL_FATAL(blocks[i] = hak_malloc(BLOCK_BYTES));
}

static void end(void)
{
	for (int i = 0; i < BLOCKS; i++)
		hak_free(blocks[i]);
	hak_snapshot_follow(&snapshot, false);
	hak_snapshot_free(&snapshot);
	hak_delta_free(&delta);
	hak_trim();
}

static void nothing_has_changed(void)
{
	begin();
	uint64_t first = next(), second = next();
	char head[64];
	snprintf(head, sizeof(head), "{\"type\":\"delta\",\"seq\":%llu,\"base\":%llu,\"time_us\":",
		(unsigned long long)second, (unsigned long long)first);
	CU_ASSERT_TRUE(strncmp(from(first), head, strlen(head)) == 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "\"classes\":[],\"superslabs\":[],\"superslabs_gone\":[]}"));
	CU_ASSERT_PTR_NULL(strstr(text, "\"stages\""));
	CU_ASSERT_PTR_NULL(strstr(text, "\"threads\""));
	end();
}

static void what_has_changed(void)
{
	begin();
	uint64_t first = next();
	/* One slab of a class that no other block has, in one SuperSlab. */
	void *odd = hak_malloc(40 << 10 | 1);
	uint64_t second = next();
	from(first);
	UNIT_EQUAL(count_of("\"ss\":"), 1);
	char index[32];
	snprintf(index, sizeof(index), "\"index\":%u,", row_of(odd));
	UNIT_EQUAL(count_of(index), 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "\"large\":{"));
	CU_ASSERT_PTR_NULL(strstr(text, "\"lru\""));
	hak_free(odd);
	void *small = hak_malloc(16);
	hak_free(small);
	next();
	from(second);
	UNIT_EQUAL(count_of("{\"class\":"), 1);
	UNIT_EQUAL(count_of("\"class\":0,\"block_bytes\":16,"), 1);
	/* From the first on, both: who missed the second loses nothing. */
	from(first);
	UNIT_EQUAL(count_of(index), 1);
	UNIT_EQUAL(count_of("{\"class\":"), 1);
	end();
}

static void what_is_gone(void)
{
	begin();
	uint64_t first = next();
	unsigned row = row_of(blocks[BLOCKS / 2]);
	for (int i = 0; i < BLOCKS; i++) {
		hak_free(blocks[i]);
		blocks[i] = NULL;
	}
	hak_trim();
	next();
	CU_ASSERT_PTR_NOT_NULL_FATAL(strstr(from(first), "\"superslabs_gone\":["));
	/* The row's number is in the list behind that. */
	char *list = strstr(text, "\"superslabs_gone\":[") + strlen("\"superslabs_gone\":[");
	bool found = false;
	for (char *number = strtok(list, ",]"); number; number = strtok(NULL, ",]"))
		found |= strtoul(number, NULL, 10) == row;
	CU_ASSERT_TRUE(found);
	UNIT_EQUAL(snapshot.heap.superslabs[row].address, 0);
	end();
}

UNIT_MAIN("delta", UNIT(nothing_has_changed), UNIT(what_has_changed), UNIT(what_is_gone))
