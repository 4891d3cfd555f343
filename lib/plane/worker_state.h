/* SPDX-License-Identifier: BSD-3-Clause */
/* What a worker has: for its thread alone, but for what is marked. */
#ifndef SYNFRONT_WORKER_STATE_H
#define SYNFRONT_WORKER_STATE_H

#include <rte_mempool.h>
#include <rte_ring.h>
#include <time.h>

#include "core.h"
#include "idle.h"
#include "wakeup.h"

struct plane;
struct plane_port;

#define BURST 32u
/* Bytes of each frame that lie in one piece: tags, IPv6 with some extension
 * headers, TCP with all options. */
#define HEAD_SIZE 256u
#define STAGED_MAX 256u
#define HAND_OVER_RING 1024u
#define ACTIONS_MAX (BURST * (1 + ACTIONS_PER_EVENT))

/* Written by the worker, read by anyone; relaxed, as struct counters. */
struct worker_account {
	uint64_t received[SIDE_COUNT];
	uint64_t received_syn; /* of those from outside, by the queues of SYNs */
	uint64_t sent[SIDE_COUNT];
	uint64_t tx_full[SIDE_COUNT];     /* not taken by the port, freed */
	uint64_t alloc_failed;            /* packets not made: no buffer */
	uint64_t unfit;                   /* frames lost: longer than the other port can send */
	uint64_t handed_over, taken_over; /* segments given to and got from other workers */
	uint64_t loops, empty_loops, sleeps;
	uint64_t remaining; /* core_live() */
};

/* Frames that wait for the end of the burst. What is not TCP of a service
 * leaves first, so that it does not share the fate of a flood's answers. */
struct worker_staged {
	unsigned int n_first, n;
	struct rte_mbuf *first[STAGED_MAX];
	struct rte_mbuf *list[STAGED_MAX];
};

/* Questions for the worker, see mailbox.h. */
struct mailbox {
	struct rte_ring *ring;
};

struct worker {
	struct plane *plane;
	struct core *core;
	struct rte_mempool *pool;
	unsigned int id;
	uint16_t syn_queue; /* of the outside port; 0: it has none */
	uint8_t syn_waits;  /* rounds since it was looked at */
	int socket;
	struct instant now;
	uint64_t last_tick_ms;
	const struct policy *policy; /* what the core has now */
	uint32_t live_changes;       /* ... and of the live lists: plane->live_changes */
	bool draining;
	bool is_running;     /* relaxed; false: its mailbox is not read any more */
	clockid_t cpu_clock; /* relaxed; of its thread, 0: it does not run yet */
	struct actions actions;
	struct emit_memo memo;
	struct idle idle; /* its way is read by anyone, relaxed */
	struct wakeup wakeup;
	struct mailbox mailbox;
	struct rte_ring **from; /* [n_workers]: segments handed to us; one writer each */
	struct worker_account account;
	struct worker_staged staged[SIDE_COUNT];
	struct segment segments[BURST];
	uint8_t *linear;      /* room for BURST frames that came in pieces, and one to make */
	uint32_t linear_size; /* for each */
	struct action action_list[ACTIONS_MAX];
};

static inline void
account_count(uint64_t *which, uint64_t n)
{
	__atomic_store_n(which, __atomic_load_n(which, __ATOMIC_RELAXED) + n, __ATOMIC_RELAXED);
}

#endif
