/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The path of a packet, from top to bottom: burst_receive() takes a burst from a port,
 * hand_over() gives away what others own, process() asks the core, burst_act() does
 * what it says, burst_flush() sends.
 */
#include "burst.h"

#include <rte_branch_prediction.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_prefetch.h>

#include "capture.h"
#include "carry_out.h"
#include "neighbour.h"
#include "partial_checksum.h"
#include "plane_state.h"
#include "wakeup.h"

#define PREFETCH_AHEAD 4u

static bool parse(struct worker *w, struct rte_mbuf **mbuf, struct segment *seg, unsigned int i,
                  enum side side);
static unsigned int hand_over(struct worker *w, struct rte_mbuf **mbufs, unsigned int n);
static unsigned int answer_neighbours(struct worker *w, struct rte_mbuf **mbufs, unsigned int n);
static void process(struct worker *w, struct rte_mbuf **mbufs, unsigned int n);

unsigned int
burst_receive(struct worker *w, enum side side)
{
	struct plane_port *port = &w->plane->ports[side];
	struct rte_mbuf *mbufs[BURST];
	unsigned int n_received, n = 0;

	if (w->id >= port->n_rx)
		return 0;
	n_received = rte_eth_rx_burst(port->id, (uint16_t)w->id, mbufs, BURST);
	if (n_received == 0)
		return 0;

	for (unsigned int i = 0; i < n_received && i < PREFETCH_AHEAD; i++)
		rte_prefetch0(rte_pktmbuf_mtod(mbufs[i], void *));
	for (unsigned int i = 0; i < n_received; i++) {
		struct rte_mbuf *m = mbufs[i];
		if (i + PREFETCH_AHEAD < n_received)
			rte_prefetch0(rte_pktmbuf_mtod(mbufs[i + PREFETCH_AHEAD], void *));
		/* Not every driver sets it, and whoever this is handed to goes by it. */
		m->port = port->id;
		if (likely(parse(w, &m, &w->segments[n], n, side)))
			mbufs[n++] = m;
	}
	account_count(&w->account.received[side], n_received);

	if (w->plane->n_workers > 1)
		n = hand_over(w, mbufs, n);
	if (w->plane->n_ports == 1)
		n = answer_neighbours(w, mbufs, n);
	process(w, mbufs, n);
	return n_received;
}

unsigned int
burst_take_over(struct worker *w)
{
	struct rte_mbuf *mbufs[BURST];
	unsigned int n_taken = 0;

	for (unsigned int from = 0; from < w->plane->n_workers; from++) {
		if (from == w->id)
			continue;
		unsigned int got = rte_ring_sc_dequeue_burst(w->from[from], (void **)mbufs, BURST,
		                                             NULL);
		unsigned int n = 0;
		for (unsigned int i = 0; i < got; i++) {
			struct rte_mbuf *m = mbufs[i];
			bool is_outside = m->port == w->plane->ports[SIDE_OUTSIDE].id;
			if (likely(parse(w, &m, &w->segments[n], n,
			                 is_outside ? SIDE_OUTSIDE : SIDE_INSIDE)))
				mbufs[n++] = m;
		}
		if (got == 0)
			continue;
		account_count(&w->account.taken_over, got);
		process(w, mbufs, n);
		n_taken += got;
	}
	return n_taken;
}

/* The core's turn, and then ours again. */
static void
process(struct worker *w, struct rte_mbuf **mbufs, unsigned int n)
{
	if (n != 0) {
		struct capture *capture = __atomic_load_n(&w->plane->capture, __ATOMIC_ACQUIRE);
		core_locate(w->core, w->segments, n, &w->now);
		if (likely(capture == NULL)) {
			core_decide(w->core, w->segments, n, &w->now, &w->actions);
			burst_act(w, mbufs);
		} else {
			capture_burst(w, capture, mbufs, n);
		}
	}
	burst_flush(w);
}

/*
 * Our own copy of a frame that we may not write to, or whose headers do not lie in
 * one piece. NULL when there is no buffer; the frame is then gone.
 */
static struct rte_mbuf *
renew(struct worker *w, struct rte_mbuf *m)
{
	struct rte_mbuf *copy = rte_pktmbuf_copy(m, w->pool, 0, UINT32_MAX);

	if (copy != NULL)
		copy->port = m->port;
	rte_pktmbuf_free(m);
	return copy;
}

