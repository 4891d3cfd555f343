/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Four workers, and every frame on a random queue of its port: segments of one flow arrive
 * anywhere and are handed to its owner. Meanwhile control replaces the policy as fast as it
 * can and frees the one before, and another thread reads all that may be read.
 * Every message comes back as it was written, no connection is lost, each has one owner, a
 * SYN flood is never handed over, and the account adds up.
 *
 * Built with -fsanitize=thread, a data race fails it, too.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "account.h"
#include "log.h"
#include "mailbox.h"
#include "peers.h"
#include "stats.h"

#define N_FLOOD_FLOWS 1000u /* in a flood */
#define N_FLOOD 40000u      /* SYNs, while nothing else arrives */
#define VIEWS 64u
#define PATIENCE_S 120
#define FLOODED_PORT 81

#ifdef __SANITIZE_THREAD__
#define N_FLOWS 3000u /* while everything else goes on, too */
#define POOL_ARGS "  args: [\"--mbuf-pool-ops-name=seen\"]\n"
#else
#define N_FLOWS 15000u
#define POOL_ARGS ""
#endif

static const char conf_text[] =
	"ports:\n"
	"  outside: {device: \"net_null0,no-rx=1\"}\n"
	"  inside: {device: \"net_null1,no-rx=1\"}\n"
	"workers: {count: 4, idle: auto}\n"
	"memory: {connections: 64k, half_open: 4k, backends: 1k, paths: 64, sources: 16k,\n"
	"         held_connections: 1k}\n"
	"services:\n"
	"  - {name: echo, addresses: 198.51.100.1, ports: 80, mode: proxy}\n"
	"  - {name: flooded, addresses: 198.51.100.1, ports: 81, mode: proxy,\n"
	"     half_open: {high: 64, low: 16}}\n"
	"limits:\n"
	"  sources: {half_open_host: 0, half_open_net: 0, syn_per_s_host: 0, syn_per_s_net: 0}\n"
	"  reflection: {per_net_per_s: 0}\n"
	"timeouts: {adopt: 0}\n"
	"telemetry: false\n"
	"log: {level: error}\n"
	"instance: race%d\n"
	"eal:\n"
	"  hugepages: off\n" POOL_ARGS;

static struct plane plane;
static unsigned int n_failed;
static bool over; /* relaxed: the reader ends */

static void
check(bool holds, const char *what, uint64_t got, uint64_t wanted)
{
	printf("%-5s %s: %" PRIu64 ", %" PRIu64 "\n", holds ? "ok" : "FAIL", what, got, wanted);
	fflush(stdout);
	n_failed += !holds;
}

static struct conf *
conf_new(void)
{
	struct conf_error err;
	char text[sizeof(conf_text) + 16];
	int n = snprintf(text, sizeof(text), conf_text, (int)getpid());
	struct conf *conf = conf_parse(text, (size_t)n, "test", &err);

	if (conf == NULL)
		fprintf(stderr, "%s\n", err.text);
	return conf;
}

/* The next connections of a worker after number *at; how many. */
static uint32_t
list(unsigned int worker, uint32_t *at, struct connection_view views[VIEWS])
{
	struct mail mail = { .start = *at, .max = VIEWS, .views = views };

	if (!mailbox_ask(plane.workers[worker], &mail))
		mail.n = mail.next = 0;
	*at = mail.next;
	return mail.n;
}

/* A thread: reads counters, gauges and tables of all workers. */
static void *
read_all(void *arg)
{
	uint64_t *n_read = arg, drawn = 1;

	while (!__atomic_load_n(&over, __ATOMIC_RELAXED)) {
		struct connection_view views[VIEWS];
		struct worker_account account;
		struct counters counters;

		stats_counters(&plane, &counters);
		stats_account(&plane, &account);
		drawn += stats_usage(&plane).connections + stats_service(&plane, 0).opened +
		         plane_live(&plane) + plane_is_draining(&plane);
		for (unsigned int i = 0; i < plane.n_workers; i++)
			for (uint32_t at = 0; list(i, &at, views) != 0 && at != 0;)
				continue;
		++*n_read;
		/* Now and then SYNs pass for a moment. */
		plane_drain(&plane, *n_read % 8 == 0);
	}
	plane_drain(&plane, false);
	return NULL;
}

static double
now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Replace the policy until `n` flows are done; how often. The last one stays. */
static unsigned int
replace_policies(struct conf **live, struct conf_ids *ids, uint32_t n)
{
	struct conf *first = *live;
	double end_s = now_s() + PATIENCE_S;
	unsigned int times = 0;

	while (peers_counts().done < n && now_s() < end_s) {
		struct conf *fresh = conf_new(), *old = *live;
		struct conf_error err;

		if (fresh == NULL || conf_adopt_ids(&old->policy, fresh, ids, &err) != 0)
			break;
		plane_publish(&plane, &fresh->policy);
		secret_step(plane.secrets, (uint64_t)time(NULL));
		if (old != first)
			conf_free(old);
		*live = fresh;
		times++;
	}
	return times;
}

static void
wait_for_flows(uint32_t n)
{
	double end_s = now_s() + PATIENCE_S;

	while (peers_counts().done < n && now_s() < end_s)
		usleep(1000);
}

