/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the program in the kernel and the agent share: the layout of every map.
 *
 * The agent writes clock, epochs, profiles, ports, addresses and settings; the program reads
 * them. The program writes counters and spent cookies; the agent reads the first. Compiled
 * both by the C compiler and for BPF, so only types of linux/types.h, and no pointers.
 */
#ifndef SYNFRONT_ADOPT_H
#define SYNFRONT_ADOPT_H

#include <linux/types.h>

enum adopt_counter {
#define X(name, text, help) ADOPT_##name,
#include "adopt_counters.def"
#undef X
	ADOPT_COUNTERS
};

struct adopt_counters {
	__u64 n[ADOPT_COUNTERS];
};

/* An AES-128 key as 11 round keys of four words, each word the little-endian load of four
 * bytes of FIPS-197's state. */
struct adopt_aes {
	__u32 round[44];
};

/* The keys of one epoch under a secret: [0], or [1], which is there only while the front ends
 * change theirs. Half an hour ahead fits: an agent that is away that long, with all written
 * ahead, hurts nobody. So do those whose cookies have died since, for which see cookie_has_died(). */
#define ADOPT_SECRETS 2u
#define ADOPT_EPOCHS 128u
#define ADOPT_EPOCHS_DEAD 20u
#define ADOPT_EPOCH_AT(epoch, which) ((which) * ADOPT_EPOCHS + (epoch) % ADOPT_EPOCHS)

struct adopt_epoch {
	__u32 epoch; /* 0: none here */
	__u32 zero;
	struct adopt_aes v4;
	struct adopt_aes v6;
	__u32 mask[32][4]; /* a row for each profile */
};

/* Wall clock from the clock that never steps; written every second. */
struct adopt_clock {
	__u64 wall_less_boot_ns;
};

/* What a profile of cookies stands for: row is_v4 * 32 + profile. */
struct adopt_profile {
	__u16 mss;
	__u8 wscale; /* 15: none */
	__u8 sack;
};
#define ADOPT_PROFILES 64u

/* Whose a port is: 0 nobody's, ADOPT_ANY a service's on every address, else the number of a
 * set of addresses. */
#define ADOPT_ANY 255u
struct adopt_ports {
	__u8 set[65536];
};

/* A prefix of a set; IPv4 as ::ffff:a.b.c.d. The longest match counts (a "trie"), and to be
 * there is all. */
struct adopt_prefix {
	__u32 len; /* in bits, from `set` on */
	__u32 set;
	__u32 addr_be[4];
};
#define ADOPT_PREFIX_LEN(bits) (32u + (bits))

struct adopt_settings {
	__u32 promised_wscale;    /* to clients without timestamps */
	__u32 fresh_ms;           /* a take-over of a live connection echoes a TSval this young */
	__u32 takeovers_a_second; /* looks for a cookie over a live connection, per CPU */
	__u32 dead_a_second;      /* cookies that have died or are spent, per CPU */
};

/* A cookie of a flow; flow as in addr.h, then the cookie in host order. To be in a map is all. */
struct adopt_spent_key {
	__u32 client_be[4];
	__u32 server_be[4];
	__u16 client_port_be;
	__u16 server_port_be;
	__u32 iss;
};

/* Input and output of the program that makes a cookie for tests. */
struct adopt_vector {
	__u32 client_be[4];
	__u32 server_be[4];
	__u16 client_port_be;
	__u16 server_port_be;
	__u32 irs;
	__u32 epoch;
	__u32 profile;
	__u32 is_v4;
	__u32 iss;   /* out */
	__u32 found; /* out: 1 if the epoch's keys are there */
};

#endif
