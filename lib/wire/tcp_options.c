/* SPDX-License-Identifier: BSD-3-Clause */
/* Usual layouts are known at a glance (tcp_layout.h); the walk is for the others. */
#include "tcp_options.h"

#include "bytes.h"
#include "protocols.h"
#include "tcp_layout.h"

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
	seg->wscale = tcp_wscale(wscale);
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

void
tcp_options_parse(struct segment *seg, const uint8_t *tcp, unsigned int header_len)
{
	if (!tcp_layout_read(seg, tcp, header_len))
		walk(seg, tcp, header_len);
}