/* Messages come back, whatever queue they arrive by. */
static void
hammer(struct conf **live, struct conf_ids *ids)
{
	struct worker_account account;
	pthread_t reader;
	uint64_t n_read = 0;

	if (pthread_create(&reader, NULL, read_all, &n_read) != 0) {
		check(false, "a thread that reads", 0, 1);
		return;
	}
	peers_open(N_FLOWS);
	unsigned int times = replace_policies(live, ids, N_FLOWS);
	__atomic_store_n(&over, true, __ATOMIC_RELAXED);
	pthread_join(reader, NULL);

	struct peers_counts c = peers_counts();
	stats_account(&plane, &account);
	check(c.done == N_FLOWS, "flows completed", c.done, N_FLOWS);
	check(c.wrong == 0, "messages or checksums wrong, of none", c.wrong, 0);
	check(c.reset == 0, "flows reset, of none", c.reset, 0);
	check(c.lost == 0, "frames lost by the test itself, of none", c.lost, 0);
	check(times > 0 && n_read > 0, "policies replaced, readings taken", times, n_read);
	check(account.handed_over > N_FLOWS, "segments handed over, more than flows",
	      account.handed_over, N_FLOWS);
}

static unsigned int
workers_in_cookie_mode(uint16_t service)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < plane.n_workers; i++)
		n += core_service_view(plane.workers[i]->core, service).cookie_mode;
	return n;
}

/* Once the workers answer by cookie, not one SYN of a flood changes hands. */
static void
flood(const struct conf *live)
{
	struct worker_account before, after;
	struct peers_counts from, to;
	double end_s = now_s() + PATIENCE_S;
	uint16_t id = live->policy.services[1].id;

	peers_flood(FLOODED_PORT);
	while (workers_in_cookie_mode(id) < plane.n_workers && now_s() < end_s)
		usleep(1000);
	check(workers_in_cookie_mode(id) == plane.n_workers, "workers in cookie mode",
	      workers_in_cookie_mode(id), plane.n_workers);
	usleep(100000); /* what came before is at its owner's */

	stats_account(&plane, &before);
	from = peers_counts();
	do {
		usleep(1000);
		to = peers_counts();
	} while (to.flood - from.flood < N_FLOOD && now_s() < end_s);
	stats_account(&plane, &after);
	check(to.flood - from.flood >= N_FLOOD, "SYNs of the flood, at least",
	      to.flood - from.flood, N_FLOOD);
	check(after.handed_over == before.handed_over, "of these handed over, none",
	      after.handed_over - before.handed_over, 0);

	peers_open(N_FLOWS + N_FLOOD_FLOWS);
	wait_for_flows(N_FLOWS + N_FLOOD_FLOWS);
	peers_flood(0);
	to = peers_counts();
	check(to.done == N_FLOWS + N_FLOOD_FLOWS && to.reset == 0 && to.wrong == 0,
	      "flows completed, those in the flood too", to.done, N_FLOWS + N_FLOOD_FLOWS);
}

/* Each connection is in the table of one worker, the one that the hash names. */
static void
one_owner(void)
{
	static uint8_t seen[PEERS_FLOWS_MAX];
	uint64_t n_seen = 0, n_twice = 0, n_astray = 0;

	for (unsigned int i = 0; i < plane.n_workers; i++) {
		uint32_t at = 0;
		do {
			struct connection_view views[VIEWS];
			uint32_t n = list(i, &at, views);
			for (uint32_t k = 0; k < n; k++) {
				uint32_t number = peers_flow_number(&views[k].flow);
				if (number >= PEERS_FLOWS_MAX)
					continue;
				n_seen++;
				n_twice += seen[number]++;
				n_astray += owner_of_hash(&plane.owners,
				                          owner_hash(&plane.owners, &views[k].flow,
				                                     true)) != i;
			}
		} while (at != 0);
	}
	check(n_seen > 0 && n_twice == 0, "connections in tables, and twice", n_seen, n_twice);
	check(n_astray == 0, "not at their owner's, of none", n_astray, 0);
}

static void
account(void)
{
	struct account_equation rows[ACCOUNT_EQUATIONS];
	struct worker_account account;
	struct counters sum;
	uint64_t remaining = 0;

	stats_counters(&plane, &sum);
	stats_account(&plane, &account);
	for (unsigned int i = 0; i < plane.n_workers; i++)
		remaining += core_remaining(plane.workers[i]->core);
	account_equations(&sum, stats_received(&account), stats_usage(&plane).half_open, remaining,
	                  rows);
	for (unsigned int i = 0; i < ACCOUNT_EQUATIONS; i++)
		check(rows[i].left == rows[i].right, rows[i].text, rows[i].left, rows[i].right);
	check(account.handed_over ==
	              account.taken_over + counter_read(&sum, COUNTER_drop_hand_over),
	      "handed over and taken", account.handed_over, account.taken_over);
	for (unsigned int i = 0; i < plane.n_workers; i++) {
		unsigned int n = rte_mempool_avail_count(plane.pools[i]);
		check(n == plane.pool_size, "buffers back", n, plane.pool_size);
	}
}

int
main(void)
{
	uint8_t master[MASTER_SECRET_SIZE];
	struct conf *first = conf_new(), *live = first;
	struct conf_ids ids = { 0 };

	if (first == NULL || getrandom(master, sizeof(master), 0) != sizeof(master))
		return EXIT_FAILURE;
	log_set_level(CONF_LOG_ERROR);
	conf_mark_ids(&ids, &first->policy);
	if (plane_start(&plane, first, NULL, 0, master) != 0 || peers_start(&plane) != 0)
		return EXIT_FAILURE;
	hammer(&live, &ids);
	flood(live);
	one_owner();
	plane_stop(&plane);
	peers_stop();
	account();
	plane_fini(&plane);
	if (live != first)
		conf_free(live);
	conf_free(first);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
