/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The layouts of TCP options that most stacks send, recognised by whole words;
 * each gives what the walk of tcp_options.c gives. Inside lib/wire only.
 */
#ifndef SYNFRONT_TCP_LAYOUT_H
#define SYNFRONT_TCP_LAYOUT_H

#include "bytes.h"
#include "protocols.h"
#include "tcp_options.h"

/* RFC 7323, 2.3: a larger shift is to be used as 14. */
#define TCP_WSCALE_MAX 14u

/* An option word as four bytes on the wire. */
#define TCPOPT_WORD(a, b, c, d) ((uint32_t)(a) << 24 | (b) << 16 | (c) << 8 | (d))
#define TCPOPT_WORD_MSS TCPOPT_WORD(TCPOPT_MSS, 4, 0, 0)
#define TCPOPT_WORD_WSCALE TCPOPT_WORD(TCPOPT_NOP, TCPOPT_WSCALE, 3, 0)
#define TCPOPT_WORD_SACK TCPOPT_WORD(TCPOPT_NOP, TCPOPT_NOP, TCPOPT_SACK_PERMITTED, 2)
#define TCPOPT_WORD_TS TCPOPT_WORD(TCPOPT_NOP, TCPOPT_NOP, TCPOPT_TIMESTAMPS, 10)
#define TCPOPT_WORD_SACK_TS TCPOPT_WORD(TCPOPT_SACK_PERMITTED, 2, TCPOPT_TIMESTAMPS, 10)

static inline uint8_t
tcp_wscale(uint8_t wscale)
{
	return wscale > TCP_WSCALE_MAX ? TCP_WSCALE_MAX : wscale;
}

/* All option fields as of a header without options. */
static inline void
tcp_layout_clear(struct segment *seg)
{
	seg->options = 0;
	seg->ts_off = 0;
	seg->sack_off = 0;
	seg->sack_count = 0;
	seg->mss = 0;
	seg->wscale = 0;
	seg->tsval = 0;
	seg->tsecr = 0;
}

static inline void
tcp_layout_timestamps(struct segment *seg, const uint8_t *tcp, unsigned int off)
{
	seg->ts_off = (uint8_t)off;
	seg->tsval = bytes_get_u32(tcp + off + 2);
	seg->tsecr = bytes_get_u32(tcp + off + 6);
}

/* False, with nothing written, if the layout is another one. The option fields of
 * `seg` are clear before. */
static inline bool
tcp_layout_read(struct segment *seg, const uint8_t *tcp, unsigned int header_len)
{
	if (header_len == TCP_HEADER_SIZE)
		return true;
	uint32_t first = bytes_get_u32(tcp + 20);

	/* A segment of a connection with timestamps: RFC 7323, appendix A. */
	if (header_len == 32 && first == TCPOPT_WORD_TS) {
		seg->options = OPTION_TIMESTAMPS;
		tcp_layout_timestamps(seg, tcp, 22);
		return true;
	}
	if (first >> 16 != TCPOPT_WORD_MSS >> 16)
		return false;
	/* MSS, SACK-permitted, timestamps, NOP, window scale: Linux, Android. */
	if (header_len == 40) {
		uint32_t last = bytes_get_u32(tcp + 36);
		if (bytes_get_u32(tcp + 24) != TCPOPT_WORD_SACK_TS ||
		    last >> 8 != TCPOPT_WORD_WSCALE >> 8)
			return false;
		seg->options = OPTION_MSS | OPTION_WSCALE | OPTION_SACK_PERMITTED |
		               OPTION_TIMESTAMPS;
		seg->mss = (uint16_t)first;
		tcp_layout_timestamps(seg, tcp, 26);
		seg->wscale = tcp_wscale((uint8_t)last);
		return true;
	}
	if (header_len == 24) {
		seg->options = OPTION_MSS;
		seg->mss = (uint16_t)first;
		return true;
	}
	/* MSS, NOP, window scale, NOP, NOP, SACK-permitted: Windows. */
	if (header_len == 32) {
		uint32_t scale = bytes_get_u32(tcp + 24);
		if (scale >> 8 != TCPOPT_WORD_WSCALE >> 8 ||
		    bytes_get_u32(tcp + 28) != TCPOPT_WORD_SACK)
			return false;
		seg->options = OPTION_MSS | OPTION_WSCALE | OPTION_SACK_PERMITTED;
		seg->mss = (uint16_t)first;
		seg->wscale = tcp_wscale((uint8_t)scale);
		return true;
	}
	return false;
}

#endif
