#include "introspect/control.h"

#include "introspect/guards.h"
#include "introspect/profile.h"
#include "lib/inspect.h"
#include "lib/trace.h"

static uint64_t trace_groups;

/* What guards are to go by, while one request changes several of its values. */
static struct hak_guard_choice guard_choice;
static bool guard_changed;

static struct {
	uint64_t due_us; /* 0: it stays */
	uint64_t before;
} temporary[HAK_CONTROL_COUNT];

static struct hak_guard_choice present_choice(void)
{
	struct hak_guard_counts counts;

	hak_guard_count(&counts);
	return counts.choice;
}

uint64_t hak_control_get(enum hak_control control)
{
	switch (control) {
	case HAK_CONTROL_DEBUG:
		return hak_trace_lines();
	case HAK_CONTROL_DRAIN_INTERVAL:
		return hak_inspect_setting(HAK_SETTING_DRAIN_INTERVAL);
	case HAK_CONTROL_PURGE_DELAY_MS:
		return hak_inspect_setting(HAK_SETTING_PURGE_DELAY_MS);
	case HAK_CONTROL_PROF_RATE:
		return hak_profile_rate();
	case HAK_CONTROL_GUARD:
		return present_choice().level;
	case HAK_CONTROL_GUARD_RATE:
		return present_choice().rate;
	case HAK_CONTROL_GUARD_CLASS:
		return present_choice().class;
	case HAK_CONTROL_GUARD_SITE:
		return present_choice().site;
	case HAK_CONTROL_TRACE:
	case HAK_CONTROL_COUNT:
		break;
	}
	return trace_groups;
}

/* Begins a change of several values. */
static void begin_putting(void)
{
	guard_choice = present_choice();
	guard_changed = false;
}

/* Ends it. Returns whether all is as it is to be. */
static bool end_putting(void)
{
	return !guard_changed || hak_guards_set(&guard_choice);
}

static void put(enum hak_control control, uint64_t value)
{
	guard_changed |= control >= HAK_CONTROL_GUARD && control <= HAK_CONTROL_GUARD_SITE;
	switch (control) {
	case HAK_CONTROL_TRACE:
		trace_groups = value;
		break;
	case HAK_CONTROL_DEBUG:
		hak_trace_set_lines((uint32_t)value);
		break;
	case HAK_CONTROL_DRAIN_INTERVAL:
		hak_inspect_set(HAK_SETTING_DRAIN_INTERVAL, value);
		break;
	case HAK_CONTROL_PURGE_DELAY_MS:
		hak_inspect_set(HAK_SETTING_PURGE_DELAY_MS, value);
		break;
	case HAK_CONTROL_PROF_RATE:
		hak_profile_set_rate(value);
		break;
	case HAK_CONTROL_GUARD:
		guard_choice.level = (uint8_t)value;
		break;
	case HAK_CONTROL_GUARD_RATE:
		guard_choice.rate = value;
		break;
	case HAK_CONTROL_GUARD_CLASS:
		guard_choice.class = (uint8_t)value;
		break;
	case HAK_CONTROL_GUARD_SITE:
		guard_choice.site = (uintptr_t)value;
		break;
	case HAK_CONTROL_COUNT:
		break;
	}
}

void hak_control_begin(uint32_t trace)
{
	trace_groups = trace;
	temporary[HAK_CONTROL_TRACE].due_us = 0;
}

bool hak_control_set(const struct hak_request *request, uint64_t now)
{
	begin_putting();
	for (unsigned i = 0; i < HAK_CONTROL_COUNT; i++) {
		enum hak_control control = (enum hak_control)i;

		if (!(request->given >> i & 1))
			continue;
		if (!temporary[i].due_us)
			temporary[i].before = hak_control_get(control);
		temporary[i].due_us = request->for_ms ? now + request->for_ms * 1000 : 0;
		put(control, request->value[i]);
	}
	return end_putting();
}

uint64_t hak_control_reverts_us(enum hak_control control)
{
	return temporary[control].due_us;
}

uint64_t hak_control_due(void)
{
	uint64_t due = UINT64_MAX;

	for (unsigned i = 0; i < HAK_CONTROL_COUNT; i++) {
		if (temporary[i].due_us && temporary[i].due_us < due)
			due = temporary[i].due_us;
	}
	return due;
}

bool hak_control_revert(uint64_t now)
{
	bool any = false;

	begin_putting();
	for (unsigned i = 0; i < HAK_CONTROL_COUNT; i++) {
		if (!temporary[i].due_us || temporary[i].due_us > now)
			continue;
		temporary[i].due_us = 0;
		put((enum hak_control)i, temporary[i].before);
		any = true;
	}
	end_putting();
	return any;
}
