/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The core: all of the protocol for one worker. Segments in, actions out;
 * time, randomness and memory are arguments.
 *
 *   segment_parse() for each frame, then
 *   core_locate(core, seg, n, &now)              find service and entry, MAC in one batch
 *   core_decide(core, seg, n, &now, &actions)    in order of arrival
 *   ... carry the actions out ...
 *   core_tick(core, &now, budget, &actions)      about once a millisecond
 *
 * Ownership: one thread calls these. Other threads may read counters and
 * core_service_view()s, and nothing else.
 */
#ifndef SYNFRONT_CORE_H
#define SYNFRONT_CORE_H

#include <stddef.h>

#include "actions.h"
#include "conn_table.h"
#include "core_params.h"
#include "counters.h"
#include "heavy.h"
#include "policy.h"
#include "segment.h"

struct core;

/* Bytes of memory that core_init() wants, 64-byte aligned. */
size_t core_size(const struct core_params *params);

/* One table's share of core_size(), for people: returns the number of rows
 * written, at most `max`. */
struct core_memory_row {
	const char *name;
	uint64_t entries;
	uint64_t size;
};
unsigned int core_memory(const struct core_params *params, struct core_memory_row *rows,
                         unsigned int max);

/* Build a core in `memory` (need not be zeroed). `policy` must outlive its use, see core_set_policy(). */
struct core *core_init(void *memory, const struct core_params *params, const struct policy *policy,
                       const struct instant *now);

/* Use another policy from now on. The caller frees the old one when this has returned. */
void core_set_policy(struct core *core, const struct policy *policy);

/* Those of its services that a reload has put before connections which crossed until then
 * (service.adopts) take these over from now on, as all do after a start. Once for each policy. */
void core_adopt_anew(struct core *core, const struct instant *now);

/* Use another set of live lists from now on (NULL: none), or look again at one that has changed in
 * place. As for the policy, the one before is the caller's to free when this has returned. */
struct live_set;
void core_set_lists(struct core *core, const struct live_set *live);

/* Find the service, entry and cookie of each segment; n at most CORE_BURST_MAX. */
void core_locate(struct core *core, struct segment *seg, unsigned int n, const struct instant *now);

/* Decide on each segment in order and append to `out`. */
void core_decide(struct core *core, struct segment *seg, unsigned int n, const struct instant *now,
                 struct actions *out);

/* What was decided of one segment, beside its action. */
struct core_note {
	uint8_t row;    /* core_row_name(); CORE_ROW_NONE: not by the table */
	uint8_t reason; /* enum counter: why it was refused, where its outcome does not say; 0: none */
	/* Under observe: what would have been. */
	bool is_observed;
	uint8_t would_outcome, would_row, would_reason;
};
#define CORE_ROW_NONE 0xffu

/* The same as core_decide(), and a note of each segment. Its action says what it counts as. */
void core_decide_noted(struct core *core, struct segment *seg, unsigned int n,
                       const struct instant *now, struct actions *out, struct core_note *notes);
/* "LISTEN.OUTSIDE.SYN", and what the table says of it; both NULL for CORE_ROW_NONE. */
const char *core_row_name(uint8_t row);
const char *core_row_answer(uint8_t row);

/* Timers and sweeping. `budget`: most index buckets to look at. Pointers
 * in the actions of core_decide() and core_tick() hold until the next call of either or of
 * core_locate(). */
void core_tick(struct core *core, const struct instant *now, unsigned int budget,
               struct actions *out);

/* When core_tick() will have something to do, if no segment comes before: not before
 * now->now_ms, which says that it has now, and at most CORE_QUIET_MAX_MS later, since some
 * clocks of the tables are milliseconds modulo 2^32. Looks at the whole index. */
#define CORE_QUIET_MAX_MS ((uint64_t)INT32_MAX)
uint64_t core_next_ms(const struct core *core, const struct instant *now);

