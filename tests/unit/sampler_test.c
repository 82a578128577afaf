/* Which mallocs are chosen: as often as is asked for, of the classes that are asked for, and for one purpose whatever the other. */
#include "lib/sampler.h"

#include <math.h>

#include "lib/size_class.h"
#include "tests/unit/unit.h"

#define MALLOCS 200000
#define CLASS 3

/* Lets a new thread make its mallocs, and notes what each was chosen for. */
static void make_mallocs(uint8_t *chosen, const struct hak_sampling *sampling, const struct hak_guarding *guarding)
{
	struct hak_sampler sampler = {.number = 5};
	struct hak_drawn drawn;
	hak_sampler_ask_samples(sampling);
	hak_sampler_ask_guards(guarding);
	hak_sampler_meet(&sampler);
	hak_sampler_draw(&sampler, &drawn, CLASS, 0, HAK_SAMPLER_SAMPLES | HAK_SAMPLER_GUARDS);
	for (uint64_t i = 1; i <= MALLOCS; i++) {
		chosen[i - 1] = 0;
		if (i != drawn.next)
			continue;
		hak_sample_due = 0;
		hak_sampler_choose(&sampler, &drawn, CLASS);
		if ((hak_sample_due & ~HAK_DUE_GUARD) != 0) {
			UNIT_EQUAL(hak_sample_due & ~HAK_DUE_GUARD, sampling->rate);
			chosen[i - 1] |= HAK_SAMPLER_SAMPLES;
		}
		if (hak_sample_due & HAK_DUE_GUARD)
			chosen[i - 1] |= HAK_SAMPLER_GUARDS;
		CU_ASSERT_TRUE_FATAL(chosen[i - 1] != 0 && drawn.next > i);
	}
	hak_sample_due = 0;
}

static unsigned count(const uint8_t *chosen, uint8_t what)
{
	unsigned sum = 0;
	for (unsigned i = 0; i < MALLOCS; i++)
		sum += (chosen[i] & what) == what;
	return sum;
}

static uint8_t both[MALLOCS], samples[MALLOCS], guards[MALLOCS];

/* What is chosen for one purpose is the same to the last malloc, with the other and without. */
static void neither_moves_the_other(void)
{
	static const struct hak_sampling sampling = {1920, 1}, no_sampling = {0, 1};
	static const struct hak_guarding guarding = {30, 1, HAK_CLASS_COUNT, HAK_GUARD_SAMPLE}, no_guarding = {0, 1, 0, 0};
	unsigned moved = 0;
	make_mallocs(both, &sampling, &guarding);
	make_mallocs(samples, &sampling, &no_guarding);
	make_mallocs(guards, &no_sampling, &guarding);
	for (unsigned i = 0; i < MALLOCS; i++)
		moved += both[i] != (samples[i] | guards[i]);
	UNIT_EQUAL(moved, 0);
	UNIT_EQUAL(count(samples, HAK_SAMPLER_GUARDS), 0);
	UNIT_EQUAL(count(guards, HAK_SAMPLER_SAMPLES), 0);
	/* Independent, although both have the same chance, one in 30 blocks of 64 bytes: both at once as often as the product has
	 * it, about 220 times. */
	double expected = (double)count(samples, HAK_SAMPLER_SAMPLES) * count(guards, HAK_SAMPLER_GUARDS) / MALLOCS;
	CU_ASSERT_TRUE(expected > 50);
	CU_ASSERT_TRUE(fabs(count(both, HAK_SAMPLER_SAMPLES | HAK_SAMPLER_GUARDS) - expected) < 4 * sqrt(expected));
}

/* One in `rate`, within four standard deviations. */
static void as_often_as_asked(void)
{
	static const uint64_t rates[] = {1, 2, 3, 10, 77, 1000, 9999, 10001};
	static const struct hak_sampling none = {0, 0};
	for (size_t i = 0; i < HAK_COUNT_OF(rates); i++) {
		struct hak_guarding guarding = {rates[i], 9, HAK_CLASS_COUNT, HAK_GUARD_SAMPLE};
		double chance = 1 / (double)rates[i], expected = MALLOCS * chance;
		make_mallocs(guards, &none, &guarding);
		CU_ASSERT_TRUE(fabs(count(guards, HAK_SAMPLER_GUARDS) - expected) <= 4 * sqrt(expected * (1 - chance)));
	}
}

