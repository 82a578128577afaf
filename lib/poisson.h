/* poisson.h: the chances of sampling.
 *
 * Bytes are sampled as a Poisson process picks points on a line: on the average one in `rate`, each independently of
 * the others. A block is sampled if one of its bytes is, with the probability 1 - exp(-bytes / rate), and then stands for
 * 1 / probability blocks like it. The process has no memory, so that one of its own for each thread and size class, counted
 * in blocks instead of bytes, samples the same.
 *
 * libm is no library of lib's, so that the two functions needed of it are here. All are pure but for the random source,
 * which belongs to its caller. */
#ifndef HAK_POISSON_H
#define HAK_POISSON_H

#include "base.h"

/* A random source: its state, never 0. */
uint64_t hak_random_begin(uint64_t seed, uint64_t number); /* sources of different numbers are independent */
/* The next 64 bits. */
uint64_t hak_random_next(uint64_t *state);

/* The natural logarithm of 0 < x < infinity, to 15 digits. */
double hak_log(double x);

/* Drawn: bytes to the next point, exponentially distributed with `rate` as its mean. A rate of 1 stands for every block:
 * 0. */
double hak_poisson_bytes(uint64_t *state, uint64_t rate);

/* Drawn: which of the next blocks of `bytes` bytes each is the first that is sampled, from 1 on. */
uint64_t hak_poisson_blocks(uint64_t *state, uint64_t bytes, uint64_t rate);

/* Drawn: which of the next calls is the first that is chosen, each with the probability 1 / rate, from 1 on. */
uint64_t hak_poisson_calls(uint64_t *state, uint64_t rate);

/* The probability with which a block of `bytes` > 0 bytes is sampled: 1 at a rate of 1. */
double hak_poisson_probability(uint64_t bytes, uint64_t rate);

#endif
