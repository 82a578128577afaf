#include "zone.h"

#include <string.h>

#define WORD sizeof(uint64_t)

void hak_zone_fill(uintptr_t start, size_t bytes, uint8_t pattern)
{
	memset((void *)start, pattern, bytes);
}

static uint64_t word_at(const uint8_t *at)
{
	uint64_t word;

	__builtin_memcpy(&word, at, sizeof(word));
	return word;
}

/* How many of the first bytes are as they were filled: whole words first. */
static size_t intact_from_start(const uint8_t *zone, size_t bytes, uint8_t pattern)
{
	uint64_t whole = pattern * 0x0101010101010101u;
	size_t i = 0;

	while (i + WORD <= bytes && HAK_LIKELY(word_at(zone + i) == whole))
		i += WORD;
	while (i < bytes && zone[i] == pattern)
		i++;
	return i;
}

struct hak_damage hak_zone_look(uintptr_t start, size_t bytes, uint8_t pattern)
{
	const uint8_t *zone = (const uint8_t *)start;
	size_t first = intact_from_start(zone, bytes, pattern);

	if (HAK_LIKELY(first == bytes))
		return (struct hak_damage){.first = 0};
	while (zone[bytes - 1] == pattern)
		bytes--;
	return (struct hak_damage){start + first, bytes - first};
}
