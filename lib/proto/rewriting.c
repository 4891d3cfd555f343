/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Two handshakes joined by adding constants.
 *
 *               client's view                         server's view
 *   client ->   SEQ as it is                          same
 *               ACK, SACK, TSecr                      less seq_delta, ts_delta
 *   server ->   SEQ, TSval                            plus seq_delta, ts_delta
 *               ACK, SACK, TSecr as they are          same
 *
 * Windows change only where the scale promised to the client is not the server's.
 */
#include "rewriting.h"

#include "act.h"
#include "entry.h"

static uint16_t
window_clamp(uint32_t window, uint16_t was)
{
	if (window > UINT16_MAX)
		return UINT16_MAX;
	return (uint16_t)(window == 0 && was != 0 ? 1 : window);
}

/* A nonzero window stays nonzero, or the peer would go to probing. */
static void
convert_window(struct core *core, const struct conn *conn, const struct segment *seg,
               struct rewrite *rw)
{
	unsigned int server = wscale_shift(conn->server_wscale);
	uint16_t was = seg->window, now = was;

	if (seg->side == SIDE_OUTSIDE) {
		/* A server that does no scaling reads the field as it stands. */
		if (conn->server_wscale == WSCALE_NONE)
			now = window_clamp((uint32_t)was << wscale_shift(conn->client_wscale), was);
	} else {
		unsigned int promised = core->conns.sides[conn_number(core, conn)].promised_wscale;
		now = window_clamp(((uint32_t)was << server) >> wscale_shift(promised), was);
	}
	if (now == was)
		return;
	rw->window = now;
	rw->edits |= REWRITE_WINDOW;
	core_count(core, COUNTER_window_converted);
}

static void
rewrite_fill(struct core *core, const struct conn *conn, const struct segment *seg,
             struct rewrite *rw)
{
	if (!(conn->flags & CONN_REWRITTEN))
		return;
	if (seg->side == SIDE_OUTSIDE) {
		rw->ack_add = 0u - conn->seq_delta;
		rw->tsecr_add = 0u - conn->ts_delta;
		if (seg->options & OPTION_SACK) {
			rw->sack_add = 0u - conn->seq_delta;
			if (conn->flags & CONN_STRIP_SACK)
				rw->edits |= REWRITE_STRIP_SACK;
			core_count(core, COUNTER_sack_rewritten);
		}
	} else {
		rw->seq_add = conn->seq_delta;
		rw->tsval_add = conn->ts_delta;
	}
	if (conn->flags & CONN_CONVERT)
		convert_window(core, conn, seg, rw);
}

void
splice_forward(struct core *core, struct step *step, enum counter outcome)
{
	rewrite_fill(core, conn_of(core, step->entry), step->seg, act_edit(core, step, outcome));
}
