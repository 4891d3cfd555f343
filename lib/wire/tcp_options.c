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

/* The kinds that are read all lie below this. */
#define KINDS 32u
#define KIND(kind) (UINT32_C(1) << (kind))
#define KINDS_READ                                                              \
	(KIND(TCPOPT_MSS) | KIND(TCPOPT_WSCALE) | KIND(TCPOPT_SACK_PERMITTED) | \
	 KIND(TCPOPT_SACK) | KIND(TCPOPT_TIMESTAMPS) | KIND(TCPOPT_MD5) | KIND(TCPOPT_AO))

/* The length that each has, or LENGTH_OF_MANY: a known kind with a length that is not its own is
 * treated as unknown. */
#define LENGTH_OF_MANY 0
static const uint8_t lengths[KINDS] = {
	[TCPOPT_MSS] = 4,         [TCPOPT_WSCALE] = 3, [TCPOPT_SACK_PERMITTED] = 2,
	[TCPOPT_TIMESTAMPS] = 10, [TCPOPT_MD5] = 18,
};

/* One option of a kind not seen before, of a length that fits the header and its kind. False: what
 * it says cannot be, and another of its kind may still count. */
static inline bool
read_option(struct segment *seg, const uint8_t *tcp, unsigned int off, unsigned int len)
{
	const uint8_t *opt = tcp + off;

	switch (opt[0]) {
	case TCPOPT_MSS:
		read_mss(seg, bytes_get_u16(opt + 2));
		return true;
	case TCPOPT_WSCALE:
		read_wscale(seg, opt[2]);
		return true;
	case TCPOPT_SACK_PERMITTED:
		seg->options |= OPTION_SACK_PERMITTED;
		return true;
	case TCPOPT_SACK:
		if (len < 10 || (len - 2) % 8 != 0)
			return false;
		seg->options |= OPTION_SACK;
		seg->sack_off = (uint8_t)off;
		seg->sack_count = (uint8_t)((len - 2) / 8);
		return true;
	case TCPOPT_TIMESTAMPS:
		read_timestamps(seg, tcp, off);
		return true;
	case TCPOPT_MD5:
		seg->options |= OPTION_MD5;
		return true;
	default: /* TCPOPT_AO */
		if (len < 4)
			return false;
		seg->options |= OPTION_AO;
		return true;
	}
}

/* Anybody may send 40 bytes of NOPs, or of options of two bytes: what is not read costs no more
 * than finding its end, and each kind is read once. */
static void
walk(struct segment *seg, const uint8_t *tcp, unsigned int header_len)
{
	const uint8_t *at = tcp + TCP_HEADER_SIZE;
	uint32_t left = header_len - TCP_HEADER_SIZE, not_wanted = ~KINDS_READ;

	while (left >= 2) {
		uint32_t kind = at[0], len = at[1];

		if (kind <= TCPOPT_NOP) {
			if (kind == TCPOPT_EOL)
				return;
			do {
				at++;
				left--;
			} while (left >= 2 && *at == TCPOPT_NOP);
			continue;
		}
		if (len < 2 || len > left) {
			seg->options |= OPTION_BAD;
			return;
		}
		if (kind < KINDS && !(not_wanted >> kind & 1) &&
		    (lengths[kind] == len || lengths[kind] == LENGTH_OF_MANY) &&
		    read_option(seg, tcp, (unsigned int)(at - tcp), len))
			not_wanted |= KIND(kind);
		at += len;
		left -= len;
	}
	/* There is no room for a length in the last byte. */
	if (left == 1 && *at > TCPOPT_NOP)
		seg->options |= OPTION_BAD;
}
_Static_assert(TCPOPT_EOL == 0 && TCPOPT_NOP == 1, "all other kinds have a length, and lie above");

void
tcp_options_parse(struct segment *seg, const uint8_t *tcp, unsigned int header_len)
{
	if (!tcp_layout_read(seg, tcp, header_len))
		walk(seg, tcp, header_len);
}
