/* SPDX-License-Identifier: BSD-3-Clause */
/* Bringing the plane up step by step, taking it down in the order that loses nothing. */
#include "plane.h"

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_launch.h>
#include <rte_malloc.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "buffers.h"
#include "capture.h"
#include "cookie.h"
#include "eal.h"
#include "group_secrets.h"
#include "lcore.h"
#include "lists.h"
#include "log.h"
#include "port.h"
#include "quiescent.h"
#include "secret_memory.h"
#include "wall_clock.h"
#include "worker.h"

/* Negotiation takes some 2 s at 1 Gbit/s; without a cable it never ends. */
#define LINK_WAIT_MS 5000

static int
start_clock(struct plane *plane, const uint8_t master[MASTER_SECRET_SIZE])
{
	uint64_t wall_s = wall_clock_begin(plane);

	plane->secrets = secret_memory_map(sizeof(*plane->secrets));
	if (plane->secrets == NULL) {
		log_error("no memory for the secrets");
		return -1;
	}
	secret_init(plane->secrets, master, wall_s);
	plane->secrets->is_shared = plane->conf->secret_file != NULL && plane->conf->secret_shared;
	group_secrets_of(plane->secrets, plane->policy);
	return 0;
}

static int
start_ports(struct plane *plane)
{
	const struct conf *conf = plane->conf;

	plane->n_ports = conf->has_inside ? 2 : 1;
	if (port_probe(plane, SIDE_OUTSIDE, &conf->outside) != 0 ||
	    (conf->has_inside && port_probe(plane, SIDE_INSIDE, &conf->inside) != 0) ||
	    buffers_make(plane) != 0)
		return -1;
	for (unsigned int side = 0; side < plane->n_ports; side++) {
		if (port_start(plane, (enum side)side) != 0)
			return -1;
		port_link_open(&plane->ports[side], plane->ports, side);
	}
	port_link_wait(plane->ports, plane->n_ports, LINK_WAIT_MS);
	return 0;
}

/* The flows that all workers know; on the node of the first. */
static int
start_known(struct plane *plane)
{
	uint32_t n = plane->conf->memory.known_flows;
	void *memory = rte_malloc_socket(NULL, known_size(n), RTE_CACHE_LINE_SIZE,
	                                 (int)rte_lcore_to_socket_id(lcore_of_worker(0)));
	uint8_t key[64];

	if (memory == NULL) {
		log_error("no memory for known flows (%zu MB)", known_size(n) >> 20);
		return -1;
	}
	if (getrandom(key, sizeof(key), 0) != sizeof(key)) {
		log_error("no randomness: %m");
		rte_free(memory);
		return -1;
	}
	known_init(&plane->known, memory, n, key);
	explicit_bzero(key, sizeof(key));
	return 0;
}

static int
start_workers(struct plane *plane)
{
	uint8_t seed[64];

	if (quiescent_init(plane) != 0)
		return -1;
	for (unsigned int i = 0; i < plane->n_workers; i++) {
		if (getrandom(seed, sizeof(seed), 0) != sizeof(seed)) {
			log_error("no randomness: %m");
			return -1;
		}
		plane->workers[i] = worker_new(plane, i, seed);
		explicit_bzero(seed, sizeof(seed));
		if (plane->workers[i] == NULL)
			return -1;
		plane->workers[i]->idle.way = wakeup_open(plane->workers[i]);
		plane->wakes |= plane->n_workers > 1 &&
		                plane->workers[i]->idle.way == IDLE_INTERRUPTS;
	}
	lists_attach(plane);
	for (unsigned int i = 0; i < plane->n_workers; i++)
		if (rte_eal_remote_launch(worker_run, plane->workers[i], lcore_of_worker(i)) != 0) {
			log_error("worker %u does not start", i);
			return -1;
		}
	return 0;
}

/* EAL leaves it; its telemetry takes its socket away at exit, in a handler that is made
 * later than this one and so runs before it. */
static void
remove_runtime_dir(void)
{
	rmdir(rte_eal_get_runtime_dir());
}

/* The variant of the cookies' cipher, or NULL. */
static const char *
choose_cipher(void)
{
	struct cookie_faults faults;
	const char *name = cookie_select("auto", &faults);

	if (name == NULL && faults.n == 0)
		log_error("this CPU has no AES instructions");
	else if (name == NULL)
		log_error(
			"the AES instructions of this CPU encrypt wrong: no cookie would be good");
	for (unsigned int i = 0; name != NULL && i < faults.n; i++)
		log_warning("the AES instructions of this CPU encrypt wrong as %s: cookies by %s",
		            faults.names[i], name);
	return name;
}

