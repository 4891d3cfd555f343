/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SYN-RECEIVED entries: a cache in front of the cookie. Each may go at any
 * moment and its client still gets in.
 *
 *    0  client address        16
 *   16  server address        16
 *   32  client port, server port   2 + 2
 *   36  irs                    4
 *   40  iss                    4
 *   44  tsval                  4
 *   48  deadline_ms            4
 *   52  path                   2
 *   54  service                2
 *   56  next                   4
 *   60  prev                   4
 *
 * Entries with the same number of SYN-ACKs sent wait equally long, so each
 * stage is a list in order of time and a timer is a look at its head.
 */
#ifndef SYNFRONT_HALF_OPEN_H
#define SYNFRONT_HALF_OPEN_H

#include <stdbool.h>
#include <stddef.h>

#include "addr.h"
#include "flow_index.h"

#define HALF_OPEN_STAGES 5u /* SYN-ACKs sent 1..5 */

struct half_open {
	struct flow flow;     /* 0 */
	uint32_t irs;         /* 36 */
	uint32_t iss;         /* 40: a valid cookie */
	uint32_t tsval;       /* 44: the client's, echoed in retransmissions */
	uint32_t deadline_ms; /* 48: of this stage */
	uint16_t path;        /* 52 */
	uint16_t service;     /* 54 */
	uint32_t next, prev;  /* 56: in the list of its stage; these and
	                           * deadline_ms are half_open.c's to write */
} __attribute__((aligned(64)));

_Static_assert(sizeof(struct half_open) == 64, "a half-open entry is one cache line");
_Static_assert(offsetof(struct half_open, irs) == 36 &&
                       offsetof(struct half_open, deadline_ms) == 48 &&
                       offsetof(struct half_open, next) == 56,
               "the map above");

/* What does not fit the line and is read only when an entry is completed or
 * retransmitted. */
struct half_open_side {
	uint32_t ts_sent;        /* our TSval: carries the client's exact options */
	uint16_t mss;            /* the client's */
	uint8_t wscale;          /* the client's, WSCALE_NONE */
	uint8_t promised_wscale; /* ours, WSCALE_NONE */
	uint16_t promised_mss;
	uint8_t options;     /* enum segment_option that the SYN-ACK carries */
	uint8_t said;        /* ... and that the client's SYN has */
	uint8_t said_wscale; /* the scale in it, granted or not */
	uint8_t stage;       /* SYN-ACKs sent - 1; written by half_open_wait() alone */
	bool counted;        /* in the source table */
};

struct half_open_table {
	struct half_open *entries;
	struct half_open_side *sides;
	uint32_t capacity, used, free, fresh;
	uint32_t head[HALF_OPEN_STAGES], tail[HALF_OPEN_STAGES];
};

size_t half_open_table_size(uint32_t capacity);
/* `memory`: half_open_table_size(capacity) bytes, 64-byte aligned, any content. */
void half_open_table_init(struct half_open_table *table, void *memory, uint32_t capacity);
/* A zeroed entry, not in any list; FLOW_NONE when full. */
uint32_t half_open_take(struct half_open_table *table);
/* Unlink and free. */
void half_open_give(struct half_open_table *table, uint32_t number);
/* Append to the list of `stage` (0 ..), moving it from its present list if in one.
 * Deadlines within a stage come in order (modulo 2^32). */
void half_open_wait(struct half_open_table *table, uint32_t number, unsigned int stage,
                    uint32_t deadline_ms);
/* An entry whose deadline has come, or FLOW_NONE. The caller gives it back or lets it
 * wait again. */
uint32_t half_open_due(const struct half_open_table *table, uint32_t now_ms);
/* Milliseconds from `now_ms` until one is due, 0 if one is; UINT32_MAX: none waits. */
uint32_t half_open_left(const struct half_open_table *table, uint32_t now_ms);

#endif
