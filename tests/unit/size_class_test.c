/* The table of size classes, and the arithmetic on it. */
#include "lib/size_class.h"

#include "tests/unit/unit.h"

/* Whether a class is used only where address space is limited to little. */
static const bool is_packed[] = {
#define HAK_CLASS(bytes, slots) false,
#define HAK_PACKED_CLASS(bytes, slots) true,
#include "lib/size_class.def"
#undef HAK_CLASS
};

static void every_size_gets_the_smallest_class_that_fits(void)
{
	unsigned expected = 0;
	for (size_t bytes = 0; bytes <= HAK_MAX_SMALL; bytes++) {
		while (hak_size_classes[expected].block_bytes < bytes || is_packed[expected])
			expected++;
		if (hak_bin_of_size(bytes) != HAK_BIN_OF_CLASS(expected))
			UNIT_EQUAL(hak_bin_of_size(bytes), HAK_BIN_OF_CLASS(expected));
	}
	UNIT_EQUAL(hak_bin_of_size(HAK_MAX_SMALL), HAK_BIN_OF_CLASS(HAK_CLASS_OF_32768));
	UNIT_EQUAL(hak_bin_of_size(0), HAK_BIN_OF_CLASS(0));
	UNIT_EQUAL(hak_bin_of_size(17), HAK_BIN_OF_CLASS(1));
}

/* Then packed classes are among them, and above 1 KiB a request fills five sixths of its block. Runs last: the
 * table stays so. */
static void packed_classes_may_serve_every_size(void)
{
	unsigned expected = 0, wrong = 0;
	hak_size_class_pack();
	for (size_t bytes = 0; bytes <= HAK_MAX_SMALL; bytes++) {
		while (hak_size_classes[expected].block_bytes < bytes)
			expected++;
		wrong += hak_bin_of_size(bytes) != HAK_BIN_OF_CLASS(expected);
		wrong += bytes > 1024 && bytes * 6 < hak_size_classes[expected].block_bytes * (size_t)5;
	}
	UNIT_EQUAL(wrong, 0);
}

static void rows_are_in_order_and_aligned(void)
{
	for (unsigned c = 0; c < HAK_CLASS_COUNT; c++) {
		const struct hak_size_class *class = &hak_size_classes[c];
		UNIT_EQUAL(class->block_bytes % HAK_ALIGNMENT, 0);
		if (c > 0)
			CU_ASSERT_TRUE(class->block_bytes > hak_size_classes[c - 1].block_bytes);
		/* A request just above one class loses at most a quarter of its block, from 128 bytes on. */
		if (c > 8 && c <= HAK_CLASS_OF_32768)
			CU_ASSERT_TRUE(class->block_bytes * 4 <=
				hak_size_classes[is_packed[c - 1] ? c - 2 : c - 1].block_bytes * 5);
	}
	UNIT_EQUAL(hak_size_classes[HAK_CLASS_OF_32768].block_bytes, HAK_MAX_SMALL);
	UNIT_EQUAL(HAK_CLASS_OF_32768, 44);
	UNIT_EQUAL(HAK_CLASS_COUNT, 56);
}

static void slabs_waste_little(void)
{
	for (unsigned c = 0; c < HAK_CLASS_COUNT; c++) {
		const struct hak_size_class *class = &hak_size_classes[c];
		size_t slab = class->slots_per_slab * HAK_SLOT_BYTES;
		UNIT_EQUAL(class->capacity, slab / class->block_bytes);
		CU_ASSERT_TRUE((slab - (size_t)class->capacity * class->block_bytes) * 40 <= slab);
		UNIT_EQUAL(HAK_SLOTS_PER_SS % class->slots_per_slab, 0);
	}
}

static void batches(void)
{
	for (unsigned c = 0; c < HAK_CLASS_COUNT; c++) {
		uint32_t fits = (uint32_t)HAK_SLOT_BYTES * 3 / 4 / hak_size_classes[c].block_bytes;
		uint32_t least = c > HAK_CLASS_OF_32768 ? 2 : 8;
		uint32_t expected = fits > 64 ? 64 : fits < least ? least : fits;
		UNIT_EQUAL(hak_size_classes[c].batch, expected);
	}
}

/* Above the largest class the packed one that fits best, where it takes less than whole slots. At least four fifths are filled. */
static void big_sizes_are_packed(void)
{
	unsigned wrong = 0;
	for (size_t bytes = HAK_MAX_SMALL + 1; bytes <= 300000; bytes++) {
		size_t whole = (bytes + HAK_SLOT_BYTES - 1) / HAK_SLOT_BYTES * HAK_SLOT_BYTES;
		unsigned bin = hak_bin_of_packed(bytes);
		size_t room = bin == HAK_BIN_LARGE ? whole : hak_size_classes[HAK_CLASS_OF_BIN(bin)].block_bytes;
		bool best = bin == HAK_BIN_LARGE || hak_size_classes[HAK_CLASS_OF_BIN(bin) - 1].block_bytes < bytes;
		wrong += room < bytes || room > whole || !best || bytes * 5 < room * 4 - HAK_ALIGNMENT;
	}
	UNIT_EQUAL(wrong, 0);
	UNIT_EQUAL(hak_bin_of_packed(HAK_SLOT_BYTES), HAK_BIN_LARGE);
	UNIT_EQUAL(hak_bin_of_packed(SIZE_MAX / 2), HAK_BIN_LARGE);
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
	UNIT(slabs_waste_little), UNIT(batches), UNIT(big_sizes_are_packed), UNIT(block_of_offset_is_exact),
	UNIT(packed_classes_may_serve_every_size))
