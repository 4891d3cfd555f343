/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The data plane: ports, workers and what they share.
 *
 *   plane_start(conf)   EAL, ports, memory, cores; workers begin to run
 *   plane_publish(...)  another policy for all workers
 *   plane_drain/reset   how a run ends
 *   plane_stop          workers end, ports close; accounts stay readable
 *
 * Ownership: a `struct worker` is written by its own thread alone; other
 * threads read its counters with relaxed loads. What the control thread wants of
 * workers stands in `struct plane` and is looked at in their housekeeping.
 */
#ifndef SYNFRONT_PLANE_H
#define SYNFRONT_PLANE_H

#include <rte_ethdev.h>
#include <rte_mempool.h>
#include <rte_rcu_qsbr.h>
#include <rte_ring.h>
#include <rte_spinlock.h>

#include "conf.h"
#include "core.h"
#include "owner.h"
#include "port_link.h"
#include "worker.h"

_Static_assert(CONF_WORKERS_MAX < RTE_MAX_LCORE, "an lcore for each worker, and control's");

struct plane_port {
	uint16_t id;
	const struct port_conf *conf;
	const char *driver;
	struct rte_ether_addr mac;
	uint16_t n_rx, n_tx;
	uint16_t n_rx_descriptors, n_tx_descriptors;
	int socket;
	uint32_t frame_size_max; /* received, without FCS */
	uint32_t sent_size_max;  /* longer ones are lost here */
	bool rx_checksum;        /* the port says whether TCP checksums are good */
	bool tx_checksum;        /* the port fills them in */
	bool rx_scatter;         /* frames may come in several buffers */
	bool tx_chains;          /* ... and leave in such */
	bool partial_checksums;  /* the kernel behind it may leave them to us */
	bool rss;                /* brings outside segments to their owner */
	rte_spinlock_t tx_lock;  /* taken only where workers share a transmit queue */
	struct port_link link;   /* as control last saw it */
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
	bool sleeps;                     /* idle policy */
	uint64_t base_tsc, base_wall_ms; /* the workers' clock */
	uint64_t tsc_per_ms;

	/* Snapshot of the policy: release by control, acquire by workers. A worker reports
	 * quiescent and then takes the newest; when all have, the old one is freed. */
	const struct policy *policy;
	struct rte_rcu_qsbr *quiescent;

	uint32_t cookies_until_s[SERVICES_MAX]; /* the workers', see struct core_params */

	/* Written by control (relaxed), read by workers. */
	bool draining;
	bool resetting;
	bool stopping;
};

/* 0, or -1 with the reason logged. conf stays in use until plane_fini(). `eal_args`: n
 * more arguments for EAL. */
int plane_start(struct plane *plane, const struct conf *conf, char *const *eal_args,
                unsigned int n_eal_args, const uint8_t master[MASTER_SECRET_SIZE]);

/* Make `policy` everybody's; returns when nobody uses the one before any more. */
void plane_publish(struct plane *plane, const struct policy *policy);

void plane_drain(struct plane *plane, bool on);
bool plane_is_draining(const struct plane *plane);
/* Reset what remains; goes on until plane_live() is 0. */
void plane_reset_remaining(struct plane *plane);
/* Sum of core_live() of all workers, as of their last housekeeping. */
uint64_t plane_live(const struct plane *plane);

/* Stop workers and ports. Everything that was received is accounted for then. */
void plane_stop(struct plane *plane);
/* Give memory back; nothing can be read any more. */
void plane_fini(struct plane *plane);

/* --- within lib/plane --- */

/* eal.c */
int eal_start(const struct conf *conf, char *const *args, unsigned int n_args);
/* Around eal_start() and the start of ports: drivers poll, and wait for no signal of the
 * kernel's. */
void eal_block_signals(void);
void eal_ignore_signals(void);
/* Is `device` a PCI address, not a virtual device? */
bool eal_is_pci(const char *device);
/* lcore of worker i. */
static inline unsigned int
eal_worker_lcore(unsigned int i)
{
	return i + 1;
}

/* port.c */
int port_probe(struct plane *plane, enum side side, const struct port_conf *conf);
int port_start(struct plane *plane, enum side side);
void port_stop(struct plane_port *port);
bool port_is_kernel(const struct plane_port *port);
/* Data room that buffers need, without headroom. */
uint32_t port_buffer_size(const struct plane *plane);

/* memory.c */
/* Bytes for all workers, of hugepages or of ordinary ones. */
uint64_t memory_wanted(const struct conf *conf, bool huge);
int memory_pools(struct plane *plane);
/* Zeroed pages that no core dump has in it and no swap, where that is allowed. NULL when
 * there are none. */
void *memory_secret(size_t size);
void memory_secret_free(void *memory, size_t size);

#endif