/* Nothing is read or written behind a piece. */
static void
check_pieces(const struct rte_mbuf *m, struct segment *seg, uint32_t readable)
{
	bool is_tcp = seg->class == SEGMENT_TCP || seg->class == SEGMENT_FRAGMENT_FIRST;

	/* Extension headers can be longer than a piece, and an edit goes to the first. */
	if (is_tcp && seg->l4_off + (uint32_t)seg->l4_len > m->data_len) {
		seg->class = SEGMENT_MALFORMED;
		seg->fault = FAULT_HEADER_CHAIN;
	} else if (seg->class == SEGMENT_TCP && readable < m->pkt_len) {
		/* Nor can its data be summed. */
		seg->class = SEGMENT_MALFORMED;
		seg->fault = FAULT_IP_LENGTH;
	} else if (seg->class == SEGMENT_ICMP_ERROR && seg->frame_len > m->data_len) {
		seg->class = SEGMENT_OTHER;
	}
}

/*
 * Parse frame i of a burst. A frame in pieces is laid out in w->linear, from where it
 * is read; edits go to the mbuf, whose first piece holds all headers.
 * False when the frame was lost for want of a buffer.
 */
static bool
parse(struct worker *w, struct rte_mbuf **mbuf, struct segment *seg, unsigned int i, enum side side)
{
	struct rte_mbuf *m = *mbuf;
	const uint8_t *frame = rte_pktmbuf_mtod(m, const uint8_t *);
	uint32_t readable = m->pkt_len;

	if (unlikely(m->nb_segs != 1 || !RTE_MBUF_DIRECT(m) || rte_mbuf_refcnt_read(m) != 1)) {
		if (!RTE_MBUF_DIRECT(m) || rte_mbuf_refcnt_read(m) != 1 || m->data_len < HEAD_SIZE)
			m = *mbuf = renew(w, m);
		if (m == NULL) {
			account_count(&w->account.alloc_failed, 1);
			counter_add(core_counters_own(w->core), COUNTER_drop_no_buffer, 1);
			return false;
		}
		readable = m->pkt_len;
		if (m->nb_segs != 1 && readable > w->linear_size)
			readable = HEAD_SIZE;
		frame = rte_pktmbuf_read(m, 0, readable, w->linear + (size_t)i * w->linear_size);
	}
	segment_parse(seg, frame, readable, m->pkt_len, side);
	if (w->plane->ports[side].partial_checksums && m->nb_segs == 1)
		partial_checksum_complete(rte_pktmbuf_mtod(m, uint8_t *), m->pkt_len, seg);
	if (w->plane->ports[side].rx_checksum)
		seg->checksum_good = (m->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) ==
		                     RTE_MBUF_F_RX_L4_CKSUM_GOOD;
	if (unlikely(m->nb_segs != 1))
		check_pieces(m, seg, readable);
	return true;
}

/* Is the NIC's own hash that of the flow? Where it is one over the ports and nothing but
 * headers that every NIC walks lies before them. */
static inline bool
has_hash(const struct plane_port *port, const struct rte_mbuf *m, const struct segment *seg)
{
	return port->rss && seg->side == SIDE_OUTSIDE && seg->class == SEGMENT_TCP &&
	       (m->ol_flags & RTE_MBUF_F_RX_RSS_HASH) && seg->l3_off == RTE_ETHER_HDR_LEN &&
	       seg->l4_off - seg->l3_off == (seg->is_v4 ? 20 : 40);
}

/* The worker that must see this segment. */
static inline uint32_t
owner_of(struct worker *w, const struct rte_mbuf *m, const struct segment *seg)
{
	struct owner_map *owners = &w->plane->owners;
	uint32_t owner;

	if (core_whose(w->core, seg, &w->now) != CORE_OWNER)
		return w->id;
	if (seg->class == SEGMENT_FRAGMENT_LATER)
		return owner_of_fragment(owners, seg, w->id);
	if (has_hash(&w->plane->ports[seg->side], m, seg))
		return owner_of_hash(owners, m->hash.rss);
	owner = owner_of_hash(owners, owner_hash(owners, &seg->flow, seg->is_v4));
	if (seg->class == SEGMENT_FRAGMENT_FIRST)
		owner_note_fragment(owners, seg, owner);
	return owner;
}

/* Give away what others own; returns how many are left, moved together. */
static unsigned int
hand_over(struct worker *w, struct rte_mbuf **mbufs, unsigned int n)
{
	struct counters *counters = core_counters_own(w->core);
	unsigned int n_kept = 0;
	uint64_t given = 0; /* workers, as bits */

	for (unsigned int i = 0; i < n; i++) {
		uint32_t owner = owner_of(w, mbufs[i], &w->segments[i]);
		if (owner == w->id) {
			if (n_kept != i) {
				mbufs[n_kept] = mbufs[i];
				w->segments[n_kept] = w->segments[i];
			}
			n_kept++;
			continue;
		}
		if (rte_ring_sp_enqueue(w->plane->workers[owner]->from[w->id], mbufs[i]) == 0) {
			account_count(&w->account.handed_over, 1);
			given |= UINT64_C(1) << owner;
			continue;
		}
		counter_add(counters, COUNTER_drop_hand_over, 1);
		rte_pktmbuf_free(mbufs[i]);
	}
	if (given != 0 && w->plane->wakes)
		wakeup_others(w->plane, given);
	return n_kept;
}

