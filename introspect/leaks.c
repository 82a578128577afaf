#include "introspect/leaks.h"

#include "introspect/library.h"
#include "introspect/memory.h"
#include "introspect/object.h"
#include "introspect/profile.h"
#include "introspect/stack.h"
#include "lib/fmt.h"
#include "lib/sample.h"
#include "lib/trace.h"

#define SHOWN 100 /* stacks */
#define LINE_MAX_BYTES 600

const char *const hak_prof_report_words[] = {"exit", NULL};

void hak_leaks_free_libcs_own(void)
{
	void (*free_all)(void) = NULL;

	if (hak_library_symbol)
		*(void **)&free_all = hak_library_symbol(NULL, "__libc_freeres");
	if (free_all)
		free_all();
}

static void put_line(const char *line)
{
	hak_trace_queue_line(line, 0);
	hak_trace_flush();
}

static void put_frame(uintptr_t address)
{
	char line[LINE_MAX_BYTES];
	struct hak_fmt fmt;

	hak_fmt_begin(&fmt, line, sizeof(line));
	hak_fmt_text(&fmt, "hakmem:     ");
	hak_object_format(&fmt, address - 1); /* the call, which the return address is behind */
	put_line(line);
}

/* By Newton's steps, from above: libm is no library of ours. To the next whole number. */
static double root(double square)
{
	double guess = square > 1 ? square : 1, next = (guess + square / guess) / 2;

	while (guess - next > 0.01) {
		guess = next;
		next = (guess + square / guess) / 2;
	}
	return next;
}

static void put_estimate(struct hak_fmt *fmt, const struct hak_profile_site *site)
{
	hak_fmt_unsigned(fmt, (uint64_t)(site->bytes + 0.5));
	hak_fmt_text(fmt, " bytes");
	if (site->variance > 0) {
		hak_fmt_text(fmt, " (+-");
		hak_fmt_unsigned(fmt, (uint64_t)(root(site->variance) + 0.5));
		hak_fmt_char(fmt, ')');
	}
	hak_fmt_text(fmt, " in ");
	hak_fmt_unsigned(fmt, (uint64_t)(site->blocks + 0.5));
	hak_fmt_text(fmt, site->blocks >= 0.5 && site->blocks < 1.5 ? " block" : " blocks");
}

static void put_site(uint32_t stack, const struct hak_profile_site *site)
{
	const uintptr_t *frames;
	unsigned count = hak_stack_frames(stack, &frames);
	char line[LINE_MAX_BYTES];
	struct hak_fmt fmt;

	hak_fmt_begin(&fmt, line, sizeof(line));
	hak_fmt_text(&fmt, "hakmem:   ");
	put_estimate(&fmt, site);
	hak_fmt_text(&fmt, count ? " from" : " from an unknown stack");
	put_line(line);
	for (unsigned i = 0; i < count; i++)
		put_frame(frames[i]);
}

static void put_total(const struct hak_profile_site *total, uint32_t stacks)
{
	char line[LINE_MAX_BYTES];
	struct hak_fmt fmt;

	hak_fmt_begin(&fmt, line, sizeof(line));
	hak_fmt_text(&fmt, "hakmem: live at the end: ");
	put_estimate(&fmt, total);
	hak_fmt_text(&fmt, " of ");
	hak_fmt_unsigned(&fmt, stacks);
	hak_fmt_text(&fmt, stacks == 1 ? " stack" : " stacks");
	if (stacks > SHOWN)
		hak_fmt_text(&fmt, "; the biggest 100:");
	put_line(line);
}

static void put_lost(uint64_t lost, const char *what, const char *variable, uint64_t capacity)
{
	char line[LINE_MAX_BYTES];
	struct hak_fmt fmt;

	if (!lost)
		return;
	hak_fmt_begin(&fmt, line, sizeof(line));
	hak_fmt_text(&fmt, "hakmem: not all is told of: ");
	hak_fmt_unsigned(&fmt, lost);
	hak_fmt_text(&fmt, what);
	hak_fmt_text(&fmt, " for want of room; raise ");
	hak_fmt_text(&fmt, variable);
	hak_fmt_text(&fmt, ", which is ");
	hak_fmt_unsigned(&fmt, capacity);
	put_line(line);
}

/* What the sums leave out, so that they are not taken for the whole. */
static void put_losses(void)
{
	struct hak_sample_counts samples;
	struct hak_stack_counts stacks;

	hak_sample_count(&samples);
	hak_stack_count(&stacks);
	put_lost(samples.lost, samples.lost == 1 ? " sample was lost" : " samples were lost", "HAKMEM_PROF_SAMPLES", samples.capacity);
	put_lost(stacks.lost, stacks.lost == 1 ? " stack was lost" : " stacks were lost", "HAKMEM_PROF_STACKS", stacks.capacity);
}

/* The stack that holds most of those not shown yet, which are marked by having no samples. */
static uint32_t biggest(const struct hak_profile_site *sites, uint32_t count)
{
	uint32_t best = 0;

	for (uint32_t i = 1; i < count; i++) {
		if (sites[i].samples && (!sites[best].samples || sites[i].bytes > sites[best].bytes))
			best = i;
	}
	return best;
}

bool hak_leaks_report(bool print)
{
	uint32_t count = hak_stack_end() ? hak_stack_end() : 1, stacks = 0;
	struct hak_profile_site *sites = hak_memory_map(count * sizeof(*sites), HAK_MEMORY_PRIVATE);
	struct hak_profile_site total = {0};

	if (!sites)
		return false;
	hak_profile_live(sites, count);
	for (uint32_t i = 0; i < count; i++) {
		stacks += sites[i].samples != 0;
		total.bytes += sites[i].bytes;
		total.blocks += sites[i].blocks;
		total.variance += sites[i].variance;
	}
	if (print) {
		put_total(&total, stacks);
		put_losses();
	}
	for (uint32_t shown = 0; print && shown < stacks && shown < SHOWN; shown++) {
		uint32_t stack = biggest(sites, count);

		put_site(stack, &sites[stack]);
		sites[stack].samples = 0;
	}
	hak_memory_unmap(sites, count * sizeof(*sites));
	return stacks != 0;
}
