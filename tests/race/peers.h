/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Clients and a server at the two ports of a plane, in memory: what a worker sends is
 * answered at once, and the answer is received by a random queue of that port, whatever the
 * flow. Each flow exchanges PEERS_ROUNDS numbered messages with an echoing server and ends by
 * FIN or RST; whoever answers keeps no state but what the test counts.
 *
 * Runs on the workers' own threads, in receive and transmit callbacks of the ports.
 */
#ifndef SYNFRONT_PEERS_H
#define SYNFRONT_PEERS_H

#include "plane.h"

#define PEERS_ROUNDS 8u
#define PEERS_FLOWS_MAX 20000u
#define PEERS_ACTIVE_MAX 64u /* connections at one time */

/* Relaxed atomics, written by all workers. */
struct peers_counts {
	uint32_t started, done, wrong, reset, lost;
	uint64_t flood;
};

/* To be called once the ports have started. */
int peers_start(const struct plane *plane);
/* Any thread: open flows until `n` have been opened in all. */
void peers_open(uint32_t n);
/* Any thread: SYNs from random sources to `port`, 0 for none any more. */
void peers_flood(uint16_t port);
struct peers_counts peers_counts(void);
/* Number of a flow, by which the test tells them apart; PEERS_FLOWS_MAX for one of the
 * flood. */
uint32_t peers_flow_number(const struct flow *flow);
/* When no worker runs any more: free what is under way. */
void peers_stop(void);

#endif
