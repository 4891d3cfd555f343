/* SPDX-License-Identifier: BSD-3-Clause */
/* Segments that nothing is open for, and SYNs where something is. */
#include "decision.h"

void
stray_syn_ack(struct core *core, struct step *step)
{
	act_drop(core, step, COUNTER_drop_stray_syn_ack);
}

void
stray_rst(struct core *core, struct step *step)
{
	act_drop(core, step, COUNTER_drop_stray_rst);
}

void
stray_drop(struct core *core, struct step *step)
{
	act_drop(core, step, COUNTER_drop_stray);
}

void
stray_inside(struct core *core, struct step *step)
{
	if (step->entry == FLOW_NONE && !(step->seg->flags & TCP_SYN) && track_adopt(core, step))
		return;
	act_reset(core, step);
}

void
synchronized_syn(struct core *core, struct step *step)
{
	const struct conn *conn = conn_of(core, step->entry);
	uint32_t ack = conn->client_nxt;

	/* RCV.NXT of the server: nothing beyond the SYN while CONNECTING. When so much
	 * is in flight that it is not known, an ACK that is too old to mean
	 * anything: what the server lacks the client must keep. */
	if (conn->state == CONN_CONNECTING)
		ack = conn->irs + 1;
	else if (conn->state != CONN_RESPONDING)
		ack -= conn->client_lag < CONN_LAG_MAX ? conn->client_lag : WINDOW_MAX;
	uint16_t window = UINT16_MAX;
	if (conn->state != CONN_RESPONDING)
		window = held_window(core, core->conns.sides[step->entry].promised_wscale);
	struct packet *p = act_challenge(core, step, conn->server_nxt, ack, window);
	if (p == NULL || !(conn->flags & CONN_TIMESTAMPS))
		return;
	/* Spliced, nobody here knows what the server's clock says: left out, which
	 * receivers put up with more often than with a wrong value (PAWS). */
	if (conn->state == CONN_RESPONDING)
		packet_stamp(p, respond_tsval(conn, step->now), step->seg->tsval);
	else if (conn->state == CONN_CONNECTING)
		connect_stamp(core, conn, step->now, p);
}
