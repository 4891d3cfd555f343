/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ACKs that challenge: what is out of order is answered by where the connection stands
 * (RFC 5961), with the timestamps that belong on it.
 */
#include "challenge.h"

#include "act.h"
#include "entry.h"

uint32_t
respond_tsval(const struct conn *conn, const struct instant *now)
{
	return (uint32_t)now->now_ms + conn->ts_delta;
}

void
connect_stamp(struct core *core, const struct conn *conn, const struct instant *now,
              struct packet *p)
{
	const struct pending *pending = pending_of(core, conn);

	packet_stamp(p, pending_clock(pending, now), pending->tsval);
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
		packet_stamp(p, respond_tsval(conn, step->now), conn->ts_recent);
	else if (conn->state == CONN_CONNECTING)
		connect_stamp(core, conn, step->now, p);
}
