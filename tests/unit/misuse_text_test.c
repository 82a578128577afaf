/* Reports as text, line by line. */
#include "introspect/misuse_text.h"

#include "introspect/object.h"
#include "tests/unit/unit.h"

static char text[HAK_MISUSE_TEXT_BYTES];

static const char *written(const struct hak_misuse *misuse)
{
	struct hak_fmt fmt;
	hak_fmt_begin(&fmt, text, sizeof(text));
	hak_misuse_text(&fmt, misuse);
	UNIT_EQUAL(fmt.length, strlen(text));
	return text;
}

static struct hak_misuse sample(void)
{
	struct hak_misuse misuse = {.at.kind = HAK_AT_foreign, .thread = "worker", .memory_at = 0x10000, .pc = 0x40, .frames = {0x51, 0x61},
		.frame_count = 2, .readable = {true, true}, .details = {.line = "hakmem: the line", .address = 0x10013, .tid = 77,
		.access = HAK_ACCESS_WRITE, .time_ns = 12345678901, .block = {.address = 0x10000, .bytes = 19, .level = 1, .class = 1,
		.alloc_tid = 76, .alloc_ns = 2345678901}}};
	for (unsigned i = 0; i < 32; i++)
		misuse.memory[i] = (uint8_t)i;
	return misuse;
}

static void a_write_behind_a_block(void)
{
	struct hak_misuse misuse = sample();
	UNIT_STRING(written(&misuse),
		"hakmem: the line\n"
		"hakmem:   0x10013 is right behind the end of a live block of 19 bytes at 0x10000, class 1, guarded at level sample\n"
		"hakmem:   written by thread 77 (worker):\n"
		"hakmem:     #0  0x40\n"
		"hakmem:     #1  0x50\n"
		"hakmem:     #2  0x60\n"
		"hakmem:   allocated by thread 76, 10.000 s before:\n"
		"hakmem:     (no stack)\n"
		"hakmem:   the memory there:\n"
		"hakmem:     0x10000  00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f\n"
		"hakmem:     0x10010  10 11 12[13]14 15 16 17 18 19 1a 1b 1c 1d 1e 1f\n"
		"hakmem:     0x10020  can't be read\n"
		"hakmem:     0x10030  can't be read\n"
		"hakmem:     0x10040  can't be read\n"
		"hakmem:     0x10050  can't be read\n");
}

static bool says(const struct hak_misuse *misuse, const char *what)
{
	bool found = strstr(written(misuse), what) != NULL;
	if (!found)
		fprintf(stderr, "\nnot \"%s\" in\n%s", what, text);
	return found;
}

static void offsets(void)
{
	struct hak_misuse misuse = sample();
	misuse.details.address = 0xffff;
	CU_ASSERT_TRUE(says(&misuse, "0xffff is 1 byte before the beginning of a live block of 19 bytes"));
	misuse.details.address = 0x10000;
	CU_ASSERT_TRUE(says(&misuse, "0x10000 is at the beginning of a live"));
	misuse.details.address = 0x10012;
	CU_ASSERT_TRUE(says(&misuse, "0x10012 is 18 bytes into a live"));
	misuse.details.address = 0x10015;
	CU_ASSERT_TRUE(says(&misuse, "0x10015 is 2 bytes behind the end of a live"));
	misuse.details.address = 0x1000f;
	CU_ASSERT_TRUE(says(&misuse, " 0e[0f]\nhakmem:     0x10010  10 11"));
}

static void freed_blocks(void)
{
	struct hak_misuse misuse = sample();
	misuse.details.block.state = HAK_GUARDED_FREED;
	misuse.details.block.free_tid = 75;
	misuse.details.access = HAK_ACCESS_READ;
	misuse.details.block.free_ns = misuse.details.time_ns - 5000000;
	CU_ASSERT_TRUE(says(&misuse, "a freed block of 19 bytes at"));
	CU_ASSERT_TRUE(says(&misuse, "hakmem:   read by thread 77 (worker):\n"));
	CU_ASSERT_TRUE(says(&misuse, "hakmem:   freed by thread 75, 0.005 s before:\n"));
	/* What was found later was found by a call; times that weren't kept aren't told. */
	misuse.pc = 0;
	misuse.details.damage = 4;
	misuse.details.block.free_ns = 0;
	CU_ASSERT_TRUE(says(&misuse, "hakmem:   found by thread 77 (worker):\n"));
	CU_ASSERT_TRUE(says(&misuse, "hakmem:   freed by thread 75:\n"));
}

static void blocks_without_guards(void)
{
	struct hak_misuse misuse = sample();
	misuse.details.block.address = 0;
	misuse.pc = 0;
	misuse.at = (struct hak_whereabouts){.kind = HAK_AT_live, .state = 1, .class = 3, .superslab = 0x200000, .slot = 12,
		.block = 0x10000, .block_bytes = 64};
	CU_ASSERT_TRUE(says(&misuse, "0x10013 is 19 bytes into a block of 64 bytes at 0x10000, class 3: a block that the program was given and has "
		"not freed; SuperSlab 0x200000, slot 12, ACTIVE\n"));
	CU_ASSERT_TRUE(says(&misuse, "hakmem:   called by thread 77 (worker):\n"));
	CU_ASSERT_PTR_NULL(strstr(text, "allocated"));
	misuse.at = (struct hak_whereabouts){.kind = HAK_AT_foreign};
	misuse.thread[0] = 0;
	misuse.memory_at = 0;
	UNIT_STRING(written(&misuse),
		"hakmem: the line\n"
		"hakmem:   0x10013 is not HAKMEM's\n"
		"hakmem:   called by thread 77:\n"
		"hakmem:     (no stack)\n");
}

static void deep_stacks(void)
{
	struct hak_misuse misuse = sample();
	for (unsigned i = 0; i < HAK_STACK_FRAMES; i++)
		misuse.frames[i] = 0x1001 + i;
	misuse.frame_count = HAK_STACK_FRAMES;
	CU_ASSERT_TRUE(says(&misuse, "hakmem:     #32 0x101f\nhakmem:     ... and 96 more\n"));
	/* The longest there may be has room. */
	memset(misuse.details.line, 'x', sizeof(misuse.details.line) - 1);
	CU_ASSERT_TRUE(strlen(written(&misuse)) < HAK_MISUSE_TEXT_BYTES - 1);
}

UNIT_MAIN("misuse_text", UNIT(a_write_behind_a_block), UNIT(offsets), UNIT(freed_blocks), UNIT(blocks_without_guards), UNIT(deep_stacks))