int
plane_start(struct plane *plane, const struct conf *conf, char *const *eal_args,
            unsigned int n_eal_args, const uint8_t master[MASTER_SECRET_SIZE])
{
	const char *cookies;

	memset(plane, 0, sizeof(*plane));
	plane->conf = conf;
	plane->policy = &conf->policy;
	plane->n_workers = conf->workers.count;
	cookies = choose_cipher();
	if (cookies == NULL)
		return -1;
	if (owner_map_init(&plane->owners, plane->n_workers) != 0) {
		log_error("no randomness: %m");
		return -1;
	}
	if (!owner_map_multiply(&plane->owners))
		log_warning("the carry-less multiplication of this CPU is wrong: not used");
	atexit(remove_runtime_dir);
	eal_block_signals();
	if (eal_start(conf, eal_args, n_eal_args) != 0)
		return -1;
	bool has_ports = start_clock(plane, master) == 0 && start_ports(plane) == 0;
	eal_ignore_signals();
	if (!has_ports || start_known(plane) != 0 || start_workers(plane) != 0) {
		plane_stop(plane);
		plane_fini(plane);
		return -1;
	}
	log_info("%u worker%s, %s when idle, cookies by %s", plane->n_workers,
	         plane->n_workers == 1 ? "" : "s", plane_idle(plane), cookies);
	return 0;
}

/* Those without a queue can be woken where others cannot; they say little about the ports. */
const char *
plane_idle(const struct plane *plane)
{
	enum idle_way least = IDLE_INTERRUPTS;

	for (unsigned int i = 0; i < plane->n_workers; i++)
		least = RTE_MIN(least, idle_way(&plane->workers[i]->idle));
	return idle_text(least);
}

void
plane_publish(struct plane *plane, const struct policy *policy)
{
	group_secrets_of(plane->secrets, policy);
	__atomic_store_n(&plane->policy, policy, __ATOMIC_RELEASE);
	quiescent_wait(plane);
}

void
plane_drain(struct plane *plane, bool on)
{
	__atomic_store_n(&plane->draining, on, __ATOMIC_RELAXED);
	quiescent_wait(plane);
}

bool
plane_is_draining(const struct plane *plane)
{
	return __atomic_load_n(&plane->draining, __ATOMIC_RELAXED);
}

void
plane_reset_remaining(struct plane *plane)
{
	__atomic_store_n(&plane->resetting, true, __ATOMIC_RELAXED);
}

uint64_t
plane_live(const struct plane *plane)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < plane->n_workers; i++)
		sum += __atomic_load_n(&plane->workers[i]->account.remaining, __ATOMIC_RELAXED);
	return sum;
}

/* Segments that were on their way from one worker to another when both ended. */
static void
empty_rings(struct plane *plane)
{
	for (unsigned int to = 0; to < plane->n_workers; to++) {
		struct worker *w = plane->workers[to];
		for (unsigned int from = 0; w != NULL && w->from != NULL && from < plane->n_workers;
		     from++) {
			void *m;
			while (w->from[from] != NULL && rte_ring_dequeue(w->from[from], &m) == 0) {
				counter_add(core_counters_own(w->core), COUNTER_drop_hand_over, 1);
				rte_pktmbuf_free(m);
			}
		}
	}
}

void
plane_stop(struct plane *plane)
{
	__atomic_store_n(&plane->stopping, true, __ATOMIC_RELEASE);
	rte_eal_mp_wait_lcore();
	empty_rings(plane);
	for (unsigned int side = 0; side < plane->n_ports; side++)
		if (plane->ports[side].driver != NULL)
			port_stop(&plane->ports[side]);
}

void
plane_fini(struct plane *plane)
{
	for (unsigned int i = 0; i < plane->n_workers; i++) {
		worker_free(plane->workers[i]);
		rte_mempool_free(plane->pools[i]);
		plane->workers[i] = NULL;
	}
	capture_fini(plane);
	rte_free(plane->known.words);
	explicit_bzero(&plane->known, sizeof(plane->known));
	if (plane->secrets != NULL) {
		secret_fini(plane->secrets);
		secret_memory_unmap(plane->secrets, sizeof(*plane->secrets));
	}
	explicit_bzero(&plane->owners, sizeof(plane->owners));
	rte_eal_cleanup();
}
