/* SPDX-License-Identifier: BSD-3-Clause */
/* A worker: how it is made, how it runs, how it rests. */
#include "worker.h"

#include <rte_malloc.h>
#include <time.h>

#include "burst.h"
#include "core_share.h"
#include "housekeeping.h"
#include "lcore.h"
#include "log.h"
#include "mailbox.h"
#include "plane_state.h"

#define HOUSEKEEPING_LOOPS 256u

/* Empty polls before a worker naps, its first nap and its longest. */
#define NAP_AFTER 64u
#define NAP_US 20u
#define NAP_MAX_US 200u

static int
make_rings(struct worker *w)
{
	unsigned int n = w->plane->n_workers;

	w->from = rte_zmalloc_socket(NULL, n * sizeof(*w->from), 0, w->socket);
	if (w->from == NULL)
		return -1;
	for (unsigned int from = 0; from < n; from++) {
		char name[RTE_RING_NAMESIZE];
		if (from == w->id)
			continue;
		snprintf(name, sizeof(name), "hand%u-%u", from, w->id);
		w->from[from] = rte_ring_create(name, HAND_OVER_RING, w->socket,
		                                RING_F_SP_ENQ | RING_F_SC_DEQ);
		if (w->from[from] == NULL)
			return -1;
	}
	return 0;
}

struct worker *
worker_new(struct plane *plane, unsigned int id, const uint8_t seed[64])
{
	int socket = (int)rte_lcore_to_socket_id(lcore_of_worker(id));
	struct core_params params = core_share(plane->conf, seed);
	struct worker *w = rte_zmalloc_socket(NULL, sizeof(*w), 64, socket);

	if (w == NULL)
		goto no_memory;
	if (plane->n_workers > 1)
		params.cookies_until_s = plane->cookies_until_s;
	w->plane = plane;
	w->id = id;
	w->socket = socket;
	w->pool = plane->pools[id];
	w->actions = (struct actions){ .list = w->action_list, .max = ACTIONS_MAX };
	w->memo = EMIT_MEMO_NEW;
	w->linear_size = 0;
	for (unsigned int side = 0; side < plane->n_ports; side++)
		w->linear_size = RTE_MAX(w->linear_size, plane->ports[side].frame_size_max);
	w->linear_size = RTE_MAX(w->linear_size, ACTION_PAYLOAD_MAX + EMIT_HEADER_MAX);
	w->linear_size = RTE_ALIGN(w->linear_size, 64u);
	w->linear = rte_malloc_socket(NULL, (size_t)w->linear_size * (BURST + 1), 64, socket);
	if (w->linear == NULL || make_rings(w) != 0 || mailbox_init(&w->mailbox, id, socket) != 0)
		goto no_memory;

	void *memory = rte_malloc_socket(NULL, core_size(&params), 64, socket);
	if (memory == NULL)
		goto no_memory;
	w->now = (struct instant){
		.wall_ms = plane->base_wall_ms,
		.secrets = secret_current(plane->secrets),
	};
	w->core = core_init(memory, &params, plane->policy, &w->now);
	w->policy = plane->policy;
	w->is_running = true;
	return w;

no_memory:
	log_error("worker %u: no memory on node %d for its tables (%zu MB)", id, socket,
	          core_size(&params) >> 20);
	worker_free(w);
	return NULL;
}

void
worker_free(struct worker *w)
{
	if (w == NULL)
		return;
	for (unsigned int from = 0; w->from != NULL && from < w->plane->n_workers; from++)
		rte_ring_free(w->from[from]);
	rte_free(w->from);
	mailbox_fini(&w->mailbox);
	rte_free(w->linear);
	rte_free(w->core);
	rte_free(w);
}

static void
idle(struct worker *w, unsigned int n_empty)
{
	account_count(&w->account.empty_loops, 1);
	if (!w->plane->sleeps || n_empty < NAP_AFTER) {
		rte_pause();
		return;
	}
	unsigned int doublings = RTE_MIN((n_empty - NAP_AFTER) / 8, 8u);
	unsigned int nap_us = RTE_MIN(NAP_US << doublings, NAP_MAX_US);
	struct timespec nap = { .tv_nsec = (long)nap_us * 1000 };
	account_count(&w->account.sleeps, 1);
	nanosleep(&nap, NULL);
}

int
worker_run(void *arg)
{
	struct worker *w = arg;
	struct plane *plane = w->plane;
	unsigned int n_empty = 0, n_loops = 0;

	rte_rcu_qsbr_thread_register(plane->quiescent, w->id);
	rte_rcu_qsbr_thread_online(plane->quiescent, w->id);
	housekeeping(w);
	while (!__atomic_load_n(&plane->stopping, __ATOMIC_ACQUIRE)) {
		unsigned int n = 0;

		w->now.now_ms = (rte_rdtsc() - plane->base_tsc) / plane->tsc_per_ms;
		w->now.wall_ms = plane->base_wall_ms + w->now.now_ms;
		w->now.secrets = secret_current(plane->secrets);
		for (unsigned int side = 0; side < plane->n_ports; side++)
			n += burst_receive(w, (enum side)side);
		if (plane->n_workers > 1)
			n += burst_take_over(w);

		account_count(&w->account.loops, 1);
		n_empty = n != 0 ? 0 : n_empty + 1;
		if (++n_loops % HOUSEKEEPING_LOOPS == 0 || (n_empty != 0 && plane->sleeps))
			housekeeping(w);
		if (n_empty != 0)
			idle(w, n_empty);
	}
	rte_rcu_qsbr_thread_offline(plane->quiescent, w->id);
	rte_rcu_qsbr_thread_unregister(plane->quiescent, w->id);
	__atomic_store_n(&w->is_running, false, __ATOMIC_RELEASE);
	return 0;
}
