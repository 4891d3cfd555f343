/* SPDX-License-Identifier: BSD-3-Clause */
#include "worker_lab.h"

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_malloc.h>
#include <stdio.h>
#include <unistd.h>

#include "cookie.h"
#include "quiescent.h"

#define WALL_S 1700000000u
#define LAB_STARTED_MS 10000u

struct rx_queue {
	enum side side;
	unsigned int number;
	struct rte_mbuf *list[LAB_RECEIVED_MAX];
	unsigned int n, done;
};

static struct {
	struct worker_lab *lab;
	/* Queues for SYNs behind the others. */
	struct rx_queue rx[SIDE_COUNT][2 * LAB_WORKERS_MAX];
	void *rx_data[SIDE_COUNT][2 * LAB_WORKERS_MAX], *tx_data[SIDE_COUNT][LAB_WORKERS_MAX];
	void *no_callbacks[2 * LAB_WORKERS_MAX];
	unsigned int n_empty, n_empty_max; /* polls of the last port in a row */
	bool received;                     /* in this round of polls */
} ports;

static const uint8_t lab_key[OWNER_KEY_SIZE] = { 0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2,
	                                         0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0,
	                                         0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4,
	                                         0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30, 0xf2, 0x0c,
	                                         0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa };

int
worker_lab_eal(void)
{
	/* EAL moves the pointers and keeps the texts. */
	static char texts[][32] = { "worker",
		                    "--no-huge",
		                    "--no-shconf",
		                    "--no-pci",
		                    "--no-telemetry",
		                    "--log-level=*:error",
		                    "-m",
		                    "96",
		                    "--lcores=0",
		                    "" };
	char *argv[RTE_DIM(texts)];

	snprintf(texts[RTE_DIM(texts) - 1], sizeof(texts[0]), "--file-prefix=lab%d", (int)getpid());
	for (unsigned int i = 0; i < RTE_DIM(texts); i++)
		argv[i] = texts[i];
	return rte_eal_init((int)RTE_DIM(texts), argv) < 0 ? -1 : 0;
}

static uint16_t
receive(void *queue, struct rte_mbuf **mbufs, uint16_t n)
{
	struct rx_queue *q = queue;
	struct plane *plane = &ports.lab->plane;
	uint16_t got = 0;

	while (got < n && q->done < q->n)
		mbufs[got++] = q->list[q->done++];
	/* Of SYNs: it comes last, and is no round of its own. */
	if (q->side == SIDE_OUTSIDE && q->number >= plane->ports[SIDE_OUTSIDE].n_rx) {
		if (got != 0) {
			ports.n_empty = 0;
			plane->stopping = false;
		}
		return got;
	}
	if (q->side == SIDE_OUTSIDE)
		ports.received = false;
	ports.received |= got != 0;
	/* The last port of a round. */
	if (q->side + 1u == plane->n_ports) {
		ports.n_empty = ports.received ? 0 : ports.n_empty + 1;
		if (ports.n_empty >= ports.n_empty_max)
			plane->stopping = true;
	}
	return got;
}

static uint16_t
transmit(void *queue, struct rte_mbuf **mbufs, uint16_t n)
{
	struct worker_lab *lab = ports.lab;
	unsigned int number = (unsigned int)((uintptr_t)queue >> 1) - 1;
	enum side side = (uintptr_t)queue & 1;
	uint16_t taken = 0;

	lab->n_tx_calls++;
	lab->tx_is_locked &= rte_spinlock_is_locked(&lab->plane.ports[side].tx_lock) != 0;
	while (taken < n && taken < lab->tx_burst && lab->tx_room > 0 &&
	       lab->n_sent < LAB_SENT_MAX) {
		struct rte_mbuf *m = mbufs[taken++];
		struct sent *s = &lab->sent[lab->n_sent++];
		lab->tx_room--;
		CU_ASSERT_FATAL(m->pkt_len <= sizeof(s->bytes));
		*s = (struct sent){ .mbuf = m, .side = side, .queue = number, .len = m->pkt_len };
		const uint8_t *bytes = rte_pktmbuf_read(m, 0, m->pkt_len, s->bytes);
		if (bytes != s->bytes)
			memcpy(s->bytes, bytes, m->pkt_len);
		rte_mbuf_sanity_check(m, 1);
	}
	return taken;
}

