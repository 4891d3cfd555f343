/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a segment costs that arrives at another worker than its owner's: one thread parses,
 * takes the hash and puts the buffer into the ring of another, as hand_over() in
 * lib/plane/burst.c does; the other takes it out and parses again, as burst_take_over(). Buffers
 * come back by a second ring, which is not counted.
 *
 *   bench_hand_over [--json] [--repeats N] GIVER_CPU TAKER_CPU
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include <rte_cycles.h>
#include <rte_launch.h>
#include <rte_mbuf.h>
#include <rte_random.h>
#include <rte_ring.h>

#include "bench_eal.h"
#include "generator_frame.h"
#include "owner.h"
#include "segment.h"

#define BURST 32u
#define BUFFERS 1024u
#define BURSTS 20000u
#define REPEATS_MAX 100u
#define TAKER 1u

enum part {
	PART_PARSE,
	PART_GIVE,
	PART_TAKE,
	PART_COUNT
};

static const struct {
	const char *name, *what;
} parts[PART_COUNT] = {
	{ "parse", "a segment is parsed where it arrives" },
	{ "give", "its owner is found, it is put into the owner's ring" },
	{ "take", "the owner takes it out and parses it" },
};

static struct {
	struct rte_ring *there, *back;
	struct owner_map owners;
	uint64_t taken, taken_ticks; /* the taker's */
	bool stopping;               /* atomic */
} shared;

static void
parse(const struct rte_mbuf *m, struct segment *seg)
{
	segment_parse(seg, rte_pktmbuf_mtod(m, const uint8_t *), m->data_len, m->data_len,
	              SIDE_OUTSIDE);
}

static int
take(void *unused)
{
	struct rte_mbuf *m[BURST];
	struct segment seg[BURST];

	(void)unused;
	while (!__atomic_load_n(&shared.stopping, __ATOMIC_ACQUIRE)) {
		uint64_t begin = rte_rdtsc();
		unsigned int n = rte_ring_sc_dequeue_burst(shared.there, (void **)m, BURST, NULL);
		if (n == 0)
			continue;
		for (unsigned int i = 0; i < n; i++)
			parse(m[i], &seg[i]);
		shared.taken_ticks += rte_rdtsc() - begin;
		shared.taken += n;
		rte_ring_sp_enqueue_bulk(shared.back, (void **)m, n, NULL);
	}
	return 0;
}

/* One repeat: ticks of a segment, by part. */
static void
give(double ticks[PART_COUNT])
{
	uint64_t parsed_ticks = 0, given_ticks = 0;
	uint32_t elsewhere = 0;

	shared.taken = shared.taken_ticks = 0;
	rte_eal_remote_launch(take, NULL, TAKER);
	for (unsigned int burst = 0; burst < BURSTS; burst++) {
		struct rte_mbuf *m[BURST];
		struct segment seg[BURST];
		while (rte_ring_sc_dequeue_bulk(shared.back, (void **)m, BURST, NULL) == 0)
			rte_pause();
		uint64_t begin = rte_rdtsc();
		for (unsigned int i = 0; i < BURST; i++)
			parse(m[i], &seg[i]);
		uint64_t parsed = rte_rdtsc();
		for (unsigned int i = 0; i < BURST; i++) {
			elsewhere += owner_of_hash(&shared.owners,
			                           owner_hash(&shared.owners, &seg[i].flow, true));
			rte_ring_sp_enqueue(shared.there, m[i]);
		}
		given_ticks += rte_rdtsc() - parsed;
		parsed_ticks += parsed - begin;
	}
	while (rte_ring_count(shared.back) != BUFFERS)
		rte_pause();
	__atomic_store_n(&shared.stopping, true, __ATOMIC_RELEASE);
	rte_eal_wait_lcore(TAKER);
	__atomic_store_n(&shared.stopping, false, __ATOMIC_RELEASE);
	/* About half belong to the other; all are given, so that there is one cost. */
	if (elsewhere == 0)
		fprintf(stderr, "bench: no segment has another owner\n");
	ticks[PART_PARSE] = (double)parsed_ticks / (BURSTS * BURST);
	ticks[PART_GIVE] = (double)given_ticks / (BURSTS * BURST);
	ticks[PART_TAKE] = (double)shared.taken_ticks / (double)shared.taken;
}

