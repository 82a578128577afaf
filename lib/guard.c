#include "guard.h"

#include "atomic.h"
#include "os.h"
#include "report.h"
#include "size_class.h"
#include "stats.h"

static struct hak_guard_choice in_force; /* its words are read without a lock: one may be of the choice before */
static uint64_t seed;

void hak_guard_init(void)
{
	struct hak_guard_choice choice = {.level = (uint8_t)hak_settings.guard,
		.class = HAK_GUARD_ANY_CLASS,
		.rate = hak_settings.guard_rate};

	hak_store_relaxed(&seed, hak_settings.guard_seed ? hak_settings.guard_seed : hak_os_random());
	hak_guard_set(&choice);
}

bool hak_guard_set(const struct hak_guard_choice *choice)
{
	const struct hak_sink *sink = hak_trace_sink();

	if (choice->level > HAK_GUARD_FULL || choice->rate == 0 ||
		(choice->class >= HAK_CLASS_COUNT && choice->class != HAK_GUARD_ANY_CLASS))
		return false;
	if (choice->site && (!sink || !sink->capture || !sink->stack_has))
		return false;
	hak_store_relaxed(&in_force.level, choice->level);
	hak_store_relaxed(&in_force.class, choice->class);
	hak_store_relaxed(&in_force.rate, choice->rate);
	hak_store_relaxed(&in_force.site, choice->site);
	return true;
}

void hak_guard_count(struct hak_guard_counts *out)
{
	*out = (struct hak_guard_counts){.reports = hak_stat_get(misuse_reports), .seed = hak_load_relaxed(&seed)};
	out->choice.level = hak_load_relaxed(&in_force.level);
	out->choice.class = hak_load_relaxed(&in_force.class);
	out->choice.rate = hak_load_relaxed(&in_force.rate);
	out->choice.site = hak_load_relaxed(&in_force.site);
}

bool hak_guard_find(uintptr_t address, struct hak_guarded *out)
{
	*out = (struct hak_guarded){.address = 0};
	(void)address;
	return false;
}

bool hak_guard_fault(uintptr_t address, enum hak_access access, struct hak_report_details *details, bool *printed)
{
	struct hak_guarded block;

	if (!hak_guard_find(address, &block))
		return false;
	*printed = hak_report_fault(HAK_REPORT_FAULT_AFTER_FREE, address, access, &block, details);
	return true;
}

bool hak_guard_open(uintptr_t address)
{
	return hak_os_commit(hak_align_down(address, hak_os_page_size()), hak_os_page_size());
}
