/* SPDX-License-Identifier: BSD-3-Clause */
/* The layouts of options that most stacks send. */
#include "tcp_layout.h"

#define ANY2 0, 0
#define ANY4 ANY2, ANY2
#define ANY8 ANY4, ANY4
#define SAME2 0xff, 0xff
#define SAME3 SAME2, 0xff
#define SAME4 SAME2, SAME2
#define NO2 -1, -1
#define NO4 NO2, NO2
#define NO8 NO4, NO4
/* A number of two or four bytes that begins at byte i of the vector, in host order. */
#define NUMBER2(i) (i) + 1, (i)
#define NUMBER4(i) (i) + 3, (i) + 2, (i) + 1, (i)

#define MSS_IS TCPOPT_MSS, 4, ANY2
#define MSS_MASK SAME2, ANY2
#define SCALE_IS TCPOPT_NOP, TCPOPT_WSCALE, 3, 0
#define SCALE_MASK SAME3, 0
#define STAMPS_IS TCPOPT_TIMESTAMPS, 10
#define SACK_IS TCPOPT_SACK_PERMITTED, 2
#define ALL_FOUR (OPTION_MSS | OPTION_WSCALE | OPTION_SACK_PERMITTED | OPTION_TIMESTAMPS)

/* clang-format off: tables */
const struct tcp_layout tcp_layouts[TCP_LAYOUTS] = {
	/* a: bytes 8 to 23; b: 24 to 39 */
	[TCP_LAYOUT_LINUX] = {
		.mask = { { ANY8, ANY4, MSS_MASK }, { SAME4, ANY8, SCALE_MASK } },
		.is = { { ANY8, ANY4, MSS_IS }, { SACK_IS, STAMPS_IS, ANY8, SCALE_IS } },
		.order = { { NO4, NUMBER2(14), NO2, NO8 },
			   { NO4, NO2, 15, -1, NUMBER4(4), NUMBER4(8) } },
		.known = { ALL_FOUR, 26 },
	},
	[TCP_LAYOUT_FREEBSD] = {
		.mask = { { ANY8, ANY4, MSS_MASK }, { SCALE_MASK, SAME4, ANY8 } },
		.is = { { ANY8, ANY4, MSS_IS }, { SCALE_IS, SACK_IS, STAMPS_IS, ANY8 } },
		.order = { { NO4, NUMBER2(14), NO2, NO8 },
			   { NO4, NO2, 3, -1, NUMBER4(8), NUMBER4(12) } },
		.known = { ALL_FOUR, 30 },
	},
	/* a: 12 to 27; b: 28 to 43 */
	[TCP_LAYOUT_MACOS] = {
		.mask = { { ANY8, MSS_MASK, SCALE_MASK }, { SAME4, ANY8, SAME4 } },
		.is = { { ANY8, MSS_IS, SCALE_IS },
			{ TCPOPT_NOP, TCPOPT_NOP, STAMPS_IS, ANY8,
			  SACK_IS, TCPOPT_EOL, TCPOPT_EOL } },
		.order = { { NO4, NUMBER2(10), 15, -1, NO8 }, { NO8, NUMBER4(4), NUMBER4(8) } },
		.known = { ALL_FOUR, 30 },
	},
	/* b: 16 to 31 */
	[TCP_LAYOUT_WINDOWS] = {
		.mask = { { 0 }, { ANY4, MSS_MASK, SCALE_MASK, SAME4 } },
		.is = { { 0 }, { ANY4, MSS_IS, SCALE_IS, TCPOPT_NOP, TCPOPT_NOP, SACK_IS } },
		.order = { { NO8, NO8 }, { NO4, NUMBER2(6), 11, -1, NO8 } },
		.known = { OPTION_MSS | OPTION_WSCALE | OPTION_SACK_PERMITTED },
	},
	[TCP_LAYOUT_STAMPED] = {
		.mask = { { 0 }, { ANY4, SAME4, ANY8 } },
		.is = { { 0 }, { ANY4, TCPOPT_NOP, TCPOPT_NOP, STAMPS_IS, ANY8 } },
		.order = { { NO8, NO8 }, { NO8, NUMBER4(8), NUMBER4(12) } },
		.known = { OPTION_TIMESTAMPS, 22 },
	},
	/* b: 8 to 23 */
	[TCP_LAYOUT_MSS] = {
		.mask = { { 0 }, { ANY8, ANY4, MSS_MASK } },
		.is = { { 0 }, { ANY8, ANY4, MSS_IS } },
		.order = { { NO8, NO8 }, { NO4, NUMBER2(14), NO2, NO8 } },
		.known = { OPTION_MSS },
	},
	[TCP_LAYOUT_NONE] = { .order = { { NO8, NO8 }, { NO8, NO8 } } },
	/* What is not looked at is not 1. */
	[TCP_LAYOUT_UNKNOWN] = { .is = { { 1 } } },
};

#define OF(kind) &tcp_layouts[TCP_LAYOUT_##kind]
const struct tcp_layout *const tcp_layout_of_syn[16] = {
	OF(UNKNOWN), OF(UNKNOWN), OF(UNKNOWN), OF(UNKNOWN), OF(UNKNOWN), OF(NONE),
	OF(MSS),     OF(UNKNOWN), OF(WINDOWS), OF(UNKNOWN), OF(FREEBSD), OF(MACOS),
	OF(UNKNOWN), OF(UNKNOWN), OF(UNKNOWN), OF(UNKNOWN),
};
/* clang-format on */
