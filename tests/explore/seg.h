/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A segment on its way, as a value: what the network of the model carries. It becomes
 * a frame where it reaches the engine, and is read back from the frames that leave it.
 */
#ifndef SYNFRONT_EXPLORE_SEG_H
#define SYNFRONT_EXPLORE_SEG_H

#include "segment.h"

/* Which way it goes, and how far it is. */
enum hop {
	HOP_FROM_CLIENT, /* to the engine, by the outside port */
	HOP_FROM_SERVER, /* to the engine, by the inside port */
	HOP_TO_CLIENT,
	HOP_TO_SERVER,
};

/* No holes: it is hashed and compared as bytes. Fields that its options and flags say are
 * absent are 0. */
struct seg {
	uint32_t seq, ack;
	uint32_t tsval, tsecr;
	uint16_t window, mss;
	uint8_t hop;  /* enum hop */
	uint8_t flow; /* number */
	uint8_t flags;
	uint8_t options; /* enum segment_option */
	uint8_t wscale;
	uint8_t len;  /* bytes of data ... */
	uint8_t data; /* ... which are this one, this one plus 1, and so on */
	uint8_t zero;
};
_Static_assert(sizeof(struct seg) == 28, "no holes");

static inline uint32_t
seg_end(const struct seg *seg)
{
	return seg->seq + seg->len + !!(seg->flags & TCP_SYN) + !!(seg->flags & TCP_FIN);
}

static inline bool
seg_is_syn(const struct seg *seg)
{
	return (seg->flags & (TCP_SYN | TCP_ACK | TCP_RST)) == TCP_SYN;
}

static inline bool
seg_is_syn_ack(const struct seg *seg)
{
	return (seg->flags & (TCP_SYN | TCP_ACK | TCP_RST)) == (TCP_SYN | TCP_ACK);
}

#endif
