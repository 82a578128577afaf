/* introspect's own memory: growth keeps contents, everything is counted, a child of fork lacks what is private. */
#include "introspect/memory.h"

#include <errno.h>
#include <sys/mman.h>

#include "tests/unit/unit.h"

static void mappings_are_counted(void)
{
	uint64_t before = hak_memory_mapped();
	char *page = hak_memory_map(1, HAK_MEMORY_PRIVATE);
	CU_ASSERT_PTR_NOT_NULL_FATAL(page);
	UNIT_EQUAL(page[0], 0);
	UNIT_EQUAL(hak_memory_mapped() - before, (size_t)sysconf(_SC_PAGESIZE));
	hak_memory_unmap(page, 1);
	UNIT_EQUAL(hak_memory_mapped(), before);
	hak_memory_unmap(NULL, 4096);
	UNIT_EQUAL(hak_memory_mapped(), before);
}

static void refusals(void)
{
	struct hak_buffer buffer = {0};
	struct hak_array array = {.element = 16};
	uint64_t before = hak_memory_mapped();
	errno = 0;
	CU_ASSERT_PTR_NULL(hak_memory_map(SIZE_MAX, HAK_MEMORY_PRIVATE));
	UNIT_EQUAL(errno, ENOMEM);
	CU_ASSERT_PTR_NULL(hak_memory_map((size_t)1 << 62, HAK_MEMORY_PRIVATE));
	CU_ASSERT_TRUE(hak_buffer_append(&buffer, "abc", 3));
	CU_ASSERT_FALSE(hak_buffer_reserve(&buffer, (size_t)1 << 62));
	CU_ASSERT_FALSE(hak_buffer_reserve(&buffer, SIZE_MAX));
	UNIT_EQUAL(buffer.length, 3);
	CU_ASSERT_TRUE(memcmp(buffer.data, "abc", 3) == 0);
	CU_ASSERT_FALSE(hak_array_reserve(&array, SIZE_MAX / 8));
	CU_ASSERT_PTR_NULL(array.data);
	hak_buffer_free(&buffer);
	UNIT_EQUAL(hak_memory_mapped(), before);
}

static void buffer_grows_and_shrinks(void)
{
	struct hak_buffer buffer = {0};
	uint64_t before = hak_memory_mapped();
	bool same = true;
	for (uint32_t i = 0; i < 300000; i++)
		CU_ASSERT_TRUE_FATAL(hak_buffer_append(&buffer, &i, sizeof(i)));
	for (uint32_t i = 0; i < 300000; i++)
		same = same && memcmp(buffer.data + 4 * i, &i, sizeof(i)) == 0;
	CU_ASSERT_TRUE(same);
	UNIT_EQUAL(hak_memory_mapped() - before, buffer.capacity);
	hak_buffer_consume(&buffer, 4 * 299999);
	uint32_t last;
	UNIT_EQUAL(buffer.length, 4);
	memcpy(&last, buffer.data, sizeof(last));
	UNIT_EQUAL(last, 299999);
	hak_buffer_trim(&buffer, 10000);
	CU_ASSERT_TRUE(buffer.capacity >= 10000 && buffer.capacity < 10000 + (size_t)sysconf(_SC_PAGESIZE));
	UNIT_EQUAL(hak_memory_mapped() - before, buffer.capacity);
	hak_buffer_consume(&buffer, 4);
	hak_buffer_trim(&buffer, 0);
	CU_ASSERT_PTR_NULL(buffer.data);
	UNIT_EQUAL(hak_memory_mapped(), before);
}

static void array_keeps_its_elements(void)
{
	struct element {
		uint64_t words[67]; /* a size that pages do not divide into */
	};
	struct hak_array array = {.element = sizeof(struct element)};
	uint64_t before = hak_memory_mapped();
	for (size_t count = 1; count < 5000; count *= 3) {
		size_t had = array.capacity;
		CU_ASSERT_TRUE_FATAL(hak_array_reserve(&array, count));
		CU_ASSERT_TRUE(array.capacity >= count);
		struct element *elements = array.data;
		if (had)
			UNIT_EQUAL(elements[had - 1].words[66], had);
		elements[array.capacity - 1].words[66] = array.capacity;
	}
	hak_array_free(&array);
	UNIT_EQUAL(hak_memory_mapped(), before);
	hak_array_free(&array);
	UNIT_EQUAL(hak_memory_mapped(), before);
}

/* Writes one letter for each address, passed as an array of two: y where it is mapped. */
static void report_mapped(void *argument)
{
	void **addresses = argument;
	for (int i = 0; i < 2; i++) {
		unsigned char resident;
		fputs(mincore(addresses[i], 1, &resident) == 0 ? "y" : "n", stderr);
	}
}

static void private_memory_is_absent_in_a_child(void)
{
	UNIT_LEAVE_IF(unit_is_emulated(), "the emulator ignores MADV_DONTFORK");
	void *addresses[2] = {hak_memory_map(4096, HAK_MEMORY_INHERIT), hak_memory_map(4096, HAK_MEMORY_PRIVATE)};
	char seen[16];
	UNIT_EQUAL(unit_in_child(report_mapped, addresses, seen, sizeof(seen)), 0);
	UNIT_STRING(seen, "yn");
	hak_memory_unmap(addresses[1], 4096);
}

static void only_inherited_memory_counts_after_fork(void)
{
	void *inherited = hak_memory_map(8192, HAK_MEMORY_INHERIT);
	void *private = hak_memory_map(4096, HAK_MEMORY_PRIVATE);
	uint64_t mapped = hak_memory_mapped();
	CU_ASSERT_PTR_NOT_NULL(inherited);
	hak_memory_after_fork();
	CU_ASSERT_TRUE(hak_memory_mapped() >= 8192 && hak_memory_mapped() < mapped);
	hak_memory_unmap(private, 4096);
}

static void text_is_cut(void)
{
	char out[4] = "###";
	hak_copy_text(out, sizeof(out), "abcdef");
	UNIT_STRING(out, "abc");
	hak_copy_text(out, sizeof(out), "x");
	UNIT_STRING(out, "x");
	hak_copy_text(out, sizeof(out), NULL);
	UNIT_STRING(out, "");
	hak_copy_text(out, 1, "abc");
	UNIT_STRING(out, "");
}

UNIT_MAIN("memory", UNIT(mappings_are_counted), UNIT(refusals), UNIT(buffer_grows_and_shrinks),
	UNIT(array_keeps_its_elements), UNIT(private_memory_is_absent_in_a_child), UNIT(text_is_cut),
	UNIT(only_inherited_memory_counts_after_fork))
