/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who loses first when a worker is offered more SYNs than it can answer: a worker as it is
 * (lib/plane/worker.c) on one CPU, and at its port a flood at a given rate, clients that connect,
 * and connections that are there.
 *
 * The port is a model of a NIC, under DPDK's own calls: what has come since it was last asked goes
 * into a ring of 1024 descriptors by the time stamp counter, and what finds no room is lost,
 * whatever it is; a frame that is received is copied into the buffer that is posted for it, and
 * a new one is posted; what is sent is looked at and freed. So any rate can be offered, and nobody
 * else needs a CPU. Frames of the flood are numbers until they are received.
 *
 *   one       all comes into one ring
 *   steered   SYNs come into a ring of their own (lib/plane/syn_queues.h)
 *
 *   capacity        SYNs answered a second when the one ring is always full: what is lost then costs
 *                   the worker nothing
 *   established     each of HELD connections sends a segment and waits for its acknowledgement, for
 *                   WAIT_MS at most; one that does not come is a segment that was lost
 *   clients         a SYN, and with the SYN-ACK a request, once each: served, or not
 *
 *   bench_overload [--json] [--seconds N] [--times K] [--held SEGMENTS] CPU
 */
#include <dirent.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include <rte_cycles.h>
#include <rte_malloc.h>
#include <rte_random.h>

#include "bench_eal.h"
#include "cookie.h"
#include "overload_port.h"
#include "quiescent.h"
#include "worker.h"

#define SETTLE_S 0.1
#define HELD_PER_S 50000 /* segments of connections that are there */
#define TRIES 8u
#define WAITED_MOST 0.01

struct overload b;

/* ---- one run ------------------------------------------------------------------ */

/* The worker runs for a while. */
static void
run(double seconds, double per_s, bool has_peers)
{
	memset(&b.account, 0, sizeof(b.account));
	b.per_tick = per_s / (double)b.hz;
	b.has_peers = has_peers;
	b.plane.stopping = false;
	b.begin_tsc = b.last_tsc = rte_rdtsc();
	b.end_tsc = b.begin_tsc + (uint64_t)(seconds * (double)b.hz);
	b.due = 0;
	worker_run(b.worker);
	b.account.seconds = (double)(rte_rdtsc() - b.begin_tsc) / (double)b.hz;
}

/* All connections that shall be held are there. */
static void
connect_held(void)
{
	for (bool all = false; !all;) {
		all = true;
		for (uint32_t i = 0; i < HELD; i++) {
			if (b.peers[i].state == PEER_IDLE && b.n_out < OUT_MAX)
				overload_connect(i, rte_rdtsc());
			all &= b.peers[i].state == PEER_HELD;
		}
		run(0.001, 0, false);
	}
}

/* How long the threads of this process have waited for a CPU that somebody else had; s. */
static double
waited(void)
{
	DIR *tasks = opendir("/proc/self/task");
	uint64_t sum = 0;

	for (const struct dirent *task; tasks != NULL && (task = readdir(tasks)) != NULL;) {
		char path[300];
		uint64_t ran, wait;
		snprintf(path, sizeof(path), "/proc/self/task/%s/schedstat", task->d_name);
		FILE *file = fopen(path, "r");
		if (file != NULL && fscanf(file, "%lu %lu", &ran, &wait) == 2)
			sum += wait;
		if (file != NULL)
			fclose(file);
	}
	if (tasks != NULL)
		closedir(tasks);
	return (double)sum / 1e9;
}

static uint64_t
answered(void)
{
	return counter_read(core_counters(b.worker->core), COUNTER_answered_syn_cookie);
}

/* The port has a ring for SYNs, or not. */
static void
steer(bool is_steered)
{
	/* What waits in it is nobody's by then. */
	b.rings[1].tail = b.rings[1].head;
	b.is_steered = is_steered;
	b.plane.ports[SIDE_OUTSIDE].syns.n = is_steered;
	b.worker->syn_queue = is_steered;
}

