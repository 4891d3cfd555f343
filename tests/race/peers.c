/* SPDX-License-Identifier: BSD-3-Clause */
#include "peers.h"

#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "check.h"
#include "emit.h"

#define QUEUES_MAX 8u
#define QUEUE_SIZE 2048u
#define BURST_FLOOD 8u
#define FLOOD_QUEUED 32u /* SYNs that wait between two queues */
#define SERVER_PORT 80
#define CLIENTS_NET 0x0a090000u /* 10.9.0.0/16 */
#define SERVER 0xc6336401u      /* 198.51.100.1 */
#define FIRST_PORT 20000u

/* What a client writes and the server sends back. */
struct message {
	uint64_t number;
	uint64_t check;
};

static struct {
	const struct plane *plane;
	struct rte_ring *to[SIDE_COUNT][QUEUES_MAX][QUEUES_MAX]; /* [port][to][from] */
	struct peers_counts counts;
	uint32_t wanted;
	uint16_t flooded;
	bool is_done[PEERS_FLOWS_MAX];
	bool ready; /* release: all above is set */
} peers;

static __thread uint64_t random_state;

static uint64_t
draw(void)
{
	if (random_state == 0)
		random_state = rte_lcore_id() + UINT64_C(0x9e3779b97f4a7c15);
	return check_random(&random_state);
}

/* Workers are at work when the callbacks come. */
static bool
is_ready(void)
{
	return __atomic_load_n(&peers.ready, __ATOMIC_ACQUIRE);
}

static void
count(uint32_t *which)
{
	__atomic_fetch_add(which, 1, __ATOMIC_RELAXED);
}

static uint64_t
mix(uint64_t x)
{
	x = (x ^ x >> 31) * UINT64_C(0x9e3779b97f4a7c15);
	return (x ^ x >> 29) * UINT64_C(0xbf58476d1ce4e5b9);
}

uint32_t
peers_flow_number(const struct flow *flow)
{
	uint32_t host = be32toh(flow->client.words_be[3]);

	if ((host & 0xffff0000u) != CLIENTS_NET)
		return PEERS_FLOWS_MAX;
	return (host & 0xff) * 100u + be16toh(flow->client_port_be) - FIRST_PORT;
}

static struct flow
flow_of_number(uint32_t number)
{
	struct flow flow = {
		.client = ip_addr_v4(htobe32(CLIENTS_NET | number / 100u)),
		.server = ip_addr_v4(htobe32(SERVER)),
		.client_port_be = htobe16((uint16_t)(FIRST_PORT + number % 100u)),
		.server_port_be = htobe16(SERVER_PORT),
	};

	return flow;
}

static uint32_t
iss_of(uint32_t number)
{
	return (uint32_t)mix(number + 1);
}

/* Received by any queue of `side`; the sender is this thread's queue. */
static void
deliver(enum side side, uint16_t queue, struct rte_mbuf *m, unsigned int len)
{
	m->data_len = (uint16_t)len;
	m->pkt_len = len;
	unsigned int to = (unsigned int)(draw() % peers.plane->n_workers);
	if (rte_ring_sp_enqueue(peers.to[side][to][queue], m) != 0) {
		count(&peers.counts.lost);
		rte_pktmbuf_free(m);
	}
}

static struct rte_mbuf *
new_syn(uint16_t queue, const struct flow *flow, uint32_t seq)
{
	static const struct link link = { .dst_mac = { 2, 0, 0, 0, 0, 2 },
		                          .src_mac = { 2, 0, 0, 0, 0, 1 } };
	struct rte_mbuf *m = rte_pktmbuf_alloc(peers.plane->pools[queue]);
	struct emit_memo memo = EMIT_MEMO_NEW;
	struct packet p = {
		.seq = seq,
		.flags = TCP_SYN,
		.window = 65535,
		.options = OPTION_MSS | OPTION_WSCALE | OPTION_SACK_PERMITTED,
		.mss = 1460,
		.wscale = 7,
	};

	if (m == NULL)
		return NULL;
	unsigned int len = emit_new(rte_pktmbuf_mtod(m, uint8_t *), &link, flow, SIDE_INSIDE, &p,
	                            EMIT_CHECKSUM_SOFTWARE, &memo);
	m->data_len = (uint16_t)len;
	m->pkt_len = len;
	return m;
}

