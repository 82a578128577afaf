/* realloc's choices: what stays, what moves, and what room it gets. */
#include "lib/realloc.h"

#include <errno.h>

#include "lib/depot.h"
#include "lib/hakmem.h"
#include "lib/report.h"
#include "lib/settings.h"
#include "tests/unit/unit.h"

static void realloc_stays_where_it_may(void)
{
	char *block = hak_malloc(1000); /* a block of 1024 */
	CU_ASSERT_PTR_EQUAL(hak_realloc(block, 1024), block);
	CU_ASSERT_PTR_EQUAL(hak_realloc(block, 512), block);
	memset(block, 'a', 1024);
	char *moved = hak_realloc(block, 100); /* less than half: moves, so that the rest is not tied up */
	CU_ASSERT_PTR_NOT_EQUAL(moved, block);
	UNIT_EQUAL(hak_usable_size(moved), 112);
	UNIT_EQUAL(moved[99], 'a');
	moved = hak_realloc(moved, 100000);
	UNIT_EQUAL(moved[99], 'a');
	UNIT_EQUAL(hak_usable_size(moved), 131072);
	moved[99999] = 'z';
	char *grown = hak_realloc(moved, 400000);
	CU_ASSERT_PTR_EQUAL(grown, moved); /* the neighbours were free */
	UNIT_EQUAL(grown[99999], 'z');
	moved = hak_realloc(grown, 20);
	UNIT_EQUAL(moved[19], 'a');
	CU_ASSERT_PTR_NULL(hak_realloc(moved, 0));
}

/* What realloc gave as room for more is still there at the next step. */
static void room_is_not_taken_back(void)
{
	static char *barriers[16][64]; /* take the places behind it, so that it can't grow where it is */
	char *block = hak_malloc(40000);
	unsigned changes = 0;
	size_t usable = 0;
	for (size_t bytes = 40000; bytes <= 700000; bytes += 16) {
		block = hak_realloc(block, bytes);
		if (hak_usable_size(block) == usable)
			continue;
		usable = hak_usable_size(block);
		if (changes < HAK_COUNT_OF(barriers)) {
			for (unsigned i = 0; i < HAK_COUNT_OF(barriers[0]); i++)
				barriers[changes][i] = hak_malloc(65536);
		}
		changes++;
	}
	UNIT_EQUAL(changes, 5); /* 64, 128, 256, 448, 704 KiB */
	for (unsigned n = 0; n < HAK_COUNT_OF(barriers); n++) {
		for (unsigned i = 0; i < HAK_COUNT_OF(barriers[0]); i++)
			hak_free(barriers[n][i]);
	}
	block = hak_realloc(block, 33000); /* far less: what is too much goes */
	UNIT_EQUAL(hak_usable_size(block), 65536);
	hak_free(block);
}

static void failed_realloc_keeps_the_block(void)
{
	char *block = hak_malloc(100);
	memset(block, 'k', 100);
	errno = 0;
	CU_ASSERT_PTR_NULL(hak_realloc(block, SIZE_MAX / 2 + 10));
	UNIT_EQUAL(errno, ENOMEM);
	errno = 0;
	CU_ASSERT_PTR_NULL(hak_realloc(block, (size_t)1 << 46));
	UNIT_EQUAL(errno, ENOMEM);
	for (int i = 0; i < 100; i++)
		UNIT_EQUAL(block[i], 'k');
	hak_free(block);
}

/* realloc, where the block would move, of one that was freed. */
static void refused(char *block, size_t bytes)
{
	static const char text[] = "realloc of a block that was freed";
	errno = 0;
	if (hak_realloc(block, bytes) != NULL || errno != EINVAL || strcmp(hak_last_report.text, text) != 0 ||
		hak_last_report.address != (uintptr_t)block)
		_exit(3);
	hak_last_report.text = "";
}

static void realloc_freed_blocks(void *ignored)
{
	char *blocks[2000], *large = hak_malloc(200000), *live;
	(void)ignored;
	hak_settings.on_error = HAK_ON_ERROR_REPORT;
	for (int i = 0; i < 2000; i++)
		blocks[i] = hak_malloc(100);
	live = blocks[1000];
	/* Those that the thread freed last. */
	for (int i = 0; i < 4; i++)
		hak_free(blocks[i]);
	for (int i = 0; i < 4; i++)
		refused(blocks[i], 5000);
	/* Back in their slab, some block of which lives; and then in one without. */
	for (int i = 4; i < 2000; i++) {
		if (blocks[i] != live)
			hak_free(blocks[i]);
	}
	hak_drain();
	hak_depot_trim();
	refused(live + (size_t)112, 5000);
	refused(live - (size_t)112, 1);
	refused(blocks[1999], 5000);
	hak_free(large);
	refused(large, 900000);
	hak_trim();
	refused(large, 900000);
	/* One that lives goes through. */
	_exit(hak_realloc(live, 90) == live && hak_realloc(live, 5000) != NULL && hak_last_report.text[0] == '\0' ? 0 : 4);
}

static void freed_blocks_are_refused(void)
{
	char said[8192];
	UNIT_EQUAL(unit_in_child(realloc_freed_blocks, NULL, said, sizeof(said)), 0);
	CU_ASSERT_TRUE(strncmp(said, "hakmem: realloc of a block that was freed (address=0x", 53) == 0);
}

UNIT_MAIN("realloc", UNIT(realloc_stays_where_it_may), UNIT(room_is_not_taken_back), UNIT(failed_realloc_keeps_the_block),
	UNIT(freed_blocks_are_refused))
