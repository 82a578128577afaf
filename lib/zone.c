#include "zone.h"

#include <string.h>

void hak_zone_fill_long(uintptr_t start, size_t bytes, uint8_t pattern)
{
	memset((void *)start, pattern, bytes);
}

struct hak_damage hak_zone_look(uintptr_t start, size_t bytes, uint8_t pattern)
{
	const uint8_t *zone = (const uint8_t *)start;
	size_t first = 0;

	if (HAK_LIKELY(hak_zone_is_whole(start, bytes, pattern)))
		return (struct hak_damage){.first = 0};
	while (zone[first] == pattern)
		first++;
	while (zone[bytes - 1] == pattern)
		bytes--;
	return (struct hak_damage){start + first, bytes - first};
}
