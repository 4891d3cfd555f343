/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The heaviest of many keys, in fixed memory: Space-Saving (Metwally, Agrawal, El Abbadi: Efficient
 * Computation of Frequent and Top-k Elements in Data Streams, 2005).
 *
 * There are m = HEAVY_SLOTS counters. A key that has one adds to it; any other takes the place of
 * the smallest, whose count it inherits as its error. So with W the weight of all that was added:
 *
 *   - count - error <= weight of the key <= count, for each key that has a counter;
 *   - error <= W / m, that is 0.39 %;
 *   - each key of more than W / m has a counter.
 *
 * What is counted here is a sample. Of n sampled frames, one prefix's share being 1 %, it has fewer
 * than n / m (and so perhaps no counter) with a probability of 1 % at n = 1,000, of 3 in 10^6 at
 * n = 4,000, and of 10^-12 at n = 10,000 (binomial tail; the test has it, too).
 *
 * Ownership: one writer. Any reader takes a copy (heavy_copy()): `turn` is odd while something
 * changes, and another after it. Nothing waits for a reader, and a reader gives up where the
 * writer stands still in mid-change. All fields are relaxed atomics, ordered by `turn`.
 */
#ifndef SYNFRONT_HEAVY_H
#define SYNFRONT_HEAVY_H

#include <stdbool.h>
#include <stdint.h>

#define HEAVY_SLOTS 256u

struct heavy_slot {
	uint64_t key;
	uint32_t count; /* 0: free, and so are those behind it */
	uint32_t error;
};

struct heavy {
	uint32_t turn;
	uint32_t n_samples;
	uint64_t weight;
	struct heavy_slot slots[HEAVY_SLOTS];
};

void heavy_clear(struct heavy *heavy);
void heavy_add(struct heavy *heavy, uint64_t key, uint32_t weight);
/* False: there was always something changing. */
bool heavy_copy(const struct heavy *heavy, struct heavy *copy);

/* One key of several sketches together. */
struct heavy_sum {
	uint64_t key, count, error;
};

/* Append what `from` says, which nobody changes: HEAVY_SLOTS at most. How many there are then. */
uint32_t heavy_sum_add(struct heavy_sum *sums, uint32_t n, const struct heavy *from);
/* Each key once, the heaviest first. How many there are. */
uint32_t heavy_sum_finish(struct heavy_sum *sums, uint32_t n);

#endif