static void only_the_class_that_is_asked_for(void)
{
	static const struct hak_sampling none = {0, 0};
	struct hak_guarding guarding = {1, 9, CLASS, HAK_GUARD_SAMPLE};
	make_mallocs(guards, &none, &guarding);
	UNIT_EQUAL(count(guards, HAK_SAMPLER_GUARDS), MALLOCS);
	guarding.class = CLASS + 1;
	make_mallocs(guards, &none, &guarding);
	UNIT_EQUAL(count(guards, HAK_SAMPLER_GUARDS), 0);
}

/* At level full each malloc comes to the slow path, which has decided on it already; samples come among them as ever. */
static void level_full_chooses_no_guards(void)
{
	static const struct hak_sampling sampling = {4000, 3};
	static const struct hak_guarding guarding = {1, 9, HAK_CLASS_COUNT, HAK_GUARD_FULL}, no_guarding = {0, 0, 0, 0};
	struct hak_sampler sampler = {.number = 5};
	struct hak_drawn drawn;
	unsigned wrong = 0;
	make_mallocs(samples, &sampling, &no_guarding);
	hak_sampler_ask_guards(&guarding);
	hak_sampler_meet(&sampler);
	hak_sampler_draw(&sampler, &drawn, CLASS, 0, HAK_SAMPLER_SAMPLES | HAK_SAMPLER_GUARDS);
	for (uint64_t i = 1; i <= MALLOCS; i++) {
		UNIT_EQUAL(drawn.next, i);
		hak_sample_due = 0;
		hak_sampler_choose(&sampler, &drawn, CLASS);
		wrong += hak_sample_due != (samples[i - 1] ? sampling.rate : 0);
	}
	UNIT_EQUAL(wrong, 0);
	hak_sample_due = 0;
}

/* What was drawn keeps its distance when mallocs were counted that went another way; what never comes never does. */
static void what_was_drawn_is_shifted(void)
{
	struct hak_drawn drawn = {10, 10, HAK_SAMPLE_NEVER};
	hak_drawn_shift(&drawn, 3);
	UNIT_EQUAL(drawn.next, 13);
	UNIT_EQUAL(drawn.sample, 13);
	UNIT_EQUAL(drawn.guard, HAK_SAMPLE_NEVER);
}

/* Blocks that no class counts: one in so many bytes. */
static void bytes_are_counted(void)
{
	struct hak_sampler sampler = {.number = 5};
	unsigned chosen = 0;
	hak_sampler_ask_samples(&(struct hak_sampling){0, 1});
	hak_sampler_meet(&sampler);
	hak_sampler_count(&sampler, 1 << 30);
	UNIT_EQUAL(hak_sample_due, 0);
	hak_sampler_ask_samples(&(struct hak_sampling){100000, 1});
	hak_sampler_meet(&sampler);
	for (unsigned i = 0; i < 100000; i++) {
		hak_sampler_count(&sampler, 100);
		chosen += hak_sample_due == 100000;
		hak_sample_due = 0;
	}
	CU_ASSERT_TRUE(chosen > 60 && chosen < 140); /* 100, within four deviations */
}

static void what_has_changed_is_met_once(void)
{
	static const struct hak_sampling sampling = {4000, 3};
	static const struct hak_guarding guarding = {30, 4, 2, HAK_GUARD_SAMPLE}, other = {30, 4, 2, HAK_GUARD_FULL};
	struct hak_sampler sampler = {.number = 1};
	hak_sampler_ask_samples(&(struct hak_sampling){0, 0});
	hak_sampler_ask_guards(&(struct hak_guarding){0, 0, 0, 0});
	UNIT_EQUAL(hak_sampler_meet(&sampler), 0);
	CU_ASSERT_FALSE(hak_sampler_is_on(&sampler));
	hak_sampler_ask_guards(&guarding);
	UNIT_EQUAL(hak_sampler_meet(&sampler), HAK_SAMPLER_GUARDS);
	CU_ASSERT_TRUE(hak_sampler_is_on(&sampler));
	hak_sampler_ask_samples(&sampling);
	UNIT_EQUAL(hak_sampler_meet(&sampler), HAK_SAMPLER_SAMPLES);
	UNIT_EQUAL(hak_sampler_meet(&sampler), 0);
	hak_sampler_ask_guards(&other);
	UNIT_EQUAL(hak_sampler_meet(&sampler), HAK_SAMPLER_GUARDS);
	UNIT_EQUAL(sampler.guarding.level, HAK_GUARD_FULL);
}

UNIT_MAIN("sampler", UNIT(neither_moves_the_other), UNIT(as_often_as_asked), UNIT(only_the_class_that_is_asked_for), UNIT(level_full_chooses_no_guards), UNIT(what_was_drawn_is_shifted),
	UNIT(bytes_are_counted),
	UNIT(what_has_changed_is_met_once))
