/* What the text says of a snapshot; that all of it follows the format's grammar is for tests/schema/openmetrics.py. */
#include "introspect/openmetrics.h"

#include <string.h>

#include "lib/hakmem.h"
#include "tests/unit/unit.h"

static struct hak_snapshot snapshot;
static const struct hak_endpoint_stats endpoint = {.clients = 2, .bytes_sent = 12345};
static struct hak_buffer text;

static const char *written(void)
{
	text.length = 0;
	CU_ASSERT_TRUE(hak_openmetrics_write(&text, &snapshot, &endpoint));
	CU_ASSERT_TRUE_FATAL(hak_buffer_append(&text, "", 1));
	return text.data;
}

static void prepare(void)
{
	hak_snapshot_init(&snapshot);
	CU_ASSERT_TRUE_FATAL(hak_snapshot_take(&snapshot));
	snapshot.pid = 77;
	hak_copy_text(snapshot.exe, sizeof(snapshot.exe), "/usr/bin/a program");
}

static void families_and_samples(void)
{
	char expected[300];
	void *block = hak_malloc(100);

	prepare();
	snprintf(expected, sizeof(expected),
		"# TYPE hakmem_committed_bytes gauge\n# UNIT hakmem_committed_bytes bytes\n# HELP hakmem_committed_bytes "
		"bytes of it that are readable and writable\n"
		"hakmem_committed_bytes{pid=\"77\",program=\"a program\"} %llu\n",
		(unsigned long long)snapshot.heap.committed_bytes);
	CU_ASSERT_PTR_NOT_NULL(strstr(written(), expected));
	CU_ASSERT_PTR_NOT_NULL(strstr(text.data, "\nhakmem_purged_bytes_total{"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text.data, "hakmem_endpoint_sent_bytes_total{pid=\"77\",program=\"a program\"} 12345\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text.data, ",class=\"6\",block_bytes=\"112\"} "));
	CU_ASSERT_PTR_NOT_NULL(strstr(text.data, ",stage=\"stage3\"} "));
	CU_ASSERT_PTR_NOT_NULL(strstr(text.data, "\nhakmem_guard_armed{"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text.data, "# UNIT hakmem_guard_quarantined_bytes bytes\n"));
	UNIT_STRING(text.data + strlen(text.data) - 6, "# EOF\n");
	hak_free(block);
}

/* Classes that were never used have no samples. */
static void unused_classes(void)
{
	prepare();
	for (unsigned i = 0; i < HAK_CLASS_COUNT; i++)
		snapshot.heap.classes[i].allocs = 0;
	CU_ASSERT_PTR_NULL(strstr(written(), "class=\""));
	snapshot.heap.classes[3].allocs = 9;
	CU_ASSERT_PTR_NOT_NULL(strstr(written(), "hakmem_class_allocs_total{pid=\"77\",program=\"a program\",class=\"3\",block_bytes=\"64\"} 9\n"));
	CU_ASSERT_PTR_NULL(strstr(text.data, "class=\"4\""));
}

static void labels_are_escaped(void)
{
	char longest[300];

	prepare();
	hak_copy_text(snapshot.exe, sizeof(snapshot.exe), "/x/\"q\"\\\n");
	CU_ASSERT_PTR_NOT_NULL(strstr(written(), "{pid=\"77\",program=\"\\\"q\\\"\\\\\\n\"} "));
	hak_copy_text(snapshot.exe, sizeof(snapshot.exe), "");
	CU_ASSERT_PTR_NOT_NULL(strstr(written(), "{pid=\"77\",program=\"\"} "));
	memset(longest, '"', sizeof(longest));
	longest[0] = '/';
	longest[256] = 0;
	hak_copy_text(snapshot.exe, sizeof(snapshot.exe), longest);
	CU_ASSERT_PTR_NOT_NULL(strstr(written(), "\\\"\"} "));
	hak_snapshot_free(&snapshot);
	hak_buffer_free(&text);
}

UNIT_MAIN("openmetrics", UNIT(families_and_samples), UNIT(unused_classes), UNIT(labels_are_escaped))
