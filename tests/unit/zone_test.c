/* Patterns: every byte that is written over is found, and nothing else. */
#include "lib/zone.h"

#include "tests/unit/unit.h"

#define ROOM 96

static _Alignas(16) uint8_t room[ROOM];

static void what_is_filled_is_whole(void)
{
	for (size_t start = 0; start < 17; start++) {
		for (size_t bytes = 0; start + bytes <= ROOM; bytes++) {
			memset(room, 0, ROOM);
			hak_zone_fill((uintptr_t)room + start, bytes, HAK_ZONE_BYTE);
			UNIT_EQUAL(hak_zone_look((uintptr_t)room + start, bytes, HAK_ZONE_BYTE).first, 0);
			CU_ASSERT_TRUE(start == 0 || room[start - 1] == 0);
			CU_ASSERT_TRUE(start + bytes == ROOM || room[start + bytes] == 0);
		}
	}
}

/* Two bytes are written over, at every pair of places: what is told reaches from the one to the other. */
static void each_byte_is_looked_at(void)
{
	for (size_t start = 0; start < 9; start++) {
		for (size_t i = start; i < ROOM; i++) {
			for (size_t j = i; j < ROOM; j += 7) {
				hak_zone_fill((uintptr_t)room, ROOM, HAK_FREED_BYTE);
				room[i] ^= 1;
				room[j] ^= i == j ? 0 : 0x80;
				struct hak_damage damage = hak_zone_look((uintptr_t)room + start, ROOM - start, HAK_FREED_BYTE);
				UNIT_EQUAL(damage.first, (uintptr_t)&room[i]);
				UNIT_EQUAL(damage.bytes, j - i + 1);
			}
		}
	}
}

UNIT_MAIN("zone", UNIT(what_is_filled_is_whole), UNIT(each_byte_is_looked_at))
