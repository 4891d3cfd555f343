/* SPDX-License-Identifier: BSD-3-Clause */
/* What the program reads out of a frame, as parse.bpf.c shows it to fuzz_adopt.c. */
#ifndef SYNFRONT_PARSED_H
#define SYNFRONT_PARSED_H

#include <linux/types.h>

enum parsed_kind {
	PARSED_FOREIGN,
	PARSED_FRAGMENT,
	PARSED_TCP,
};

/* Fields as in struct packet of packet.bpf.h, which has no meaning outside of BPF. */
struct parsed {
	__u32 kind;
	__u32 client_be[4];
	__u32 server_be[4];
	__u16 client_port_be;
	__u16 server_port_be;
	__u32 seq;
	__u32 ack;
	__u32 tsval;
	__u32 tsecr;
	__u16 l4_off;
	__u16 payload_len;
	__u8 flags;
	__u8 l4_len;
	__u8 is_v4;
	__u8 has_ts;
};

#endif
