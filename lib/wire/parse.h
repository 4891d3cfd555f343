/* SPDX-License-Identifier: BSD-3-Clause */
/* The parser without its lane, for whoever compares the two; inside lib/wire only. */
#ifndef SYNFRONT_PARSE_H
#define SYNFRONT_PARSE_H

#include "segment.h"

/* Every frame but for those of parse_lane(), and what it does with those is the same. */
void parse_any(struct segment *seg, const uint8_t *frame, uint32_t head, uint32_t len,
               enum side side);

#endif
