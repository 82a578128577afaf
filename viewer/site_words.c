#include "viewer/site_words.h"

#include <langinfo.h>
#include <stdio.h>
#include <string.h>

#include "introspect/protocol.h"
#include "viewer/format.h"

/* ± in what the user's locale has for it. */
static const char *plus_minus(void)
{
	return strcmp(nl_langinfo(CODESET), "UTF-8") == 0 ? "\u00b1" : "+-";
}

const char *site_words_bytes(char out[SITE_WORDS], double bytes, double error)
{
	char amount[FORMAT_MAX], range[FORMAT_MAX];
	format_bytes(amount, site_whole(bytes));
	if (site_whole(error) > 0)
		snprintf(out, SITE_WORDS, "%s %s %s", amount, plus_minus(), format_bytes(range, site_whole(error)));
	else
		snprintf(out, SITE_WORDS, "%s", amount);
	return out;
}

const char *site_words_blocks(char out[SITE_WORDS], const struct site *site)
{
	char count[FORMAT_MAX];
	uint64_t blocks = site_whole(site->live_blocks);
	snprintf(out, SITE_WORDS, "%s block%s", format_count(count, blocks), blocks == 1 ? "" : "s");
	return out;
}

const char *site_words_age(char out[SITE_WORDS], const struct site *site)
{
	char age[FORMAT_MAX];
	out[0] = '\0';
	if (site->live_blocks > 0)
		snprintf(out, SITE_WORDS, ", %s old%s", format_age(age, site_whole(site->age_sum / site->live_blocks)),
			site->samples > 1 ? " on average" : "");
	return out;
}

bool site_words_lives(char out[SITE_WORDS], const struct profile *profile, const struct site *site)
{
	double sum = 0;
	size_t length = 0;
	char bound[FORMAT_MAX];
	out[0] = '\0';
	for (size_t i = 0; i < profile->lifetime_count; i++)
		sum += site->lifetimes[i];
	for (size_t i = 0; i < profile->lifetime_count && sum > 0 && length < SITE_WORDS - 64; i++) {
		if (!(site->lifetimes[i] > 0))
			continue;
		bool last = i + 1 == profile->lifetime_count;
		length += (size_t)snprintf(out + length, SITE_WORDS - length, "%s%s%s %.0f%%", length > 0 ? ", " : "", last ? "longer" : "<",
			last ? "" : format_age(bound, profile->lifetime_bounds_ms[i]), 100 * site->lifetimes[i] / sum);
	}
	return sum > 0;
}

const char *site_words_rate(char out[SITE_WORDS], const struct profile *profile, bool full)
{
	char rate[FORMAT_MAX];
	const char *off = profile->on ? "" : ", switched off";
	format_bytes(rate, profile->rate);
	if (profile->rate == 0)
		snprintf(out, SITE_WORDS, "switched off");
	else if (profile->rate == 1)
		snprintf(out, SITE_WORDS, "every block%s", off);
	else
		snprintf(out, SITE_WORDS, full ? "a sample every %s on average%s" : "one every %s%s", rate, off);
	return out;
}

bool site_words_cut(char out[SITE_WORDS], const struct profile_stack *stack)
{
	bool cut = stack->depth >= HAK_PROTOCOL_STACK_FRAMES;
	out[0] = '\0';
	if (cut)
		snprintf(out, SITE_WORDS, "cut: %d frames are kept", HAK_PROTOCOL_STACK_FRAMES);
	return cut;
}