/* A flood of so many SYNs a second, and all others. */
static struct account
measure(double seconds, double per_s, bool is_steered)
{
	uint64_t before;

	steer(is_steered);
	secret_step(b.plane.secrets,
	            (b.plane.base_wall_ms + (rte_rdtsc() - b.plane.base_tsc) / b.plane.tsc_per_ms) /
	                    1000);
	/* Who has begun in another run may end. */
	run(1.1 * WAIT_MS / 1000, 0, false);
	connect_held();
	run(SETTLE_S, per_s, true);
	before = answered();
	double begin = waited();
	run(seconds, per_s, true);
	struct account a = b.account;
	a.waited = (waited() - begin) / a.seconds;
	a.answered = answered() - before;
	return a;
}

/* A run in which nobody else wanted these CPUs, or the best of some. */
static struct account
measure_quiet(double seconds, double per_s, bool is_steered)
{
	struct account best = { .waited = 1e9 };

	for (unsigned int i = 0; i < TRIES && best.waited > WAITED_MOST; i++) {
		struct account a = measure(seconds, per_s, is_steered);
		if (a.waited < best.waited)
			best = a;
	}
	return best;
}

/* ---- start ------------------------------------------------------------------ */

static const char text[] =
	"ports: {outside: {device: net_null0}}\n"
	"workers: {count: 1, idle: poll}\n"
	"memory: {connections: 2M, half_open: 1k, sources: 4k}\n"
	"telemetry: false\n"
	"services:\n"
	"  - {name: discard, addresses: 198.18.0.0/15, ports: all, mode: respond,\n"
	"     cookies: always}\n"
	"limits:\n"
	"  sources: {half_open_host: 0, half_open_net: 0, syn_per_s_host: 0,\n"
	"            syn_per_s_net: 0}\n"
	"  reflection: {per_net_per_s: 0}\n";

static int
make_plane(void)
{
	static const uint8_t master[MASTER_SECRET_SIZE] = { 1 }, seed[64] = { 7 };
	struct plane *plane = &b.plane;
	struct conf_error err;

	b.conf = conf_parse(text, sizeof(text) - 1, "bench", &err);
	if (b.conf == NULL) {
		fprintf(stderr, "bench: %s\n", err.text);
		return -1;
	}
	plane->conf = b.conf;
	plane->policy = &b.conf->policy;
	plane->n_ports = plane->n_workers = 1;
	plane->tsc_per_ms = b.hz / 1000;
	plane->base_tsc = rte_rdtsc();
	plane->base_wall_ms = UINT64_C(1700000000000);
	plane->secrets = rte_zmalloc(NULL, sizeof(*plane->secrets), 64);
	plane->pools[0] = rte_pktmbuf_pool_create("worker", 1023, 32, 0, RTE_MBUF_DEFAULT_BUF_SIZE,
	                                          SOCKET_ID_ANY);
	if (plane->secrets == NULL || plane->pools[0] == NULL || quiescent_init(plane) != 0 ||
	    owner_map_init(&plane->owners, 1) != 0)
		return -1;
	secret_init(plane->secrets, master, plane->base_wall_ms / 1000);
	plane->ports[SIDE_OUTSIDE] = (struct plane_port){
		.id = 0,
		.n_rx = 1,
		.n_tx = 1,
		.n_rx_descriptors = RING,
		.frame_size_max = 1514,
		.sent_size_max = 1514,
		.rx_scatter = true,
		.tx_chains = true,
	};
	b.worker = plane->workers[0] = worker_new(plane, 0, seed);
	return b.worker != NULL ? 0 : -1;
}

