/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A SYN flood and real clients on one DPDK port, from one polling thread.
 *
 * The flood is SYNs from random sources in 11.0.0.0 to 126.255.255.255, by IPv6 in
 * 2a00::/8, at a rate or as fast as the port takes them; or blind ACKs, with
 * random numbers, every second one with data. A client, from an address of its own in
 * 10.64.0.0/10, opens a connection (SYN, SYN-ACK, ACK), sends one request, and
 * counts as served when the peer has acknowledged it; a SYN-ACK alone proves
 * nothing, since a cookie costs the peer nothing. What is lost is sent again as
 * RFC 6298 has it. Afterwards the client resets the connection, and waits for its next turn.
 *
 * It shares no code with the engine, so that an error there is not also here.
 * At the end, or on SIGINT or SIGTERM, the account is written to stdout as JSON.
 */
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_random.h>
#include <rte_tcp.h>

#include "generator_frame.h"
#include "latency.h"

#define BURST 32
#define OUT_MAX (4 * BURST)
#define CLIENTS_MAX (1u << 16)
#define CLIENT_NET RTE_IPV4(10, 64, 0, 0)
#define REQUEST_SIZE 64
#define BLIND_SIZE 6
#define TRIES_MAX 4

enum client_state {
	CLIENT_IDLE,
	CLIENT_SYN_SENT,
	CLIENT_REQUEST_SENT
};

struct client {
	enum client_state state;
	uint32_t iss, peer_seq; /* host order; peer_seq is the next that we expect */
	uint16_t port;
	uint8_t tries;
	uint64_t begin_tsc, resend_tsc;
};

struct account {
	uint64_t flood_sent, flood_lost, flood_answered;
	uint64_t started, served, served_at_once, gave_up, refused, syn_again, request_again;
	uint64_t elapsed_tsc;
};

struct generator {
	uint16_t port_id;
	struct rte_mempool *pool;
	struct target to;
	uint32_t rate, client_rate, n_clients, seconds;
	bool has_flood, is_blind, is_ack_flood;
	struct client *clients;
	uint32_t next_client, sweep;
	uint64_t hz;
	struct account account;
	struct latencies connect, serve;
	struct rte_mbuf *out[OUT_MAX];
	unsigned int n_out;
};

static volatile sig_atomic_t stopping;

static void
stop(int number)
{
	(void)number;
	stopping = 1;
}

/* ---- frames ------------------------------------------------------------ */

static void
flush(struct generator *g)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < 64 && n < g->n_out; i++)
		n += rte_eth_tx_burst(g->port_id, 0, g->out + n, (uint16_t)(g->n_out - n));
	rte_pktmbuf_free_bulk(g->out + n, g->n_out - n);
	g->n_out = 0;
}

static void
client_send(struct generator *g, uint32_t number, uint8_t flags, uint32_t seq, uint16_t payload)
{
	struct client *c = &g->clients[number];
	struct rte_mbuf *m = rte_pktmbuf_alloc(g->pool);

	if (m == NULL)
		return;
	frame_write(&g->to,
	            &(struct frame){ .from = CLIENT_NET + number,
	                             .from_port = c->port,
	                             .seq = seq,
	                             .ack = flags & RTE_TCP_ACK_FLAG ? c->peer_seq : 0,
	                             .flags = flags,
	                             .payload_size = payload },
	            m);
	g->out[g->n_out++] = m;
	if (g->n_out == OUT_MAX)
		flush(g);
}

/* ---- clients ------------------------------------------------------------ */

static void
client_start(struct generator *g, uint32_t number, uint64_t now)
{
	struct client *c = &g->clients[number];

	c->state = CLIENT_SYN_SENT;
	c->port = c->port < 65535 && c->port >= 1024 ? (uint16_t)(c->port + 1) : 1024;
	c->iss = (uint32_t)rte_rand();
	c->tries = 1;
	c->begin_tsc = now;
	c->resend_tsc = now + g->hz;
	g->account.started++;
	client_send(g, number, RTE_TCP_SYN_FLAG, c->iss, 0);
}

static void
client_resend(struct generator *g, uint32_t number, uint64_t now)
{
	struct client *c = &g->clients[number];

	if (c->tries == TRIES_MAX) {
		c->state = CLIENT_IDLE;
		g->account.gave_up++;
		return;
	}
	c->resend_tsc = now + (g->hz << c->tries++);
	if (c->state == CLIENT_SYN_SENT) {
		g->account.syn_again++;
		client_send(g, number, RTE_TCP_SYN_FLAG, c->iss, 0);
	} else {
		g->account.request_again++;
		client_send(g, number, RTE_TCP_ACK_FLAG | RTE_TCP_PSH_FLAG, c->iss + 1,
		            REQUEST_SIZE);
	}
}