/* Answer `seg`, whose frame lies in `m`, with `p`; it arrives at the port that sent it. */
static void
answer(enum side side, uint16_t queue, struct rte_mbuf *m, const struct segment *seg,
       const struct packet *p)
{
	struct emit_memo memo = EMIT_MEMO_NEW;
	unsigned int len = emit_reply(rte_pktmbuf_mtod(m, uint8_t *), seg, p,
	                              EMIT_CHECKSUM_SOFTWARE, &memo);

	deliver(side, queue, m, len);
}

static struct message
message_of(uint32_t flow, uint64_t number)
{
	return (struct message){ number, mix((uint64_t)flow << 32 | number) };
}

/* What came back is what was written: the next message, or the end. */
static bool
client_data(uint32_t number, const struct segment *seg, struct packet *p, struct message *next)
{
	struct message got, wanted;
	uint32_t iss = iss_of(number);

	if (seg->payload_len != sizeof(got)) {
		count(&peers.counts.wrong);
		return false;
	}
	memcpy(&got, segment_payload(seg), sizeof(got));
	wanted = message_of(number, got.number);
	if (memcmp(&got, &wanted, sizeof(got)) != 0 || got.number >= PEERS_ROUNDS ||
	    seg->ack != iss + 1 + (uint32_t)(got.number + 1) * sizeof(got)) {
		count(&peers.counts.wrong);
		return false;
	}
	p->seq = seg->ack;
	p->ack = seg->seq + seg->payload_len;
	if (got.number + 1 == PEERS_ROUNDS) {
		/* Its last message can come twice: after a SYN-ACK that was sent again. */
		if (!__atomic_exchange_n(&peers.is_done[number], true, __ATOMIC_RELAXED))
			count(&peers.counts.done);
		p->flags = number % 2 ? TCP_FIN | TCP_ACK : TCP_RST;
		return true;
	}
	*next = message_of(number, got.number + 1);
	p->payload = (const uint8_t *)next;
	p->payload_len = sizeof(*next);
	return true;
}

/* A client's turn; false when it says nothing. */
static bool
client_turn(const struct segment *seg, struct packet *p, struct message *next)
{
	uint32_t number = peers_flow_number(&seg->flow);
	bool is_syn_ack = (seg->flags & (TCP_SYN | TCP_ACK)) == (TCP_SYN | TCP_ACK);

	if (number >= PEERS_FLOWS_MAX)
		return false;
	*p = (struct packet){ .flags = TCP_ACK | TCP_PSH, .window = 65535 };
	if (seg->flags & TCP_RST) {
		count(&peers.counts.reset);
		return false;
	}
	if (is_syn_ack) {
		if (seg->ack != iss_of(number) + 1) {
			count(&peers.counts.wrong);
			return false;
		}
		*next = message_of(number, 0);
		p->seq = seg->ack;
		p->ack = seg->seq + 1;
		p->payload = (const uint8_t *)next;
		p->payload_len = sizeof(*next);
		return true;
	}
	if (seg->payload_len != 0)
		return client_data(number, seg, p, next);
	p->flags = TCP_ACK;
	p->seq = seg->ack;
	p->ack = seg->seq + 1;
	return seg->flags & TCP_FIN;
}

