/* SPDX-License-Identifier: BSD-3-Clause */
/* Whether an interface has an XDP program, without which AF_XDP sockets get nothing. */
#ifndef SYNFRONT_XDP_PROGRAM_H
#define SYNFRONT_XDP_PROGRAM_H

enum xdp_program {
	XDP_PROGRAM_UNKNOWN, /* no answer, or no such interface here */
	XDP_PROGRAM_NONE,
	XDP_PROGRAM_ATTACHED, /* whoever's it is */
};

/* Asked by rtnetlink (RTM_GETLINK), which needs no privilege. */
enum xdp_program xdp_program_of(unsigned int if_index);

#endif