static void
make_ports(struct plane *plane, unsigned int n_workers, unsigned int n_syns)
{
	for (unsigned int side = 0; side < plane->n_ports; side++) {
		struct rte_eth_fp_ops *ops = &rte_eth_fp_ops[side];
		for (unsigned int i = 0; i < 2 * LAB_WORKERS_MAX; i++) {
			ports.rx[side][i] = (struct rx_queue){ .side = side, .number = i };
			ports.rx_data[side][i] = &ports.rx[side][i];
		}
		for (unsigned int i = 0; i < LAB_WORKERS_MAX; i++) {
			/* Never NULL, and even where it is a side. */
			ports.tx_data[side][i] = (void *)(uintptr_t)((i + 1) << 1 | side);
		}
		ops->rx_pkt_burst = receive;
		ops->tx_pkt_burst = transmit;
		ops->rxq.data = ports.rx_data[side];
		ops->txq.data = ports.tx_data[side];
		ops->rxq.clbk = ops->txq.clbk = ports.no_callbacks;
		plane->ports[side] = (struct plane_port){
			.id = (uint16_t)side,
			.mac = { { 2, 0, 0, 0, 0, (uint8_t)side } },
			.n_rx = (uint16_t)n_workers,
			.n_tx = (uint16_t)n_workers,
			.frame_size_max = LAB_FRAME_MAX,
			.sent_size_max = LAB_FRAME_MAX,
			.rx_scatter = true,
			.tx_chains = true,
		};
		rte_spinlock_init(&plane->ports[side].tx_lock);
	}
	plane->ports[SIDE_OUTSIDE].syns.n = (uint16_t)n_syns;
}

static struct conf *
make_conf(unsigned int n_workers, unsigned int n_ports, const char *services)
{
	static const char format[] =
		"ports: {outside: {device: net_null0}%s}\n"
		"workers: {count: %u, idle: poll}\n"
		"memory: {connections: 1k, half_open: 1k, backends: 64, paths: 64,\n"
		"         sources: 1k, held_connections: 64}\n"
		"timeouts: {adopt: 0}\n"
		"telemetry: false\n"
		"services:\n%s";
	struct conf_error err;
	char text[4096];
	int n = snprintf(text, sizeof(text), format,
	                 n_ports == 2 ? ", inside: {device: net_null1}" : "", n_workers, services);
	struct conf *conf = conf_parse(text, (size_t)n, "lab", &err);

	if (conf == NULL)
		fprintf(stderr, "%s\n", err.text);
	return conf;
}

unsigned int
worker_lab_out(const struct worker_lab *lab)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < lab->plane.n_workers; i++)
		n += rte_mempool_in_use_count(lab->plane.pools[i]);
	return n;
}

static void
free_sent(struct worker_lab *lab)
{
	for (unsigned int i = 0; i < lab->n_sent; i++)
		rte_pktmbuf_free(lab->sent[i].mbuf);
	lab->n_sent = 0;
}

static void
release(struct worker_lab *lab)
{
	for (unsigned int i = 0; i < lab->plane.n_workers; i++) {
		worker_free(lab->plane.workers[i]);
		rte_mempool_free(lab->plane.pools[i]);
	}
	rte_free(lab->plane.quiescent);
	rte_free(lab->plane.secrets);
	conf_free(lab->conf);
	ports.lab = NULL;
}

void
worker_lab_fini(struct worker_lab *lab)
{
	free_sent(lab);
	CU_ASSERT_EQUAL(worker_lab_out(lab), 0);
	release(lab);
}

