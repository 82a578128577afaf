/* sample_snapshot.h: a small snapshot as JSON for the viewer's unit tests, and ways to spoil it. */
#ifndef HAK_TESTS_SAMPLE_SNAPSHOT_H
#define HAK_TESTS_SAMPLE_SNAPSHOT_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SAMPLE_UNUSED "[\"UNUSED\",null,0,0,0,0]"
#define SAMPLE_4(x) x "," x "," x "," x
#define SAMPLE_REST SAMPLE_4(SAMPLE_4(SAMPLE_UNUSED)) "," SAMPLE_4(SAMPLE_UNUSED) "," SAMPLE_4(SAMPLE_UNUSED)

/* Two classes; a SuperSlab with two slabs (one a run of three), a large run of two, an EMPTY slot and 25 UNUSED
 * ones. */
static const char sample_snapshot[] =
	"{\"type\":\"snapshot\",\"protocol\":1,\"seq\":7,\"time_us\":9000000,\"uptime_us\":2000000,"
	"\"process\":{\"pid\":4711,\"ppid\":1,\"start_time\":99,\"exe\":\"/usr/bin/sample\","
	"\"cmdline\":\"sample -x\",\"threads\":2},"
	"\"geometry\":{\"superslab_bytes\":2097152,\"slot_bytes\":65536,\"slots_per_superslab\":32,\"classes\":[]},"
	"\"memory\":{\"reserved_bytes\":1099511627776,\"committed_bytes\":2097152,\"resident_bytes\":3000000,"
	"\"live_bytes\":1048576,\"cached_bytes\":262144,\"slack_bytes\":131072,\"large_bytes\":131072,"
	"\"metadata_bytes\":70000},"
	"\"stages\":{\"depot\":100,\"stage1\":6,\"stage2\":3,\"stage3\":1,\"converted\":1,\"from_lru\":0},"
	"\"pool\":{\"superslabs\":1,\"superslabs_created\":2,\"releases\":4,\"empty_slots\":1,\"free_list_peak\":3,"
	"\"free_list_overflows\":0},"
	"\"lru\":{\"length\":0,\"capacity\":16,\"pushes\":1,\"hits\":0,\"evictions\":1},"
	"\"drain\":{\"interval\":1024,\"drains\":5,\"blocks\":160},"
	"\"syscalls\":{\"mmap\":3,\"munmap\":0,\"madvise\":2,\"mprotect\":1,\"mremap\":0},"
	"\"classes\":[{\"class\":0,\"block_bytes\":16,\"slots_per_slab\":1,\"slabs\":1,\"empty_slots\":1,\"allocs\":5000,\"frees\":1000,"
	"\"live_blocks\":4000,\"cached_blocks\":32,\"stage1\":6,\"stage2\":1,\"stage3\":1,\"free_list_peak\":3},"
	"{\"class\":1,\"block_bytes\":6144,\"slots_per_slab\":3,\"slabs\":1,\"empty_slots\":0,\"allocs\":50,\"frees\":30,\"live_blocks\":20,"
	"\"cached_blocks\":2,\"stage1\":0,\"stage2\":2,\"stage3\":0,\"free_list_peak\":0}],"
	"\"threads\":[{\"tid\":4711,\"name\":\"sample\",\"cached_bytes\":12000,\"allocs\":5000,\"frees\":1030},"
	"{\"tid\":4712,\"name\":\"helper\",\"cached_bytes\":512,\"allocs\":50,\"frees\":60}],"
	"\"slot_fields\":[\"state\",\"class\",\"used\",\"capacity\",\"span\",\"age_ms\"],"
	"\"superslabs\":[{\"ss\":\"0x7f5a00000000\",\"index\":3,\"in_lru\":false,\"active_slots\":6,\"slots\":["
	"[\"ACTIVE\",0,4032,4096,1,1500],[\"ACTIVE\",1,8,32,3,200],[\"ACTIVE\",1,0,0,0,0],[\"ACTIVE\",1,0,0,0,0],"
	"[\"ACTIVE\",null,1,1,2,99000],[\"ACTIVE\",null,0,0,0,0],[\"EMPTY\",0,0,4096,1,30],"
	SAMPLE_UNUSED "," SAMPLE_REST "]}],"
	"\"trace\":{\"events\":12,\"lost\":1,\"groups\":[\"acquire\",\"lru\"]}}";

/* The sample with the first occurrence of `from` replaced by `to`; to be freed. Aborts if it doesn't occur: such a
 * test would test nothing. */
static inline char *sample_with(const char *from, const char *to)
{
	const char *at = strstr(sample_snapshot, from);
	size_t size = sizeof(sample_snapshot) + strlen(to) + 1;
	char *out = malloc(size);
	if (at == NULL || out == NULL)
		abort();
	snprintf(out, size, "%.*s%s%s", (int)(at - sample_snapshot), sample_snapshot, to, at + strlen(from));
	return out;
}

#endif
