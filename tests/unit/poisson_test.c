/* The chances of sampling: the functions against libm's, the draws against the distributions they stand for. */
#include "lib/poisson.h"

#include <math.h>

#include "tests/unit/unit.h"

static void the_logarithm(void)
{
	static const double some[] = {1, 2, 0.5, 1e-300, 1e300, 1.4142135623730951, 1.4142135623730949, 0.9999999999999999, 0x1p-53};
	double worst = 0;
	for (unsigned i = 0; i < sizeof(some) / sizeof(*some); i++)
		worst = fmax(worst, fabs(hak_log(some[i]) - log(some[i])) / fmax(fabs(log(some[i])), 1e-15));
	CU_ASSERT_TRUE(worst < 1e-12);
	for (int i = -15000; i <= 15000; i++) {
		double x = pow(1.0018, i);
		worst = fmax(worst, fabs(hak_log(x) - log(x)) / fmax(fabs(log(x)), 1e-3));
	}
	CU_ASSERT_TRUE(worst < 1e-12);
}

static void the_probability(void)
{
	double worst = 0;
	for (uint64_t rate = 2; rate < 1ull << 40; rate *= 3) {
		for (uint64_t bytes = 1; bytes < 1ull << 42; bytes = bytes * 5 / 3 + 1) {
			double true_one = -expm1(-(double)bytes / (double)rate);
			worst = fmax(worst, fabs(hak_poisson_probability(bytes, rate) - true_one) / true_one);
		}
	}
	CU_ASSERT_TRUE(worst < 1e-10);
	CU_ASSERT_TRUE(hak_poisson_probability(16, 1) == 1);
	CU_ASSERT_TRUE(hak_poisson_probability(UINT64_MAX / 2, 2) == 1);
}

static void sources_differ(void)
{
	uint64_t first[1000], same = 0, bits = 0;
	for (unsigned i = 0; i < 1000; i++) {
		uint64_t state = hak_random_begin(i / 10, i % 10);
		CU_ASSERT_TRUE(state != 0);
		first[i] = hak_random_next(&state);
		bits += (uint64_t)__builtin_popcountll(first[i]);
		for (unsigned j = 0; j < i; j++)
			same += first[i] == first[j];
	}
	UNIT_EQUAL(same, 0);
	CU_ASSERT_TRUE(bits > 31500 && bits < 32500); /* four deviations from a half */
	uint64_t one = hak_random_begin(3, 4), again = hak_random_begin(3, 4);
	UNIT_EQUAL(hak_random_next(&one), hak_random_next(&again));
}

/* The mean, and the share of each of the first numbers, within four standard deviations. */
static void blocks_are_geometric(void)
{
	const unsigned draws = 100000;
	static const struct { uint64_t bytes, rate; } pairs[] = {{64, 1000}, {4096, 4096}, {1000, 64}, {16, 524288}};
	for (unsigned i = 0; i < sizeof(pairs) / sizeof(*pairs); i++) {
		uint64_t state = hak_random_begin(11, i), seen[4] = {0};
		double p = hak_poisson_probability(pairs[i].bytes, pairs[i].rate), sum = 0;
		for (unsigned n = 0; n < draws; n++) {
			uint64_t k = hak_poisson_blocks(&state, pairs[i].bytes, pairs[i].rate);
			CU_ASSERT_TRUE(k >= 1);
			sum += (double)k;
			if (k <= 4)
				seen[k - 1]++;
		}
		CU_ASSERT_TRUE(fabs(sum / draws - 1 / p) < 4 * sqrt((1 - p) / (p * p) / draws) + 1e-9);
		for (unsigned k = 0; k < 4; k++) {
			double share = pow(1 - p, k) * p;
			CU_ASSERT_TRUE(fabs((double)seen[k] - share * draws) < 4 * sqrt(share * (1 - share) * draws) + 2);
		}
	}
}

static void bytes_are_exponential(void)
{
	const unsigned draws = 100000;
	uint64_t state = hak_random_begin(1, 1);
	double sum = 0, squares = 0;
	unsigned beyond = 0;
	for (unsigned n = 0; n < draws; n++) {
		double x = hak_poisson_bytes(&state, 1000) / 1000;
		sum += x;
		squares += x * x;
		beyond += x > 3;
	}
	CU_ASSERT_TRUE(fabs(sum / draws - 1) < 4 / sqrt(draws));
	CU_ASSERT_TRUE(fabs(squares / draws - 2) < 4 * sqrt(20.0 / draws));
	CU_ASSERT_TRUE(fabs(beyond - exp(-3) * draws) < 4 * sqrt(exp(-3) * draws));
}

static void a_rate_of_one_takes_every_block(void)
{
	uint64_t state = hak_random_begin(1, 1);
	for (unsigned i = 0; i < 1000; i++) {
		UNIT_EQUAL(hak_poisson_blocks(&state, 16, 1), 1);
		CU_ASSERT_TRUE(hak_poisson_bytes(&state, 1) == 0);
	}
}

UNIT_MAIN("poisson", UNIT(the_logarithm), UNIT(the_probability), UNIT(sources_differ), UNIT(blocks_are_geometric), UNIT(bytes_are_exponential),
	UNIT(a_rate_of_one_takes_every_block))
