/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The layouts of TCP options that most stacks send, recognised by whole words;
 * each gives what the walk of tcp_options.c gives. Inside lib/wire only.
 */
#ifndef SYNFRONT_TCP_LAYOUT_H
#define SYNFRONT_TCP_LAYOUT_H

#include <stddef.h>
#include <smmintrin.h>

#include "bytes.h"
#include "protocols.h"
#include "tcp_options.h"

/* RFC 7323, 2.3: a larger shift is to be used as 14. */
#define TCP_WSCALE_MAX 14

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
	_mm_storeu_si128((__m128i *)(void *)&seg->options, _mm_setzero_si128());
}
_Static_assert(offsetof(struct segment, ts_off) == offsetof(struct segment, options) + 1 &&
                       offsetof(struct segment, mss) == offsetof(struct segment, options) + 4 &&
                       offsetof(struct segment, wscale) == offsetof(struct segment, options) + 6 &&
                       offsetof(struct segment, tsval) == offsetof(struct segment, options) + 8 &&
                       offsetof(struct segment, tsecr) == offsetof(struct segment, options) + 12,
               "what a segment's options say is one vector");

/*
 * A layout. Its options lie in the last 32 bytes of the header, two vectors, of which the first is
 * not looked at if the header is no longer than 32 bytes. What must be as it is is compared under a
 * mask, and what is said is put where it belongs.
 */
struct tcp_layout {
	uint8_t mask[2][16], is[2][16];
	int8_t order[2][16]; /* of what the fields from `options` to `tsecr` are made */
	uint8_t known[16];   /* of those what each such header says */
} __attribute__((aligned(16)));

enum tcp_layout_kind {
	TCP_LAYOUT_LINUX,   /* 40 bytes: MSS, SACK-permitted, timestamps, NOP, window scale */
	TCP_LAYOUT_FREEBSD, /* 40: MSS, NOP, window scale, SACK-permitted, timestamps */
	TCP_LAYOUT_MACOS, /* 44: MSS, NOP, scale, NOP, NOP, timestamps, SACK-permitted, end, end */
	TCP_LAYOUT_WINDOWS, /* 32: MSS, NOP, window scale, NOP, NOP, SACK-permitted */
	TCP_LAYOUT_STAMPED, /* 32: NOP, NOP, timestamps: a segment of a connection (RFC 7323, A) */
	TCP_LAYOUT_MSS,     /* 24: MSS */
	TCP_LAYOUT_NONE,    /* 20 */
	TCP_LAYOUT_UNKNOWN, /* no header is like this */
	TCP_LAYOUTS
};
extern const struct tcp_layout tcp_layouts[TCP_LAYOUTS];
/* That of most SYNs whose header has so many words, but for TCP_LAYOUT_LINUX. */
extern const struct tcp_layout *const tcp_layout_of_syn[16];

/* The fields from `options` to `tsecr`; a scale above the most is read as that. */
static inline __attribute__((always_inline)) void
tcp_layout_put(struct segment *seg, __m128i fields)
{
	const __m128i most = _mm_setr_epi8(-1, -1, -1, -1, -1, -1, TCP_WSCALE_MAX, -1, -1, -1, -1,
	                                   -1, -1, -1, -1, -1);

	_mm_storeu_si128((__m128i *)(void *)&seg->options, _mm_min_epu8(fields, most));
}

/* What the last 32 bytes of a header, or the last 16, say in this layout. False if it is another.
 * With `both` no branch depends on the length or the layout: in a flood of all kinds of SYNs none
 * could be foretold. Then the bytes before a short header are read, too, and masked out. */
static inline __attribute__((always_inline)) bool
tcp_layout_fits(struct segment *seg, const uint8_t *end, const struct tcp_layout *layout, bool both)
{
	const __m128i *mask = (const __m128i *)layout->mask, *is = (const __m128i *)layout->is;
	const __m128i *order = (const __m128i *)layout->order;
	__m128i last = _mm_loadu_si128((const __m128i *)(end - 16));
	__m128i differ = _mm_xor_si128(_mm_and_si128(last, mask[1]), is[1]);
	__m128i fields = _mm_or_si128(_mm_shuffle_epi8(last, order[1]),
	                              *(const __m128i *)layout->known);

	if (both) {
		__m128i first = _mm_loadu_si128((const __m128i *)(end - 32));

		differ = _mm_or_si128(differ, _mm_xor_si128(_mm_and_si128(first, mask[0]), is[0]));
		fields = _mm_or_si128(fields, _mm_shuffle_epi8(first, order[0]));
	}
	if (!_mm_testz_si128(differ, differ))
		return false;
	tcp_layout_put(seg, fields);
	return true;
}

/* `header_len` is that of the layout. */
static inline __attribute__((always_inline)) bool
tcp_layout_try(struct segment *seg, const uint8_t *tcp, unsigned int header_len,
               enum tcp_layout_kind kind)
{
	return tcp_layout_fits(seg, tcp + header_len, &tcp_layouts[kind], header_len > 32);
}

/* False, with the fields of a header without options, if the layout is another one. */
static inline bool
tcp_layout_read(struct segment *seg, const uint8_t *tcp, unsigned int header_len)
{
	switch (header_len) {
	case 40:
		if (tcp_layout_try(seg, tcp, 40, TCP_LAYOUT_LINUX) ||
		    tcp_layout_try(seg, tcp, 40, TCP_LAYOUT_FREEBSD))
			return true;
		break;
	case 32:
		if (tcp_layout_try(seg, tcp, 32, TCP_LAYOUT_STAMPED) ||
		    tcp_layout_try(seg, tcp, 32, TCP_LAYOUT_WINDOWS))
			return true;
		break;
	case 24:
		if (tcp_layout_try(seg, tcp, 24, TCP_LAYOUT_MSS))
			return true;
		break;
	case 44:
		if (tcp_layout_try(seg, tcp, 44, TCP_LAYOUT_MACOS))
			return true;
		break;
	default:
		break;
	}
	tcp_layout_clear(seg);
	return header_len == TCP_HEADER_SIZE;
}

#endif
