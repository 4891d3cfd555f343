/* SPDX-License-Identifier: BSD-3-Clause */
#include "overload_port.h"

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_random.h>

/* ---- frames ------------------------------------------------------------- */

/* A frame as bytes; its length. */
static uint16_t
make(const struct frame *f, uint8_t *bytes)
{
	/* Of an mbuf frame_write() needs no more than where its data is. */
	struct rte_mbuf m = { .buf_addr = bytes };

	frame_write(&b.to, f, &m);
	return m.data_len;
}

void
overload_flood_make(void)
{
	for (unsigned int i = 0; i < FLOOD_FRAMES; i++)
		make(&(struct frame){ .from = RTE_IPV4(11, 0, 0, 0) +
		                              (uint32_t)rte_rand_max(100u << 24),
		                      .from_port = (uint16_t)(rte_rand() | 1024),
		                      .seq = (uint32_t)rte_rand(),
		                      .flags = RTE_TCP_SYN_FLAG },
		     b.flood[i]);
}

static void
peer_send(uint32_t number, uint8_t flags, uint16_t payload)
{
	const struct peer *p = &b.peers[number];

	/* Whoever finds no place has lost it, as in the ring. */
	if (b.n_out == OUT_MAX)
		return;
	struct peer_frame *f = &b.out[b.n_out++];
	f->is_syn = (flags & (RTE_TCP_SYN_FLAG | RTE_TCP_ACK_FLAG)) == RTE_TCP_SYN_FLAG;
	f->len = make(&(struct frame){ .from = FIRST_CLIENT + number,
	                               .from_port = p->port,
	                               .seq = p->seq,
	                               .ack = flags & RTE_TCP_ACK_FLAG ? p->peer_seq : 0,
	                               .flags = flags,
	                               .payload_size = payload },
	              f->bytes);
}

/* ---- peers --------------------------------------------------------------- */

void
overload_connect(uint32_t number, uint64_t now)
{
	struct peer *p = &b.peers[number];

	p->state = PEER_SYN_SENT;
	p->port = p->port >= 1024 && p->port < 65535 ? (uint16_t)(p->port + 1) : 1024;
	p->seq = (uint32_t)rte_rand();
	p->until_tsc = now + WAIT_MS * b.hz / 1000;
	peer_send(number, RTE_TCP_SYN_FLAG, 0);
}

static void
peer_request(uint32_t number, uint64_t now)
{
	struct peer *p = &b.peers[number];

	p->state = PEER_SENT;
	p->until_tsc = now + WAIT_MS * b.hz / 1000;
	peer_send(number, RTE_TCP_ACK_FLAG | RTE_TCP_PSH_FLAG, REQUEST_SIZE);
}

/* A connection of the held ones, or a client that has been served and is gone. */
static void
peer_served(uint32_t number)
{
	struct peer *p = &b.peers[number];

	p->seq += REQUEST_SIZE;
	if (number < HELD) {
		p->state = PEER_HELD;
		return;
	}
	b.account.served++;
	peer_send(number, RTE_TCP_RST_FLAG, 0);
	p->state = PEER_IDLE;
}

static void
peer_receive(uint32_t number, const struct rte_tcp_hdr *tcp, uint64_t now)
{
	const uint8_t syn_ack = RTE_TCP_SYN_FLAG | RTE_TCP_ACK_FLAG;
	struct peer *p = &b.peers[number];
	uint32_t ack = rte_be_to_cpu_32(tcp->recv_ack);

	if (rte_be_to_cpu_16(tcp->dst_port) != p->port)
		return;
	if (p->state == PEER_SYN_SENT && (tcp->tcp_flags & syn_ack) == syn_ack &&
	    ack == p->seq + 1) {
		p->seq++;
		p->peer_seq = rte_be_to_cpu_32(tcp->sent_seq) + 1;
		peer_request(number, now);
	} else if (p->state == PEER_SENT && ack == p->seq + REQUEST_SIZE) {
		peer_served(number);
	}
}

/* What it waited for did not come. */
static void
peer_lose(uint32_t number, uint64_t now)
{
	struct peer *p = &b.peers[number];

	if (number < HELD && p->state == PEER_SENT) {
		b.account.held_lost++;
		b.account.held_sent++;
		peer_request(number, now);
	} else if (number < HELD) {
		overload_connect(number, now);
	} else {
		b.account.no_answer += p->state == PEER_SYN_SENT;
		b.account.no_service += p->state == PEER_SENT;
		p->state = PEER_IDLE;
	}
}

/* Those whose turn it is. */
static void
peers_tend(uint64_t now)
{
	double seconds = (double)(now - b.begin_tsc) / (double)b.hz;

	for (unsigned int i = 0; i < 4; i++) {
		uint32_t number = b.sweep++ % (HELD + CLIENTS);
		struct peer *p = &b.peers[number];
		if ((p->state == PEER_SYN_SENT || p->state == PEER_SENT) && now > p->until_tsc)
			peer_lose(number, now);
	}
	if (!b.has_peers)
		return;
	for (unsigned int i = 0; i < BURST && (double)b.account.held_sent < seconds * b.held_per_s;
	     i++) {
		uint32_t number = b.next_held++ % HELD;
		if (b.peers[number].state != PEER_HELD)
			continue;
		b.account.held_sent++;
		peer_request(number, now);
	}
	for (unsigned int i = 0; i < 4 && (double)b.account.started < seconds * CLIENTS_PER_S;
	     i++) {
		uint32_t number = HELD + b.next_client++ % CLIENTS;
		if (b.peers[number].state != PEER_IDLE)
			continue;
		b.account.started++;
		overload_connect(number, now);
	}
}

