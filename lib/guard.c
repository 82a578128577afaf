#include "guard.h"

#include <errno.h>

#include "arena.h"
#include "atomic.h"
#include "front_cache.h"
#include "full.h"
#include "guard_page.h"
#include "log.h"
#include "os.h"
#include "quarantine.h"
#include "report.h"
#include "sample.h"
#include "size_class.h"
#include "stats.h"

HAK_TLS size_t hak_guard_alignment;

static struct hak_guard_choice in_force; /* its words are read without a lock: one may be of the choice before */
static uint64_t seed;

/* ---- What is to be guarded ---- */

void hak_guard_init(void)
{
	struct hak_guard_choice choice = {.level = (uint8_t)hak_settings.guard,
		.class = HAK_GUARD_ANY_CLASS,
		.rate = hak_settings.guard_rate};

	hak_store_relaxed(&seed, hak_settings.guard_seed ? hak_settings.guard_seed : hak_os_random());
	if (!hak_guard_set(&choice))
		hak_log_line("hakmem: no memory for what HAKMEM_GUARD asks for: nothing is guarded; raise the limit on address "
			     "space (ulimit -v), or lower HAKMEM_GUARD_SLOTS");
}

static bool is_possible(const struct hak_guard_choice *choice)
{
	const struct hak_sink *sink = hak_trace_sink();

	if (choice->level > HAK_GUARD_FULL || choice->rate == 0 ||
		(choice->class >= HAK_CLASS_COUNT && choice->class != HAK_GUARD_ANY_CLASS))
		return false;
	return !choice->site || (sink && sink->capture && sink->stack_has);
}

/* Tells the threads. */
static void ask(const struct hak_guard_choice *choice)
{
	struct hak_guarding guarding = {.seed = hak_load_relaxed(&seed),
		.class = choice->class == HAK_GUARD_ANY_CLASS ? HAK_CLASS_COUNT : choice->class,
		.level = choice->level};

	if (choice->level != HAK_GUARD_OFF)
		guarding.rate = choice->level == HAK_GUARD_FULL ? 1 : choice->rate;
	hak_cache_request_guards(&guarding);
}

bool hak_guard_set(const struct hak_guard_choice *choice)
{
	if (!is_possible(choice))
		return false;
	if (choice->level == HAK_GUARD_SAMPLE &&
		!hak_guard_page_start((uint32_t)hak_settings.guard_slots, hak_load_relaxed(&seed)))
		return false;
	if (choice->level == HAK_GUARD_FULL && !hak_full_start(choice->class, choice->site, hak_load_relaxed(&seed)))
		return false;
	if (choice->level != HAK_GUARD_FULL)
		hak_full_stop();
	hak_store_relaxed(&in_force.level, choice->level);
	hak_store_relaxed(&in_force.class, choice->class);
	hak_store_relaxed(&in_force.rate, choice->rate);
	hak_store_relaxed(&in_force.site, choice->site);
	ask(choice);
	return true;
}

void hak_guard_fork_child(void)
{
	if (in_force.level != HAK_GUARD_SAMPLE || hak_settings.guard_seed)
		return;
	hak_store_relaxed(&seed, hak_os_random());
	hak_guard_page_shuffle(seed);
	ask(&in_force);
}

/* ---- The life of a guarded block ---- */

static bool is_the_site(uint32_t stack)
{
	const struct hak_sink *sink = hak_trace_sink();
	uintptr_t site = hak_load_relaxed(&in_force.site);

	return !site || (sink && sink->stack_has && sink->stack_has(stack, site));
}

static void *take(void *ordinary, size_t bytes)
{
	unsigned bin = hak_bin_of_address(ordinary);
	struct hak_guarded wanted = {.bytes = bytes};
	size_t alignment = hak_guard_alignment ? hak_guard_alignment : HAK_ALIGNMENT;

	wanted.alloc_stack = hak_trace_capture();
	wanted.align_shift = (uint8_t)__builtin_ctzl(alignment);
	wanted.class = hak_bin_is_class(bin) ? (uint8_t)HAK_CLASS_OF_BIN(bin) : HAK_SAMPLE_LARGE;
	return is_the_site(wanted.alloc_stack) ? hak_guard_page_take(&wanted, ordinary) : NULL;
}

void *hak_guard_chosen(void *block, size_t bytes)
{
	uint64_t due = hak_sample_due, rate = due & ~HAK_DUE_GUARD;
	int saved = errno;
	void *guarded = NULL;

	if (hak_trace_busy)
		return block; /* another one is due */
	hak_sample_due = 0;
	/* At level full that is for those that stay ordinary, and a thread may not have met yet that it is switched off. */
	if ((due & HAK_DUE_GUARD) && hak_load_relaxed(&in_force.level) == HAK_GUARD_SAMPLE)
		guarded = take(block, bytes);
	errno = saved;
	if (rate)
		return hak_sample_take(block, bytes, rate, guarded);
	return guarded ? guarded : block;
}

