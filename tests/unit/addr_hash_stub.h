/* SPDX-License-Identifier: BSD-3-Clause */
/* addr_hash() of a test that chooses how bad it is, in place of flow_hash.c's. */
#ifndef SYNFRONT_ADDR_HASH_STUB_H
#define SYNFRONT_ADDR_HASH_STUB_H

#include "flow_hash.h"
#include "trial.h"

static enum trial_hash addr_hash_kind;

uint64_t
addr_hash(const struct flow_hash_key *key, const struct ip_addr *addr, uint32_t salt)
{
	uint64_t hash = trial_hash(addr_hash_kind, __builtin_bswap64(addr->quads_be[1]) + salt);

	(void)key;
	return trial_hash(addr_hash_kind, hash + __builtin_bswap64(addr->quads_be[0]));
}

#endif
