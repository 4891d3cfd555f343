/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Connections: one cache line each, of either family.
 *
 *    0  client address        16
 *   16  server address        16
 *   32  client port, server port   2 + 2
 *   36  irs                    4
 *   40  client_nxt             4
 *   44  server_nxt             4
 *   48  seq_delta | pending | ts_recent | next_free   4
 *   52  ts_delta | offered, syn_at, syn_len | expected   4
 *   56  client_lag 14, server_lag 14, path 14, client_wscale 4, server_wscale 4,
 *       state 4, flags 10: 64 bits
 *
 * Sequence numbers: client_nxt counts in the client's own space (never
 * rewritten); server_nxt in the space that the client sees.
 *   seen by client = server's own + seq_delta (modulo 2^32), likewise ts_delta.
 *
 * While TRACKED, begun by a client's SYN and not CONFIRMED, client_nxt is what the server has
 * acknowledged, before it has answered one above the first SYN; irs is the last SYN's. Flags
 * share bits where no state has both.
 */
#ifndef SYNFRONT_CONN_TABLE_H
#define SYNFRONT_CONN_TABLE_H

#include <stddef.h>

#include "addr.h"
#include "flow_index.h"

enum conn_state {
	CONN_FREE,
	CONN_CONNECTING, /* SYN sent to the server; has a pending record */
	CONN_TRACKED,    /* passed through, never rewritten */
	CONN_SPLICED,
	CONN_CLOSING,    /* both FINs, the client's acknowledged, or an exact RST, seen */
	CONN_RESPONDING, /* mode respond: the engine holds the connection */
	CONN_SPENT,      /* gone; remembered until its cookie has died */
};

/* Flags of every state. */
enum conn_flag {
	CONN_CLIENT_FIN = 0x002, /* its end is client_nxt; counts once acknowledged */
	CONN_SERVER_FIN = 0x004,
	CONN_COUNTED = 0x040, /* counted in the source table */
	CONN_RESET = 0x200,   /* CLOSING, TRACKED: exact RST seen; later traffic cancels */
};

/* Of a connection whose handshake the engine has made: all states but TRACKED. */
enum conn_flag_opened {
	CONN_TIMESTAMPS = 0x001,      /* agreed with the client */
	CONN_CLIENT_DATA = 0x008,     /* the client has sent data */
	CONN_CONVERT = 0x010,         /* SPLICED: windows are converted between two scales */
	CONN_RESET_BY_SERVER = 0x020, /* CLOSING by RST: the server's, not the client's */
	CONN_SERVER_SILENT = 0x020,   /* SPLICED: of the server only its SYN-ACK has come */
	CONN_STRIP_SACK = 0x080,      /* SPLICED: promised to the client, not had by the server */
	CONN_REWRITTEN = 0x100,       /* is or was SPLICED: the deltas apply */
};

/* Of a TRACKED one. CONN_CLIENT_DATA may be set too once it is CONFIRMED, or OUTBOUND. */
enum conn_flag_tracked {
	CONN_SEEDED = 0x001,    /* ADOPTING: client_nxt and server_nxt are the server's view */
	CONN_SPOKEN = 0x001,    /* half-open: the server has spoken, the client not yet since */
	CONN_MISFIT = 0x008,    /* ADOPTING: a segment from outside did not fit that view */
	CONN_ANSWERED = 0x008,  /* half-open: the server has acknowledged a SYN */
	CONN_OUTBOUND = 0x010,  /* opened by a protected host */
	CONN_CONFIRMED = 0x020, /* the handshake is complete, or both directions fit */
	CONN_ADOPTING = 0x080,  /* older than the engine, not yet CONFIRMED */
};

#define CONN_LAG_MAX 0x3fffu