size_t hak_guard_usable(const void *block)
{
	return hak_guard_page_usable(block);
}

bool hak_guard_free(void *block, void **ordinary)
{
	/* Before the address can be another block's. */
	hak_sample_free(block, ordinary);
	if (hak_guard_page_free(block, hak_trace_capture(), ordinary))
		return true;
	hak_guard_misuse(HAK_REPORT_INVALID_FREE, block);
	return false;
}

void hak_guard_check_size(const void *block, size_t bytes, size_t alignment)
{
	struct hak_guarded guarded;
	size_t least = alignment > HAK_ALIGNMENT ? alignment : HAK_ALIGNMENT;

	if (!hak_guard_find((uintptr_t)block, &guarded) || guarded.address != (uintptr_t)block ||
		guarded.state != HAK_GUARDED_LIVE)
		return; /* free will find that */
	if ((bytes && bytes != guarded.bytes) || least != (size_t)1 << guarded.align_shift)
		hak_report_size(block, bytes, alignment, &guarded);
}

void hak_guard_misuse(enum hak_report_kind kind, const void *address)
{
	struct hak_guarded block;

	if (!hak_guard_find((uintptr_t)address, &block)) {
		hak_report(kind, address);
		return;
	}
	/* Where free and realloc found no live block it was freed, or another thread is about to. */
	if (block.address == (uintptr_t)address) {
		if (kind == HAK_REPORT_INVALID_FREE)
			kind = HAK_REPORT_DOUBLE_FREE;
		else if (kind == HAK_REPORT_INVALID_REALLOC)
			kind = HAK_REPORT_REALLOC_OF_FREED;
	}
	hak_report_guarded(kind, address, &block);
}

/* ---- Looking ---- */

static void count_full(struct hak_guard_counts *out)
{
	struct hak_full_counts full;

	hak_full_count(&full);
	out->taken += full.taken;
	out->lost += full.lost;
	out->checked += full.checked;
	out->quarantined_bytes += hak_quarantine_bytes();
	out->quarantined_blocks += hak_quarantine_large();
	for (unsigned class = 0; class < HAK_CLASS_COUNT; class ++)
		out->quarantined_blocks += hak_quarantine_blocks(class);
}

void hak_guard_count(struct hak_guard_counts *out)
{
	struct hak_guard_page_counts pages;

	hak_guard_page_count(&pages);
	*out = (struct hak_guard_counts){.seed = hak_load_relaxed(&seed),
		.slots = pages.places,
		.armed = pages.live,
		.taken = pages.taken,
		.lost = pages.lost,
		.quarantined_blocks = pages.freed,
		.quarantined_bytes = pages.freed_bytes,
		.checked = pages.checked,
		.reports = hak_stat_get(misuse_reports)};
	out->choice.level = hak_load_relaxed(&in_force.level);
	out->choice.class = hak_load_relaxed(&in_force.class);
	out->choice.rate = hak_load_relaxed(&in_force.rate);
	out->choice.site = hak_load_relaxed(&in_force.site);
	count_full(out);
}

void hak_guard_check(struct hak_guard_checked *out)
{
	struct hak_cell_checked sums;

	hak_full_check(&sums);
	*out = (struct hak_guard_checked){sums.live, sums.kept, sums.damaged};
}

/* What was damaged and not freed since, or is in quarantine yet. Before introspection's destructor, of priority 102, which writes
 * the dump of the end. */
__attribute__((destructor(103))) static void check_at_end(void)
{
	struct hak_guard_checked sums;

	hak_guard_check(&sums);
}

bool hak_guard_find(uintptr_t address, struct hak_guarded *out)
{
	return hak_full_find(address, out) || hak_guard_page_find(address, out);
}

/* What an access to an address that the processor refused was, if it had to do with `block`. In the place of one that was freed
 * another may have lain before, longer or elsewhere. */
static enum hak_report_kind kind_of_fault(uintptr_t address, const struct hak_guarded *block)
{
	if (block->state == HAK_GUARDED_FREED && !hak_guard_page_is_gap(address))
		return HAK_REPORT_FAULT_AFTER_FREE;
	return address < block->address ? HAK_REPORT_FAULT_UNDERFLOW : HAK_REPORT_FAULT_OVERFLOW;
}

bool hak_guard_fault(uintptr_t address, enum hak_access access, struct hak_report_details *details, bool *printed)
{
	struct hak_guarded block;
	enum hak_report_kind kind = HAK_REPORT_FAULT_AFTER_FREE;

	if (hak_full_is_closed(address))
		hak_full_find(address, &block);
	else if (hak_guard_page_find(address, &block))
		kind = kind_of_fault(address, &block);
	else
		return false;
	*printed = hak_report_fault(kind, address, access, &block, details);
	return true;
}

bool hak_guard_open(uintptr_t address)
{
	return hak_full_open(address) || hak_guard_page_open(address);
}