/* ---- the port --------------------------------------------------------------- */

/* Of these frames those for which there is room, in order: n_flood of the flood, and those of peers
 * at any place in it. */
static void
fill(struct ring *ring, uint32_t n_flood, const struct peer_frame *const *out, unsigned int n_out)
{
	uint32_t n = n_flood + n_out, room = RING - (ring->tail - ring->head),
		 n_taken = RTE_MIN(n, room), at = 0;

	for (uint32_t i = 0; i < n_taken; i++)
		ring->is_peers[(ring->tail + i) % RING] = false;
	for (unsigned int i = 0; i < n_out; i++) {
		uint32_t left = n - at - (n_out - i - 1);
		/* Of the places that are left to it the least of as many draws as others follow. */
		uint32_t skip = UINT32_MAX;
		for (unsigned int k = i; k < n_out && skip != 0; k++)
			skip = RTE_MIN(skip, (uint32_t)rte_rand_max(left));
		at += skip;
		if (at < n_taken) {
			ring->is_peers[(ring->tail + at) % RING] = true;
			ring->frames[(ring->tail + at) % RING] = *out[i];
		}
		at++;
	}
	ring->tail += n_taken;
	b.account.lost += n - n_taken;
}

/* What has come since. */
static void
arrive(uint64_t now)
{
	const struct peer_frame *out[2][OUT_MAX];
	unsigned int n_out[2] = { 0 };

	b.due += (double)(now - b.last_tsc) * b.per_tick;
	b.last_tsc = now;
	uint32_t n_flood = (uint32_t)RTE_MIN(b.due, 1e6);
	b.due -= n_flood;
	b.account.flood_offered += n_flood;
	for (unsigned int i = 0; i < b.n_out; i++) {
		bool by_syns = b.is_steered && b.out[i].is_syn;
		out[by_syns][n_out[by_syns]++] = &b.out[i];
	}
	for (unsigned int i = 0; i < 2; i++)
		fill(&b.rings[i], i == b.is_steered ? n_flood : 0, out[i], n_out[i]);
	b.n_out = 0;
}

/* A buffer for the frame that will come there: one of the flood, most likely, so that it is written
 * long before it is received, as a NIC would have it. */
static void
post(struct ring *ring, uint32_t at, struct rte_mbuf *m)
{
	ring->posted[at] = m;
	memcpy(rte_pktmbuf_mtod(m, void *), b.flood[b.next_flood++ % FLOOD_FRAMES], 80);
}

static uint16_t
receive_burst(void *queue, struct rte_mbuf **mbufs, uint16_t n)
{
	struct ring *ring = queue;
	uint64_t now = rte_rdtsc();
	struct rte_mbuf *fresh[BURST];

	if (now >= b.end_tsc)
		b.plane.stopping = true;
	/* Once a round: what the model takes is not to count twice. */
	if (ring == &b.rings[0]) {
		peers_tend(now);
		arrive(now);
	}
	uint16_t got = (uint16_t)RTE_MIN((uint32_t)n, ring->tail - ring->head);
	if (got == 0 || rte_pktmbuf_alloc_bulk(b.pool, fresh, got) != 0)
		return 0;
	for (uint16_t i = 0; i < got; i++, ring->head++) {
		uint32_t at = ring->head % RING;
		struct rte_mbuf *m = ring->posted[at];
		uint8_t *bytes = rte_pktmbuf_mtod(m, uint8_t *);
		post(ring, at, fresh[i]);
		m->data_len = FLOOD_SIZE;
		if (unlikely(ring->is_peers[at])) {
			m->data_len = ring->frames[at].len;
			memcpy(bytes, ring->frames[at].bytes, m->data_len);
		}
		m->pkt_len = m->data_len;
		mbufs[i] = m;
	}
	return got;
}

static uint16_t
send_burst(void *queue, struct rte_mbuf **mbufs, uint16_t n)
{
	(void)queue;
	for (uint16_t i = 0; i < n; i++) {
		const uint8_t *frame = rte_pktmbuf_mtod(mbufs[i], const uint8_t *);
		const struct rte_ipv4_hdr *ip = (const void *)(frame + RTE_ETHER_HDR_LEN);
		uint32_t number = rte_be_to_cpu_32(ip->dst_addr) - FIRST_CLIENT;
		if (unlikely(number < HELD + CLIENTS))
			peer_receive(number, (const void *)(ip + 1), b.last_tsc);
	}
	rte_pktmbuf_free_bulk(mbufs, n);
	return n;
}

int
overload_port_make(void)
{
	static void *queues[2], *no_callbacks[2];
	struct rte_eth_fp_ops *ops = &rte_eth_fp_ops[0];

	ops->rx_pkt_burst = receive_burst;
	ops->tx_pkt_burst = send_burst;
	ops->rxq.data = ops->txq.data = queues;
	ops->rxq.clbk = ops->txq.clbk = no_callbacks;
	for (unsigned int i = 0; i < 2; i++) {
		struct ring *ring = &b.rings[i];
		queues[i] = ring;
		if (rte_pktmbuf_alloc_bulk(b.pool, ring->posted, RING) != 0)
			return -1;
		for (uint32_t at = 0; at < RING; at++)
			post(ring, at, ring->posted[at]);
	}
	return 0;
}
