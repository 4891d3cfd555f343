/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The layouts of TCP options that most stacks send, recognised by whole words;
 * each gives what the walk of tcp_options.c gives. Inside lib/wire only.
 */
#ifndef SYNFRONT_TCP_LAYOUT_H
#define SYNFRONT_TCP_LAYOUT_H

#include <stddef.h>
#include <tmmintrin.h>

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
#define TCPOPT_WORD_SACK_END TCPOPT_WORD(TCPOPT_SACK_PERMITTED, 2, TCPOPT_EOL, TCPOPT_EOL)
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
	seg->zero = 0;
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

/*
 * MSS, SACK-permitted, timestamps, NOP, window scale: Linux, Android. All but the scale
 * lies in 16 bytes, and so do the fields that it fills.
 */
static inline void
tcp_layout_fill_40(struct segment *seg, const uint8_t *tcp)
{
	/* MSS, nothing, TSval, TSecr in host order */
	const __m128i order = _mm_setr_epi8(-1, -1, -1, -1, 3, 2, -1, -1, 11, 10, 9, 8, 15, 14, 13,
	                                    12);
	const __m128i known = _mm_setr_epi8(OPTION_MSS | OPTION_WSCALE | OPTION_SACK_PERMITTED |
	                                            OPTION_TIMESTAMPS,
	                                    26, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	__m128i options = _mm_loadu_si128((const __m128i *)(tcp + TCP_HEADER_SIZE));

	_mm_storeu_si128((__m128i *)(void *)&seg->options,
	                 _mm_or_si128(_mm_shuffle_epi8(options, order), known));
	seg->wscale = tcp_wscale(tcp[39]);
}

static inline bool
tcp_layout_read_40(struct segment *seg, const uint8_t *tcp)
{
	const __m128i mask = _mm_setr_epi8(-1, -1, 0, 0, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0);
	const __m128i kinds = _mm_setr_epi8(TCPOPT_MSS, 4, 0, 0, TCPOPT_SACK_PERMITTED, 2,
	                                    TCPOPT_TIMESTAMPS, 10, 0, 0, 0, 0, 0, 0, 0, 0);
	__m128i options = _mm_loadu_si128((const __m128i *)(tcp + TCP_HEADER_SIZE));

	if (_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_and_si128(options, mask), kinds)) != 0xffff ||
	    bytes_get_u32(tcp + 36) >> 8 != TCPOPT_WORD_WSCALE >> 8)
		return false;
	tcp_layout_fill_40(seg, tcp);
	return true;
}
_Static_assert(offsetof(struct segment, ts_off) == offsetof(struct segment, options) + 1 &&
                       offsetof(struct segment, mss) == offsetof(struct segment, options) + 4 &&
                       offsetof(struct segment, tsval) == offsetof(struct segment, options) + 8 &&
                       offsetof(struct segment, tsecr) == offsetof(struct segment, options) + 12,
               "what a segment's options say is one vector");

/*
 * MSS, NOP, window scale, then SACK-permitted and timestamps: FreeBSD; or NOP, NOP,
 * timestamps, SACK-permitted, end, end: macOS. `header_len` is 40 or 44 bytes.
 */
static inline bool
tcp_layout_read_bsd(struct segment *seg, const uint8_t *tcp, unsigned int header_len)
{
	uint32_t scale = bytes_get_u32(tcp + 24), third = bytes_get_u32(tcp + 28);

	if (scale >> 8 != TCPOPT_WORD_WSCALE >> 8 ||
	    third != (header_len == 40 ? TCPOPT_WORD_SACK_TS : TCPOPT_WORD_TS) ||
	    (header_len == 44 && bytes_get_u32(tcp + 40) != TCPOPT_WORD_SACK_END))
		return false;
	seg->options = OPTION_MSS | OPTION_WSCALE | OPTION_SACK_PERMITTED | OPTION_TIMESTAMPS;
	seg->mss = bytes_get_u16(tcp + 22);
	seg->wscale = tcp_wscale((uint8_t)scale);
	tcp_layout_timestamps(seg, tcp, 30);
	return true;
}

/* False, with the fields of a header without options, if the layout is another one. */
static inline bool
tcp_layout_read(struct segment *seg, const uint8_t *tcp, unsigned int header_len)
{
	if (header_len == 40 && tcp_layout_read_40(seg, tcp))
		return true;
	tcp_layout_clear(seg);
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
	return (header_len == 40 || header_len == 44) && tcp_layout_read_bsd(seg, tcp, header_len);
}

#endif
