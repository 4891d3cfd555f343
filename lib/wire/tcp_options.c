/* SPDX-License-Identifier: BSD-3-Clause */
#include "tcp_options.h"

#include "bytes.h"
#include "protocols.h"

/* RFC 7323, 2.3: a larger shift is to be used as 14. */
#define WSCALE_MAX 14

/* An option word as four bytes on the wire. */
#define WORD(a, b, c, d) ((uint32_t)(a) << 24 | (b) << 16 | (c) << 8 | (d))
#define WORD_TIMESTAMPS WORD(TCPOPT_NOP, TCPOPT_NOP, TCPOPT_TIMESTAMPS, 10)

static inline void
read_timestamps(struct segment *seg, const uint8_t *tcp, unsigned int off)
{
	seg->options |= OPTION_TIMESTAMPS;
	seg->ts_off = (uint8_t)off;
	seg->tsval = bytes_get_u32(tcp + off + 2);
	seg->tsecr = bytes_get_u32(tcp + off + 6);
}

static inline void
read_mss(struct segment *seg, uint16_t mss)
{
	seg->options |= OPTION_MSS;
	seg->mss = mss;
}

static inline void
read_wscale(struct segment *seg, uint8_t wscale)
{
	seg->options |= OPTION_WSCALE;
	seg->wscale = wscale > WSCALE_MAX ? WSCALE_MAX : wscale;
}

/* One option of a kind not seen before, of a length that fits the header. A
 * known kind with a length that is not its own is treated as unknown. */
static void
read_option(struct segment *seg, const uint8_t *tcp, unsigned int off, unsigned int len)
{
	const uint8_t *opt = tcp + off;

	switch (opt[0]) {
	case TCPOPT_MSS:
		if (len == 4 && !(seg->options & OPTION_MSS))
			read_mss(seg, bytes_get_u16(opt + 2));
		break;
	case TCPOPT_WSCALE:
		if (len == 3 && !(seg->options & OPTION_WSCALE))
			read_wscale(seg, opt[2]);
		break;
	case TCPOPT_SACK_PERMITTED:
		if (len == 2)
			seg->options |= OPTION_SACK_PERMITTED;
		break;
	case TCPOPT_SACK:
		if (len >= 10 && (len - 2) % 8 == 0 && !(seg->options & OPTION_SACK)) {
			seg->options |= OPTION_SACK;
			seg->sack_off = (uint8_t)off;
			seg->sack_count = (uint8_t)((len - 2) / 8);
		}
		break;
	case TCPOPT_TIMESTAMPS:
		if (len == 10 && !(seg->options & OPTION_TIMESTAMPS))
			read_timestamps(seg, tcp, off);
		break;
	case TCPOPT_MD5:
		if (len == 18)
			seg->options |= OPTION_MD5;
		break;
	case TCPOPT_AO:
		if (len >= 4)
			seg->options |= OPTION_AO;
		break;
	default:
		break;
	}
}

static void
walk(struct segment *seg, const uint8_t *tcp, unsigned int header_len)
{
	unsigned int off = TCP_HEADER_SIZE;

	while (off < header_len) {
		if (tcp[off] == TCPOPT_EOL)
			return;
		if (tcp[off] == TCPOPT_NOP) {
			off++;
			continue;
		}
		unsigned int len = header_len - off >= 2 ? tcp[off + 1] : 0;
		if (len < 2 || len > header_len - off) {
			seg->options |= OPTION_BAD;
			return;
		}
		read_option(seg, tcp, off, len);
		off += len;
	}
}

/*
 * The layouts that most stacks send, recognised by whole words; each gives what
 * walk() gives. RFC 7323 appendix A is the layout of a data segment.
 */
static inline bool
read_common(struct segment *seg, const uint8_t *tcp, unsigned int header_len)
{
	uint32_t first = bytes_get_u32(tcp + 20);

	if (header_len == 32 && first == WORD_TIMESTAMPS) {
		read_timestamps(seg, tcp, 22);
		return true;
	}
	if (first >> 16 != (TCPOPT_MSS << 8 | 4))
		return false;
	if (header_len == 24) {
		read_mss(seg, (uint16_t)first);
		return true;
	}
	/* MSS, SACK-permitted, timestamps, NOP, window scale: Linux, Android. */
	if (header_len == 40) {
		uint32_t last = bytes_get_u32(tcp + 36);
		if (bytes_get_u32(tcp + 24) !=
		            WORD(TCPOPT_SACK_PERMITTED, 2, TCPOPT_TIMESTAMPS, 10) ||
		    last >> 8 != (TCPOPT_NOP << 16 | TCPOPT_WSCALE << 8 | 3))
			return false;
		read_mss(seg, (uint16_t)first);
		seg->options |= OPTION_SACK_PERMITTED;
		read_timestamps(seg, tcp, 26);
		read_wscale(seg, (uint8_t)last);
		return true;
	}
	/* MSS, NOP, window scale, NOP, NOP, SACK-permitted: Windows. */
	if (header_len == 32) {
		uint32_t scale = bytes_get_u32(tcp + 24);
		if (scale >> 8 != (TCPOPT_NOP << 16 | TCPOPT_WSCALE << 8 | 3) ||
		    bytes_get_u32(tcp + 28) !=
		            WORD(TCPOPT_NOP, TCPOPT_NOP, TCPOPT_SACK_PERMITTED, 2))
			return false;
		read_mss(seg, (uint16_t)first);
		read_wscale(seg, (uint8_t)scale);
		seg->options |= OPTION_SACK_PERMITTED;
		return true;
	}
	return false;
}

void
tcp_options_parse(struct segment *seg, const uint8_t *tcp, unsigned int header_len)
{
	seg->options = 0;
	seg->mss = 0;
	seg->wscale = 0;
	seg->tsval = 0;
	seg->tsecr = 0;
	seg->ts_off = 0;
	seg->sack_off = 0;
	seg->sack_count = 0;
	if (header_len <= TCP_HEADER_SIZE ||
	    (header_len >= 24 && read_common(seg, tcp, header_len)))
		return;
	walk(seg, tcp, header_len);
}
