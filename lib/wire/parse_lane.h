/* SPDX-License-Identifier: BSD-3-Clause */
/* The parser's lane (lib/DESIGN.md); inside lib/wire only. */
#ifndef SYNFRONT_PARSE_LANE_H
#define SYNFRONT_PARSE_LANE_H

#include "segment.h"

/*
 * Takes untagged frames, IPv4 without options or IPv6 without extension headers,
 * a sound TCP header, all of it readable (`head` bytes, at most `len`). Fills `seg`
 * as segment_parse() would; false if the frame is any other, sound or not.
 */
bool parse_lane(struct segment *seg, const uint8_t *frame, uint32_t head, enum side side);

#endif
