#include "size_class.h"

#include "atomic.h"

/* Blocks that travel between caches together: 64, or what fits a slot of the bigger classes, at least two so that a
 * cache can give and keep. README.md has the figures for 32, 64 and 128. */
#define BATCH_MAX 64
#define BATCH(bytes) (HAK_SLOT_BYTES / (bytes) < BATCH_MAX ? HAK_SLOT_BYTES / (bytes) : BATCH_MAX)
#define RECIPROCAL(bytes) ((((uint64_t)1 << 40) + (bytes)-1) / (bytes))

const struct hak_size_class hak_size_classes[HAK_CLASS_COUNT] = {
#define HAK_CLASS(bytes, slots) {(bytes), (slots), (slots)*HAK_SLOT_BYTES / (bytes), BATCH(bytes), RECIPROCAL(bytes)},
#include "size_class.def"
#undef HAK_CLASS
};

uint8_t hak_bin_of_step[HAK_SIZE_STEPS];

void hak_size_class_init(void)
{
	unsigned class = 0;

	for (unsigned step = 0; step < HAK_SIZE_STEPS; step++) {
		if ((size_t)step << HAK_SIZE_STEP_SHIFT > hak_size_classes[class].block_bytes)
			class ++;
		hak_bin_of_step[step] = (uint8_t)HAK_BIN_OF_CLASS(class);
	}
}