/* Draining: new connections pass untouched, none is spliced any more. */
void core_drain(struct core *core, bool on);
/* Connections that have been opened and not ended: everything but TRACKED and SPENT. */
uint32_t core_remaining(const struct core *core);
/* Of these, the ones that a drain waits for: not those whose both ends have said their last. */
uint32_t core_live(const struct core *core);
/* Send RST to both ends of up to `max` remaining connections (of any age);
 * call until core_remaining() is 0. */
void core_reset_remaining(struct core *core, const struct instant *now, unsigned int max,
                          struct actions *out);

/* What would have been counted for frames under observe; NULL: nothing is ever observed. */
const struct counters *core_would(const struct core *core);
const struct counters *core_counters(const struct core *core);
/* For outcomes that the caller settles itself (neighbour answers, hand-over). */
struct counters *core_counters_own(struct core *core);

/* Fill of the tables; relaxed reads, any thread. */
struct core_usage {
	uint32_t connections, half_open, backends, paths, sources, held;
};
struct core_usage core_usage(const struct core *core);

/* What a service is doing; relaxed reads, any thread. */
struct service_view {
	bool cookie_mode;
	uint32_t half_open;
	uint32_t connections;
	uint64_t syn, syn_ack, opened, refused;
	/* Under observe cookie_mode, half_open and connections are what they would be. */
	bool is_observed;
	uint64_t would_syn_ack, would_opened, would_refused;
};
struct service_view core_service_view(const struct core *core, uint16_t service);

/* One connection for a listing; number from 0 upwards. False past the end. Call
 * it on the owner's thread. */
struct connection_view {
	struct flow flow;
	enum conn_state state;
	uint16_t service;
	uint16_t expires_s; /* from now, unless a segment comes first; CONNECTING: until the
	                     * server is given up */
};
bool core_connection_view(const struct core *core, uint32_t number, const struct instant *now,
                          struct connection_view *view);
/* Entries of the connection table ever used: bound for core_connection_view(). */
uint32_t core_connection_bound(const struct core *core);

/* A server that is taken for down and has answered before; number from 0 upwards, below
 * core_backend_bound(). False if it is no such one. Call it on the owner's thread. */
struct backend_view {
	struct ip_addr addr;
	uint16_t port_be;
};
bool core_down_backend(const struct core *core, uint32_t number, struct backend_view *view);
uint32_t core_backend_bound(const struct core *core);

/* Who sends most to a service, of one outcome: [0] the running window, [1] the one before. A copy,
 * by any thread. False: there is nothing of this number (0..CORE_TALKS_MAX - 1), or it was changing
 * all the time. `would`: what would have been its outcome under observe. */
#define CORE_TALKS_MAX 32u
struct core_talk {
	uint16_t service;
	uint8_t outcome; /* enum counter */
	uint32_t window; /* number of the last one with a frame, of TALK_WINDOW_MS each */
	struct heavy hosts[2], nets[2];
};
bool core_talk(const struct core *core, uint32_t number, bool would, struct core_talk *talk);

/* What it was made with. Any thread. */
const struct core_params *core_params(const struct core *core);

/* The policy in use: who answers ARP and pings needs to know which addresses are protected. */
const struct policy *core_policy(const struct core *core);

/* Were of the last burst's SYNs and unproven ACKs, if it had any, at least an eighth of either
 * family? Then it pays to sort the next one before it is parsed: families_sort(). */
bool core_is_mixed(const struct core *core);

/* Whose a parsed segment is, where several workers share the flows. The core is not const: it
 * notes of the server of a SYN when it was last asked for. */
enum core_whose {
	CORE_HERE,  /* whoever has it: no connection is concerned */
	CORE_OWNER, /* the owner of its flow; of a later fragment: of the first one's */
	CORE_ANY,   /* whoever has it: any segment of mode handoff, or a SYN that is answered by
	             * cookie, or refused, wherever it arrives, and that no worker with this core's
	             * knowledge would pass */
};
enum core_whose core_whose(struct core *core, const struct segment *seg, const struct instant *now);

#endif
