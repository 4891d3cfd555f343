/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Inside a core: what all of its files share. Nothing outside lib/proto
 * includes this.
 */
#ifndef SYNFRONT_CORE_STATE_H
#define SYNFRONT_CORE_STATE_H

#include "backend.h"
#include "cookie_lane.h"
#include "core.h"
#include "emit.h"
#include "flow_hash.h"
#include "flow_index.h"
#include "gauge.h"
#include "half_open.h"
#include "path.h"
#include "pending.h"
#include "rate.h"
#include "seq.h"
#include "source.h"

#define PROMISE_WSCALE 7u       /* where both ends of a cookie cannot know the server's own */
#define PROFILE_UNMADE 0xffu    /* segment.profile: no cookie made yet */
#define PROOF_UNCHECKED 0xffu   /* segment.proof, .probe: no MAC computed yet */
#define FRAGMENTS_TRACKED 1024u /* datagrams whose later fragments may follow, a power of two */
#define LEARN_PASSES_PER_S 8u   /* SYNs a second that may teach about one unknown server */
#define LEARN_ALL_PER_S 256u    /* ... about all of them */
#define PASSES_PER_S 1000u    /* SYNs that pass by policy: signed ones, and refusals of kind pass */
#define TIMERS_PER_TICK 1024u /* half-open entries, and pending records, looked at in one tick */
#define FIT_WINDOW (4u << 20) /* how far apart SEQ and ACK of one connection may lie */
#define OUTBOUND_SHARE 8u     /* protected hosts' own connections take at most 1/8 of the table */
#define ADOPT_SHARE 8u        /* and so do candidates for adoption */
#define UNCONFIRMED_S 10u     /* TRACKED: for the SYN-ACK, or an adopted flow's other direction */
#define WINDOW_MAX (65535u << 14) /* the largest that any receiver can offer */

/* What changes about a service while the engine runs. Written by the worker;
 * cookie_mode, half_open, connections and the sums are read by others, relaxed. What a SYN
 * needs is the first line. */
struct service_state {
	/* Of the policy: service, NULL if none has this id, and copies of its fields. */
	const struct service *service;
	uint8_t mode;
	uint8_t cookies;
	bool is_listed; /* it has allow or deny lists */

	bool cookie_mode;
	uint32_t half_open;
	uint64_t cookies_until_ms; /* a cookie of this service may still be out */
	uint64_t syn, syn_ack;
	uint32_t
		n_cookies; /* SYN-ACKs sent without state in the running second, less those proven */

	uint32_t connections;
	uint64_t opened, refused;
	uint32_t n_new; /* proven in the running second */
	uint32_t second;
} __attribute__((aligned(64)));

_Static_assert(offsetof(struct service_state, connections) <= 64, "a SYN needs one line");

struct promise {
	uint16_t mss;
	uint8_t wscale; /* WSCALE_NONE: does none */
	bool sack, timestamps;
};

/* What a SYN will be answered with, worked out while the burst's cookies are made. */
struct syn_plan {
	struct packet answer;   /* all but the numbers and TSecr */
	struct tcp_offer offer; /* the client's, cut to what is promised for its server */
	uint8_t profile;        /* of the cookie */
};

/* One SYN of a burst. Good as long as segment.profile is not PROFILE_UNMADE. */
struct syn_planned {
	const struct syn_plan *plan;
	struct backend *backend; /* where its server was known; by now another's, perhaps */
	uint64_t net;            /* source_net_hash() of the client */
};

/* A datagram whose first fragment crossed. */
struct fragment {
	uint64_t hash;
	uint32_t until_ms;
	uint32_t left; /* later fragments that may still cross */
};

