/* The embedded schema is the file, and names every verb's answer and every error code. */
#include "introspect/schema.h"

#include "introspect/protocol.h"
#include "tests/unit/unit.h"

static bool mentions(const char *word)
{
	char quoted[64];
	snprintf(quoted, sizeof(quoted), "\"%s\"", word);
	return memmem(hak_schema_text, hak_schema_length(), quoted, strlen(quoted)) != NULL;
}

static void it_is_whole(void)
{
	CU_ASSERT_TRUE_FATAL(hak_schema_length() > 1000);
	UNIT_EQUAL(hak_schema_text[0], '{');
	UNIT_EQUAL(hak_schema_text[hak_schema_length() - 1], '\n');
	UNIT_EQUAL(hak_schema_text[hak_schema_length() - 2], '}');
}

static void it_names_everything(void)
{
	static const char *const types[] = {HAK_TYPE_HELLO, HAK_TYPE_SNAPSHOT, HAK_TYPE_DELTA, HAK_TYPE_EVENTS, HAK_TYPE_DROPPED,
		HAK_TYPE_OK, HAK_TYPE_PONG, HAK_TYPE_STATS, HAK_TYPE_SCHEMA, HAK_TYPE_DUMP_WRITTEN, HAK_TYPE_ERROR,
		HAK_TYPE_DUMP};
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		CU_ASSERT_TRUE(mentions(types[i]));
#define X(code, meaning) CU_ASSERT_TRUE(mentions(#code));
	HAK_PROTOCOL_ERRORS(X)
#undef X
	CU_ASSERT_FALSE(mentions("no_such_code"));
}

UNIT_MAIN("schema", UNIT(it_is_whole), UNIT(it_names_everything))
