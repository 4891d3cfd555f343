/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A laboratory for a worker: real workers, buffers and rings of DPDK, and ports that are
 * two lists: what a queue will receive, and what has been sent. EAL runs without hugepages
 * or devices. A worker runs in the test's own thread until its ports have nothing more for it.
 *
 * After each run every buffer must be where it belongs: in its pool, in the list of what
 * was sent, or in a ring. A buffer that leaked, or was freed twice, fails the test.
 */
#ifndef SYNFRONT_WORKER_LAB_H
#define SYNFRONT_WORKER_LAB_H

#include <rte_mbuf.h>

#include "check.h"
#include "frame.h"
#include "burst.h"
#include "housekeeping.h"
#include "mailbox.h"
#include "plane_state.h"
#include "worker.h"
#include "worker_state.h"

#define LAB_WORKERS_MAX 3u
#define LAB_BUFFERS 511u
#define LAB_SENT_MAX 384u
#define LAB_RECEIVED_MAX 320u
#define LAB_ROOM 1024u /* of a buffer, without headroom */
#define LAB_FRAME_MAX 1514u

/* A frame that left: its port and queue, and a copy of its bytes in one piece. */
struct sent {
	struct rte_mbuf *mbuf;
	enum side side;
	unsigned int queue;
	uint8_t bytes[FRAME_SIZE];
	unsigned int len;
};

struct worker_lab {
	struct plane plane;
	struct conf *conf;
	struct sent sent[LAB_SENT_MAX];
	unsigned int n_sent;
	unsigned int tx_room;  /* frames that the ports will still take */
	unsigned int tx_burst; /* most that one call takes */
	bool tx_is_locked;     /* whether the lock was held at each call so far */
	unsigned int n_tx_calls;
};

/* Start EAL; once, before any lab. 0, or -1. */
int worker_lab_eal(void);
/* `services`: lines of the configuration; `n_ports` 1: a responder. */
void worker_lab_init(struct worker_lab *lab, unsigned int n_workers, unsigned int n_ports,
                     const char *services);
/* The same with as many queues for SYNs outside, numbered behind the others. */
void worker_lab_init_syns(struct worker_lab *lab, unsigned int n_workers, unsigned int n_ports,
                          const char *services);
/* Every buffer must be back, but for those that were sent. */
void worker_lab_fini(struct worker_lab *lab);

/* A buffer of worker 0's pool with these bytes, in pieces of `piece` bytes; 0: in one. */
struct rte_mbuf *worker_lab_mbuf(struct worker_lab *lab, const uint8_t *frame, size_t len,
                                 size_t piece);
/* It will be received by this queue. */
void worker_lab_put(struct worker_lab *lab, enum side side, unsigned int queue,
                    struct rte_mbuf *mbuf);
/* Both, of a TCP frame. */
void worker_lab_put_tcp(struct worker_lab *lab, enum side side, const struct frame_spec *spec);
/* Worker `id` runs until its queues were empty `n_empty` times in a row; what left is in
 * lab->sent, from the front. */
void worker_lab_run(struct worker_lab *lab, unsigned int id, unsigned int n_empty);
/* The workers' clock goes on. */
void worker_lab_wait(struct worker_lab *lab, uint64_t ms);

uint64_t worker_lab_count(const struct worker_lab *lab, unsigned int id, enum counter which);
/* Buffers that are in no pool: sent, in rings, or with the test. */
unsigned int worker_lab_out(const struct worker_lab *lab);

/* A segment of the client to the service at `port`, or of the server to it. */
struct frame_spec worker_lab_segment(enum side side, uint16_t port, uint8_t flags, uint32_t seq,
                                     uint32_t ack);
/* A frame that is nothing to the engine. */
size_t worker_lab_other(uint8_t *frame);
/* The handshake of a connection to LAB_PROXY up to the splice; the engine's ISS. */
uint32_t worker_lab_splice(struct worker_lab *lab);

#define LAB_PROXY 80
#define LAB_COOKIES 81
#define LAB_RESPOND 82

extern CU_TestInfo worker_tests[], worker_buffer_tests[], worker_owner_tests[], worker_time_tests[],
	worker_idle_tests[], worker_capture_tests[], worker_syns_tests[];

#endif
