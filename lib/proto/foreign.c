/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Frames that are not whole TCP segments: ICMP errors about them, fragments,
 * malformed ones, and everything else, which crosses untouched.
 */
#include "foreign.h"

#include "act.h"
#include "entry.h"
#include "fragment.h"
#include "handoff.h"
#include "rewriting.h"

static const enum counter fault_outcomes[FAULT_COUNT] = {
	[FAULT_IP_LENGTH] = COUNTER_drop_ip_length,
	[FAULT_IP_CHECKSUM] = COUNTER_drop_ip_checksum,
	[FAULT_TCP_LENGTH] = COUNTER_drop_tcp_length,
	[FAULT_FLAGS] = COUNTER_drop_flags,
	[FAULT_ADDRESS] = COUNTER_drop_address,
	[FAULT_PORT_ZERO] = COUNTER_drop_port_zero,
	[FAULT_HEADER_CHAIN] = COUNTER_drop_header_chain,
	[FAULT_FRAGMENT] = COUNTER_drop_fragment,
};

/* The spliced connection that a frame speaks of, or NULL. */
static struct conn *
spliced_of(struct core *core, struct step *step)
{
	const struct segment *seg = step->seg;
	uint32_t entry = entry_find(core, &seg->flow, seg->tags, seg->found.hash, &step->at);

	if (entry == FLOW_NONE || (entry & FLOW_HALF_OPEN))
		return NULL;
	struct conn *conn = conn_of(core, entry);
	bool spliced = conn->state == CONN_SPLICED || conn->state == CONN_CLOSING;
	return spliced && (conn->flags & CONN_REWRITTEN) ? conn : NULL;
}

/* The quoted segment left on the side that the error came in by, so it was
 * rewritten for that side; RFC 5927, 4: its SEQ must be in flight. */
static void
icmp_error(struct core *core, struct step *step)
{
	const struct segment *seg = step->seg;
	const struct conn *conn = spliced_of(core, step);

	if (conn == NULL) {
		act_forward(core, step, COUNTER_passed_icmp);
		return;
	}
	uint32_t nxt = seg->side == SIDE_OUTSIDE ? conn->server_nxt : conn->client_nxt;
	if (nxt - seg->seq > WINDOW_MAX) {
		act_drop(core, step, COUNTER_drop_stray);
		return;
	}
	struct rewrite *rw = act_edit(core, step, COUNTER_passed_icmp);
	step->out->list[step->out->n - 1].kind = step->out->list[step->out->n - 1].kind ==
	                                                         ACTION_EDIT
	                                                 ? ACTION_QUOTE
	                                                 : ACTION_DROP;
	/* From outside: a segment of the server as the client sees it; from inside:
	 * one of the client, whose ACK the server sees shifted. */
	if (seg->side == SIDE_OUTSIDE)
		rw->seq_add = 0u - conn->seq_delta;
	else
		rw->ack_add = conn->seq_delta;
}

static void
fragment_first(struct core *core, struct step *step)
{
	const struct segment *seg = step->seg;
	uint32_t entry = entry_find(core, &seg->flow, seg->tags, seg->found.hash, &step->at);

	if (entry == FLOW_NONE || (entry & FLOW_HALF_OPEN) || (seg->flags & (TCP_SYN | TCP_RST))) {
		act_drop(core, step, COUNTER_drop_fragment);
		return;
	}
	struct conn *conn = conn_of(core, entry);
	if (conn->state != CONN_TRACKED && conn->state != CONN_SPLICED &&
	    conn->state != CONN_CLOSING) {
		act_drop(core, step, COUNTER_drop_fragment);
		return;
	}
	fragment_note(core, step, true);
	step->entry = entry;
	splice_forward(core, step, COUNTER_passed_fragment);
}

static void
fragment_later(struct core *core, struct step *step)
{
	if (fragment_follows(core, step))
		act_forward(core, step, COUNTER_passed_fragment);
	else if (!handoff_fragment(core, step))
		act_drop(core, step, COUNTER_drop_fragment);
}

/* To or from a protected host, but of no connection of the engine's: it crosses,
 * unless its port could not be read and might be a service's. */
static void
unserved(struct core *core, struct step *step)
{
	const struct segment *seg = step->seg;

	switch ((enum segment_class)seg->class) {
	case SEGMENT_FRAGMENT_FIRST:
		fragment_note(core, step, false);
		break;
	case SEGMENT_FRAGMENT_LATER:
		fragment_later(core, step);
		return;
	case SEGMENT_MALFORMED:
		if (seg->flow.server_port_be == 0) {
			act_drop(core, step, fault_outcomes[seg->fault]);
			return;
		}
		break;
	default:
		break;
	}
	act_forward(core, step,
	            step->service != NULL ? COUNTER_passed_bypass : COUNTER_passed_other);
}

void
foreign_decide(struct core *core, struct step *step)
{
	const struct segment *seg = step->seg;

	if (seg->class == SEGMENT_OTHER || step->service == NULL ||
	    step->service->mode == MODE_BYPASS) {
		unserved(core, step);
		return;
	}
	if (step->service->mode == MODE_HANDOFF && handoff_foreign(core, step))
		return;
	switch ((enum segment_class)seg->class) {
	case SEGMENT_ICMP_ERROR:
		icmp_error(core, step);
		return;
	case SEGMENT_FRAGMENT_FIRST:
		fragment_first(core, step);
		return;
	case SEGMENT_FRAGMENT_LATER:
		fragment_later(core, step);
		return;
	default:
		act_drop(core, step, fault_outcomes[seg->fault]);
	}
}
