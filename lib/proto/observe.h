/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Observe: what would be done? Every frame of a service under observe crosses as it is, and
 * two books are kept.
 *
 *   frame ----> crosses (passed_observed)
 *     |
 *     +--> FOLLOWED   what really is: an entry TRACKED for each connection whose server has
 *     |               spoken on it, or whose client has completed its handshake. When observe
 *     |               ends, they go on as they are.
 *     +--> SHADOW     what would be: a second core with tables, budgets and counters of its own,
 *                     which decides on a copy of the segment as if it were in charge. Its actions
 *                     are thrown away; what it counts are the would_ counters.
 *
 * The shadow is the enforcing code itself, so that what it counts is what would have been
 * counted. It shares nothing that changes with the core: what is observed takes nothing from
 * what is enforced, no budget, no entry.
 *
 * Only one thing must be made up. The client does not see the shadow's SYN-ACK but the server's,
 * so that its ACK proves no cookie. The estimate is the handshake itself:
 *
 *   client            core             shadow            server
 *     |---- SYN ------->|---- copy ------>| SYN-ACK, by state or by cookie: thrown away
 *     |                 |------------------- SYN ---------->|
 *     |<----------------|<------------------ SYN-ACK -------|   EXPECTED: (SEQ, ACK) of its ACK
 *     |---- ACK ------->|---- copy ------>| as expected, and the shadow had answered the SYN:
 *     |                 |                 | the ACK is made to prove that answer, and the
 *     |                 |                 | connection counts as SPLICED with all deltas 0
 *
 * What is expected, and which SYNs the shadow has answered, is remembered in a cache of 4 bytes
 * each (known.h), so that a flood takes no entry.
 *
 * What exists only because nothing was enforced is nothing that could have been decided on: a
 * server's answer to a SYN that would not have reached it, and whatever follows on a connection
 * that the shadow has refused. It counts as passed_unasked. So
 *   passed_observed = sum of all outcomes of the shadow.
 *
 * What nobody can know: whether a client would have proven its cookie, how soon, and what it
 * would have done when refused; and how a server would have answered the shadow's SYN, so that
 * max_connecting is never met and no server is taken for down.
 * Inside lib/proto only.
 */
#ifndef SYNFRONT_OBSERVE_H
#define SYNFRONT_OBSERVE_H

#include "actions.h"
#include "core_state.h"

/* What the core knows of a segment that its shadow is to judge. */
struct observed {
	uint32_t ack;       /* as it came */
	uint32_t number;    /* of the segment in the burst */
	uint8_t options;    /* ... */
	bool is_followed;   /* of a connection that is there */
	bool is_expected;   /* it completes a handshake of the server's */
	bool was_completed; /* its proof has been made up */
};

struct observer {
	struct core *shadow;
	struct known seen;  /* what is expected.h's, and which SYNs the shadow has answered */
	struct actions out; /* of the shadow: of no use to anybody */
	uint32_t n;         /* segments of this burst */
	struct observed notes[CORE_BURST_MAX];
	struct segment segs[CORE_BURST_MAX];
};

/* Bytes of an observer without its shadow, a multiple of 64. */
size_t observer_size(const struct core_params *params);
/* `memory`: as many bytes, 64-byte aligned. The shadow is the caller's to make. */
struct observer *observer_init(void *memory, const struct core_params *params);

/* A segment of a service under observe, with the entry in `step`: is it of a connection that
 * was split, or is being split, when observe began, and goes on like that? */
bool observe_leaves(struct core *core, struct step *step);
/* Does it prove a cookie that went out before observe began? It is dealt with then. */
bool observe_lets_in(struct core *core, struct step *step);
/* Neither: it crosses. A copy goes to the shadow's burst. */
void observe_segment(struct core *core, struct step *step);
/* To an address that has no service on this port, or whose port cannot be read: observed? */
bool observe_covers(const struct core *core, const struct segment *seg);

/* Around the shadow's decision. `step` is of the shadow, with the entry. False: there is nothing
 * to decide. */
bool observe_prepare(struct core *shadow, struct step *step, const struct known *seen,
                     struct observed *note);
void observe_settle(struct core *shadow, struct step *step, const struct known *seen,
                    const struct observed *note);

#endif
