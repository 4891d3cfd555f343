/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Checksums that a kernel left to its NIC. Linux hands frames of its own over to a
 * packet socket with only the pseudo-header summed up in the TCP or UDP
 * checksum, which a veth or a loopback never completes.
 */
#ifndef SYNFRONT_PARTIAL_CHECKSUM_H
#define SYNFRONT_PARTIAL_CHECKSUM_H

#include "segment.h"

/*
 * If the checksum field of the TCP or UDP packet in `frame` (`len` bytes in one piece,
 * parsed into `seg`) is the sum of its pseudo-header, fill in the checksum.
 * A good checksum that looks so by chance comes out as it was; of frames with a bad
 * one, one in 65,536 would become good: for ports alone whose kernel does this.
 */
void partial_checksum_complete(uint8_t *frame, uint32_t len, const struct segment *seg);

#endif
