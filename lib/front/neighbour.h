/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A responder has no server behind it, so the engine itself says where the
 * addresses of its `respond` services are: ARP (RFC 826), neighbour
 * solicitations (RFC 4861) and pings (RFC 792, 4443) are answered for them.
 */
#ifndef SYNFRONT_NEIGHBOUR_H
#define SYNFRONT_NEIGHBOUR_H

#include "policy.h"
#include "segment.h"

/* Bytes of room that a frame needs. */
#define NEIGHBOUR_ROOM 128u

/*
 * If the frame that `seg` (SEGMENT_OTHER) was parsed from asks for an address of a
 * `respond` service, turn it into the answer and return its length; else
 * return 0 and leave it alone. `len` bytes, all in one piece; `mac`: ours.
 */
unsigned int neighbour_answer(uint8_t *frame, uint32_t len, const struct segment *seg,
                              const struct policy *policy, const uint8_t mac[6]);

#endif