static int
start(const char *cpu)
{
	char lcores[64];

	snprintf(lcores, sizeof(lcores), "0@%.20s", cpu);
	if (bench_eal_start(lcores, 640) != 0 || cookie_select("auto", NULL) == NULL)
		return -1;
	b.hz = rte_get_tsc_hz();
	b.to = (struct target){ .address = RTE_IPV4(198, 18, 0, 1),
		                .port = 80,
		                .own_mac = { { 2, 0, 0, 0, 0, 2 } },
		                .mac = { { 2, 0, 0, 0, 0, 1 } } };
	/* Small ones, so that they lie in few pages, as they would in huge ones. */
	b.pool = rte_pktmbuf_pool_create("frames", BUFFERS, 256, 0,
	                                 RTE_PKTMBUF_HEADROOM + FRAME_ROOM, SOCKET_ID_ANY);
	overload_flood_make();
	if (b.pool == NULL || overload_port_make() != 0)
		return -1;
	return make_plane();
}

static void
print(const char *name, double capacity, const struct account *a, bool json)
{
	double offered = (double)(a->flood_offered + a->started) / a->seconds;
	double per_s = (double)a->answered / a->seconds;

	if (json)
		printf("{\"row\": \"%s\", \"capacity\": %.0f, \"offered\": %.0f, "
		       "\"answered\": %.0f, \"held_sent\": %lu, \"held_lost\": %lu, "
		       "\"started\": %lu, \"served\": %lu, \"no_answer\": %lu, "
		       "\"no_service\": %lu, \"lost\": %lu, \"seconds\": %.3f, "
		       "\"waited\": %.4f, \"ticks_per_us\": %.1f}\n",
		       name, capacity, offered, per_s, a->held_sent, a->held_lost, a->started,
		       a->served, a->no_answer, a->no_service, a->lost, a->seconds, a->waited,
		       (double)b.hz / 1e6);
	else
		printf("%-9s %5.2f M/s offered = %.2f x, answered %5.2f M/s = %.3f, established "
		       "%5.2f M/s, lost %.3f %%, clients served %.2f %% of %lu (no SYN-ACK %lu, "
		       "not served %lu), waited %.1f %%\n",
		       name, offered / 1e6, offered / capacity, per_s / 1e6, per_s / capacity,
		       (double)a->held_sent / a->seconds / 1e6,
		       100.0 * (double)a->held_lost / (double)a->held_sent,
		       100.0 * (double)a->served / (double)a->started, a->started, a->no_answer,
		       a->no_service, 100 * a->waited);
}

int
main(int argc, char **argv)
{
	static const struct option known[] = { { "json", no_argument, NULL, 'j' },
		                               { "seconds", required_argument, NULL, 's' },
		                               { "times", required_argument, NULL, 't' },
		                               { "held", required_argument, NULL, 'h' },
		                               { NULL, 0, NULL, 0 } };
	double seconds = 0.3, times = 3;
	bool json = false, ok = true;

	b.held_per_s = HELD_PER_S;
	for (int which; (which = getopt_long(argc, argv, "", known, NULL)) != -1;) {
		if (which == 'j')
			json = true;
		else if (which == 's')
			seconds = strtod(optarg, NULL);
		else if (which == 't')
			times = strtod(optarg, NULL);
		else if (which == 'h')
			b.held_per_s = strtod(optarg, NULL);
		else
			ok = false;
	}
	if (!ok || argc - optind != 1 || seconds <= 0 || times <= 0 || b.held_per_s < 0) {
		fprintf(stderr, "usage: bench_overload [--json] [--seconds N] [--times K] [--held "
		                "SEGMENTS] CPU\n");
		return 2;
	}
	if (start(argv[optind]) != 0) {
		fprintf(stderr, "bench: DPDK does not start on CPU %s\n", argv[optind]);
		return 1;
	}
	for (unsigned int is_steered = 0; is_steered < 2; is_steered++) {
		/* Shortly before: the machine may be another one a second later. */
		struct account a = measure_quiet(seconds, 1e9, false);
		double capacity = (double)a.answered / a.seconds;
		a = measure_quiet(seconds, times * capacity, is_steered);
		print(is_steered ? "steered" : "one", capacity, &a, json);
	}
	bench_eal_stop();
	return 0;
}
