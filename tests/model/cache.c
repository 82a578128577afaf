/* A thread's cache as others read it (lib/cache_counts.c): the counts, which the owner's slow paths change under the
 * version and its fast paths without, and the request for a drain. */
#include <string.h>

#include "tests/model/atomic.h"

#include "lib/sampler.c"
#include "lib/front_cache.c"
#include "lib/cache_counts.c"

#define BIN HAK_BIN_OF_CLASS(2)
#define BLOCKS 4
/* One attempt at reading. Another one begins as a reader does that comes later, having seen more. */
#define READER_STEPS 12

static struct hak_cache cache;
static struct hak_bins bins;
static struct hak_block block[BLOCKS];
static unsigned next_block;
static uint32_t frees_done, allocs_done; /* stored after each of the owner's calls: who sees it has to see the call */
static uint32_t asked;
static unsigned met;

static void setup_drains(void)
{
	memset(&cache, 0, sizeof(cache));
	memset(&bins, 0, sizeof(bins));
	memset(block, 0, sizeof(block));
	hak_cache_epoch = 0u - HAK_EPOCH_STEP; /* it wraps */
	hak_cache_init(&cache, &bins);
	next_block = frees_done = allocs_done = asked = met = 0;
}

/* ---- The owner's calls ---- */

static void free_slowly(void)
{
	hak_cache_begin(&cache);
	hak_cache_free(&cache, BIN, &block[next_block++]);
	hak_cache_end(&cache);
	hak_store_release(&frees_done, frees_done + 1);
}

/* As hak_cache_push and hak_cache_pop do it, for these bins. */
static void free_fast(void)
{
	model_require(!hak_countdown_ends(&bins.left[BIN].free_left), "the list has room");
	block[next_block].next = bins.head[BIN];
	bins.head[BIN] = &block[next_block++];
	hak_store_release(&frees_done, frees_done + 1);
}

static void alloc_fast(void)
{
	model_require(!hak_countdown_ends(&bins.left[BIN].alloc_left), "the list has blocks");
	bins.head[BIN] = bins.head[BIN]->next;
	hak_store_release(&allocs_done, allocs_done + 1);
}

static void alloc_slowly(void)
{
	model_require(hak_cache_alloc_short(&cache, BIN) == NULL, "the list is short");
	hak_cache_begin(&cache);
	settle(&cache, BIN);
	arm(&cache, BIN);
	hak_cache_end(&cache);
}

/* The first call has been made. */
static void setup(void)
{
	setup_drains();
	free_slowly();
}

static void free_in_turn(void)
{
	free_fast();
	free_slowly();
}

static void free_and_alloc(void)
{
	alloc_fast();
	alloc_slowly();
}

/* ---- The reader ---- */

static void read_counts(void)
{
	static struct hak_cache_counts counts[HAK_BIN_COUNT];
	uint32_t frees = hak_load_acquire(&frees_done);
	uint32_t allocs = hak_load_acquire(&allocs_done);

	hak_cache_read(&cache, counts);
	model_require(counts[BIN].frees >= frees && counts[BIN].allocs >= allocs, "calls that were made are counted");
	model_require(counts[BIN].frees <= next_block && counts[BIN].allocs <= 1, "calls that weren't are not");
	/* All of it stands in the hot list, and all of it was read at one moment. */
	model_require(counts[BIN].cached_blocks == counts[BIN].frees - counts[BIN].allocs, "counts and length are of one moment");
}

static void check(void)
{
	static struct hak_cache_counts counts[HAK_BIN_COUNT];

	hak_cache_read(&cache, counts);
	model_require(counts[BIN].frees == frees_done && counts[BIN].allocs == allocs_done, "the counts are exact at rest");
	model_require(counts[BIN].cached_blocks == frees_done - allocs_done, "so is what is cached");
}

/* ---- Drains ---- */

static void request(void)
{
	hak_cache_request_drain();
	hak_store_release(&asked, 1);
}

static void request_too(void)
{
	hak_cache_request_drain();
}

static void look(void)
{
	bool known = hak_load_acquire(&asked);

	met += hak_cache_drain_wanted(&cache);
	model_require(!known || met, "a request is met at the next slow path");
}

static void look_twice(void)
{
	look();
	look();
}

static void check_drains(void)
{
	look();
	model_require(met >= 1 && met <= 2, "each request is met, none twice");
	model_require(!hak_cache_drain_wanted(&cache), "nothing is left to meet");
}

/* ---- Samples ---- */

static void setup_samples(void)
{
	sampling_asked = (struct hak_sampling){0, 0};
	setup_drains();
}

static void request_samples(void)
{
	hak_cache_request_sampling(1, 9);
}

static void look_for_samples(void)
{
	if (hak_cache_drain_wanted(&cache))
		model_require(cache.sampler.rate == 1 && cache.sampler.seed == 9, "who meets the request finds what is asked for");
}

static void check_samples(void)
{
	look_for_samples();
	model_require(hak_cache_samples(&cache), "the rate is met");
}

int main(void)
{
	static const struct model models[] = {
		{"frees, and a reader", setup, {free_in_turn, read_counts}, check, {0, READER_STEPS}},
		{"frees and a malloc, and a reader", setup, {free_and_alloc, read_counts}, check, {0, READER_STEPS}},
		{"two ask for a drain", setup_drains, {look_twice, request, request_too}, check_drains, {0}},
		{"one asks for samples", setup_samples, {look_for_samples, request_samples}, check_samples, {0}},
		{0},
	};
	static const struct model_spare spares[] = {
		{"free_slowly", 0, "hak_cache_end", 0, "what the cache stores at the end of the call is before it"},
		{0},
	};

	return model_main(models, spares);
}
