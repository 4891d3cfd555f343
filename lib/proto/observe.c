/* SPDX-License-Identifier: BSD-3-Clause */
#include "observe.h"

#include "act.h"
#include "admission.h"
#include "entry_open.h"
#include "expected.h"
#include "follow.h"
#include "proof.h"

#define ACTIONS_MAX (CORE_BURST_MAX * (1 + ACTIONS_PER_EVENT)) /* for a tick, as elsewhere */
#define WSCALE_WIDEST 14u

static size_t
line(size_t size)
{
	return (size + 63) & ~(size_t)63;
}

size_t
observer_size(const struct core_params *params)
{
	return line(sizeof(struct observer)) + line(known_size(params->seen)) +
	       ACTIONS_MAX * sizeof(struct action);
}

struct observer *
observer_init(void *memory, const struct core_params *params)
{
	struct observer *o = memory;
	uint8_t *at = memory, key[64];

	memset(o, 0, sizeof(*o));
	/* Nobody sees its hashes, and no other table has the same. */
	for (unsigned int i = 0; i < sizeof(key); i++)
		key[i] = params->seed[i] ^ 0x5au;
	at += line(sizeof(*o));
	known_init(&o->seen, at, params->seen, key);
	at += line(known_size(params->seen));
	o->out.list = (struct action *)(void *)at;
	o->out.max = ACTIONS_MAX;
	return o;
}

/* ---- what is remembered ------------------------------------------------ */

/* A SYN that the shadow has answered. */
static uint64_t
answered_hash(const struct known *seen, const struct segment *seg, uint32_t irs)
{
	return flow_hash(&seen->key, &seg->flow, seg->tags ^ irs) ^ UINT64_C(0xbf58476d1ce4e5b9);
}

/* ---- what really is ---------------------------------------------------- */

static struct conn *
conn_in(struct core *core, uint32_t entry)
{
	return entry == FLOW_NONE || (entry & FLOW_HALF_OPEN) ? NULL : conn_of(core, entry);
}

bool
observe_leaves(struct core *core, struct step *step)
{
	const struct segment *seg = step->seg;
	bool begins = (seg->flags & (TCP_SYN | TCP_RST)) == TCP_SYN && seg->class == SEGMENT_TCP;
	const struct conn *conn = conn_in(core, step->entry);

	if (step->entry == FLOW_NONE)
		return false;
	if (conn == NULL) /* half-open: its client has our SYN-ACK */
		return seg->class == SEGMENT_TCP && !begins;
	if (seg->class != SEGMENT_TCP)
		return (conn->flags & CONN_REWRITTEN) &&
		       (conn->state == CONN_SPLICED || conn->state == CONN_CLOSING);
	/* A new connection on the ports of one that is over is none of ours. */
	return conn->state == CONN_CONNECTING || conn->state == CONN_SPLICED ||
	       (conn->state == CONN_CLOSING && !begins);
}

bool
observe_lets_in(struct core *core, struct step *step)
{
	struct segment *seg = step->seg;
	struct proven proven;

	if (seg->side != SIDE_OUTSIDE || (seg->flags & (TCP_SYN | TCP_ACK | TCP_RST)) != TCP_ACK ||
	    step->entry != FLOW_NONE ||
	    (step->now->now_ms >= step->state->cookies_until_ms && !proof_is_shared(core, step)) ||
	    !segment_checksum_ok(seg) || !proof_check(core, step, &proven))
		return false;
	proof_open(core, step, &proven);
	return true;
}

static void
confirm(struct core *core, struct step *step, struct conn *conn)
{
	if (conn->flags & (CONN_CONFIRMED | CONN_OUTBOUND))
		return;
	if (conn->flags & CONN_ADOPTING)
		core->n_adopting--;
	else
		admission_half_open(core, core->conns.sides[step->entry].service, -1);
	conn->flags = (conn->flags & ~(unsigned int)(CONN_ADOPTING | CONN_SEEDED | CONN_MISFIT)) |
	              CONN_CONFIRMED;
	conn->ts_delta = 0;
	core_count(core, COUNTER_tracked);
}

