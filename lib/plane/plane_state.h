/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What ports and workers share; inside lib/plane, and to be looked at from app.
 *
 * Ownership: a `struct worker` is written by its own thread alone; other
 * threads read its counters with relaxed loads. What the control thread wants of
 * workers stands in `struct plane` and is looked at in their housekeeping.
 */
#ifndef SYNFRONT_PLANE_STATE_H
#define SYNFRONT_PLANE_STATE_H

#include <rte_ethdev.h>
#include <rte_mempool.h>
#include <rte_rcu_qsbr.h>
#include <rte_ring.h>
#include <rte_spinlock.h>

#include "conf.h"
#include "core.h"
#include "owner.h"
#include "port_link.h"
#include "syn_queues.h"
#include "worker_state.h"

_Static_assert(CONF_WORKERS_MAX < RTE_MAX_LCORE, "an lcore for each worker, and control's");
_Static_assert(CONF_WORKERS_MAX <= 64, "a bit for each in `waiting`");

struct capture;

struct plane_port {
	uint16_t id;
	const struct port_conf *conf;
	const char *driver;
	struct rte_ether_addr mac;
	uint16_t n_rx, n_tx; /* n_rx: without the queues of SYNs */
	uint16_t n_rx_descriptors, n_tx_descriptors;
	int socket;
	uint32_t frame_size_max; /* received, without FCS */
	uint32_t sent_size_max;  /* longer ones are lost here */
	bool rx_checksum;        /* the port says whether TCP checksums are good */
	bool tx_checksum;        /* the port fills them in */
	bool rx_interrupts;      /* asked for; once workers are there: whether it gives some */
	bool rx_scatter;         /* frames may come in several buffers */
	bool tx_chains;          /* ... and leave in such */
	bool partial_checksums;  /* the kernel behind it may leave them to us */
	bool is_af_packet;       /* its driver is net_af_packet: af_packet.h */
	bool rss;                /* brings outside segments to their owner */
	uint64_t rss_types;      /* that it spreads frames by, 0: not by us */
	uint8_t rss_key_len;     /* ... with so much of our key, 0: with its own */
	struct syn_queues syns;
	rte_spinlock_t tx_lock; /* taken only where workers share a transmit queue */
	struct port_link link;  /* as control last saw it */
};

struct plane {
	const struct conf *conf; /* of the start; ports and sizes are its */
	struct plane_port ports[SIDE_COUNT];
	unsigned int n_ports;
	struct worker *workers[CONF_WORKERS_MAX];
	unsigned int n_workers;
	struct rte_mempool *pools[CONF_WORKERS_MAX];
	uint32_t pool_size;          /* mbufs in each */
	struct secret_ring *secrets; /* written by control */
	struct owner_map owners;
	bool wakes; /* workers may have to wake one another */
	uint64_t base_tsc;
	uint64_t base_wall_ms; /* by control: wall_clock.h */
	uint64_t tsc_per_ms;

	/* Snapshot of the policy: release by control, acquire by workers. A worker reports
	 * quiescent and then takes the newest; when all have, the old one is freed (quiescent.h). */
	const struct policy *policy;
	struct rte_rcu_qsbr *quiescent;
	/* The live lists, in the same way; workers look at them again when the number, which is
	 * written last, is another. */
	const struct live_set *live;
	uint32_t live_changes;

	uint32_t cookies_until_s[SERVICES_MAX]; /* the workers', see struct core_params */
	struct known known;                     /* ... */

	/* What is captured, NULL: nothing. Release by telemetry, acquire by workers once a burst;
	 * freed when all workers have been quiescent since. */
	struct capture *capture;
	/* The same until it is freed, and how many there have been: telemetry's own. */
	struct capture *own_capture;
	uint64_t n_captures;

	/* Written by control (relaxed), read by workers. */
	bool draining;
	bool resetting;
	bool stopping;

	/* A bit for each worker that sleeps and wants to be woken: wakeup.h. On a line of its
	 * own, since all else here is hardly ever written. */
	_Alignas(RTE_CACHE_LINE_SIZE) uint64_t waiting;
};

#endif
