/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pending records: what is known of a proven client while its server has not
 * answered yet, with a fixed budget of early data. One for each CONNECTING
 * connection; a bounded pool per worker, so nothing of the packet path (no
 * received buffer) is ever kept for a connection that is not there yet.
 *
 * Records that have sent the same number of SYNs wait equally long: one list
 * per stage, in order of time, so a timer is a look at the heads.
 *
 * A record given back while the actions of this call still point into its data
 * rests in a list of its own until pending_settle().
 */
#ifndef SYNFRONT_PENDING_H
#define SYNFRONT_PENDING_H

#include <stddef.h>

#include "tcp_options.h"

#define PENDING_STAGES 6u

enum pending_flag {
	PENDING_FIN = 0x01,         /* the client's FIN stands behind what is held */
	PENDING_CLIENT_GONE = 0x02, /* the client has reset */
	PENDING_RETRIED = 0x04,     /* an old connection of the server was in the way once */
	PENDING_PUSH = 0x08,
};

struct pending {
	uint64_t started_ms;
	uint64_t deadline_ms; /* of this stage */
	uint32_t next, prev;
	uint32_t conn;          /* number of its connection */
	uint32_t backend;       /* number, or BACKEND_NONE */
	uint32_t iss;           /* towards the client */
	uint32_t tsval;         /* the client's latest */
	uint32_t ts_sent;       /* our TSval that the client echoed */
	uint32_t held_size;     /* bytes held, from IRS + 1 on */
	uint32_t net;           /* hash of the client's net, for votes */
	struct tcp_offer offer; /* agreed with the client */
	uint16_t window;        /* the client's latest, as on the wire */
	uint8_t promised_wscale;
	uint8_t stage; /* SYNs sent - 1 */
	uint8_t flags; /* enum pending_flag */
};

struct pending_table {
	struct pending *records;
	uint8_t *data; /* capacity * data_size */
	uint32_t data_size;
	uint32_t capacity, used, free, resting;
	uint32_t head[PENDING_STAGES], tail[PENDING_STAGES];
};

size_t pending_table_size(uint32_t capacity, uint32_t data_size);
void pending_table_init(struct pending_table *table, void *memory, uint32_t capacity,
                        uint32_t data_size);
/* A zeroed record in no list, or FLOW_NONE. */
uint32_t pending_take(struct pending_table *table);
/* Take it out of its list and let it rest. */
void pending_give(struct pending_table *table, uint32_t number);
/* Free what rests: no action points to it any more. */
void pending_settle(struct pending_table *table);
/* Put it at the end of the list of `stage` (leaving its present one). */
void pending_wait(struct pending_table *table, uint32_t number, unsigned int stage,
                  uint64_t deadline_ms);
/* A record whose deadline has passed, or FLOW_NONE. */
uint32_t pending_due(const struct pending_table *table, uint64_t now_ms);

static inline uint8_t *
pending_data(const struct pending_table *table, uint32_t number)
{
	return table->data + (size_t)number * table->data_size;
}

#endif
