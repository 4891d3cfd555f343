/* SPDX-License-Identifier: BSD-3-Clause */
/* A worker: how it is made, how it runs, how it rests. */
#include "worker.h"

#include <pthread.h>
#include <rte_malloc.h>
#include <sys/prctl.h>
#include <time.h>

#include "burst.h"
#include "core_share.h"
#include "housekeeping.h"
#include "lcore.h"
#include "log.h"
#include "mailbox.h"
#include "plane_state.h"
#include "quiescent.h"
#include "wall_clock.h"

#define HOUSEKEEPING_LOOPS 256u

/*
 * A round in which some queue had a full burst has not emptied it: SYNs then wait, for so many
 * rounds at most (chosen by scripts/bench overload). So they have one burst in eight rounds at
 * least, and nothing else waits for more than one burst of them.
 */
#define SYN_WAITS_MAX 8u

#define US_PER_MS 1000u
#define NS_PER_US 1000u
/* The kernel lets a sleep last up to 50 us longer to spare a timer, unless told otherwise. */
#define TIMER_SLACK_NS 1ul

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
	if (plane->known.words != NULL)
		params.known = &plane->known;
	params.n_receivers = RTE_MIN(plane->ports[SIDE_OUTSIDE].n_rx, plane->n_workers);
	w->plane = plane;
	w->id = id;
	if (id < plane->ports[SIDE_OUTSIDE].syns.n)
		w->syn_queue = (uint16_t)(plane->ports[SIDE_OUTSIDE].n_rx + id);
	w->socket = socket;
	w->pool = plane->pools[id];
	w->actions = (struct actions){ .list = w->action_list, .max = ACTIONS_MAX };
	w->memo = EMIT_MEMO_NEW;
	w->wakeup.epoll = w->wakeup.event = -1;
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
	wakeup_close(w);
	rte_free(w->linear);
	rte_free(w->core);
	rte_free(w);
}

/* By the clock, or until it is woken. */
static void
sleep_for(struct worker *w, unsigned int us)
{
	struct timespec cpu, pause = { .tv_nsec = (long)(us * NS_PER_US) };

	if (idle_wants_cost(&w->idle) && clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu) == 0)
		idle_charge(&w->idle, (uint64_t)cpu.tv_sec * NS_PER_S + (uint64_t)cpu.tv_nsec);
	w->idle.n_rests++;
	account_count(&w->account.sleeps, 1);
	if (w->idle.way == IDLE_PAUSES)
		clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
	else
		wakeup_wait(w, us);
}

/* A round found nothing. */
static void
rest(struct worker *w)
{
	uint64_t now_us = rte_rdtsc() / RTE_MAX(w->plane->tsc_per_ms / US_PER_MS, UINT64_C(1));
	unsigned int us = idle_rest_us(&w->idle, now_us);

	account_count(&w->account.empty_loops, 1);
	if (us == 0) {
		rte_pause();
	} else if (w->idle.way == IDLE_INTERRUPTS && !w->wakeup.is_armed) {
		/* The next round looks whether something came before. */
		wakeup_arm(w);
	} else {
		sleep_for(w, us);
		/* What has fired has to be armed again, and before that looked after. */
		if (w->wakeup.is_armed && !w->wakeup.has_timed_out)
			wakeup_disarm(w);
	}
}

/* Anybody may ask how much CPU time this thread has had, at no cost to it. */
static void
publish_clock(struct worker *w)
{
	clockid_t clock;

	if (pthread_getcpuclockid(pthread_self(), &clock) == 0)
		__atomic_store_n(&w->cpu_clock, clock, __ATOMIC_RELAXED);
}

/* With what is left of this round, SYNs; how many came. */
static inline unsigned int
receive_syns(struct worker *w, bool is_behind)
{
	if (is_behind && ++w->syn_waits < SYN_WAITS_MAX)
		return 0;
	w->syn_waits = 0;
	return burst_receive_syns(w);
}

/* A round found frames, at these sides (bits). */
static inline void
found(struct worker *w, unsigned int sides)
{
	idle_found(&w->idle);
	if (unlikely(w->wakeup.told != 0 || w->wakeup.has_timed_out))
		wakeup_judge(w, sides);
	if (unlikely(w->wakeup.is_armed))
		wakeup_disarm(w);
}

int
worker_run(void *arg)
{
	struct worker *w = arg;
	struct plane *plane = w->plane;
	unsigned int n_loops = 0;

	if (w->idle.way != IDLE_POLL)
		prctl(PR_SET_TIMERSLACK, TIMER_SLACK_NS);
	publish_clock(w);
	quiescent_join(plane, w->id);
	housekeeping(w);
	while (!__atomic_load_n(&plane->stopping, __ATOMIC_ACQUIRE)) {
		unsigned int n = 0, sides = 0;
		bool is_behind = false;

		w->now.now_ms = (rte_rdtsc() - plane->base_tsc) / plane->tsc_per_ms;
		w->now.wall_ms = wall_clock_next_ms(plane, w->now.now_ms, w->now.wall_ms);
		w->now.secrets = secret_current(plane->secrets);
		for (unsigned int side = 0; side < plane->n_ports; side++) {
			unsigned int got = burst_receive(w, (enum side)side);
			sides |= (got != 0) << side;
			is_behind |= got == BURST;
		}
		if (plane->n_workers > 1)
			n = burst_take_over(w);
		if (w->syn_queue != 0 && receive_syns(w, is_behind || n >= BURST) != 0)
			sides |= 1u << SIDE_OUTSIDE;

		account_count(&w->account.loops, 1);
		bool is_empty = (n | sides) == 0;
		if (++n_loops % HOUSEKEEPING_LOOPS == 0 || (is_empty && w->idle.way != IDLE_POLL))
			housekeeping(w);
		if (is_empty)
			rest(w);
		else
			found(w, sides);
	}
	if (w->wakeup.is_armed)
		wakeup_disarm(w);
	quiescent_leave(plane, w->id);
	__atomic_store_n(&w->is_running, false, __ATOMIC_RELEASE);
	return 0;
}