/* A connection that is there, from what one of its segments says. */
static struct conn *
follow_begin(struct core *core, struct step *step)
{
	const struct segment *seg = step->seg;
	uint32_t end = seg->seq + segment_seq_len(seg);
	bool outside = seg->side == SIDE_OUTSIDE;

	/* Nothing of what is enforced gives way. */
	if (core->conns.used == core->conns.capacity) {
		core_count(core, COUNTER_table_full);
		return NULL;
	}
	struct conn *conn = conn_open(core, step, core->policy->timeouts.idle);
	if (conn == NULL)
		return NULL;
	conn->state = CONN_TRACKED;
	conn->flags = CONN_CONFIRMED;
	conn->irs = (outside ? seg->seq : seg->ack) - 1;
	conn->client_nxt = outside ? seg->seq : seg->ack;
	conn->server_nxt = outside ? seg->ack : end;
	core_count(core, COUNTER_tracked);
	return conn;
}

/* As tracked_segment() and tracked_rst(), but nothing is done about it. */
static void
follow_on(struct core *core, struct step *step, struct conn *conn)
{
	bool in_window;

	if (!(step->seg->flags & TCP_RST)) {
		conn->flags &= ~(unsigned int)CONN_RESET;
		splice_follow(conn, step->seg);
		entry_touch(core, step, splice_lifetime(core, conn));
	} else if (splice_rst_exact(conn, step->seg, &in_window) && !(conn->flags & CONN_RESET)) {
		conn->flags |= CONN_RESET;
		entry_touch(core, step, core->policy->timeouts.reset_linger);
	}
}

static void
follow(struct core *core, struct step *step, struct observed *note)
{
	const struct segment *seg = step->seg;
	bool outside = seg->side == SIDE_OUTSIDE;
	struct conn *conn = conn_in(core, step->entry);

	if (conn != NULL && conn->state != CONN_TRACKED)
		conn = NULL;
	if (seg->flags & TCP_RST) {
		note->is_followed = conn != NULL;
		if (conn != NULL)
			follow_on(core, step, conn);
		return;
	}
	if (seg->flags & TCP_SYN) {
		if (outside || !(seg->flags & TCP_ACK))
			return;
		expected_note(core, seg, step->now);
		/* The server has begun anew. */
		if (conn != NULL && (conn->flags & CONN_CONFIRMED))
			entry_clear(core, step);
		return;
	}
	if (!(seg->flags & TCP_ACK))
		return;
	note->is_expected = expected_is(core, seg);
	/* Anybody can send what comes from outside; a server speaks on what it has. */
	if (conn == NULL && (note->is_expected || !outside))
		conn = follow_begin(core, step);
	if (conn == NULL)
		return;
	if (note->is_expected || !outside)
		confirm(core, step, conn);
	note->is_followed = true;
	follow_on(core, step, conn);
}

void
observe_segment(struct core *core, struct step *step)
{
	struct observer *o = core->observer;
	struct segment *seg = step->seg;
	struct observed *note = &o->notes[o->n];

	*note = (struct observed){ .ack = seg->ack,
		                   .number = step->number,
		                   .options = seg->options };
	/* Mode handoff keeps nothing of any connection, and a host's group address is nobody's. */
	if (seg->class == SEGMENT_TCP && step->service != NULL &&
	    step->service->mode == MODE_PROXY && !(seg->frame[0] & 1) && segment_checksum_ok(seg))
		follow(core, step, note);
	/* With what its checksum was found to be. */
	o->segs[o->n++] = *seg;
	act_forward(core, step, COUNTER_passed_observed);
}

bool
observe_covers(const struct core *core, const struct segment *seg)
{
	if (core->observer == NULL || !core->policy->observes)
		return false;
	return core->policy->observe ||
	       (seg->class != SEGMENT_TCP && policy_observes(core->policy, &seg->flow.server));
}

/* ---- what would be ----------------------------------------------------- */

