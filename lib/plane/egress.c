/* SPDX-License-Identifier: BSD-3-Clause */
#include "egress.h"

#include <rte_branch_prediction.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "carry_out.h"
#include "plane_state.h"

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
		egress_flush(w);
	if (first)
		s->first[s->n_first++] = m;
	else
		s->list[s->n++] = m;
}

void
egress_stage_first(struct worker *w, enum side out, struct rte_mbuf *m)
{
	stage(w, out, m, true);
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
egress_act(struct worker *w, struct rte_mbuf **mbufs)
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
egress_flush(struct worker *w)
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