struct core {
	struct core_params params;
	const struct policy *policy;
	struct counters counters;
	struct flow_index index;
	struct conn_table conns;
	struct half_open_table half_open;
	struct pending_table pending;
	struct backend_table backends;
	struct path_table paths;
	struct source_table sources;
	struct rate syn_rate;   /* by host and net */
	struct rate reflection; /* by net */
	struct rate adopt_rate; /* by net */
	struct recent proven;   /* nets that completed a connection lately */
	struct bucket port_bucket, proven_bucket, rst_bucket, challenge_bucket, pass_bucket;
	struct bucket learn_bucket;
	struct flow_hash_key hash_key;
	uint64_t random; /* state of core_random() */
	uint64_t started_ms;
	uint64_t cookie_out_ms; /* the last cookie of this core dies here: the gate */
	uint32_t n_outbound;    /* TRACKED by SYNs from inside */
	uint32_t n_live;        /* CONNECTING, SPLICED, RESPONDING */
	uint32_t n_closing;
	uint32_t n_adopting;  /* TRACKED candidates */
	uint64_t futile_ms;   /* when eviction last found no victim */
	uint32_t mutations;   /* of the index, in this burst */
	uint32_t reflect_cap; /* this core's share of the policy's per_net_per_s */
	bool draining;
	bool has_orphans;  /* a reload came while there were connections */
	uint64_t ticked_s; /* the last second whose service counts were looked at */
	struct service_state services[SERVICES_MAX]; /* by id */
	struct fragment fragments[FRAGMENTS_TRACKED];
	struct syn_planned syns[CORE_BURST_MAX];   /* by number of the segment in the burst */
	struct syn_plan plans[CORE_BURST_MAX + 1]; /* the last for a SYN by itself */
	/* Of the burst: SYNs by family, and ACKs by family and parity, two tries each. */
	struct cookie_lane syn_lanes[2], ack_lanes[2][2];
};

/* One segment being decided on. */
struct step {
	struct segment *seg;
	uint32_t number;     /* of the segment in the burst */
	uint32_t entry;      /* FLOW_NONE, connection, or FLOW_HALF_OPEN | number */
	struct flow_slot at; /* of the entry in the index */
	const struct service *service;
	struct service_state *state;
	const struct instant *now;
	struct actions *out;
};

static inline void
core_count(struct core *core, enum counter which)
{
	counter_add(&core->counters, which, 1);
}

/* May it be a keep-alive or window probe, whose SEQ is one below (RFC 9293, 3.8.4)? */
static inline bool
segment_may_probe(const struct segment *seg)
{
	return !(seg->flags & TCP_FIN) && seg->payload_len <= 1;
}

/* A shift count for arithmetic: "none" is 0. */
static inline unsigned int
wscale_shift(unsigned int wscale)
{
	return wscale == WSCALE_NONE ? 0 : wscale;
}

/* The window of an ACK that the engine speaks for one end: what may be held,
 * in the scale that the other end goes by (RFC 7323, 2.3); never zero. */
static inline uint16_t
held_window(const struct core *core, unsigned int wscale)
{
	uint32_t window = core->params.hold_bytes >> wscale_shift(wscale);

	return (uint16_t)(window == 0 ? 1 : window);
}

static inline uint16_t
clock_s(const struct instant *now, uint32_t plus_s)
{
	return (uint16_t)(now->now_ms / 1000 + plus_s);
}

/* A limit of the whole engine -> this core's share; 0 stays "no limit". */
static inline uint32_t
core_share(const struct core *core, uint32_t limit)
{
	return limit == 0 ? 0 : (limit + core->params.n_workers - 1) / core->params.n_workers;
}

/* Are connections that are older than the engine still taken over? */
static inline bool
core_adopts(const struct core *core, const struct instant *now)
{
	return now->now_ms - core->started_ms < core->policy->timeouts.adopt * 1000ull;
}

static inline uint32_t
core_random(struct core *core)
{
	/* xorshift64*: for dropping at random, never for secrets. */
	core->random ^= core->random >> 12;
	core->random ^= core->random << 25;
	core->random ^= core->random >> 27;
	return (uint32_t)((core->random * 0x2545f4914f6cdd1dull) >> 32);
}

/* act.c: appending actions. Each that takes an outcome counts it. */
void act_drop(struct core *core, struct step *step, enum counter outcome);
void act_forward(struct core *core, struct step *step, enum counter outcome);
struct rewrite *act_edit(struct core *core, struct step *step, enum counter outcome);
/* The packets come zeroed but for flags. */
struct packet *act_reply(struct core *core, struct step *step, enum counter outcome, uint8_t flags);
/* The same for a packet that is ready but for what the caller still changes. */
struct packet *act_reply_with(struct core *core, struct step *step, enum counter outcome,
                              const struct packet *packet);
struct packet *act_onward(struct core *core, struct step *step, enum counter outcome,
                          uint8_t flags);
/* A packet of its own. `link` NULL: from the path; NULL if there is none or no room. */
struct packet *act_send(struct core *core, struct actions *out, const struct flow *flow,
                        uint16_t path, const struct link *link, enum side side, uint8_t flags);
