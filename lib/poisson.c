#include "poisson.h"

#include <string.h>

#define LN2 0.693147180559945309417
#define SQRT2 1.41421356237309504880
#define GOLDEN 0x9e3779b97f4a7c15u /* 2^64 divided by the golden ratio: odd, its bits without a pattern */

/* ---- Random numbers ---- */

/* splitmix64's last steps: every bit of the result depends on every bit of `x`. */
static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

uint64_t hak_random_begin(uint64_t seed, uint64_t number)
{
	uint64_t state = mix(mix(seed + GOLDEN) + GOLDEN * (number + 1));

	return state ? state : GOLDEN;
}

uint64_t hak_random_next(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1du; /* xorshift64*: the high bits are the good ones */
}

/* Above 0, and 1 at most. */
static double uniform(uint64_t *state)
{
	return (double)((hak_random_next(state) >> 11) + 1) * 0x1p-53;
}

/* ---- Functions of libm ---- */

/* The sum of term[i] * x^i. A step waits for a product and a sum: those of even powers go beside those of odd ones. */
HAK_INLINE double polynomial(const double term[10], double x)
{
	double square = x * x, even = term[8], odd = term[9];

	for (int i = 6; i >= 0; i -= 2) {
		even = even * square + term[i];
		odd = odd * square + term[i + 1];
	}
	return even + odd * x;
}

double hak_log(double x)
{
	/* ln x = 2 artanh s, whose series gains a digit and a half a term, or more. */
	static const double terms[10] = {1, 1.0 / 3, 1.0 / 5, 1.0 / 7, 1.0 / 9, 1.0 / 11, 1.0 / 13, 1.0 / 15, 1.0 / 17, 1.0 / 19};
	uint64_t bits;
	int exponent;
	double s;

	memcpy(&bits, &x, sizeof(bits));
	exponent = (int)(bits >> 52) - 1023;
	bits = (bits & ((1ull << 52) - 1)) | 1023ull << 52;
	memcpy(&x, &bits, sizeof(x)); /* from 1 to 2 */
	if (x > SQRT2) {
		x /= 2;
		exponent++;
	}
	s = (x - 1) / (x + 1);
	return exponent * LN2 + 2 * s * polynomial(terms, s * s);
}

/* exp(-x) for 0 <= x < 700. */
static double exp_minus(double x)
{
	int halvings = (int)(x / LN2);
	double rest = x - halvings * LN2, sum = 1;
	uint64_t bits = (uint64_t)(1023 - halvings) << 52;
	double scale;

	for (int n = 18; n > 0; n--)
		sum = 1 - rest / n * sum;
	memcpy(&scale, &bits, sizeof(scale));
	return sum * scale;
}

/* ---- Draws ---- */

double hak_poisson_bytes(uint64_t *state, uint64_t rate)
{
	return rate <= 1 ? 0 : -hak_log(uniform(state)) * (double)rate;
}

uint64_t hak_poisson_blocks(uint64_t *state, uint64_t bytes, uint64_t rate)
{
	double blocks = hak_poisson_bytes(state, rate) / (double)bytes;

	return blocks < 0x1p62 ? (uint64_t)blocks + 1 : 1ull << 62;
}

uint64_t hak_poisson_calls(uint64_t *state, uint64_t rate)
{
	/* -ln(1 - 1 / rate), of which the difference keeps too few digits where the rate is high. */
	double chance = rate > 10000 ? 1 / ((double)rate - 0.5) : rate > 1 ? -hak_log(1 - 1 / (double)rate) : 0;
	double calls = rate <= 1 ? 0 : -hak_log(uniform(state)) / chance;

	return calls < 0x1p62 ? (uint64_t)calls + 1 : 1ull << 62;
}

/* 1 - exp(-x) for 0 < x < 1/8, where the difference would lose digits: ten terms are enough for 16 of them. */
static double little_probability(double x)
{
	static const double terms[10] = {
		1, -1.0 / 2, 1.0 / 6, -1.0 / 24, 1.0 / 120, -1.0 / 720, 1.0 / 5040, -1.0 / 40320, 1.0 / 362880, -1.0 / 3628800};

	return x * polynomial(terms, x);
}

double hak_poisson_probability(uint64_t bytes, uint64_t rate)
{
	double x = (double)bytes / (double)rate;

	if (rate <= 1 || x > 40)
		return 1;
	return x < 0.125 ? little_probability(x) : 1 - exp_minus(x);
}