static void
init(struct worker_lab *lab, unsigned int n_workers, unsigned int n_syns, unsigned int n_ports,
     const char *services)
{
	static const uint8_t master[MASTER_SECRET_SIZE] = { 1 };
	struct plane *plane = &lab->plane;

	/* A test that ended early has left its own behind. */
	if (ports.lab != NULL)
		release(ports.lab);
	*lab = (struct worker_lab){ .tx_room = UINT32_MAX, .tx_burst = UINT32_MAX };
	ports.lab = lab;
	lab->conf = make_conf(n_workers, n_ports, services);
	CU_ASSERT_PTR_NOT_NULL_FATAL(lab->conf);
	plane->conf = lab->conf;
	plane->n_ports = n_ports;
	plane->n_workers = n_workers;
	plane->policy = &lab->conf->policy;
	plane->tsc_per_ms = rte_get_tsc_hz() / 1000;
	/* Some time after the start, or all buckets would be empty. */
	plane->base_tsc = rte_rdtsc() - LAB_STARTED_MS * plane->tsc_per_ms;
	plane->base_wall_ms = (uint64_t)WALL_S * 1000;
	plane->secrets = rte_zmalloc(NULL, sizeof(*plane->secrets), 64);
	secret_init(plane->secrets, master, WALL_S + LAB_STARTED_MS / 1000);
	owner_map_init_key(&plane->owners, n_workers, lab_key);
	CU_ASSERT_EQUAL_FATAL(quiescent_init(plane), 0);
	make_ports(plane, n_workers, n_syns);
	for (unsigned int i = 0; i < n_workers; i++) {
		uint8_t seed[64] = { (uint8_t)(i + 1), 7 };
		char name[32];
		snprintf(name, sizeof(name), "lab%u", i);
		plane->pools[i] = rte_pktmbuf_pool_create(name, LAB_BUFFERS, 0, 0,
		                                          LAB_ROOM + RTE_PKTMBUF_HEADROOM, 0);
		CU_ASSERT_PTR_NOT_NULL_FATAL(plane->pools[i]);
		plane->workers[i] = worker_new(plane, i, seed);
		CU_ASSERT_PTR_NOT_NULL_FATAL(plane->workers[i]);
	}
}

void
worker_lab_init(struct worker_lab *lab, unsigned int n_workers, unsigned int n_ports,
                const char *services)
{
	init(lab, n_workers, 0, n_ports, services);
}

void
worker_lab_init_syns(struct worker_lab *lab, unsigned int n_workers, unsigned int n_ports,
                     const char *services)
{
	init(lab, n_workers, n_workers, n_ports, services);
}

struct rte_mbuf *
worker_lab_mbuf(struct worker_lab *lab, const uint8_t *frame, size_t len, size_t piece)
{
	struct rte_mbuf *head = NULL;

	for (size_t done = 0; done < len || head == NULL;) {
		struct rte_mbuf *m = rte_pktmbuf_alloc(lab->plane.pools[0]);
		CU_ASSERT_PTR_NOT_NULL_FATAL(m);
		size_t n = RTE_MIN(len - done, piece != 0 ? piece : LAB_ROOM);
		memcpy(rte_pktmbuf_append(m, (uint16_t)n), frame + done, n);
		done += n;
		/* As of a driver that does not say. */
		m->port = RTE_MBUF_PORT_INVALID;
		if (head == NULL)
			head = m;
		else
			CU_ASSERT_EQUAL_FATAL(rte_pktmbuf_chain(head, m), 0);
	}
	return head;
}

void
worker_lab_put(struct worker_lab *lab, enum side side, unsigned int queue, struct rte_mbuf *mbuf)
{
	struct rx_queue *q = &ports.rx[side][queue];

	(void)lab;
	if (q->done == q->n)
		q->done = q->n = 0;
	CU_ASSERT_FATAL(q->n < LAB_RECEIVED_MAX);
	q->list[q->n++] = mbuf;
}

void
worker_lab_put_tcp(struct worker_lab *lab, enum side side, const struct frame_spec *spec)
{
	uint8_t frame[FRAME_SIZE];
	size_t len = frame_build(frame, spec);

	worker_lab_put(lab, side, 0, worker_lab_mbuf(lab, frame, len, 0));
}