/* RST as RFC 9293 3.10.7.1 wants it, under the caps; else dropped. */
void act_reset(struct core *core, struct step *step);
/* <SEQ=seq><ACK=ack> as an answer, under the challenge cap (RFC 5961, 10): NULL over it. */
struct packet *act_challenge(struct core *core, struct step *step, uint32_t seq, uint32_t ack,
                             uint16_t window);

/* Once agreed, timestamps belong on every segment but RST (RFC 7323, 3.2). */
static inline void
packet_stamp(struct packet *p, uint32_t tsval, uint32_t tsecr)
{
	p->options |= OPTION_TIMESTAMPS;
	p->tsval = tsval;
	p->tsecr = tsecr;
}

/* entry.c: making and ending entries, with all that hangs on them. */
struct conn *conn_of(struct core *core, uint32_t entry);
/* Whether an entry is of this flow and tag stack. */
bool entry_is(const struct core *core, uint32_t entry, const struct flow *flow, uint32_t tags);
/* Find the entry of a flow; FLOW_NONE. */
uint32_t entry_find(const struct core *core, const struct flow *flow, uint32_t tags, uint64_t hash,
                    struct flow_slot *at);
/* A connection for this segment's flow, in the index in place of step's entry if it
 * has one, with a path; NULL (counted) if there is no room. state is set by the caller. */
struct conn *conn_open(struct core *core, struct step *step, uint32_t lifetime_s);
/* The connection is over: free it, or keep it spent while its cookie lives. */
void conn_finish(struct core *core, uint32_t number, struct flow_slot at,
                 const struct instant *now);
/* Step's entry gives way; it has none then. */
void entry_clear(struct core *core, struct step *step);
/* Where a connection stands in the index. */
bool conn_find_slot(const struct core *core, uint32_t number, struct flow_slot *at);
/* May the cookie that opened this connection still be accepted? */
bool conn_cookie_lives(const struct core *core, uint32_t number, const struct instant *now);
/* Does it need the engine? (Everything but TRACKED and SPENT.) */
bool conn_remains(const struct conn *conn);
/* Change what a connection counts as. */
void conn_set_state(struct core *core, struct conn *conn, enum conn_state state);
uint32_t conn_number(const struct core *core, const struct conn *conn);
void half_open_drop(struct core *core, uint32_t number, struct flow_slot at);
/* Keep a connection alive for `lifetime_s`. */
static inline void
entry_touch(struct core *core, const struct step *step, uint32_t lifetime_s)
{
	flow_index_touch(&core->index, step->at, clock_s(step->now, lifetime_s));
}
/* What is known of the server of step's segment, made if need be: its number. */
uint32_t server_of(struct core *core, const struct step *step);
/* RST to both ends of a spliced connection, or the client of another. */
void conn_reset_ends(struct core *core, const struct conn *conn, struct actions *out);

/* admission.c: watermarks and limits. */
/* What may be promised for the destination of a SYN. */
struct promise admission_promise(const struct service *service, const struct backend *backend,
                                 bool is_v4);
/* The options that a SYN or SYN-ACK carries; mss 0 if it names none. */
static inline struct tcp_offer
admission_offered(const struct segment *seg)
{
	return (struct tcp_offer){
		.mss = seg->mss,
		.wscale = seg->options & OPTION_WSCALE ? seg->wscale : WSCALE_NONE,
		.sack = seg->options & OPTION_SACK_PERMITTED,
		.timestamps = seg->options & OPTION_TIMESTAMPS,
	};
}

/* The client's offer, cut to what is promised. */
struct tcp_offer admission_offer(const struct segment *seg, const struct promise *promise);
/* Whether its source is over the budgets that a SYN may be answered with state
 * within. Counts it in the SYN rates. */
bool admission_over_budget(struct core *core, struct step *step);
/* Whether this SYN must be answered without state. */
static inline bool
admission_wants_cookie(struct core *core, struct step *step)
{
	/* In cookie mode no budget can change the answer. */
	if (step->state->cookies == COOKIES_ALWAYS || step->state->cookie_mode)
		return true;
	return step->state->cookies != COOKIES_NEVER && admission_over_budget(core, step);
}
/*
 * The watermarks, looked at in these two places alone. Entering: when half-open
 * entries reach the high one. Leaving: once a second, when half-open entries and
 * that second's unanswered cookies together are no more than the low one, so
 * that a flood that goes on keeps the mode on, though its entries have expired.
 */
void admission_half_open(struct core *core, uint16_t service, int change);
void admission_second(struct core *core, uint16_t service);
/* Whether the port's budget has room; a quarter of it is kept for nets that lately
 * completed a connection. */