/* The server's: it echoes. */
static bool
server_turn(const struct segment *seg, struct packet *p, struct message *copy)
{
	*p = (struct packet){
		.seq = seg->ack,
		.ack = seg->seq + segment_seq_len(seg),
		.flags = TCP_ACK,
		.window = 65535,
	};
	if (seg->flags & TCP_RST)
		return false;
	if (seg->flags & TCP_SYN) {
		p->seq = (uint32_t)mix(seg->seq);
		p->flags |= TCP_SYN;
		p->mss = 1460;
		p->wscale = 7;
		p->options = seg->options & (OPTION_MSS | OPTION_WSCALE | OPTION_SACK_PERMITTED);
		return true;
	}
	if (seg->flags & TCP_FIN) {
		p->flags |= TCP_FIN;
		return true;
	}
	if (seg->payload_len != sizeof(*copy))
		return false;
	memcpy(copy, segment_payload(seg), sizeof(*copy));
	p->flags |= TCP_PSH;
	p->payload = (const uint8_t *)copy;
	p->payload_len = sizeof(*copy);
	return true;
}

/* A callback of the transmit function: the far end of the wire. */
static uint16_t
on_sent(uint16_t port, uint16_t queue, struct rte_mbuf **mbufs, uint16_t n, void *arg)
{
	(void)port;
	if (!is_ready())
		return n;
	enum side side = arg == &peers.plane->ports[SIDE_INSIDE] ? SIDE_INSIDE : SIDE_OUTSIDE;
	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *m = rte_pktmbuf_copy(mbufs[i], peers.plane->pools[queue], 0,
		                                      UINT32_MAX);
		struct segment seg;
		struct packet p;
		struct message message;
		if (m == NULL) {
			count(&peers.counts.lost);
			continue;
		}
		segment_parse(&seg, rte_pktmbuf_mtod(m, const uint8_t *), m->pkt_len, m->pkt_len,
		              side ^ 1);
		if (seg.class == SEGMENT_TCP && !segment_checksum_ok(&seg))
			count(&peers.counts.wrong);
		if (seg.class != SEGMENT_TCP ||
		    !(side == SIDE_OUTSIDE ? client_turn(&seg, &p, &message)
		                           : server_turn(&seg, &p, &message))) {
			rte_pktmbuf_free(m);
			continue;
		}
		answer(side, queue, m, &seg, &p);
	}
	return n;
}

/* A flood that fills the queues would take the flows' frames their place. */
static bool
has_room(uint16_t queue)
{
	for (unsigned int to = 0; to < peers.plane->n_workers; to++) {
		const struct rte_ring *r = peers.to[SIDE_OUTSIDE][to][queue];
		/* rte_ring_count() reads plainly what others write. */
		if (__atomic_load_n(&r->prod.tail, __ATOMIC_RELAXED) -
		            __atomic_load_n(&r->cons.tail, __ATOMIC_RELAXED) >
		    FLOOD_QUEUED)
			return false;
	}
	return true;
}

