#include "viewer/problem.h"

#include "tests/unit/unit.h"

static void it_is_one_printable_line(void)
{
	struct problem problem;
	CU_ASSERT_FALSE(problem_set(&problem, "%s: line %d", "a\nb\x1b[2J\x7f", 3));
	UNIT_STRING(problem.text, "a?b?[2J?: line 3");
	/* C1 controls as UTF-8 and as bare bytes: some terminals obey either. */
	problem_set(&problem, "%s", "\xc2\x9b" "2J \x9b" "2J gr\xc3\xbc\xc3\x9f");
	UNIT_STRING(problem.text, "?2J ?2J gr\xc3\xbc\xc3\x9f");
	CU_ASSERT_FALSE(problem_set(NULL, "nobody listens"));
}

static void long_sentences_are_cut(void)
{
	struct problem problem;
	char text[2 * PROBLEM_MAX];
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	problem_set(&problem, "%s", text);
	UNIT_EQUAL(strlen(problem.text), PROBLEM_MAX - 1);
}

UNIT_MAIN("problem", UNIT(it_is_one_printable_line), UNIT(long_sentences_are_cut))
