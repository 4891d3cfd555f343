/* SPDX-License-Identifier: BSD-3-Clause */
/* What a worker does between packets, and how it is made and unmade. */
#include <rte_malloc.h>
#include <time.h>

#include "core_share.h"
#include "log.h"
#include "plane.h"
#include "worker.h"

/* Index buckets that a tick sweeps, and how often: at 1 kHz a table of 16 million
 * entries is seen once in about ten seconds, a small one many times a second. */
#define TICK_BUDGET 256u
#define TICK_MS 1u
#define RESET_MAX 16u

/* Empty polls before a worker naps, its first nap and its longest. */
#define NAP_AFTER 64u
#define NAP_US 20u
#define NAP_MAX_US 200u

/* The quiescent state is reported before the policy is read: whoever waits for the report to
 * free an old policy has published the new one before, so that the reading finds the new. */
static void
follow_policy(struct worker *w)
{
	rte_rcu_qsbr_quiescent(w->plane->quiescent, w->id);
	const struct policy *policy = __atomic_load_n(&w->plane->policy, __ATOMIC_ACQUIRE);

	if (policy != w->policy) {
		core_set_policy(w->core, policy);
		w->policy = policy;
	}
}

void
worker_housekeeping(struct worker *w)
{
	struct plane *plane = w->plane;
	bool draining = __atomic_load_n(&plane->draining, __ATOMIC_RELAXED);

	follow_policy(w);
	if (draining != w->draining) {
		core_drain(w->core, draining);
		w->draining = draining;
	}
	if (w->now.now_ms - w->last_tick_ms >= TICK_MS) {
		w->last_tick_ms = w->now.now_ms;
		core_tick(w->core, &w->now, TICK_BUDGET, &w->actions);
		worker_act(w, NULL);
		if (__atomic_load_n(&plane->resetting, __ATOMIC_RELAXED)) {
			core_reset_remaining(w->core, &w->now, RESET_MAX, &w->actions);
			worker_act(w, NULL);
		}
		worker_flush(w);
		__atomic_store_n(&w->account.remaining, core_live(w->core), __ATOMIC_RELAXED);
	}
	mailbox_answer(w);
}

void
worker_idle(struct worker *w, unsigned int n_empty)
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
	int socket = (int)rte_lcore_to_socket_id(eal_worker_lcore(id));
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
