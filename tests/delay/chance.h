/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Randomness that repeats: the same seed gives the same numbers on every machine.
 */
#ifndef SYNFRONT_CHANCE_H
#define SYNFRONT_CHANCE_H

#include <stdint.h>

struct chance {
	uint64_t state;
};

/* The next 64 bits: SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number
 * generators, OOPSLA 2014). */
static inline uint64_t
chance_bits(struct chance *chance)
{
	uint64_t bits = chance->state += 0x9e3779b97f4a7c15ull;

	bits = (bits ^ (bits >> 30)) * 0xbf58476d1ce4e5b9ull;
	bits = (bits ^ (bits >> 27)) * 0x94d049bb133111ebull;
	return bits ^ (bits >> 31);
}

/* Uniform, at least 0 and below 1. */
static inline double
chance_share(struct chance *chance)
{
	return (double)(chance_bits(chance) >> 11) * 0x1p-53;
}

/* Uniform, at least 0 and at most `most`. */
static inline uint64_t
chance_upto(struct chance *chance, uint64_t most)
{
	return (uint64_t)(((unsigned __int128)chance_bits(chance) * (most + 1)) >> 64);
}

#endif