struct conn {
	struct flow flow;    /* 0 */
	uint32_t irs;        /* 36: client's ISS: which SYN opened this; TRACKED: the last one */
	uint32_t client_nxt; /* 40: highest SEQ+LEN seen from the client */
	uint32_t server_nxt; /* 44: the same from the server, as the client sees it */
	union {
		uint32_t seq_delta; /* 48 */
		uint32_t pending;   /* CONNECTING: number of the pending record */
		uint32_t ts_recent; /* RESPONDING, with timestamps: TS.Recent (RFC 7323, 4.3) */
		uint32_t next_free; /* FREE */
	};
	union {
		uint32_t ts_delta; /* 52; 0 while TRACKED and CONFIRMED */
		/* TRACKED, begun by a client's SYN, not CONFIRMED: */
		struct {
			uint8_t offered;  /* enum segment_option that each of its SYNs has and no
			                   * SYN-ACK of the server */
			uint8_t syn_at;   /* when the last one passed: see pass.c */
			uint16_t syn_len; /* octets of data in it (RFC 7413), of several the most */
		};
		uint32_t expected; /* ADOPTING: SEQ that an end that does not fit awaits */
	};
	union {
		/* 56: 64 bits */
		struct {
			uint64_t client_lag : 14;   /* client_nxt - last ACK of the server,
			                           * CONN_LAG_MAX: more */
			uint64_t server_lag : 14;   /* server_nxt - last ACK of the client */
			uint64_t path : 14;         /* path.h */
			uint64_t client_wscale : 4; /* shift of windows that the client sends;
			                             * WSCALE_NONE */
			uint64_t server_wscale : 4; /* shift the server uses */
			uint64_t state : 4;         /* enum conn_state */
			uint64_t flags : 10;        /* enum conn_flag and those of its state */
		};
		uint64_t rest; /* all of them, for who looks at many at once */
	};
} __attribute__((aligned(64)));

/* What is read only where a connection begins, ends, is listed or has its
 * windows converted: kept beside the table, off the packet path. */
struct conn_side {
	uint16_t service : 12;
	uint16_t promised_wscale : 4; /* to the client, WSCALE_NONE */
	uint16_t born_s;              /* opened, seconds modulo 2^16 */
	/* Of what has opened before on the same ports while its cookie lives, the last one
	 * first; 0: none. See incarnation.h. */
	uint16_t before[2];
	union {
		uint32_t ts_echo;    /* SPLICED: TSecr towards the server while it is silent, see
		                   * join.c */
		uint32_t readmitted; /* CLOSING, SPENT: an older ISS that may open, 0: none */
	};
};

/* conn.rest with these fields: of constants, since of anything else a whole entry would be made. */
#define CONN_REST(...) (((struct conn){ __VA_ARGS__ }).rest)

/* Those of its fields that are not constant, all bits set; of `rest` one of them, and a value in its
 * place. */
#define CONN_CLIENT_LAG CONN_REST(.client_lag = CONN_LAG_MAX)
#define CONN_SERVER_LAG CONN_REST(.server_lag = CONN_LAG_MAX)
#define CONN_PATH CONN_REST(.path = 0x3fff)
#define CONN_CLIENT_WSCALE CONN_REST(.client_wscale = 0xf)
#define CONN_SERVER_WSCALE CONN_REST(.server_wscale = 0xf)
#define CONN_STATE CONN_REST(.state = 0xf)
#define CONN_FLAGS CONN_REST(.flags = 0x3ff)

static inline uint32_t
conn_rest_get(uint64_t rest, uint64_t field)
{
	return (uint32_t)((rest & field) >> __builtin_ctzll(field));
}

static inline uint64_t
conn_rest_of(uint64_t field, uint32_t value)
{
	return (uint64_t)value << __builtin_ctzll(field);
}

_Static_assert(sizeof(struct conn) == 64, "a connection is one cache line");
_Static_assert(offsetof(struct conn, irs) == 36 && offsetof(struct conn, seq_delta) == 48 &&
                       offsetof(struct conn, ts_delta) == 52,
               "the map above");
_Static_assert(sizeof(struct conn_side) == 12, "16 Mi of both and their index fit in 1.5 GiB");

struct conn_table {
	struct conn *conns;
	struct conn_side *sides;
	uint32_t capacity;
	uint32_t used;
	uint32_t free;  /* first free entry, FLOW_NONE */
	uint32_t fresh; /* entries from here on have never been used */
	uint32_t hand;  /* clock hand of eviction */
};

size_t conn_table_size(uint32_t capacity);
/* `memory`: conn_table_size(capacity) bytes, 64-byte aligned, with any content:
 * an entry is not touched before it is first taken, so that a huge table starts
 * at once. */
void conn_table_init(struct conn_table *table, void *memory, uint32_t capacity);
/* An entry, or FLOW_NONE when full. All of it and its side is the caller's to write. */
uint32_t conn_table_take(struct conn_table *table);
/* Mark it CONN_FREE and keep it for the next take. What refers to it (index, path,
 * source) is the caller's to undo first. */
void conn_table_give(struct conn_table *table, uint32_t number);

#endif
