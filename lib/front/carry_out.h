/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From an action to the bytes of a frame. Every front end uses this one, so
 * that what a capture file is answered with is what a wire is answered with.
 */
#ifndef SYNFRONT_CARRY_OUT_H
#define SYNFRONT_CARRY_OUT_H

#include "actions.h"
#include "icmp.h"

/* Bytes that a frame needs room for, if `a` writes it anew. */
static inline unsigned int
carry_out_room(const struct action *a)
{
	return EMIT_HEADER_MAX + a->packet.payload_len;
}

/*
 * Make `frame` what `a` wants to leave. `seg` was parsed from this frame, or is
 * NULL for a SEND. A frame that is edited needs its headers in one piece, one that
 * is written anew carry_out_room() bytes. Returns its new length, 0 where it
 * keeps the one that it has. `memo`: of the caller's burst. Not for ACTION_DROP.
 */
static inline unsigned int
carry_out(uint8_t *frame, const struct segment *seg, const struct action *a,
          enum emit_checksum checksum, struct emit_memo *memo)
{
	/* What a flood gets, and what most else is; the others go by a table. */
	if (a->kind == ACTION_REPLY)
		return emit_reply(frame, seg, &a->packet, checksum, memo);
	if (a->kind <= ACTION_EDIT) {
		if (a->kind == ACTION_EDIT)
			rewrite_apply(frame, seg, &a->rewrite);
		return 0;
	}
	switch ((enum action_kind)a->kind) {
	case ACTION_QUOTE:
		icmp_rewrite_quote(frame, seg, a->rewrite.seq_add, a->rewrite.ack_add);
		return 0;
	case ACTION_ONWARD:
		return emit_onward(frame, seg, &a->packet, checksum, memo);
	case ACTION_SEND:
		return emit_new(frame, &a->link, &a->flow, (enum side)a->out, &a->packet, checksum,
		                memo);
	case ACTION_REPLY:
	case ACTION_EDIT:
	case ACTION_FORWARD:
	case ACTION_DROP:
		break;
	}
	return 0;
}

#endif
