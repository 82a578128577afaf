#include "size_class.h"

#define RECIPROCAL(bytes) ((((uint64_t)1 << 40) + (bytes)-1) / (bytes))

const struct hak_size_class hak_size_classes[HAK_CLASS_COUNT] = {
#define HAK_CLASS(bytes, slots) \
	{(bytes), (slots), (slots)*HAK_SLOT_BYTES / (bytes), HAK_BATCH(bytes), RECIPROCAL(bytes)},
#include "size_class.def"
#undef HAK_CLASS
};

/* The steps that a class serves: one up to 128 bytes, then a quarter of the doubling that it lies in. */
#define STEPS(bytes) ((bytes) <= 128 ? 1 : (1u << (31 - __builtin_clz((bytes)-1))) / 4 / HAK_ALIGNMENT)

uint8_t hak_bin_of_step[HAK_SIZE_STEPS] = {
	[0] = HAK_BIN_OF_CLASS(0),
#define HAK_CLASS(bytes, slots) \
	[(bytes) / HAK_ALIGNMENT - STEPS(bytes) + 1 ...(bytes) / HAK_ALIGNMENT] = HAK_BIN_OF_CLASS( \
		HAK_CLASS_OF_##bytes),
#define HAK_PACKED_CLASS(bytes, slots)
#include "size_class.def"
#undef HAK_CLASS
};

void hak_size_class_pack(void)
{
	unsigned bin = HAK_BIN_OF_CLASS(0);

	for (size_t step = 0; step < HAK_SIZE_STEPS; step++) {
		if (step << HAK_SIZE_STEP_SHIFT > hak_size_classes[HAK_CLASS_OF_BIN(bin)].block_bytes)
			bin++;
		hak_store_relaxed(&hak_bin_of_step[step], (uint8_t)bin);
	}
}

unsigned hak_bin_of_packed(size_t bytes)
{
	unsigned class = HAK_CLASS_OF_32768;
	size_t whole = (bytes + HAK_SLOT_BYTES - 1) & ~(HAK_SLOT_BYTES - 1);

	while (class < HAK_CLASS_COUNT && hak_size_classes[class].block_bytes < bytes)
		class ++;
	return class < HAK_CLASS_COUNT && hak_size_classes[class].block_bytes < whole ? HAK_BIN_OF_CLASS(class)
										      : HAK_BIN_LARGE;
}
