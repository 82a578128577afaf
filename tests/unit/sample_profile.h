/* sample_profile.h: a small profile message for tests, and ways to get a variation of it. */
#ifndef HAK_TESTS_SAMPLE_PROFILE_H
#define HAK_TESTS_SAMPLE_PROFILE_H

#include "tests/unit/unit.h"
#include "viewer/profile_model.h"

/* Stack 7 has two live samples: 10 blocks of 1000 bytes, whose slabs are nearly empty, and 4 large ones of 100000 bytes. Stack 9 has
 * one that stands for itself. Stack 3 was freed. */
static const char sample_profile[] =
	"{\"type\":\"profile\",\"protocol\":1,\"seq\":3,\"time_us\":5000000,\"rate\":65536,\"state\":\"on\",\"engine\":\"libunwind\","
	"\"seed\":18446744073709551615,\"samples\":40,\"live_samples\":3,\"lost_samples\":2,\"stacks\":3,\"stack_capacity\":1024,"
	"\"lost_stacks\":1,\"unwind_failures\":{\"no_frames\":2,\"never\":0},\"lifetime_bounds_ms\":[1,10,100],"
	"\"site_fields\":[\"stack\",\"allocs\",\"alloc_bytes\",\"alloc_variance\",\"frees\",\"free_bytes\",\"temporary\",\"lifetimes\"],"
	"\"sites\":[[7,100,500000,1000000,86,90000.5,20,[50,16,0,20]],[3,10,1000,400,10,1000,0,[0,10,0,0]]],"
	"\"live_fields\":[\"address\",\"bytes\",\"class\",\"stack\",\"tid\",\"age_ms\",\"weight\",\"slab_live\",\"slab_capacity\","
	"\"slab_cached\",\"slab_bytes\",\"block_bytes\"],"
	"\"live\":[[\"0x7f0000000040\",1000,26,7,5,2000,10,2,64,4,65536,1024],"
	"[\"0x7f0000200000\",100000,null,7,6,8000,4,0,0,0,0,0],"
	"[\"0x7f0000000080\",24,1,9,5,100,1,2048,2048,0,65536,32]],"
	"\"frames\":[[9,[\"0x401000\"]],[3,[]],[7,[\"0x500123\",\"0x401010\",\"0x401020\"]]],"
	"\"modules\":[{\"path\":\"/usr/lib/libthing.so\",\"base\":\"0x500000\",\"end\":\"0x510000\",\"build_id\":\"00ffa1\"},"
	"{\"path\":\"/usr/bin/thing\",\"base\":\"0x400000\",\"end\":\"0x410000\",\"build_id\":\"xyz\"}]}";

/* A text with the first `from` replaced; to be freed. */
static inline char *sample_replace(const char *text, const char *from, const char *to)
{
	const char *at = strstr(text, from);
	if (at == NULL)
		abort();
	size_t size = strlen(text) + strlen(to) + 1;
	char *out = malloc(size);
	if (out == NULL)
		abort();
	snprintf(out, size, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
	return out;
}

/* The sample with the first `from` replaced; to be freed. */
static inline char *sample_profile_with(const char *from, const char *to)
{
	return sample_replace(sample_profile, from, to);
}

/* The sample with stack 7 made as deep as that; to be freed. */
static inline char *sample_profile_deep(unsigned frames)
{
	char *stack = malloc(16 * (size_t)frames + 64);
	if (stack == NULL)
		abort();
	size_t length = (size_t)sprintf(stack, "[7,[\"0x500123\"");
	for (unsigned i = 1; i < frames; i++)
		length += (size_t)sprintf(stack + length, ",\"0x401010\"");
	sprintf(stack + length, "]]");
	char *out = sample_profile_with("[7,[\"0x500123\",\"0x401010\",\"0x401020\"]]", stack);
	free(stack);
	return out;
}

/* What a document's text is read as. */
static inline struct profile *sample_profile_parse(const char *text, struct problem *problem)
{
	cJSON *document = cJSON_Parse(text);
	if (document == NULL)
		abort();
	struct profile *profile = profile_parse(document, problem);
	cJSON_Delete(document);
	return profile;
}

/* The sample itself. */
static inline struct profile *sample_profile_read(void)
{
	struct problem problem = {""};
	struct profile *profile = sample_profile_parse(sample_profile, &problem);
	UNIT_STRING(problem.text, "");
	if (profile == NULL)
		abort();
	return profile;
}

#endif
