#include "introspect/control.h"

#include "introspect/profile.h"
#include "lib/inspect.h"
#include "lib/trace.h"

static uint64_t trace_groups;

static struct {
	uint64_t due_us; /* 0: it stays */
	uint64_t before;
} temporary[HAK_CONTROL_COUNT];

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
	case HAK_CONTROL_TRACE:
	case HAK_CONTROL_COUNT:
		break;
	}
	return trace_groups;
}

static void put(enum hak_control control, uint64_t value)
{
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
	case HAK_CONTROL_COUNT:
		break;
	}
}

void hak_control_begin(uint32_t trace)
{
	trace_groups = trace;
	temporary[HAK_CONTROL_TRACE].due_us = 0;
}

void hak_control_set(const struct hak_request *request, uint64_t now)
{
	for (unsigned i = 0; i < HAK_CONTROL_COUNT; i++) {
		enum hak_control control = (enum hak_control)i;

		if (!(request->given >> i & 1))
			continue;
		if (!temporary[i].due_us)
			temporary[i].before = hak_control_get(control);
		temporary[i].due_us = request->for_ms ? now + request->for_ms * 1000 : 0;
		put(control, request->value[i]);
	}
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

	for (unsigned i = 0; i < HAK_CONTROL_COUNT; i++) {
		if (!temporary[i].due_us || temporary[i].due_us > now)
			continue;
		temporary[i].due_us = 0;
		put((enum hak_control)i, temporary[i].before);
		any = true;
	}
	return any;
}