static void
client_receive(struct generator *g, uint32_t number, const struct rte_tcp_hdr *tcp, uint64_t now)
{
	struct client *c = &g->clients[number];
	uint32_t ack = rte_be_to_cpu_32(tcp->recv_ack);
	const uint8_t syn_ack = RTE_TCP_SYN_FLAG | RTE_TCP_ACK_FLAG;

	if (c->state == CLIENT_IDLE || rte_be_to_cpu_16(tcp->dst_port) != c->port)
		return;
	if (tcp->tcp_flags & RTE_TCP_RST_FLAG) {
		g->account.refused++;
		c->state = CLIENT_IDLE;
		return;
	}
	if (c->state == CLIENT_SYN_SENT) {
		if ((tcp->tcp_flags & syn_ack) != syn_ack || ack != c->iss + 1)
			return;
		c->peer_seq = rte_be_to_cpu_32(tcp->sent_seq) + 1;
		c->state = CLIENT_REQUEST_SENT;
		latency_note(&g->connect, now - c->begin_tsc, g->hz);
		client_send(g, number, RTE_TCP_ACK_FLAG, c->iss + 1, 0);
		client_send(g, number, RTE_TCP_ACK_FLAG | RTE_TCP_PSH_FLAG, c->iss + 1,
		            REQUEST_SIZE);
		return;
	}
	if (ack != c->iss + 1 + REQUEST_SIZE)
		return;
	g->account.served++;
	g->account.served_at_once += c->tries == 1;
	latency_note(&g->serve, now - c->begin_tsc, g->hz);
	client_send(g, number, RTE_TCP_RST_FLAG, c->iss + 1 + REQUEST_SIZE, 0);
	c->state = CLIENT_IDLE;
}

/* Begin as many as are due; a look at a few of those that may have to send again. */
static void
clients_tend(struct generator *g, uint64_t now, uint64_t due, bool is_over)
{
	for (uint32_t i = 0; !is_over && g->account.started < due && i < BURST; i++) {
		uint32_t number = g->next_client++ % g->n_clients;
		if (g->clients[number].state == CLIENT_IDLE)
			client_start(g, number, now);
	}
	for (uint32_t i = 0; i < 8; i++) {
		uint32_t number = g->sweep++ % g->n_clients;
		if (g->clients[number].state != CLIENT_IDLE && now > g->clients[number].resend_tsc)
			client_resend(g, number, now);
	}
	if (g->n_out != 0 && !g->has_flood)
		flush(g);
}

/* ---- the flood ---------------------------------------------------------- */

static void
flood_write(struct generator *g, struct rte_mbuf *m)
{
	uint64_t random = rte_rand();
	uint32_t net = 11 + (uint32_t)(random & 0xff) * 115 / 255;

	struct frame f = { .from = net << 24 | ((uint32_t)(random >> 8) & 0xffffff),
		           .from_port = (uint16_t)(random >> 32 | 1024),
		           .seq = (uint32_t)(random >> 24),
		           .flags = RTE_TCP_SYN_FLAG };

	if (g->is_ack_flood) {
		f.flags = RTE_TCP_ACK_FLAG;
		f.ack = (uint32_t)rte_rand();
		f.payload_size = f.ack & 1 ? BLIND_SIZE : 0;
	}
	frame_write(&g->to, &f, m);
}

/* A burst of the flood, and what clients send at any place in it: where a ring at the other end
 * has room again, the first frames of a burst have it. */
static void
flood_send(struct generator *g)
{
	struct rte_mbuf *flood[BURST], *all[BURST + OUT_MAX];
	bool is_client[BURST + OUT_MAX];
	unsigned int n = BURST + g->n_out, n_clients = g->n_out, n_taken = 0;

	if (rte_pktmbuf_alloc_bulk(g->pool, flood, BURST) != 0)
		return;
	for (unsigned int i = 0; i < n; i++) {
		is_client[i] = rte_rand_max(n - i) < n_clients - n_taken;
		all[i] = is_client[i] ? g->out[n_taken++] : flood[i - n_taken];
		if (!is_client[i])
			flood_write(g, all[i]);
	}
	unsigned int sent = rte_eth_tx_burst(g->port_id, 0, all, (uint16_t)n);
	g->n_out = 0;
	for (unsigned int i = 0; i < n; i++) {
		if (is_client[i] && i >= sent) {
			g->out[g->n_out++] = all[i];
		} else if (!is_client[i] && i >= sent) {
			g->account.flood_lost++;
			rte_pktmbuf_free(all[i]);
		} else if (!is_client[i]) {
			g->account.flood_sent++;
		}
	}
	/* What clients send may wait a little for room. */
	flush(g);
}

