/* fuzz.h: what the fuzzers share. A fuzzer is one file with the function below; libFuzzer calls it with bytes that it
 * makes up, replay.c with the files of the corpus. */
#ifndef HAK_TESTS_FUZZ_H
#define HAK_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* Tries one input. Returns 0; anything that is wrong ends the process. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What must hold; the message says what did not, and the input is left to whoever called. */
#define FUZZ_CHECK(condition) \
	((condition) ? (void)0 : (fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #condition), abort()))

#endif
