/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Keyed hash of a flow, for the tables of one engine (never on the wire).
 *
 * AES rounds over the 36 bytes of the flow and its tags under a random key
 * drawn at start: cheap, and without the key nobody can aim at a bucket. (The
 * tables bound their work even when every hash is the same.)
 */
#ifndef SYNFRONT_FLOW_HASH_H
#define SYNFRONT_FLOW_HASH_H

#include "addr.h"

struct flow_hash_key {
	uint8_t bytes[4][16]; /* uniformly random */
} __attribute__((aligned(16)));

/* 64 well-mixed bits: the index takes its bucket and tag from different parts. */
uint64_t flow_hash(const struct flow_hash_key *key, const struct flow *flow, uint32_t tags);
/* The same for whom the family is known. */
uint64_t flow_hash_of(const struct flow_hash_key *key, const struct flow *flow, uint32_t tags,
                      bool is_v4);
/* The same of an untagged IPv4 flow, by its flow_ends_v4(). */
uint64_t flow_hash_ends(const struct flow_hash_key *key, __m128i ends);

/* The same for a masked address (source prefixes, prefix sets); `salt` tells
 * uses apart, e.g. the prefix length. */
uint64_t addr_hash(const struct flow_hash_key *key, const struct ip_addr *addr, uint32_t salt);

#endif
