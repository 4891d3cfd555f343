/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The path of a packet, from top to bottom: burst_receive() takes a burst from a port,
 * hand_over() gives away what others own, process() asks the core. What the core says is done
 * and sent in egress.c.
 */
#include "burst.h"

#include <rte_branch_prediction.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_prefetch.h>

#include "capture.h"
#include "egress.h"
#include "families.h"
#include "neighbour.h"
#include "partial_checksum.h"
#include "plane_state.h"
#include "wakeup.h"

#define PREFETCH_AHEAD 4u

_Static_assert(BURST <= FAMILIES_MAX, "a burst can be sorted");

static bool parse(struct worker *w, struct rte_mbuf **mbuf, struct segment *seg, unsigned int i,
                  enum side side);
static unsigned int hand_over(struct worker *w, struct rte_mbuf **mbufs, unsigned int n);
static unsigned int answer_neighbours(struct worker *w, struct rte_mbuf **mbufs, unsigned int n);
static void process(struct worker *w, struct rte_mbuf **mbufs, unsigned int n);

/* Its first bytes, of a runt some that say nothing. */
static inline const uint8_t *
first_bytes(const void *mbuf)
{
	static const uint8_t nothing[RTE_ETHER_HDR_LEN];
	const struct rte_mbuf *m = mbuf;

	return likely(m->data_len >= sizeof(nothing)) ? rte_pktmbuf_mtod(m, const uint8_t *)
	                                              : nothing;
}

static inline unsigned int
receive(struct worker *w, enum side side, uint16_t queue)
{
	struct plane_port *port = &w->plane->ports[side];
	struct rte_mbuf *mbufs[BURST];
	unsigned int n_received, n = 0;

	n_received = rte_eth_rx_burst(port->id, queue, mbufs, BURST);
	if (n_received == 0)
		return 0;

	for (unsigned int i = 0; i < n_received && i < PREFETCH_AHEAD; i++)
		rte_prefetch0(rte_pktmbuf_mtod(mbufs[i], void *));
	if (unlikely(core_is_mixed(w->core)))
		families_sort((void **)mbufs, n_received, first_bytes);
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
burst_receive(struct worker *w, enum side side)
{
	return w->id < w->plane->ports[side].n_rx ? receive(w, side, (uint16_t)w->id) : 0;
}

unsigned int
burst_receive_syns(struct worker *w)
{
	unsigned int n = receive(w, SIDE_OUTSIDE, w->syn_queue);

	account_count(&w->account.received_syn, n);
	return n;
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
			egress_act(w, mbufs);
		} else {
			capture_burst(w, capture, mbufs, n);
		}
	}
	egress_flush(w);
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

	seg->shape = SHAPE_ANY;
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
		egress_stage_first(w, SIDE_OUTSIDE, m);
	}
	return n_kept;
}
