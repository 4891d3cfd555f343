/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Making and ending entries, with all that hangs on them: the index, the tables, the
 * path, and the counts of service and source. Inside lib/proto only.
 */
#ifndef SYNFRONT_ENTRY_H
#define SYNFRONT_ENTRY_H

#include "core_state.h"

struct conn *conn_of(struct core *core, uint32_t entry);
/* Whether an entry is of this flow and tag stack. */
bool entry_is(const struct core *core, uint32_t entry, const struct flow *flow, uint32_t tags);
/* Find the entry of a flow; FLOW_NONE. */
uint32_t entry_find(const struct core *core, const struct flow *flow, uint32_t tags, uint64_t hash,
                    struct flow_slot *at);
/* Make room in a full table: false if none of those that were looked at may go. */
bool conn_evict(struct core *core, const struct instant *now, struct actions *out);
/* Step's entry gives way to one of the same ports. Returns what that must know of it: both words of
 * conn_side.before. */
uint32_t conn_replace(struct core *core, struct step *step);
/* The connection is over: free it, or keep it spent while its cookie lives. */
void conn_finish(struct core *core, uint32_t number, struct flow_slot at,
                 const struct instant *now);
/* Step's entry gives way; it has none then. */
void entry_clear(struct core *core, struct step *step);
/* Where a connection stands in the index. */
bool conn_find_slot(const struct core *core, uint32_t number, struct flow_slot *at);
/* May the cookie that opened this connection still be accepted? */
bool conn_cookie_lives(const struct core *core, uint32_t number, const struct instant *now);
/* Has it been opened, and not ended? */
bool conn_is_live(const struct conn *conn);
/* Does it need the engine? (Everything but TRACKED and SPENT.) */
bool conn_remains(const struct conn *conn);
/* TRACKED by a client's SYN that no ACK has confirmed yet: it counts as half-open. */
static inline bool
conn_is_half_open(const struct conn *conn)
{
	return conn->state == CONN_TRACKED &&
	       (conn->flags & (CONN_CONFIRMED | CONN_OUTBOUND | CONN_ADOPTING)) == 0;
}

/* The FINs that count, as flags. Anybody can send one in a client's name: its own counts once
 * the server has acknowledged it. */
static inline unsigned int
conn_fins(const struct conn *conn)
{
	unsigned int fins = conn->flags & (CONN_CLIENT_FIN | CONN_SERVER_FIN);

	return conn->client_lag == 0 ? fins : fins & CONN_SERVER_FIN;
}

/* Do those of both ends? */
static inline bool
conn_is_closed(const struct conn *conn)
{
	return conn_fins(conn) == (CONN_CLIENT_FIN | CONN_SERVER_FIN);
}

/* Change what a connection counts as. */
void conn_set_state(struct core *core, struct conn *conn, enum conn_state state);
uint32_t conn_number(const struct core *core, const struct conn *conn);
void half_open_drop(struct core *core, uint32_t number, struct flow_slot at);
/* Keep a connection alive for `lifetime_s`. */
static inline void
entry_touch(struct core *core, const struct step *step, uint32_t lifetime_s)
{
	flow_index_touch(&core->index, step->at, core_clock_s(core, lifetime_s));
}
/* What is known of the server of step's segment, made if need be: its number. */
uint32_t server_of_any(struct core *core, const struct step *step);
static inline uint32_t
server_of(struct core *core, const struct step *step)
{
	const struct flow *flow = &step->seg->flow;
	struct backend *b = backend_at(&core->backends, core->server_last);

	/* Few segments that follow each other have servers of their own. */
	if (b == NULL || !backend_is(b, &flow->server, flow->server_port_be))
		return server_of_any(core, step);
	b->seen_s = (uint16_t)core->sources.now_s;
	return core->server_last;
}
/* RST to both ends of a spliced connection, or the client of another. */
void conn_reset_ends(struct core *core, const struct conn *conn, struct actions *out);

/* A proven client. `offer`, ISS and the rest as agreed with it. */
struct proven {
	uint32_t iss, irs;
	struct tcp_offer offer;
	uint8_t promised_wscale;
	bool by_cookie;   /* else by the half-open entry */
	uint32_t ts_sent; /* TSval of the SYN-ACK that the client goes by */
};
/* What is known of the client of a CONNECTING connection. */
static inline struct pending *
pending_of(struct core *core, const struct conn *conn)
{
	return &core->pending.records[conn->pending];
}

/* The server that it waits for; NULL if nothing is known of it by now. */
static inline struct backend *
backend_of_pending(struct core *core, const struct pending *p)
{
	return backend_at(&core->backends, p->backend);
}

/* What goes to the server in the client's name takes the way that its own segments take. */
static inline void
packet_for_client(struct packet *packet, const struct pending *p)
{
	packet->label = p->label;
	packet->ttl = p->ttl;
}

/* The client's window as it stands where it is not scaled, as in a SYN. */
static inline uint16_t
pending_unscaled_window(const struct pending *p)
{
	uint32_t window = (uint32_t)p->window << wscale_shift(p->offer.wscale);

	return window > UINT16_MAX ? UINT16_MAX : (uint16_t)window;
}

/* Our TSval towards the client: milliseconds, up from what its echo says. */
static inline uint32_t
pending_clock(const struct pending *p, const struct instant *now)
{
	return p->ts_base + (uint32_t)(now->now_ms - p->started_ms);
}

/* Of the clients of this server, NULL if nothing is known of it, one waits no more. */
static inline void
connecting_uncount(struct backend *b)
{
	if (b != NULL && b->n_connecting > 0)
		b->n_connecting--;
}
/* Seconds that the connection may be silent in its present state. */
uint32_t splice_lifetime(const struct core *core, const struct conn *conn);

#endif
