/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Following FIN and RST, SEQ and ACK of a connection that is carried: how far either end
 * has got, and what lies between the two.
 *
 * Anybody can send in a client's name, so what comes from outside is held against what the
 * server says. A FIN of the client's is noted by its end, which is client_nxt from then on: a
 * FIN is the last of its stream, whatever is lost before it. It counts once the server has
 * acknowledged it, and data up to there or behind it, seen or acknowledged, show that it was
 * none of its client's.
 */
#include "follow.h"

#include "entry.h"

static uint64_t
lag_add(uint64_t lag, uint32_t more)
{
	return lag + more > CONN_LAG_MAX ? CONN_LAG_MAX : lag + more;
}

/* How far ahead of client_nxt a client may be: by what the server's scale can offer. */
static uint32_t
client_most(const struct conn *conn)
{
	return conn->flags & CONN_REWRITTEN
	               ? (uint32_t)UINT16_MAX << wscale_shift(conn->server_wscale)
	               : WINDOW_MAX;
}

/* May what the client sends, or has sent again, end there? Where less is unacknowledged than
 * that, the server has acknowledged more. */
static bool
fin_fits(const struct conn *conn, uint32_t end)
{
	uint32_t ahead = end - conn->client_nxt, most = client_most(conn);

	return ahead <= most ||
	       0u - ahead < (conn->client_lag < CONN_LAG_MAX ? conn->client_lag : most);
}

static void
follow_client(struct conn *conn, const struct segment *seg)
{
	uint32_t end = seg->seq + segment_seq_len(seg);
	uint32_t ahead = end - conn->client_nxt, behind = conn->server_nxt - seg->ack;
	bool fin = seg->flags & TCP_FIN;

	/* No receiver takes a segment that acknowledges nothing, or what was never sent
	 * (RFC 9293, 3.10.7.4; RFC 5961, 5). With a FIN it may acknowledge fragments of the
	 * server's, which are not followed. */
	if (!(seg->flags & TCP_ACK) || (behind > WINDOW_MAX && !(fin && 0u - behind <= FIT_WINDOW)))
		return;
	if (behind <= WINDOW_MAX)
		conn->server_lag = lag_add(0, behind);
	if (seg->payload_len != 0)
		conn->flags |= CONN_CLIENT_DATA;
	/* Behind a FIN that the server has, nothing comes. */
	if (conn_fins(conn) & CONN_CLIENT_FIN)
		return;
	if (fin && fin_fits(conn, end)) {
		uint64_t lag = conn->client_lag;

		/* Saturated, it stays so: what the server has is not known then. */
		conn->client_lag = lag < CONN_LAG_MAX ? lag_add(0, (uint32_t)lag + ahead) : lag;
		conn->client_nxt = end;
		conn->flags |= CONN_CLIENT_FIN;
	} else if (!fin && ahead <= client_most(conn) && (ahead != 0 || seg->payload_len != 0)) {
		/* A FIN takes a number of its own: no data end where it does. */
		conn->client_nxt = end;
		conn->client_lag = lag_add(conn->client_lag, ahead);
		conn->flags &= ~(unsigned int)CONN_CLIENT_FIN;
	}
}

static void
follow_server(struct conn *conn, const struct segment *seg)
{
	uint32_t end = seg->seq + segment_seq_len(seg) + conn->seq_delta;
	uint32_t ahead = end - conn->server_nxt, behind = conn->client_nxt - seg->ack;
	bool closed = conn_is_closed(conn);

	if (ahead != 0 && ahead <= WINDOW_MAX) {
		conn->server_nxt = end;
		conn->server_lag = lag_add(conn->server_lag, ahead);
	}
	if (seg->flags & TCP_FIN)
		conn->flags |= CONN_SERVER_FIN;
	/* Closed it stays: an ACK that was overtaken says nothing of what is unacknowledged. */
	if (!(seg->flags & TCP_ACK) || closed)
		return;
	if (behind != 0 && 0u - behind <= WINDOW_MAX) {
		/* It has got more than was seen from here: fragments are not followed. */
		conn->client_nxt = seg->ack;
		conn->flags &= ~(unsigned int)CONN_CLIENT_FIN;
		behind = 0;
	}
	if (behind <= WINDOW_MAX)
		conn->client_lag = lag_add(0, behind);
}

/* What lies outside any window that can have been offered is somebody else's and teaches
 * nothing, its FIN neither. */
void
splice_follow(struct conn *conn, const struct segment *seg)
{
	if (seg->side == SIDE_OUTSIDE)
		follow_client(conn, seg);
	else
		follow_server(conn, seg);
}

bool
splice_rst_exact(const struct conn *conn, const struct segment *seg, bool *in_window)
{
	bool client = seg->side == SIDE_OUTSIDE;
	uint32_t seq = client ? seg->seq : seg->seq + conn->seq_delta;
	uint32_t nxt = client ? conn->client_nxt : conn->server_nxt;
	uint32_t lag = client ? conn->client_lag : conn->server_lag;
	unsigned int shift = wscale_shift(client ? conn->server_wscale : conn->client_wscale);
	uint32_t low = nxt - (lag < CONN_LAG_MAX ? lag : WINDOW_MAX);

	*in_window = seq_between(low, seq, nxt + ((uint32_t)UINT16_MAX << shift));
	/* RCV.NXT of the receiver: what it has acknowledged, or if all in flight
	 * has arrived by now, what was sent last. */
	return seq == nxt || (lag < CONN_LAG_MAX && seq == low);
}

bool
splice_rst_denied(const struct conn *conn, const struct segment *seg)
{
	uint32_t behind = conn->client_nxt - seg->ack;

	return seg->side == SIDE_INSIDE && (seg->flags & TCP_ACK) && segment_seq_len(seg) == 0 &&
	       behind != 0 && behind <= WINDOW_MAX && lag_add(0, behind) == conn->client_lag;
}