void
worker_lab_run(struct worker_lab *lab, unsigned int id, unsigned int n_empty)
{
	struct worker *w = lab->plane.workers[id];

	free_sent(lab);
	lab->tx_is_locked = true;
	lab->n_tx_calls = 0;
	lab->plane.stopping = false;
	ports.n_empty = 0;
	ports.n_empty_max = n_empty;
	w->is_running = true;
	worker_run(w);
	CU_ASSERT_FALSE(w->is_running);
	for (unsigned int side = 0; side < lab->plane.n_ports; side++)
		CU_ASSERT_FALSE(rte_spinlock_is_locked(&lab->plane.ports[side].tx_lock));
}

void
worker_lab_wait(struct worker_lab *lab, uint64_t ms)
{
	lab->plane.base_tsc -= ms * lab->plane.tsc_per_ms;
	secret_step(lab->plane.secrets,
	            (lab->plane.base_wall_ms +
	             (rte_rdtsc() - lab->plane.base_tsc) / lab->plane.tsc_per_ms) /
	                    1000);
}

uint64_t
worker_lab_count(const struct worker_lab *lab, unsigned int id, enum counter which)
{
	return counter_read(core_counters(lab->plane.workers[id]->core), which);
}

struct frame_spec
worker_lab_segment(enum side side, uint16_t port, uint8_t flags, uint32_t seq, uint32_t ack)
{
	struct frame_spec f = frame_spec_v4();

	f.dst_port = port;
	if (side == SIDE_INSIDE) {
		struct frame_spec g = f;
		memcpy(f.dst_mac, g.src_mac, 6);
		memcpy(f.src_mac, g.dst_mac, 6);
		f.src = g.dst;
		f.dst = g.src;
		f.src_port = g.dst_port;
		f.dst_port = g.src_port;
	}
	f.flags = flags;
	f.seq = seq;
	f.ack = ack;
	f.window = 1000;
	return f;
}

size_t
worker_lab_other(uint8_t *frame)
{
	static const uint8_t head[] = { 2, 0, 0, 0, 0, 1, 6, 1, 2, 3, 4, 5, 0x88, 0xb5 };

	memset(frame, 0x77, 60);
	memcpy(frame, head, sizeof(head));
	return 60;
}

static uint32_t
sequence_of(const struct sent *s)
{
	const uint8_t *p = s->bytes + frame_l4_off(s->bytes) + 4;

	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void
cross(struct worker_lab *lab, enum side side, uint8_t flags, uint32_t seq, uint32_t ack)
{
	static const uint8_t mss[4] = { 2, 4, 4, 0 };
	struct frame_spec f = worker_lab_segment(side, LAB_PROXY, flags, seq, ack);

	if (flags & 2) {
		f.options = mss;
		f.options_len = sizeof(mss);
	}
	worker_lab_put_tcp(lab, side, &f);
	worker_lab_run(lab, 0, 1);
}

uint32_t
worker_lab_splice(struct worker_lab *lab)
{
	/* Nothing is known of the server: this one passes, and teaches. */
	cross(lab, SIDE_OUTSIDE, 0x02, 1, 0);
	cross(lab, SIDE_INSIDE, 0x12, 5, 2);
	cross(lab, SIDE_OUTSIDE, 0x04, 2, 0);
	worker_lab_wait(lab, 120000);
	worker_lab_run(lab, 0, 1);
	cross(lab, SIDE_OUTSIDE, 0x02, 1000, 0);
	CU_ASSERT_EQUAL_FATAL(lab->n_sent, 1);
	uint32_t iss = sequence_of(&lab->sent[0]);
	cross(lab, SIDE_OUTSIDE, 0x10, 1001, iss + 1);
	CU_ASSERT_EQUAL_FATAL(lab->n_sent, 1);
	cross(lab, SIDE_INSIDE, 0x12, 7000, 1001);
	CU_ASSERT_EQUAL(lab->n_sent, 2);
	CU_ASSERT_EQUAL(worker_lab_count(lab, 0, COUNTER_connected), 1);
	return iss;
}