/* New flows and the flood begin on the outside, on any queue. */
static void
begin(uint16_t queue)
{
	uint32_t wanted = __atomic_load_n(&peers.wanted, __ATOMIC_RELAXED);
	uint32_t started = __atomic_load_n(&peers.counts.started, __ATOMIC_RELAXED);
	uint16_t flooded = __atomic_load_n(&peers.flooded, __ATOMIC_RELAXED);
	struct rte_mbuf *m;

	if (started < wanted &&
	    started - __atomic_load_n(&peers.counts.done, __ATOMIC_RELAXED) < PEERS_ACTIVE_MAX &&
	    __atomic_compare_exchange_n(&peers.counts.started, &started, started + 1, false,
	                                __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
		struct flow flow = flow_of_number(started);
		m = new_syn(queue, &flow, iss_of(started));
		if (m != NULL)
			deliver(SIDE_OUTSIDE, queue, m, m->pkt_len);
		else
			count(&peers.counts.lost);
	}
	for (unsigned int i = 0; flooded != 0 && i < BURST_FLOOD && has_room(queue); i++) {
		struct flow flow = flow_of_number(0);
		/* 11.0.0.0/8 to 74.0.0.0/8 */
		flow.client = ip_addr_v4(htobe32((11u + (uint32_t)(draw() % 64)) << 24 |
		                                 (uint32_t)(draw() & 0xffffff)));
		flow.client_port_be = htobe16((uint16_t)(1024 + draw() % 60000));
		flow.server_port_be = htobe16(flooded);
		m = new_syn(queue, &flow, (uint32_t)draw());
		if (m == NULL)
			return;
		__atomic_fetch_add(&peers.counts.flood, 1, __ATOMIC_RELAXED);
		deliver(SIDE_OUTSIDE, queue, m, m->pkt_len);
	}
}

/* A callback of the receive function. */
static uint16_t
on_receive(uint16_t port, uint16_t queue, struct rte_mbuf **mbufs, uint16_t n, uint16_t max,
           void *arg)
{
	unsigned int got = n;

	(void)port;
	if (!is_ready())
		return n;
	enum side side = arg == &peers.plane->ports[SIDE_INSIDE] ? SIDE_INSIDE : SIDE_OUTSIDE;
	if (side == SIDE_OUTSIDE)
		begin(queue);
	for (unsigned int from = 0; from < peers.plane->n_workers; from++)
		got += rte_ring_sc_dequeue_burst(peers.to[side][queue][from], (void **)mbufs + got,
		                                 max - got, NULL);
	return (uint16_t)got;
}

int
peers_start(const struct plane *plane)
{
	char name[RTE_RING_NAMESIZE];

	if (plane->n_workers > QUEUES_MAX || plane->n_ports != SIDE_COUNT)
		return -1;
	peers.plane = plane;
	for (unsigned int side = 0; side < SIDE_COUNT; side++) {
		for (unsigned int i = 0; i < plane->n_workers * plane->n_workers; i++) {
			unsigned int to = i / plane->n_workers, from = i % plane->n_workers;
			snprintf(name, sizeof(name), "peers%u-%u-%u", side, from, to);
			peers.to[side][to][from] = rte_ring_create(name, QUEUE_SIZE, SOCKET_ID_ANY,
			                                           RING_F_SP_ENQ | RING_F_SC_DEQ);
			if (peers.to[side][to][from] == NULL)
				return -1;
		}
	}
	for (unsigned int side = 0; side < SIDE_COUNT; side++) {
		const struct plane_port *port = &plane->ports[side];
		for (uint16_t q = 0; q < plane->n_workers; q++)
			if (rte_eth_add_tx_callback(port->id, q, on_sent, (void *)port) == NULL ||
			    rte_eth_add_rx_callback(port->id, q, on_receive, (void *)port) == NULL)
				return -1;
	}
	__atomic_store_n(&peers.ready, true, __ATOMIC_RELEASE);
	return 0;
}

void
peers_open(uint32_t n)
{
	__atomic_store_n(&peers.wanted, n, __ATOMIC_RELAXED);
}

void
peers_flood(uint16_t port)
{
	__atomic_store_n(&peers.flooded, port, __ATOMIC_RELAXED);
}

struct peers_counts
peers_counts(void)
{
	return (struct peers_counts){
		.started = __atomic_load_n(&peers.counts.started, __ATOMIC_RELAXED),
		.done = __atomic_load_n(&peers.counts.done, __ATOMIC_RELAXED),
		.wrong = __atomic_load_n(&peers.counts.wrong, __ATOMIC_RELAXED),
		.reset = __atomic_load_n(&peers.counts.reset, __ATOMIC_RELAXED),
		.lost = __atomic_load_n(&peers.counts.lost, __ATOMIC_RELAXED),
		.flood = __atomic_load_n(&peers.counts.flood, __ATOMIC_RELAXED),
	};
}

void
peers_stop(void)
{
	void *m;

	for (unsigned int side = 0; side < SIDE_COUNT; side++)
		for (unsigned int to = 0; to < QUEUES_MAX; to++)
			for (unsigned int from = 0; from < QUEUES_MAX; from++)
				while (peers.to[side][to][from] != NULL &&
				       rte_ring_dequeue(peers.to[side][to][from], &m) == 0)
					rte_pktmbuf_free(m);
}
