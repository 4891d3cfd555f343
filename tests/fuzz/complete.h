/* SPDX-License-Identifier: BSD-3-Clause */
/* What random bytes have right too seldom. */
#ifndef SYNFRONT_COMPLETE_H
#define SYNFRONT_COMPLETE_H

#include "frame.h"

/* Put the checksum of an IPv4 header right, if there is one whole. */
static inline void
complete_ipv4(uint8_t *frame, uint32_t len)
{
	size_t off = 12;

	while (off + 6 <= len && ((frame[off] == 0x81 && frame[off + 1] == 0) ||
	                          (frame[off] == 0x88 && frame[off + 1] == 0xa8)))
		off += 4;
	if (off + 2 > len || frame[off] != 8 || frame[off + 1] != 0)
		return;
	uint8_t *ip = frame + off + 2;
	size_t header_len = len > off + 2 ? (ip[0] & 15) * 4u : 0;
	if (header_len < 20 || off + 2 + header_len > len)
		return;
	ip[10] = ip[11] = 0;
	uint16_t check = frame_checksum(0, ip, header_len);
	ip[10] = (uint8_t)(check >> 8);
	ip[11] = (uint8_t)check;
}

#endif
