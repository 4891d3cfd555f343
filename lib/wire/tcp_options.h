/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * TCP options (RFC 9293 3.1, RFC 7323, RFC 2018).
 *
 * Reading: unknown kinds are skipped, and so are known ones with a length that
 * is possible but not their own; a length below 2 or past the header ends
 * the walk and sets OPTION_BAD, keeping what was read before (MUST-7: survive).
 * A repeated option: the first counts. MSS, window scale and SACK-permitted
 * count on SYN segments alone (the caller decides; the walk reads them anyway).
 */
#ifndef SYNFRONT_TCP_OPTIONS_H
#define SYNFRONT_TCP_OPTIONS_H

#include "segment.h"

enum {
	TCPOPT_EOL = 0,
	TCPOPT_NOP = 1,
	TCPOPT_MSS = 2,
	TCPOPT_WSCALE = 3,
	TCPOPT_SACK_PERMITTED = 4,
	TCPOPT_SACK = 5,
	TCPOPT_TIMESTAMPS = 8,
	TCPOPT_MD5 = 19,
	TCPOPT_AO = 29,
};

#define WSCALE_NONE 15u /* in 4-bit fields: no window scale option */

/* What every host takes, and what counts where no MSS option is (RFC 9293, 3.7.1). */
#define MSS_DEFAULT_V4 536u
#define MSS_DEFAULT_V6 1220u

static inline uint16_t
mss_default(bool is_v4)
{
	return is_v4 ? MSS_DEFAULT_V4 : MSS_DEFAULT_V6;
}

/* Options of one end, as agreed in a handshake. */
struct tcp_offer {
	uint16_t mss;   /* not 0: the caller puts in mss_default() if absent */
	uint8_t wscale; /* shift 0..14, or WSCALE_NONE */
	bool sack;
	bool timestamps;
	uint8_t zero; /* nothing lies between: offers are kept, and compared as memory */
};

/* Read the options between the 20th byte of the TCP header `tcp` and its end
 * `header_len` into the option fields of `seg`. */
void tcp_options_parse(struct segment *seg, const uint8_t *tcp, unsigned int header_len);

#endif
