/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the engine wants done: the output of every decision.
 *
 * Each segment of a burst ends in exactly one action that disposes of its
 * buffer (DROP, FORWARD, EDIT, REPLY, ONWARD) and may cause any number of SENDs
 * besides; timers cause SENDs alone. Actions are carried out in order.
 */
#ifndef SYNFRONT_ACTIONS_H
#define SYNFRONT_ACTIONS_H

#include "emit.h"
#include "rewrite.h"

enum action_kind {
	ACTION_DROP,    /* free the buffer of segment `seg` */
	ACTION_FORWARD, /* it leaves on `out` as it is */
	ACTION_EDIT,    /* it leaves on `out` after rewrite_apply(rewrite) */
	ACTION_QUOTE, /* ICMP error: it leaves on `out` after icmp_rewrite_quote(rewrite.seq_add, .ack_add) */
	ACTION_REPLY,  /* it becomes emit_reply(packet) and leaves on `out`, the side it came by */
	ACTION_ONWARD, /* it becomes emit_onward(packet) and leaves on `out` */
	ACTION_SEND, /* a new buffer, emit_new(link, flow, out, packet); seg is ACTION_NO_SEGMENT */
};

/* Most payload of a packet that is written anew, bytes. */
#define ACTION_PAYLOAD_MAX 1536u

#define ACTION_NO_SEGMENT 0xffffffffu

struct action {
	union {
		struct {
			uint8_t kind;    /* enum action_kind */
			uint8_t outcome; /* enum counter: what its segment counts as; not of a SEND */
		};
		uint16_t what; /* both, kind in the lower byte */
	};
	uint8_t out;  /* enum side it leaves on */
	uint32_t seg; /* index in the burst */
	union {
		struct packet packet;
		struct rewrite rewrite;
	};
	/* SEND only; not set otherwise. */
	struct link link;
	struct flow flow;
	uint8_t unused[16];
};
_Static_assert(sizeof(struct action) == 128, "found by a shift");

/* A bounded list, owned by the caller, emptied by it before each call. */
struct actions {
	struct action *list;
	unsigned int n;
	unsigned int max;
};

/* Most SENDs that one segment or timer may cause: what is held for a
 * connection (a first flight is ten segments), an ACK, a window update and a RST to either end. A list for a burst of
 * n segments has room for n * (1 + ACTIONS_PER_EVENT); when a list is fuller
 * than that, SENDs are not made and counted as actions_full. */
#define ACTIONS_PER_EVENT 14u

#endif
