/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Hashes of 128 bits, and sets of them. Two states out of 10^8 have the same one with
 * a probability of 10^-23: what has the same hash is taken for the same.
 */
#ifndef SYNFRONT_EXPLORE_HASH_H
#define SYNFRONT_EXPLORE_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hash {
	uint64_t low, high;
};

struct hash hash_of(const void *bytes, size_t size, uint64_t salt);

struct hash_set {
	struct hash *slots; /* all zero: free */
	size_t n, n_slots;
};

void hash_set_init(struct hash_set *set);
void hash_set_fini(struct hash_set *set);
/* True if it was not in there. Grows; ends the process if memory is short. */
bool hash_set_add(struct hash_set *set, struct hash hash);

#endif