bool admission_reflect_port(struct core *core, uint64_t net, uint32_t now_ms);
/* A generated answer to an unproven source of this net (source_net_hash()): false if
 * over the cap. */
static inline bool
admission_reflect(struct core *core, uint64_t net, const struct instant *now)
{
	uint32_t now_ms = (uint32_t)now->now_ms, cap = core->reflect_cap;

	/* Only what is answered counts. So the cap holds from the first second on (answers
	 * drawn by lot exceed it until the flood's rate is known, and each pause makes it
	 * unknown again), and room for another opens all the time, for a retry to find. */
	if (cap != 0 && rate_hit_up_to(&core->reflection, net, now_ms, cap) > cap)
		return false;
	return core->policy->reflection.per_port_per_s == 0 ||
	       admission_reflect_port(core, net, now_ms);
}
uint64_t core_net(const struct core *core, const struct flow *flow);
/* Limits after the handshake: COUNTER_COUNT, or the counter of what is exceeded. */
enum counter admission_over(struct core *core, struct step *step, const struct backend *backend);
bool admission_counts_sources(const struct core *core);
/* Count a connection in its service and source prefixes. */
void admission_count(struct core *core, struct step *step, struct conn *conn);

/* connect.c: a proven client. `offer`, ISS and the rest as agreed with it. */
struct proven {
	uint32_t iss, irs;
	struct tcp_offer offer;
	bool by_cookie; /* else by the half-open entry */
	uint8_t promised_wscale;
	uint32_t ts_sent; /* TSval of the SYN-ACK that the client goes by */
};
/* An entry for it; NULL if there is no room: the client is told then. */
struct conn *conn_open_proven(struct core *core, struct step *step, const struct proven *proven);
void connect_begin(struct core *core, struct step *step, const struct proven *proven);
void connect_timers(struct core *core, const struct instant *now, struct actions *out);
void connect_abandon(struct core *core, struct conn *conn);
void connecting_uncount(struct core *core, const struct pending *p);
/* Timestamps on a packet to the client of a CONNECTING connection. */
void connect_stamp(struct core *core, const struct conn *conn, const struct instant *now,
                   struct packet *p);

/* handshake.c */
/* The window of a SYN-ACK: what one connection may have held; never zero, or the first
 * data waits for a window probe. Never scaled (RFC 7323, 2.2). */
static inline uint16_t
syn_ack_window(const struct core *core, uint8_t mode)
{
	return mode == MODE_RESPOND
	               ? UINT16_MAX
	               : (uint16_t)pending_window(&core->pending, core->params.hold_bytes);
}
void handshake_syn_by_cookie(struct core *core, struct step *step);
void handshake_timers(struct core *core, const struct instant *now, struct actions *out);

/* proof.c */
/* Does this segment prove a cookie? Fills *proven. Counts. */
bool proof_check(struct core *core, struct step *step, struct proven *proven);
/* May one be out that another worker has made? */
bool proof_is_shared(const struct core *core, const struct step *step);
/* The client is real: what the service does with such. */
void proof_open(struct core *core, struct step *step, const struct proven *proven);
/* A segment of a flow whose last connection is over; `proven` NULL: it proves nothing. */
void proof_after_end(struct core *core, struct step *step, const struct proven *proven);

/* splice.c: also for connections that are only followed */
void splice_follow(struct conn *conn, const struct segment *seg);
/* Is this RST's SEQ exactly RCV.NXT of its receiver? *in_window: at least within
 * the widest window that the receiver can have offered (RFC 5961, 3.2). */
bool splice_rst_exact(const struct conn *conn, const struct segment *seg, bool *in_window);
/* Seconds that the connection may be silent in its present state. */
uint32_t splice_lifetime(const struct core *core, const struct conn *conn);
/* Forward, rewritten if the connection is spliced; nothing is followed. */
void splice_forward(struct core *core, struct step *step, enum counter outcome);

/* respond.c */
/* Our timestamp on a connection that the engine holds: milliseconds. */
uint32_t respond_tsval(const struct conn *conn, const struct instant *now);
void respond_begin(struct core *core, struct step *step, const struct proven *proven);

/* track.c */
bool track_begin(struct core *core, struct step *step, bool outbound);
bool track_adopt(struct core *core, struct step *step);
/* Before its entry goes: RST to both ends of a candidate that did not fit. */
void track_expire(struct core *core, const struct conn *conn, struct actions *out);

/* foreign.c: what is not a TCP segment of a service. */
void foreign_decide(struct core *core, struct step *step);

#endif