static void
receive(struct generator *g, uint64_t now)
{
	struct rte_mbuf *in[BURST];
	uint16_t n = rte_eth_rx_burst(g->port_id, 0, in, BURST);

	for (uint16_t i = 0; i < n; i++) {
		const struct rte_ether_hdr *eth = rte_pktmbuf_mtod(in[i], struct rte_ether_hdr *);
		const struct rte_ipv4_hdr *ip = (const struct rte_ipv4_hdr *)(eth + 1);
		const struct rte_tcp_hdr *tcp = (const struct rte_tcp_hdr *)(ip + 1);
		if (in[i]->data_len < sizeof(*eth) + sizeof(*ip) + sizeof(*tcp) ||
		    eth->ether_type != rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4) ||
		    ip->version_ihl != RTE_IPV4_VHL_DEF || ip->next_proto_id != IPPROTO_TCP ||
		    ip->src_addr != rte_cpu_to_be_32(g->to.address))
			continue;
		uint32_t number = rte_be_to_cpu_32(ip->dst_addr) - CLIENT_NET;
		if (number < g->n_clients)
			client_receive(g, number, tcp, now);
		else if (tcp->tcp_flags == (RTE_TCP_SYN_FLAG | RTE_TCP_ACK_FLAG))
			g->account.flood_answered++;
	}
	rte_pktmbuf_free_bulk(in, n);
}

/* One handshake, so that nothing is sent in vain while the other end still starts. */
static bool
wait_for_peer(struct generator *g)
{
	uint64_t end = rte_rdtsc() + 30 * g->hz;

	while (!stopping && rte_rdtsc() < end) {
		client_start(g, 0, rte_rdtsc());
		flush(g);
		for (unsigned int i = 0; i < 100; i++) {
			rte_delay_us_block(100);
			receive(g, rte_rdtsc());
			if (g->clients[0].state == CLIENT_SYN_SENT)
				continue;
			flush(g);
			g->clients[0].state = CLIENT_IDLE;
			g->account = (struct account){ 0 };
			g->connect.n = g->serve.n = 0;
			return true;
		}
	}
	return false;
}

static void
loop(struct generator *g)
{
	uint64_t begin = rte_rdtsc(), end = begin + g->seconds * g->hz;
	/* Those who began late get as long as all the others. */
	uint64_t last = g->n_clients != 0 ? end + 16 * g->hz : end;
	uint64_t now;

	while (!stopping && (now = rte_rdtsc()) < last) {
		bool is_over = now >= end;
		uint64_t passed_us = (now - begin) / (g->hz / 1000000);
		uint64_t flooded = g->account.flood_sent + g->account.flood_lost;
		if (!g->is_blind)
			receive(g, now);
		/* The flood goes on for as long as any client may still be served. */
		if (g->has_flood &&
		    (g->rate == 0 || flooded + BURST <= passed_us * g->rate / 1000000))
			flood_send(g);
		if (g->n_clients != 0)
			clients_tend(g, now, passed_us * g->client_rate / 1000000, is_over);
		if (is_over && g->account.started ==
		                       g->account.served + g->account.gave_up + g->account.refused)
			break;
	}
	g->account.elapsed_tsc = rte_rdtsc() - begin;
}

/* ---- the account -------------------------------------------------------- */

static void
print_account(struct generator *g)
{
	const struct account *a = &g->account;

	printf("{\"seconds\": %.3f, \"flood_sent\": %" PRIu64 ", \"flood_lost\": %" PRIu64
	       ", \"flood_answered\": %" PRIu64 ", \"started\": %" PRIu64 ", \"served\": %" PRIu64
	       ", \"served_at_once\": %" PRIu64 ", \"gave_up\": %" PRIu64 ", \"refused\": %" PRIu64
	       ", \"syn_again\": %" PRIu64 ", \"request_again\": %" PRIu64,
	       (double)a->elapsed_tsc / (double)g->hz, a->flood_sent, a->flood_lost,
	       a->flood_answered, a->started, a->served, a->served_at_once, a->gave_up, a->refused,
	       a->syn_again, a->request_again);
	latency_print("connect_us", &g->connect);
	latency_print("serve_us", &g->serve);
	printf("}\n");
	fflush(stdout);
}

/* ---- start -------------------------------------------------------------- */

