/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pending records: what is known of a proven client while its server has not
 * answered yet, with its early data. One for each CONNECTING connection; a bounded
 * pool per worker, so nothing of the packet path (no received buffer) is ever kept for
 * a connection that is not there yet.
 *
 * Early data lies in blocks of a second pool, chained per record in the order of the
 * stream. A block holds what one segment of an Ethernet carries, so that a first flight
 * goes on in the segments that it came in. The pool has PENDING_BLOCKS_EACH for each
 * record, and one connection may take as many as `hold_bytes` allows: servers answer
 * within a fraction of a client's round trip, so few records hold much at one time.
 * The first block of every record is reserved; what is free beyond that is shared, and
 * the window that clients are told shrinks when it becomes scarce.
 *
 * Records that have sent the same number of SYNs wait equally long: one list
 * per stage, in order of time, so a timer is a look at the heads. There are two of each:
 * for servers that are known to answer, and for doubtful ones, of which nobody has ever
 * heard or which are down. Anybody can name a thousand addresses and ports where nobody
 * listens and wait there, from one real address: that takes a share of the records and
 * no more. When there is none left the client that has waited longest gives way, since
 * a server that is there answers within a fraction of what the silent ones cost.
 *
 * A record that holds data and is given back while the actions of this call still point
 * into it rests in a list of its own, with its blocks, until pending_settle().
 */
#ifndef SYNFRONT_PENDING_H
#define SYNFRONT_PENDING_H

#include <stddef.h>

#include "flow_index.h"
#include "gauge.h"
#include "tcp_options.h"

#define PENDING_STAGE_ANSWERED 6u /* the list of those that wait for a second SYN-ACK */
#define PENDING_STAGES 7u
#define PENDING_STAGES_ROOM 8u   /* a list is found by shifts */
#define PENDING_NO_STAGE 0xffu   /* of a record in no list */
#define PENDING_BLOCK_SIZE 1536u /* a segment of an Ethernet, in whole cache lines */
#define PENDING_BLOCKS_EACH 3u
/* Of the records at most 1/8 are for clients of doubtful servers. */
#define PENDING_DOUBTFUL_SHARE 8u

enum pending_flag {
	PENDING_FIN = 0x01,         /* the client's FIN stands behind what is held */
	PENDING_CLIENT_GONE = 0x02, /* the client has reset */
	PENDING_RETRIED = 0x04,     /* an old connection of the server was in the way once */
	PENDING_PUSH = 0x08,
	PENDING_REPEATED = 0x10, /* each SYN went out twice */
	PENDING_ANSWERED = 0x20, /* ... and one SYN-ACK has come */
	PENDING_DOUBTFUL = 0x40, /* its server is, or was when it began to wait */
};

/* What the server's SYN-ACK says. */
struct pending_answer {
	uint32_t seq, tsval;
	uint16_t window;
	struct tcp_offer offer;
};

struct pending {
	uint64_t started_ms;
	uint64_t deadline_ms; /* of this stage */
	uint32_t next, prev;
	uint32_t conn;                    /* number of its connection */
	uint32_t backend;                 /* number, or BACKEND_NONE */
	uint32_t iss;                     /* towards the client */
	uint32_t tsval;                   /* the client's latest */
	uint32_t syn_tsval;               /* of the first copy of the SYN that was sent last */
	struct pending_answer answer;     /* once PENDING_ANSWERED */
	uint32_t ts_base;                 /* our TSval towards the client, at started_ms */
	uint32_t held_size;               /* bytes held, from IRS + 1 on */
	uint32_t first_block, last_block; /* of what is held; FLOW_NONE */
	uint32_t net;                     /* hash of the client's net, for votes */
	struct tcp_offer offer;           /* agreed with the client */
	uint8_t promised_wscale;
	uint8_t ttl;     /* as label: segment_ttl() */
	uint32_t label;  /* of what is sent in its name: segment_label() */
	uint16_t window; /* the client's latest, as on the wire */
	uint8_t stage;   /* SYNs sent - 1 */
	uint8_t flags;   /* enum pending_flag */
};

/* Of which kind of server. */
static inline bool
pending_is_doubtful(const struct pending *p)
{
	return (p->flags & PENDING_DOUBTFUL) != 0;
}

struct pending_block {
	uint32_t next; /* of the record, or of the free ones; FLOW_NONE */
	uint32_t size; /* bytes in use */
};

struct pending_table {
	struct pending *records;
	struct pending_block *blocks;
	uint8_t *data; /* n_blocks * PENDING_BLOCK_SIZE */
	uint32_t capacity, used, free, resting;
	uint32_t n_blocks, n_free_blocks, free_block;
	uint32_t n_started; /* records that have their first block, resting ones too */
	uint32_t n_doubtful, doubtful_max;
	struct pending_list {
		uint32_t head, tail;
	} lists[2][PENDING_STAGES_ROOM]; /* of servers that answer, and of doubtful ones */
};

