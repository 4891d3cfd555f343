/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the in-memory benchmark runs on: a core of its own, frames made fresh
 * for each burst (outside the measured time), and the worker's own sequence of
 * calls: parse, locate, decide, carry out.
 */
#ifndef SYNFRONT_LOAD_H
#define SYNFRONT_LOAD_H

#include "core.h"

#define LOAD_BURST 32u
#define LOAD_FRAME_SIZE 2368u /* 37 lines: as far apart as buffers lie in a mempool */

struct load_params {
	bool is_v4;
	uint32_t entries; /* connections or half-open entries the tables are filled with */
	uint32_t n_services;
	uint32_t payload_len;   /* of data segments */
	uint8_t unproven;       /* of the services: enum refusal */
	bool checksum_good;     /* as if hardware had verified received checksums */
	uint32_t unknown_per_s; /* mode handoff: with a shield; 0: without */
	bool last_keeps;        /* the last service answers with state, whatever the others do */
	uint32_t n_workers;     /* among which the policy divides its limits */
	bool captures;          /* each frame is noted and looked at, and none is wanted */
	struct load *beside;    /* another worker, whose policy and secrets this one shares; NULL */
};

/* What the options of a SYN look like, by who sends them. */
enum load_layout {
	LOAD_LINUX,
	LOAD_WINDOWS,
	LOAD_MACOS,
	LOAD_FREEBSD,
	LOAD_SCANNER, /* MSS alone */
	LOAD_LAYOUTS
};

/* One frame to be made: a flow (numbered) and what its TCP header says. */
struct load_frame {
	uint32_t flow;
	uint32_t seq, ack;
	uint32_t tsval, tsecr;
	uint8_t flags;
	uint8_t side;
	bool timestamps;
	bool syn_options;
	uint8_t layout;    /* of these: enum load_layout */
	uint16_t mss;      /* in the options of a SYN; 0: the layout's */
	bool other_family; /* than the load's */
	uint16_t port;     /* of the server; 0: the service's */
	uint16_t payload_len;
};

/* A frame of the burst. */
struct load_taken {
	uint8_t *frame;
	uint32_t len;
	uint8_t side;
};

struct load {
	struct load_params params;
	struct core *core;
	void *memory;
	size_t memory_size;
	struct policy policy;
	struct service *services;
	struct secret_ring secrets;
	struct known known;
	uint32_t *cookies_until_s; /* struct core_params; NULL with one worker */
	struct instant now;
	uint64_t random;
	uint32_t burst_number; /* for rows whose bursts build on each other */
	struct segment segments[LOAD_BURST];
	struct action list[LOAD_BURST * (1 + ACTIONS_PER_EVENT) + 64];
	struct actions actions;
	struct emit_memo memo;
	struct load_taken taken[LOAD_BURST];
	void *order[LOAD_BURST]; /* of those, in which they are looked at */
	uint8_t frames[LOAD_BURST][LOAD_FRAME_SIZE] __attribute__((aligned(64)));
	unsigned int n;
	uint64_t n_out;    /* frames that left */
	uint64_t n_wanted; /* by a capture: 0 */
	uint8_t out[LOAD_FRAME_SIZE] __attribute__((aligned(64)));
	uint32_t last_seq; /* of the last reply: for building on it */
	uint32_t last_tsval;
};

/* A core for these parameters; `half_open` and `cookies` as the policy's. NULL
 * when memory is short. */
struct load *load_init(const struct load_params *params, uint8_t mode, uint8_t cookies,
                       uint32_t half_open, uint32_t connections);
void load_fini(struct load *load);

uint32_t load_random(struct load *load);

/* Put one more frame into the coming burst. */
void load_add(struct load *load, const struct load_frame *frame);

/* Run the burst that stands ready; returns ticks of the time stamp counter. */
uint64_t load_run(struct load *load);

/* The floor: touch every frame and swap its addresses, nothing else. */
uint64_t load_run_floor(struct load *load);

/* Open `n` connections, numbered 0.. n-1, spliced or half-open, by real handshakes. */
bool load_open(struct load *load, uint32_t n);
bool load_half_open(struct load *load, uint32_t n);
/* The server of each of `n` flows, numbered 0.. n-1, speaks, as a shield knows them by. */
void load_known(struct load *load, uint32_t n);
/* The server answers what n connections from `first` on have opened: one burst. */
void load_accept(struct load *load, uint32_t first, uint32_t n);

/* SEQ and ACK of connection `flow` as load_open() left it. */
uint32_t load_client_seq(uint32_t flow);
uint32_t load_server_seq(uint32_t flow);

#endif