static inline void
stage(struct worker *w, enum side out, struct rte_mbuf *m, bool first)
{
	const struct plane_port *port = &w->plane->ports[out];
	struct worker_staged *s = &w->staged[out];

	if (unlikely(m->pkt_len > port->sent_size_max ||
	             (m->nb_segs > 1 && !port->tx_chains && rte_pktmbuf_linearize(m) != 0))) {
		account_count(&w->account.unfit, 1);
		rte_pktmbuf_free(m);
		return;
	}
	if (unlikely(s->n == STAGED_MAX || s->n_first == STAGED_MAX))
		burst_flush(w);
	if (first)
		s->first[s->n_first++] = m;
	else
		s->list[s->n++] = m;
}

/* In a responder: who asks where our addresses are. */
static unsigned int
answer_neighbours(struct worker *w, struct rte_mbuf **mbufs, unsigned int n)
{
	struct plane_port *port = &w->plane->ports[SIDE_OUTSIDE];
	unsigned int n_kept = 0;

	for (unsigned int i = 0; i < n; i++) {
		struct rte_mbuf *m = mbufs[i];
		unsigned int len = 0;
		if (unlikely(w->segments[i].class == SEGMENT_OTHER) && m->nb_segs == 1 &&
		    m->buf_len - m->data_off >= (int)NEIGHBOUR_ROOM)
			len = neighbour_answer(rte_pktmbuf_mtod(m, uint8_t *), m->pkt_len,
			                       &w->segments[i], core_policy(w->core),
			                       port->mac.addr_bytes);
		if (len == 0) {
			if (n_kept != i) {
				mbufs[n_kept] = m;
				w->segments[n_kept] = w->segments[i];
			}
			n_kept++;
			continue;
		}
		m->data_len = (uint16_t)len;
		m->pkt_len = len;
		m->ol_flags = 0;
		counter_add(core_counters_own(w->core), COUNTER_answered_neighbour, 1);
		stage(w, SIDE_OUTSIDE, m, true);
	}
	return n_kept;
}

/* Length and, if the port is to fill them in, checksums of a frame that we made. */
static inline void
set_made(struct rte_mbuf *m, const struct plane_port *port, unsigned int len, unsigned int l3_off,
         bool is_v4)
{
	m->data_len = (uint16_t)len;
	m->pkt_len = len;
	m->ol_flags = 0;
	if (!port->tx_checksum || !emit_may_offload(len, l3_off))
		return;
	m->ol_flags = RTE_MBUF_F_TX_TCP_CKSUM |
	              (is_v4 ? RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM : RTE_MBUF_F_TX_IPV6);
	m->l2_len = l3_off;
	m->l3_len = is_v4 ? 20 : 40;
}

static inline enum emit_checksum
checksum_by(const struct plane_port *port)
{
	return port->tx_checksum ? EMIT_CHECKSUM_OFFLOAD : EMIT_CHECKSUM_SOFTWARE;
}

/* The buffer of a segment becomes another packet. */
static inline void
act_in_place(struct worker *w, struct rte_mbuf *m, const struct segment *seg,
             const struct action *a)
{
	const struct plane_port *port = &w->plane->ports[a->out];

	if (unlikely(m->nb_segs > 1)) {
		rte_pktmbuf_free(m->next);
		m->next = NULL;
		m->nb_segs = 1;
	}
	if (unlikely((unsigned int)(m->buf_len - m->data_off) < carry_out_room(a))) {
		account_count(&w->account.unfit, 1);
		rte_pktmbuf_free(m);
		return;
	}
	unsigned int len = carry_out(rte_pktmbuf_mtod(m, uint8_t *), seg, a, checksum_by(port),
	                             &w->memo);
	set_made(m, port, len, seg->l3_off, seg->is_v4);
	stage(w, (enum side)a->out, m, false);
}

/* A packet longer than one buffer: made in one piece, then cut. NULL when
 * there are not enough buffers. */
