#include "viewer/document.h"

#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"

static void a_tree(void)
{
	static const char json[] = "{\"name\":\"heap\",\"rows\":[1,2,[3,null]]} ";
	struct document document = {0};
	const char *end = NULL;
	const cJSON *root = document_parse(&document, json, sizeof(json) - 1, &end);
	CU_ASSERT_PTR_NOT_NULL_FATAL(root);
	UNIT_STRING(cJSON_GetObjectItemCaseSensitive(root, "name")->valuestring, "heap");
	UNIT_EQUAL(cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(root, "rows")), 3);
	UNIT_EQUAL(end - json, sizeof(json) - 2);
	document_free(&document);
	CU_ASSERT_PTR_NULL(document.spare);
}

/* The next text uses the memory of the one before it; a large one's is given back. */
static void memory_is_used_again(void)
{
	enum { VALUES = 100000 };
	struct document document = {0};
	const char *end;
	const cJSON *first = document_parse(&document, "[1]", 3, &end);
	CU_ASSERT_PTR_NOT_NULL_FATAL(first);
	CU_ASSERT_PTR_EQUAL(document_parse(&document, "[2]", 3, &end), first);
	char *large = malloc(2 * VALUES + 2);
	CU_ASSERT_PTR_NOT_NULL_FATAL(large);
	for (size_t i = 0; i < VALUES; i++)
		memcpy(large + 2 * i, i > 0 ? ",7" : "[7", 2);
	memcpy(large + (size_t)2 * VALUES, "]", 2);
	const cJSON *root = document_parse(&document, large, (size_t)2 * VALUES + 1, &end);
	CU_ASSERT_PTR_NOT_NULL_FATAL(root);
	UNIT_EQUAL(cJSON_GetArraySize(root), VALUES);
	document_done(&document);
	CU_ASSERT_TRUE(document.spare_count > 0 && document.spare_count <= 32);
	/* A text of a piece of its own. */
	memset(large, 'x', 2 * VALUES);
	large[0] = large[2 * VALUES - 1] = '"';
	root = document_parse(&document, large, (size_t)2 * VALUES, &end);
	CU_ASSERT_PTR_NOT_NULL_FATAL(root);
	UNIT_EQUAL(strlen(root->valuestring), 2 * VALUES - 2);
	free(large);
	document_free(&document);
}

/* Of a text that is wrong nothing stays, and cJSON goes on with malloc. */
static void a_wrong_text(void)
{
	static const char json[] = "{\"name\":[1,2,oops]}";
	struct document document = {0};
	const char *end = NULL;
	CU_ASSERT_PTR_NULL(document_parse(&document, json, sizeof(json) - 1, &end));
	UNIT_EQUAL(end - json, 13);
	cJSON *other = cJSON_Parse("[\"other\"]");
	CU_ASSERT_PTR_NOT_NULL_FATAL(other);
	document_free(&document);
	UNIT_STRING(cJSON_GetArrayItem(other, 0)->valuestring, "other");
	cJSON_Delete(other);
}

UNIT_MAIN("document", UNIT(a_tree), UNIT(memory_is_used_again), UNIT(a_wrong_text))
