/* Guarded blocks and reports in words. Names of functions are for tests/guard. */
#include "viewer/guard_report.h"

#include "tests/unit/sample_guards.h"

static const struct binaries_where nowhere = {.folders = NULL};

static void the_whole_report(void)
{
	struct problem problem = {""};
	struct guards *guards = sample_guards_parse(sample_guards, &problem);
	CU_ASSERT_PTR_NOT_NULL_FATAL(guards);
	struct symbols *symbols = symbols_open(guards->profile, &nowhere);
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);
	guard_report_text(out, guards, symbols);
	fclose(out);
	static const char expected[] =
		"\n  1.  write beyond a block's end; the program ended\n"
		"     0x7f5a0000009a: 2 bytes behind the end of a live block of 24 bytes at 0x7f5a00000080, class 1, guarded at level full "
		"(SuperSlab 0x7f5a00000000, slot 0)\n"
		"     written by thread 6 worker, 0.500 s ago:\n"
		"       thing+0x1000\n"
		"       thing+0x101f\n"
		"     allocated by thread 5, 0.500 s before:\n"
		"       libthing.so+0x122\n"
		"       thing+0x100f\n"
		"     the memory there then:\n"
		"       0x7f5a00000090  00 01 02 03 04 05 06 07 08 09[0a]0b 0c 0d 0e 0f\n"
		"       0x7f5a000000a0  can't be read\n"
		"\nFiles without symbols here (--binaries=FOLDER says where they are):\n";
	if (strncmp(text, expected, strlen(expected)) != 0)
		fprintf(stderr, "\n    got %s\n    not %s\n", text, expected);
	CU_ASSERT_TRUE(strncmp(text, expected, strlen(expected)) == 0);
	free(text);
	out = open_memstream(&text, &length);
	guard_report_block(out, guards, NULL, &guards->blocks[1], 2);
	fclose(out);
	UNIT_STRING(text, "  allocated by thread 5:\n    0x40100f\n  freed by thread 6, 2.000 s ago:\n    (no stack)\n");
	free(text);
	guards->is_dump = true;
	out = open_memstream(&text, &length);
	guard_report_text(out, guards, NULL);
	fclose(out);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "written by thread 6 worker, 0.500 s before the dump:"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "allocated by thread 5, 0.500 s before:"));
	free(text);
	symbols_close(symbols);
	guards_free(guards);
}

/* Of an address that isn't HAKMEM's there is no memory. */
static void without_memory(void)
{
	struct problem problem = {""};
	char *sample = sample_replace(sample_guards, "\"memory\":{", "\"other\":{");
	struct guards *guards = sample_guards_parse(sample, &problem);
	free(sample);
	UNIT_STRING(problem.text, "");
	CU_ASSERT_PTR_NOT_NULL_FATAL(guards);
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);
	guard_report_text(out, guards, NULL);
	fclose(out);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "     allocated by thread 5, 0.500 s before:\n"));
	CU_ASSERT_PTR_NULL(strstr(text, "memory"));
	free(text);
	guards_free(guards);
}

static void offsets(void)
{
	struct guard_block block = {.address = 0x1000, .bytes = 40, .class = PROFILE_NO_CLASS, .level = "sample", .freed = true};
	char words[GUARD_WORDS];
	UNIT_STRING(guard_words_where(words, 0xfff, &block),
		"1 byte before the beginning of a freed block of 40 bytes at 0x1000, a large one, guarded at level sample");
	CU_ASSERT_PTR_NOT_NULL(strstr(guard_words_where(words, 0x1000, &block), "at the beginning of a freed"));
	CU_ASSERT_PTR_NOT_NULL(strstr(guard_words_where(words, 0x1001, &block), "1 byte into a freed"));
	CU_ASSERT_PTR_NOT_NULL(strstr(guard_words_where(words, 0x1028, &block), "right behind the end of a freed"));
	CU_ASSERT_PTR_NOT_NULL(strstr(guard_words_where(words, 0x1029, &block), "1 byte behind the end of a freed"));
}

static void levels(void)
{
	struct snapshot snapshot = {.guard_level = ""};
	char words[GUARD_WORDS];
	CU_ASSERT_FALSE(guard_matters(&snapshot));
	snapshot.guard.reports = 1;
	CU_ASSERT_TRUE(guard_matters(&snapshot));
	UNIT_STRING(guard_words_level(words, &snapshot), "off; 0 guarded so far; 0 in quarantine (0B); 1 mistake reported");
	strcpy(snapshot.guard_level, "sample");
	snapshot.guard.rate = 50000;
	snapshot.guard.slots = 128;
	snapshot.guard.armed = 3;
	snapshot.guard.reports = 0;
	snapshot.guard.lost = 4;
	CU_ASSERT_TRUE(guard_matters(&snapshot));
	UNIT_STRING(guard_words_level(words, &snapshot),
		"sample, one malloc in 50000; 3 of 128 slots armed; 0 guarded so far, 4 lost; 0 in quarantine (0B); 0 mistakes reported");
}

UNIT_MAIN("guard_report", UNIT(the_whole_report), UNIT(without_memory), UNIT(offsets), UNIT(levels))
