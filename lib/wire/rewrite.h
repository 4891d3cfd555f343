/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * In-place edits of a forwarded segment with incremental checksums (RFC 1624),
 * so that a checksum that was wrong stays wrong. Payload is never touched, so
 * a frame may continue in further buffers.
 */
#ifndef SYNFRONT_REWRITE_H
#define SYNFRONT_REWRITE_H

#include "segment.h"

/* What to add (modulo 2^32) to each field; zero leaves it. */
struct rewrite {
	uint32_t seq_add;
	uint32_t ack_add; /* applied only if ACK is set */
	uint32_t tsval_add;
	uint32_t tsecr_add; /* applied only if ACK is set */
	uint32_t sack_add;  /* to both edges of every SACK block */
	uint16_t window;    /* new value, if REWRITE_WINDOW */
	uint8_t edits;      /* enum rewrite_edit */
};

enum rewrite_edit {
	REWRITE_WINDOW = 0x01,     /* store `window` */
	REWRITE_STRIP_SACK = 0x02, /* overwrite SACK blocks and SACK-permitted with NOPs */
	REWRITE_STRIP_TS = 0x04,   /* overwrite the timestamps option with NOPs */
};

/* Apply `rw` to the frame that `seg` was parsed from. Options at odd offsets
 * are handled. seg itself is not changed. For a fragment, only what the
 * parser found in it is edited. */
void rewrite_apply(uint8_t *frame, const struct segment *seg, const struct rewrite *rw);

#endif
