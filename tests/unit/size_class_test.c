/* The table of size classes, and the arithmetic on it. */
#include "lib/size_class.h"

#include "tests/unit/unit.h"

static void every_size_gets_the_smallest_class_that_fits(void)
{
	unsigned expected = 0;
	for (size_t bytes = 0; bytes <= HAK_MAX_SMALL; bytes++) {
		while (hak_size_classes[expected].block_bytes < bytes)
			expected++;
		if (hak_bin_of_size(bytes) != HAK_BIN_OF_CLASS(expected))
			UNIT_EQUAL(hak_bin_of_size(bytes), HAK_BIN_OF_CLASS(expected));
	}
	UNIT_EQUAL(hak_bin_of_size(HAK_MAX_SMALL), HAK_BIN_OF_CLASS(HAK_CLASS_COUNT - 1));
	UNIT_EQUAL(hak_bin_of_size(0), HAK_BIN_OF_CLASS(0));
	UNIT_EQUAL(hak_bin_of_size(17), HAK_BIN_OF_CLASS(1));
}

static void rows_are_in_order_and_aligned(void)
{
	for (unsigned c = 0; c < HAK_CLASS_COUNT; c++) {
		const struct hak_size_class *class = &hak_size_classes[c];
		UNIT_EQUAL(class->block_bytes % HAK_ALIGNMENT, 0);
		if (c > 0)
			CU_ASSERT_TRUE(class->block_bytes > hak_size_classes[c - 1].block_bytes);
		/* A request just above one class loses at most a quarter of its block, from 128 bytes on. */
		if (c > 8)
			CU_ASSERT_TRUE(class->block_bytes * 4 <= hak_size_classes[c - 1].block_bytes * 5);
	}
	UNIT_EQUAL(hak_size_classes[HAK_CLASS_COUNT - 1].block_bytes, HAK_MAX_SMALL);
	UNIT_EQUAL(HAK_CLASS_COUNT, 40);
}

static void slabs_waste_little(void)
{
	for (unsigned c = 0; c < HAK_CLASS_COUNT; c++) {
		const struct hak_size_class *class = &hak_size_classes[c];
		size_t slab = class->slots_per_slab * HAK_SLOT_BYTES;
		UNIT_EQUAL(class->capacity, slab / class->block_bytes);
		CU_ASSERT_TRUE((slab - (size_t)class->capacity * class->block_bytes) * 25 <= slab);
	}
}

static void batches(void)
{
	for (unsigned c = 0; c < HAK_CLASS_COUNT; c++) {
		uint32_t fits = (uint32_t)HAK_SLOT_BYTES * 3 / 4 / hak_size_classes[c].block_bytes;
		uint32_t expected = fits > 64 ? 64 : fits < 8 ? 8 : fits;
		UNIT_EQUAL(hak_size_classes[c].batch, expected);
	}
}

/* Every offset of every class's slab, against the division that the reciprocal replaces. */
static void block_of_offset_is_exact(void)
{
	for (unsigned c = 0; c < HAK_CLASS_COUNT; c++) {
		const struct hak_size_class *class = &hak_size_classes[c];
		uint32_t wrong = 0;
		for (uint32_t offset = 0; offset < class->slots_per_slab * HAK_SLOT_BYTES; offset++)
			wrong += hak_block_of_offset(class, offset) != offset / class->block_bytes;
		UNIT_EQUAL(wrong, 0);
	}
}

UNIT_MAIN("size_class", UNIT(every_size_gets_the_smallest_class_that_fits), UNIT(rows_are_in_order_and_aligned),
	UNIT(slabs_waste_little), UNIT(batches), UNIT(block_of_offset_is_exact))