static int
port_start(struct generator *g)
{
	struct rte_eth_conf conf = { 0 };
	uint16_t rxd = 1024, txd = 1024;
	struct rte_eth_link link = { 0 };

	g->pool = rte_pktmbuf_pool_create("generator", 16383, 256, 0, 2048 + RTE_PKTMBUF_HEADROOM,
	                                  SOCKET_ID_ANY);
	if (g->pool == NULL || rte_eth_dev_count_avail() != 1)
		return -1;
	if (rte_eth_dev_configure(g->port_id, 1, 1, &conf) < 0 ||
	    rte_eth_dev_adjust_nb_rx_tx_desc(g->port_id, &rxd, &txd) < 0 ||
	    rte_eth_rx_queue_setup(g->port_id, 0, rxd, SOCKET_ID_ANY, NULL, g->pool) < 0 ||
	    rte_eth_tx_queue_setup(g->port_id, 0, txd, SOCKET_ID_ANY, NULL) < 0 ||
	    rte_eth_macaddr_get(g->port_id, &g->to.own_mac) < 0 ||
	    rte_eth_dev_start(g->port_id) < 0)
		return -1;
	/* The other end of a shared memory port may come later. */
	for (unsigned int i = 0; i < 3000 && !stopping; i++) {
		if (rte_eth_link_get_nowait(g->port_id, &link) == 0 && link.link_status)
			return 0;
		rte_delay_us_sleep(10000);
	}
	return -1;
}

static void
usage(FILE *out)
{
	fputs("usage: generator EAL ARGUMENTS -- [--to ADDRESS] [--port N] [--mac MAC] [--rate "
	      "SYN/S]\n"
	      "                 [--ack] [--clients N --client-rate CONNECTIONS/S] [--blind] "
	      "--seconds N\n"
	      "A rate of 0 is as fast as the port takes them; without --rate there is no flood.\n"
	      "--ack: blind ACKs in place of SYNs.\n"
	      "--blind: do not look at what comes back. Clients are of IPv4 only.\n",
	      out);
}

static int
parse(struct generator *g, int argc, char **argv)
{
	static const struct option options[] = {
		{ "to", required_argument, NULL, 't' },
		{ "port", required_argument, NULL, 'p' },
		{ "mac", required_argument, NULL, 'm' },
		{ "rate", required_argument, NULL, 'r' },
		{ "clients", required_argument, NULL, 'c' },
		{ "client-rate", required_argument, NULL, 'C' },
		{ "seconds", required_argument, NULL, 's' },
		{ "ack", no_argument, NULL, 'a' },
		{ "blind", no_argument, NULL, 'b' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 't':
			if (target_parse(&g->to, optarg) != 0)
				return -1;
			break;
		case 'p':
			g->to.port = (uint16_t)atoi(optarg);
			break;
		case 'm':
			if (rte_ether_unformat_addr(optarg, &g->to.mac) != 0)
				return -1;
			break;
		case 'r':
			g->rate = (uint32_t)strtoul(optarg, NULL, 10);
			g->has_flood = true;
			break;
		case 'c':
			g->n_clients = (uint32_t)strtoul(optarg, NULL, 10);
			break;
		case 'C':
			g->client_rate = (uint32_t)strtoul(optarg, NULL, 10);
			break;
		case 'a':
			g->is_ack_flood = true;
			break;
		case 'b':
			g->is_blind = true;
			break;
		case 's':
			g->seconds = (uint32_t)strtoul(optarg, NULL, 10);
			break;
		default:
			return -1;
		}
	}
	if (g->n_clients > CLIENTS_MAX || (g->n_clients != 0 && g->to.is_v6))
		return -1;
	return g->seconds != 0 && optind == argc ? 0 : -1;
}

int
main(int argc, char **argv)
{
	static struct generator g = { .to = { .address = RTE_IPV4(198, 18, 0, 1),
		                              .port = 80,
		                              .mac = { { 2, 0, 0, 0, 0, 1 } } } };
	int n = rte_eal_init(argc, argv);

	if (n < 0) {
		fprintf(stderr, "generator: EAL does not start: %s\n", rte_strerror(rte_errno));
		return 1;
	}
	if (parse(&g, argc - n, argv + n) != 0) {
		usage(stderr);
		return 2;
	}
	signal(SIGINT, stop);
	signal(SIGTERM, stop);
	g.hz = rte_get_tsc_hz();
	g.clients = calloc(g.n_clients + 1, sizeof(*g.clients));
	if (g.clients == NULL || port_start(&g) != 0) {
		fprintf(stderr, "generator: %s\n",
		        stopping ? "interrupted before the port had started"
		                 : "the port does not start");
		return 1;
	}
	if (g.n_clients != 0 && !wait_for_peer(&g)) {
		fprintf(stderr, "generator: nobody answers\n");
		return 1;
	}
	loop(&g);
	rte_eth_dev_stop(g.port_id);
	print_account(&g);
	rte_eal_cleanup();
	return 0;
}