/* Make the ACK of the server's SYN-ACK prove that of the shadow. */
static void
complete(struct core *shadow, struct step *step)
{
	struct segment *seg = step->seg;

	if (step->entry == FLOW_NONE || !(step->entry & FLOW_HALF_OPEN)) {
		/* By cookie, of which nothing comes back: options are those of the profile. */
		seg->found.proof = PROOF_EXACT;
		seg->found.profile = 0;
		seg->options &= (uint8_t)~OPTION_TIMESTAMPS;
		return;
	}
	uint32_t number = FLOW_NUMBER(step->entry);
	const struct half_open_side *side = &shadow->half_open.sides[number];

	seg->seq = shadow->half_open.entries[number].irs + 1;
	seg->ack = shadow->half_open.entries[number].iss + 1;
	seg->found.proof = seg->found.probe = PROOF_NONE;
	seg->options = (uint8_t)((seg->options & ~OPTION_TIMESTAMPS) |
	                         (side->options & OPTION_TIMESTAMPS));
	seg->tsecr = side->ts_sent;
}

bool
observe_prepare(struct core *shadow, struct step *step, const struct known *seen,
                struct observed *note)
{
	struct segment *seg = step->seg;
	const struct conn *conn = conn_in(shadow, step->entry);

	if (seg->class != SEGMENT_TCP || seg->found.service >= SERVICES_MAX ||
	    shadow->services[seg->found.service].mode != MODE_PROXY ||
	    (seg->flags & (TCP_SYN | TCP_ACK | TCP_RST)) == TCP_SYN ||
	    (conn != NULL && conn->state != CONN_SPENT))
		return true;
	if (seg->side == SIDE_INSIDE) /* on what it was not asked for */
		return false;
	if (!note->is_expected)
		return !note->is_followed;
	if (!known_has(seen, answered_hash(seen, seg, seg->seq - 1)))
		return false;
	note->was_completed = true;
	complete(shadow, step);
	return true;
}

/* Its server has answered already. */
static void
connected(struct core *shadow, struct step *step, struct conn *conn, const struct observed *note)
{
	struct segment *seg = step->seg;
	uint32_t number = conn->pending;

	connecting_uncount(backend_of_pending(shadow, pending_of(shadow, conn)));
	conn->seq_delta = 0; /* lies over conn->pending */
	conn->client_nxt = conn->irs + 1;
	conn->server_nxt = note->ack;
	/* Nobody has noted them, and nothing may seem worse than it is. */
	conn->client_wscale = conn->server_wscale = WSCALE_WIDEST;
	conn->flags |= CONN_REWRITTEN;
	if (note->options & OPTION_TIMESTAMPS)
		conn->flags |= CONN_TIMESTAMPS;
	conn_set_state(shadow, conn, CONN_SPLICED);
	pending_give(&shadow->pending, number);
	core_count(shadow, COUNTER_connected);
	seg->ack = note->ack;
	splice_follow(conn, seg);
	entry_touch(shadow, step, splice_lifetime(shadow, conn));
}

void
observe_settle(struct core *shadow, struct step *step, const struct known *seen,
               const struct observed *note)
{
	const struct segment *seg = step->seg;
	const struct action *first = &step->out->list[0];
	struct conn *conn;

	if (seg->class != SEGMENT_TCP)
		return;
	if ((seg->flags & (TCP_SYN | TCP_ACK | TCP_RST)) == TCP_SYN) {
		if (first->kind != ACTION_REPLY || !(first->packet.flags & TCP_SYN))
			return;
		known_note(seen, answered_hash(seen, seg, seg->seq), instant_s(step->now));
		/* The server may take data of it, too (RFC 7413), which would come again. */
		if (seg->payload_len != 0)
			known_note(seen, answered_hash(seen, seg, seg->seq + seg->payload_len),
			           instant_s(step->now));
		return;
	}
	if (!note->was_completed)
		return;
	conn = conn_in(shadow, step->entry);
	if (conn != NULL && conn->state == CONN_CONNECTING)
		connected(shadow, step, conn, note);
}
