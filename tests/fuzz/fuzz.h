/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What every fuzzer shares. Each file fuzz_<name>.c has one entry,
 * LLVMFuzzerTestOneInput(); clang's libFuzzer drives it (scripts/fuzz), or
 * replay.c where the compiler has no such engine (the tests of a usual build).
 */
#ifndef SYNFRONT_FUZZ_H
#define SYNFRONT_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Stops the run, so that the engine keeps the input. */
#define FUZZ_CHECK(cond)                                                           \
	do {                                                                       \
		if (!(cond)) {                                                     \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond); \
			abort();                                                   \
		}                                                                  \
	} while (0)

/* Reading an input from front to end; zero when it is used up. */
struct fuzz_input {
	const uint8_t *at, *end;
};

static inline uint8_t
fuzz_u8(struct fuzz_input *in)
{
	return in->at < in->end ? *in->at++ : 0;
}

static inline uint16_t
fuzz_u16(struct fuzz_input *in)
{
	uint16_t high = fuzz_u8(in);
	return (uint16_t)(high << 8 | fuzz_u8(in));
}

static inline uint32_t
fuzz_u32(struct fuzz_input *in)
{
	uint32_t high = fuzz_u16(in);
	return high << 16 | fuzz_u16(in);
}

/* A heap copy of `len` bytes with room for `room` (at least len), nothing behind
 * it: a sanitizer sees every access past it. */
static inline uint8_t *
fuzz_copy(const void *bytes, size_t len, size_t room)
{
	uint8_t *copy = malloc(room > 0 ? room : 1);

	if (copy == NULL)
		abort();
	if (len > 0)
		memcpy(copy, bytes, len);
	return copy;
}

#endif