/* Bytes that each record takes with its share of blocks. */
#define PENDING_ENTRY_SIZE        \
	(sizeof(struct pending) + \
	 PENDING_BLOCKS_EACH * (sizeof(struct pending_block) + PENDING_BLOCK_SIZE))

size_t pending_table_size(uint32_t capacity, uint32_t hold_bytes);
/* `memory`: pending_table_size() bytes, 64-byte aligned, any content. `hold_bytes`: what one
 * record may hold; the pool has room for that once beyond what `capacity` brings. */
void pending_table_init(struct pending_table *table, void *memory, uint32_t capacity,
                        uint32_t hold_bytes);
/* Is there a record for a client of such a server? */
static inline bool
pending_has_room(const struct pending_table *table, bool doubtful)
{
	return table->free != FLOW_NONE && (!doubtful || table->n_doubtful < table->doubtful_max);
}

/* Who makes room for it: of those without an answer, and of doubtful ones alone if they have
 * their share, the one that has waited longest. FLOW_NONE: nobody. */
uint32_t pending_gives_way(const struct pending_table *table, bool doubtful);
/* A record in no list, with no flag but PENDING_DOUBTFUL and holding nothing, or FLOW_NONE. All
 * else of it is the caller's to write, and the share of doubtful ones the caller's to keep. */
uint32_t pending_take(struct pending_table *table, bool doubtful);

static inline struct pending_list *
pending_list_of(struct pending_table *table, unsigned int flags, unsigned int stage)
{
	return &table->lists[(flags & PENDING_DOUBTFUL) != 0][stage];
}

/* To the end of a list, from none. */
static inline void
pending_append(struct pending_table *table, struct pending_list *list, uint32_t number)
{
	struct pending *p = &table->records[number];
	uint32_t before = list->tail;

	p->next = FLOW_NONE;
	p->prev = before;
	if (before != FLOW_NONE)
		table->records[before].next = number;
	else
		list->head = number;
	list->tail = number;
}

/* The same as pending_take() and pending_wait() in the first stage, where there is room: the record
 * has these flags. */
static inline uint32_t
pending_start(struct pending_table *table, uint8_t flags, uint64_t deadline_ms)
{
	uint32_t number = table->free;
	struct pending *p = &table->records[number];

	table->free = p->next;
	gauge_add(&table->used, 1);
	table->n_doubtful += (flags & PENDING_DOUBTFUL) != 0;
	p->first_block = p->last_block = FLOW_NONE;
	p->held_size = 0;
	p->stage = 0;
	p->flags = flags;
	p->deadline_ms = deadline_ms;
	pending_append(table, pending_list_of(table, flags, 0), number);
	return number;
}

/* Out of its list, if it is in one. */
static inline void
pending_unlink(struct pending_table *table, struct pending *p)
{
	if (p->stage == PENDING_NO_STAGE)
		return;
	struct pending_list *list = pending_list_of(table, p->flags, p->stage);
	uint32_t next = p->next, prev = p->prev;

	*(prev != FLOW_NONE ? &table->records[prev].next : &list->head) = next;
	*(next != FLOW_NONE ? &table->records[next].prev : &list->tail) = prev;
	p->stage = PENDING_NO_STAGE;
}

/* Take it out of its list and let it rest, if it holds anything. */
static inline void
pending_give(struct pending_table *table, uint32_t number)
{
	struct pending *p = &table->records[number];
	uint32_t *list = p->first_block != FLOW_NONE ? &table->resting : &table->free;

	pending_unlink(table, p);
	table->n_doubtful -= pending_is_doubtful(p);
	p->next = *list;
	*list = number;
	gauge_sub(&table->used, 1);
}
/* Free what rests: no action points to it any more. */
void pending_settle(struct pending_table *table);
/* Free this one, which was given back last: no action points to it. */
void pending_settle_last(struct pending_table *table, uint32_t number);
/* Put it at the end of the list of `stage` (leaving its present one). */
void pending_wait(struct pending_table *table, uint32_t number, unsigned int stage,
                  uint64_t deadline_ms);
/* A record whose deadline has passed, or FLOW_NONE. */
uint32_t pending_due(const struct pending_table *table, uint64_t now_ms);
/* The earliest deadline of all; UINT64_MAX: none waits. */
uint64_t pending_next_ms(const struct pending_table *table);

/* Append `size` bytes, one segment's, to what a record holds. False, and nothing is held of
 * them, if the pool is short. */
bool pending_hold(struct pending_table *table, uint32_t number, const uint8_t *bytes,
                  uint32_t size);
/* The window, in bytes, that a client may be told: `hold_bytes`, or less when blocks are
 * scarce; never less than the smaller of `hold_bytes` and an Ethernet's segment. */
uint32_t pending_window(const struct pending_table *table, uint32_t hold_bytes);

static inline const uint8_t *
pending_block_data(const struct pending_table *table, uint32_t block)
{
	return table->data + (size_t)block * PENDING_BLOCK_SIZE;
}

#endif
