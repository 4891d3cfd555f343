/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Following FIN and RST, SEQ and ACK of a connection that is carried: how far either end
 * has got, and what lies between the two.
 */
#include "follow.h"

static uint64_t
lag_add(uint64_t lag, uint32_t more)
{
	return lag + more > CONN_LAG_MAX ? CONN_LAG_MAX : lag + more;
}

void
splice_follow(struct conn *conn, const struct segment *seg)
{
	uint32_t end = seg->seq + segment_seq_len(seg);
	uint32_t ahead, behind;

	/* What lies outside any window that can have been offered is somebody
	 * else's and teaches nothing, its FIN neither. */
	if (seg->side == SIDE_OUTSIDE) {
		/* Anybody can send this: as narrow as the server's scale allows. */
		uint32_t most = conn->flags & CONN_REWRITTEN
		                        ? (uint32_t)UINT16_MAX << wscale_shift(conn->server_wscale)
		                        : WINDOW_MAX;
		ahead = end - conn->client_nxt;
		behind = conn->server_nxt - seg->ack;
		if (ahead != 0 && ahead <= most) {
			conn->client_nxt = end;
			conn->client_lag = lag_add(conn->client_lag, ahead);
		}
		if ((seg->flags & TCP_ACK) && behind <= WINDOW_MAX)
			conn->server_lag = lag_add(0, behind);
		if (seg->payload_len != 0)
			conn->flags |= CONN_CLIENT_DATA;
		if ((seg->flags & TCP_FIN) && conn->client_nxt - end <= most)
			conn->flags |= CONN_CLIENT_FIN;
		return;
	}
	end += conn->seq_delta;
	ahead = end - conn->server_nxt;
	behind = conn->client_nxt - seg->ack;
	if (ahead != 0 && ahead <= WINDOW_MAX) {
		conn->server_nxt = end;
		conn->server_lag = lag_add(conn->server_lag, ahead);
	}
	if ((seg->flags & TCP_ACK) && 0u - behind <= WINDOW_MAX) {
		/* It has got more than was seen from here: fragments are not followed. */
		conn->client_nxt = seg->ack;
		behind = 0;
	}
	if ((seg->flags & TCP_ACK) && behind <= WINDOW_MAX)
		conn->client_lag = lag_add(0, behind);
	if (seg->flags & TCP_FIN)
		conn->flags |= CONN_SERVER_FIN;
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
