/* sample_guards.h: an answer to the request `guarded` for tests: two blocks in the sample snapshot's first slot, one of them freed,
 * and a report about the other. */
#ifndef HAK_TESTS_SAMPLE_GUARDS_H
#define HAK_TESTS_SAMPLE_GUARDS_H

#include "tests/unit/sample_profile.h"
#include "viewer/guard_model.h"

#define SAMPLE_LIVE_BLOCK \
	"{\"address\":\"0x7f5a00000080\",\"bytes\":24,\"class\":1,\"level\":\"full\",\"state\":\"live\"," \
	"\"allocated\":{\"tid\":5,\"time_us\":4000000,\"frames\":[\"0x500123\",\"0x401010\"]}}"

static const char sample_guards[] =
	"{\"type\":\"guarded\",\"time_us\":5000000,\"blocks\":["
	"{\"address\":\"0x7f5a00000100\",\"bytes\":1,\"class\":null,\"level\":\"full\",\"state\":\"freed\","
	"\"allocated\":{\"tid\":5,\"frames\":[\"0x401010\"]},\"freed\":{\"tid\":6,\"time_us\":3000000,\"frames\":[]}},"
	SAMPLE_LIVE_BLOCK "],\"reports\":["
	"{\"time_us\":4500000,\"text\":\"write beyond a block's end\",\"line\":\"hakmem: \",\"end\":\"aborts\",\"address\":\"0x7f5a0000009a\","
	"\"kind\":\"live\",\"ss\":\"0x7f5a00000000\",\"slot\":0,\"slot_state\":\"ACTIVE\",\"damage\":2,"
	"\"access\":{\"tid\":6,\"thread\":\"worker\",\"kind\":\"write\",\"pc\":\"0x401000\",\"frames\":[\"0x401020\"]},"
	"\"block\":" SAMPLE_LIVE_BLOCK ",\"memory\":{\"address\":\"0x7f5a00000090\",\"rows\":["
	"\"000102030405060708090a0b0c0d0e0f\",null]}}],"
	"\"modules\":[{\"path\":\"/usr/lib/libthing.so\",\"base\":\"0x500000\",\"end\":\"0x510000\",\"build_id\":\"00ffa1\"},"
	"{\"path\":\"/usr/bin/thing\",\"base\":\"0x400000\",\"end\":\"0x410000\",\"build_id\":\"xyz\"}]}";

/* What a document's text is read as. */
static inline struct guards *sample_guards_parse(const char *text, struct problem *problem)
{
	cJSON *document = cJSON_Parse(text);
	if (document == NULL)
		abort();
	struct guards *guards = guards_parse(document, problem);
	cJSON_Delete(document);
	return guards;
}

#endif
