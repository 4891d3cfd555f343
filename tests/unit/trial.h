/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Long random runs of a structure beside a naive model of it. A trial is
 * repeatable from its seed, which is printed with the step when a check fails.
 */
#ifndef SYNFRONT_TRIAL_H
#define SYNFRONT_TRIAL_H

#include <stdbool.h>
#include <stdio.h>

#include "check.h"

struct trial {
	uint64_t seed;
	uint64_t state;
	unsigned int step;
};

static inline struct trial
trial_start(uint64_t seed)
{
	return (struct trial){ .seed = seed, .state = seed };
}

/* 0 .. n - 1 */
static inline uint32_t
trial_pick(struct trial *trial, uint32_t n)
{
	return (uint32_t)(check_random(&trial->state) >> 16) % n;
}

/* Ends the test when `condition` does not hold. */
#define TRIAL_CHECK(trial, condition)                                                              \
	do {                                                                                       \
		bool trial_holds = (condition);                                                    \
		if (!trial_holds)                                                                  \
			printf("\n  seed %llu, step %u\n", (unsigned long long)(trial)->seed,      \
			       (trial)->step);                                                     \
		CU_assertImplementation(trial_holds, __LINE__, #condition, __FILE__, "", CU_TRUE); \
	} while (0)

/* Memory for a table: aligned to a line, and not zero. */
static inline void *
trial_memory(size_t size)
{
	size_t rounded = (size + 63) & ~(size_t)63;
	void *memory = aligned_alloc(64, rounded);

	if (memory == NULL)
		abort();
	memset(memory, 0xa5, rounded);
	return memory;
}

/* The hashes that every table must bear. */
enum trial_hash {
	HASH_GOOD,
	HASH_IDENTITY,
	HASH_CONSTANT
};

static inline uint64_t
trial_hash(enum trial_hash kind, uint64_t key)
{
	if (kind == HASH_IDENTITY)
		return key;
	if (kind == HASH_CONSTANT)
		return 0x123456789abcdef0u;
	/* Two rounds of multiply and shift, over odd constants. */
	key = (key ^ key >> 32) * 0xd6e8feb86659fd93u;
	key = (key ^ key >> 32) * 0xa0761d6478bd642fu;
	return key ^ key >> 32;
}

#endif