static struct rte_mbuf *
send_long(struct worker *w, const struct action *a)
{
	uint8_t *whole = w->linear + (size_t)BURST * w->linear_size;
	struct rte_mbuf *head = NULL, *last = NULL;

	if (carry_out_room(a) > w->linear_size)
		return NULL;
	unsigned int len = carry_out(whole, NULL, a, EMIT_CHECKSUM_SOFTWARE, &w->memo);
	for (unsigned int done = 0; done < len;) {
		struct rte_mbuf *m = rte_pktmbuf_alloc(w->pool);
		if (m == NULL) {
			rte_pktmbuf_free(head);
			return NULL;
		}
		unsigned int part = RTE_MIN(len - done, (unsigned int)rte_pktmbuf_tailroom(m));
		memcpy(rte_pktmbuf_append(m, (uint16_t)part), whole + done, part);
		done += part;
		if (head == NULL) {
			head = last = m;
			continue;
		}
		last->next = m;
		last = m;
		head->nb_segs++;
		head->pkt_len += part;
	}
	return head;
}

static inline void
act_send(struct worker *w, const struct action *a)
{
	const struct plane_port *port = &w->plane->ports[a->out];
	struct rte_mbuf *m = NULL;

	if (likely(carry_out_room(a) + RTE_PKTMBUF_HEADROOM <=
	           rte_pktmbuf_data_room_size(w->pool))) {
		m = rte_pktmbuf_alloc(w->pool);
		if (m != NULL) {
			unsigned int n_tags = !!(a->link.tags >> 16) + !!(a->link.tags & 0xffff);
			unsigned int len = carry_out(rte_pktmbuf_mtod(m, uint8_t *), NULL, a,
			                             checksum_by(port), &w->memo);
			set_made(m, port, len, 14 + 4 * n_tags, ip_addr_is_v4(&a->flow.client));
		}
	} else {
		m = send_long(w, a);
	}
	if (unlikely(m == NULL)) {
		account_count(&w->account.alloc_failed, 1);
		return;
	}
	stage(w, (enum side)a->out, m, false);
}

void
burst_act(struct worker *w, struct rte_mbuf **mbufs)
{
	struct rte_mbuf *dropped[BURST];
	unsigned int n_dropped = 0;

	for (unsigned int i = 0; i < w->actions.n; i++) {
		const struct action *a = &w->actions.list[i];
		if (a->kind == ACTION_SEND) {
			act_send(w, a);
			continue;
		}
		struct rte_mbuf *m = mbufs[a->seg];
		const struct segment *seg = &w->segments[a->seg];
		switch ((enum action_kind)a->kind) {
		case ACTION_REPLY:
		case ACTION_ONWARD:
			act_in_place(w, m, seg, a);
			break;
		case ACTION_EDIT:
		case ACTION_QUOTE:
			carry_out(rte_pktmbuf_mtod(m, uint8_t *), seg, a, EMIT_CHECKSUM_SOFTWARE,
			          &w->memo);
			stage(w, (enum side)a->out, m, false);
			break;
		case ACTION_FORWARD:
			stage(w, (enum side)a->out, m, seg->class == SEGMENT_OTHER);
			break;
		case ACTION_DROP:
		case ACTION_SEND:
			dropped[n_dropped++] = m;
			break;
		}
	}
	w->actions.n = 0;
	if (n_dropped != 0)
		rte_pktmbuf_free_bulk(dropped, n_dropped);
}

/* Some drivers take a few at a time: ask again as long as they take any. */
static void
transmit(struct worker *w, enum side side, struct rte_mbuf **mbufs, unsigned int n)
{
	struct plane_port *port = &w->plane->ports[side];
	uint16_t queue = (uint16_t)(w->id % port->n_tx);
	bool is_shared = port->n_tx < w->plane->n_workers;
	unsigned int done = 0, taken;

	if (is_shared)
		rte_spinlock_lock(&port->tx_lock);
	do {
		taken = rte_eth_tx_burst(port->id, queue, mbufs + done, (uint16_t)(n - done));
		done += taken;
	} while (taken != 0 && done < n);
	if (is_shared)
		rte_spinlock_unlock(&port->tx_lock);

	account_count(&w->account.sent[side], done);
	if (unlikely(done < n)) {
		account_count(&w->account.tx_full[side], n - done);
		rte_pktmbuf_free_bulk(mbufs + done, n - done);
	}
}

void
burst_flush(struct worker *w)
{
	for (unsigned int side = 0; side < w->plane->n_ports; side++) {
		struct worker_staged *s = &w->staged[side];
		if (s->n_first != 0)
			transmit(w, (enum side)side, s->first, s->n_first);
		if (s->n != 0)
			transmit(w, (enum side)side, s->list, s->n);
		s->n_first = s->n = 0;
	}
}
