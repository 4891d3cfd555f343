/* SPDX-License-Identifier: BSD-3-Clause */
/* The port of bench_overload.c, and who is behind it: clients and connections that are there. */
#ifndef OVERLOAD_PORT_H
#define OVERLOAD_PORT_H

#include <rte_mbuf.h>

#include "conf.h"
#include "generator_frame.h"
#include "plane_state.h"

#define RING 1024u
#define BUFFERS 4095u
#define FLOOD_FRAMES 128u /* that are made beforehand, and sent again and again */
#define FLOOD_SIZE 74u
#define FRAME_ROOM 256u
#define OUT_MAX 128u

#define HELD 4096u /* more than a ring holds */
#define CLIENTS 4096u
#define CLIENTS_PER_S 20000u
#define WAIT_MS 20u
#define REQUEST_SIZE 64u
#define FIRST_CLIENT RTE_IPV4(10, 64, 0, 0)

enum peer_state {
	PEER_IDLE,
	PEER_SYN_SENT,
	PEER_SENT, /* a request: an acknowledgement is waited for */
	PEER_HELD, /* established, with nothing outstanding */
};

struct peer {
	enum peer_state state;
	uint32_t seq, peer_seq; /* the next of ours, and of the other end's */
	uint16_t port;
	uint64_t until_tsc;
};

struct account {
	uint64_t flood_offered, lost; /* lost: by a ring, of all frames */
	uint64_t held_sent, held_lost;
	uint64_t started, served, no_answer, no_service;
	uint64_t answered;      /* by the worker */
	double seconds, waited; /* waited: for their CPUs, by either thread; a share */
};

/* A frame of a peer. */
struct peer_frame {
	bool is_syn;
	uint16_t len;
	uint8_t bytes[FRAME_ROOM - 4];
};

/* Receive ring of a queue: [head, tail) wait, modulo RING. */
struct ring {
	uint8_t is_peers[RING]; /* else it is of the flood */
	struct peer_frame frames[RING];
	uint32_t head, tail;
	struct rte_mbuf *posted[RING];
};

struct overload {
	struct plane plane;
	struct conf *conf;
	struct worker *worker;
	struct rte_mempool *pool;
	struct target to;
	uint8_t flood[FLOOD_FRAMES][128];
	uint32_t next_flood;

	/* The port: a ring for all, or one for SYNs beside that. */
	struct ring rings[2];
	bool is_steered;
	uint64_t last_tsc, begin_tsc, end_tsc;
	double due, per_tick; /* frames of the flood */
	double held_per_s;    /* segments, of all of them */

	struct peer peers[HELD + CLIENTS]; /* those that are held come first */
	uint32_t next_held, next_client, sweep;
	struct peer_frame out[OUT_MAX]; /* of peers, to come into a ring */
	unsigned int n_out;
	bool has_peers; /* they begin something */
	uint64_t hz;
	struct account account;
};

/* There is one. */
extern struct overload b;

/* Frames of the flood, before the port. */
void overload_flood_make(void);
/* Port 0 of DPDK. 0, or -1: no buffers. */
int overload_port_make(void);
void overload_connect(uint32_t number, uint64_t now_tsc);

#endif
