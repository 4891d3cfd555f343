/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Under observe: the segments by which clients complete the handshakes of servers, by SEQ and ACK
 * as the server's SYN-ACK says them. observe.c notes them. Who completes a handshake that crossed
 * is asked after observe has ended, too, when a reload has left the client without an entry.
 *
 * In a cache (known.h), so that a flood takes no entry. Inside lib/proto only.
 */
#ifndef SYNFRONT_EXPECTED_H
#define SYNFRONT_EXPECTED_H

#include "core_state.h"

static inline uint64_t
expected_hash(const struct known *seen, const struct segment *seg, uint32_t seq, uint32_t ack)
{
	return flow_hash(&seen->key, &seg->flow, seg->tags ^ seq) ^
	       ack * UINT64_C(0x9e3779b97f4a7c15);
}

/* Of this SYN-ACK of a server's: what completes its handshake. */
static inline void
expected_note(const struct core *core, const struct segment *seg, const struct instant *now)
{
	const struct known *seen = core->seen;

	known_note(seen, expected_hash(seen, seg, seg->ack, seg->seq + 1), instant_s(now));
}

/* Does this segment complete a handshake of the server's that began under observe? */
static inline bool
expected_is(const struct core *core, const struct segment *seg)
{
	const struct known *seen = core->seen;

	return seen != NULL && seg->side == SIDE_OUTSIDE &&
	       known_has(seen, expected_hash(seen, seg, seg->seq, seg->ack));
}

#endif