/* Data segments of as many flows as there are buffers, all of them in the ring back. */
static int
prepare(void)
{
	const struct target to = { .address = RTE_IPV4(198, 18, 0, 1), .port = 80 };
	struct rte_mempool *pool = rte_pktmbuf_pool_create(
		"frames", BUFFERS, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);

	shared.there = rte_ring_create("there", 2 * BUFFERS, SOCKET_ID_ANY,
	                               RING_F_SP_ENQ | RING_F_SC_DEQ);
	shared.back = rte_ring_create("back", 2 * BUFFERS, SOCKET_ID_ANY,
	                              RING_F_SP_ENQ | RING_F_SC_DEQ);
	if (pool == NULL || shared.there == NULL || shared.back == NULL ||
	    owner_map_init(&shared.owners, 2) != 0 || !owner_map_multiply(&shared.owners))
		return -1;
	for (unsigned int i = 0; i < BUFFERS; i++) {
		struct rte_mbuf *m = rte_pktmbuf_alloc(pool);
		if (m == NULL)
			return -1;
		frame_write(&to,
		            &(struct frame){ .from = (uint32_t)rte_rand(),
		                             .from_port = (uint16_t)(1024 + i),
		                             .seq = (uint32_t)rte_rand(),
		                             .ack = (uint32_t)rte_rand(),
		                             .flags = RTE_TCP_ACK_FLAG | RTE_TCP_PSH_FLAG,
		                             .payload_size = 6 },
		            m);
		rte_ring_sp_enqueue(shared.back, m);
	}
	return 0;
}

static int
start(const char *giver, const char *taker)
{
	char lcores[64];

	snprintf(lcores, sizeof(lcores), "0@%.20s,1@%.20s", giver, taker);
	return bench_eal_start(lcores, 32) == 0 && prepare() == 0 ? 0 : -1;
}

static int
ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void
print(enum part part, double *ticks, unsigned int n, bool json)
{
	double per_us = (double)rte_get_tsc_hz() / 1e6;

	qsort(ticks, n, sizeof(*ticks), ascending);
	if (json)
		printf("%s  {\"row\": \"%s\", \"ticks_min\": %.2f, \"ticks_median\": %.2f, "
		       "\"ticks_max\": %.2f, \"ticks_per_us\": %.1f}",
		       part == 0 ? "[\n" : ",\n", parts[part].name, ticks[0], ticks[n / 2],
		       ticks[n - 1], per_us);
	else
		printf("%-6s %7.1f %7.1f %7.1f ticks  %s\n", parts[part].name, ticks[0],
		       ticks[n / 2], ticks[n - 1], parts[part].what);
}

int
main(int argc, char **argv)
{
	static const struct option known[] = { { "json", no_argument, NULL, 'j' },
		                               { "repeats", required_argument, NULL, 'r' },
		                               { NULL, 0, NULL, 0 } };
	static double ticks[PART_COUNT][REPEATS_MAX + 1];
	unsigned long repeats = 11;
	bool json = false, ok = true;

	for (int which; (which = getopt_long(argc, argv, "", known, NULL)) != -1;) {
		if (which == 'j')
			json = true;
		else if (which == 'r')
			repeats = strtoul(optarg, NULL, 10);
		else
			ok = false;
	}
	if (!ok || argc - optind != 2 || repeats == 0 || repeats > REPEATS_MAX) {
		fprintf(stderr,
		        "usage: bench_hand_over [--json] [--repeats 1..%u] GIVER_CPU "
		        "TAKER_CPU\n",
		        REPEATS_MAX);
		return 2;
	}
	if (start(argv[optind], argv[optind + 1]) != 0) {
		fprintf(stderr, "bench: DPDK does not start on CPUs %s and %s\n", argv[optind],
		        argv[optind + 1]);
		return 1;
	}
	/* The first repeat warms up. */
	for (unsigned long i = 0; i <= repeats; i++) {
		double once[PART_COUNT];
		give(once);
		for (unsigned int part = 0; part < PART_COUNT; part++)
			ticks[part][i == 0 ? 0 : i - 1] = once[part];
	}
	for (unsigned int part = 0; part < PART_COUNT; part++)
		print((enum part)part, ticks[part], (unsigned int)repeats, json);
	if (json)
		printf("\n]\n");
	bench_eal_stop();
	return 0;
}
