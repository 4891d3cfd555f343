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

/*
 * Until the server says something beyond its SYN-ACK, the client's segments reach it with
 * the TSecr of the engine's own ACK (join.c): what they echo is older than the first value
 * of its clock, since the engine had answered before it. A server that has not taken that
 * ACK (it waits for data, or the ACK was lost) could refuse such an echo (Linux from 6.15
 * on) or measure by it.
 */
static void
rewrite_while_silent(struct core *core, struct conn *conn, const struct segment *seg,
                     struct rewrite *rw)
{
	if (seg->side == SIDE_OUTSIDE && (conn->flags & CONN_TIMESTAMPS))
		rw->tsecr_add = core->conns.sides[conn_number(core, conn)].ts_echo - seg->tsecr;
	if (seg->side == SIDE_INSIDE && (seg->ack != conn->irs + 1 || segment_seq_len(seg) != 0))
		conn->flags &= ~(unsigned int)CONN_SERVER_SILENT;
}

/* What few segments need. */
static void
rewrite_rarely(struct core *core, struct conn *conn, const struct segment *seg, struct rewrite *rw)
{
	if (conn->state == CONN_SPLICED && (conn->flags & CONN_SERVER_SILENT))
		rewrite_while_silent(core, conn, seg, rw);
	if (conn->flags & CONN_CONVERT)
		convert_window(core, conn, seg, rw);
}

static void
rewrite_fill(struct core *core, struct conn *conn, const struct segment *seg, struct rewrite *rw)
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
	if (conn->flags & (CONN_CONVERT | CONN_SERVER_SILENT))
		rewrite_rarely(core, conn, seg, rw);
}

void
splice_forward(struct core *core, struct step *step, enum counter outcome)
{
	rewrite_fill(core, conn_of(core, step->entry), step->seg, act_edit(core, step, outcome));
}
