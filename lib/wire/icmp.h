/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ICMP and ICMPv6 errors that quote a TCP segment (RFC 792, 4443, 5927).
 *
 * segment_parse() classes them SEGMENT_ICMP_ERROR and fills flow (of the
 * *quoted* segment, canonical), seq (quoted), is_v4, l3_off, l4_off (of the
 * ICMP header) and payload_len = bytes from the quoted IP header on. `side` is
 * where the error came in by, so the quoted segment went out on that side:
 * the quoted source is the end on the other side.
 */
#ifndef SYNFRONT_ICMP_H
#define SYNFRONT_ICMP_H

#include "segment.h"

/*
 * For the parser: the ICMP message of `seg` (family, l3_off and l4_off set) ends at `end`; bytes
 * before `head` can be read. If it is an error that quotes TCP, set class, flow,
 * seq and payload_len; else leave seg alone.
 */
void icmp_parse(struct segment *seg, uint32_t head, uint32_t end);

/* Add `seq_add` to the quoted sequence number and `ack_add` to the quoted
 * acknowledgment (if the quote reaches so far and does not lack ACK), keeping
 * the ICMP checksum in step; the quoted TCP checksum is adjusted when quoted. */
void icmp_rewrite_quote(uint8_t *frame, const struct segment *seg, uint32_t seq_add,
                        uint32_t ack_add);

#endif
