/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Inside a core: what all of its files share. Nothing outside lib/proto
 * includes this.
 */
#ifndef SYNFRONT_CORE_STATE_H
#define SYNFRONT_CORE_STATE_H

#include "backend.h"
#include "conn_table.h"
#include "cookie_lane.h"
#include "cookie_tries.h"
#include "core_params.h"
#include "counters.h"
#include "destination.h"
#include "emit.h"
#include "flow_hash.h"
#include "flow_index.h"
#include "gauge.h"
#include "half_open.h"
#include "known.h"
#include "live_set.h"
#include "path.h"
#include "pending.h"
#include "policy.h"
#include "rate.h"
#include "seq.h"
#include "source.h"

#define PROMISE_WSCALE 7u       /* where both ends of a cookie cannot know the server's own */
#define PROFILE_UNMADE 0xffu    /* segment.profile: no cookie made yet */
#define PROOF_UNCHECKED 0xffu   /* segment.proof, .probe: no MAC computed yet */
#define RETRY_MS 1000u          /* SYN and SYN-ACK again after 1, 2, 4 ... s */
#define FRAGMENTS_TRACKED 1024u /* datagrams whose later fragments may follow, a power of two */
#define LEARN_PASSES_PER_S 8u   /* SYNs a second that may teach about one unknown server */
#define LEARN_ALL_PER_S 256u    /* ... about all of them */
#define PASSES_PER_S 1000u    /* SYNs that pass by policy: signed ones, and refusals of kind pass */
#define SIGNED_NET_PER_S 128u /* signed ones of one net */
#define SIGNED_IN_FLOOD_PER_S \
	10u /* signed ones of unproven nets, where cookies answer all others */
#define SIGNED_SALT UINT64_C(0x94d049bb133111eb) /* a net's key for them in the SYN rates */
#define FRAGMENTS_PER_S 10000u /* later fragments whose first one went by another node */
#define TIMERS_PER_TICK 1024u  /* half-open entries, and pending records, looked at in one tick */
#define FIT_WINDOW (4u << 20)  /* how far apart SEQ and ACK of one connection may lie */
#define OUTBOUND_SHARE 8u      /* protected hosts' own connections take at most 1/8 of the table */
#define ADOPT_SHARE 8u         /* and so do candidates for adoption */
#define UNCONFIRMED_S 10u      /* TRACKED: for the SYN-ACK, or an adopted flow's other direction */
#define WINDOW_MAX (65535u << 14) /* the largest that any receiver can offer */

/* When SYNs of a service may take the straight lane (syn_lane.h): for struct service_state and
 * segment_found. */
enum syn_lane_when {
	SYN_LANE_ALWAYS,
	SYN_LANE_IN_COOKIE_MODE,
	SYN_LANE_NEVER = UINT8_MAX
};

/* What changes about a service while the engine runs. Written by the worker;
 * cookie_mode, half_open, connections and the sums are read by others, relaxed. What a SYN
 * needs is the first line. */
struct service_state {
	/* Of the policy: service, NULL if none has this id, and copies of its fields. */
	const struct service *service;
	uint8_t mode;
	uint8_t cookies;
	/* enum syn_lane_when: may its SYNs take the straight lane? These two are read as one. */
	uint8_t lane;
	bool cookie_mode;
	bool is_listed; /* it has allow or deny lists, or live ones concern it */
	uint8_t group;  /* whose secret its cookies are made with; 0: the master's */
	/* Mode handoff: since before there were connections, so that none is known; and with a
	 * shield. */
	bool is_stateless, is_shielded;
	bool keeps_nothing; /* it would be stateless but for observe */

	bool drops_unproven; /* what proves nothing is not answered */
	bool is_limited;     /* a limit may refuse clients that are proven: admission_over() */
	uint32_t half_open;
	uint64_t cookies_until_ms; /* a cookie of this service may still be out */
	uint64_t syn, syn_ack;
	uint32_t
		n_cookies; /* SYN-ACKs sent without state in the running second, less those proven */
	uint32_t n_calm;   /* mode handoff: SYNs of the running second that might have passed */
	uint64_t plan_key; /* which services have their SYNs answered alike: syn_plan.h */

	uint32_t connections;
	uint64_t opened, refused;
	uint32_t n_new; /* proven in the running second */
	uint32_t second;
	struct bucket unknown_bucket; /* what the shield lets pass of unknown flows */
	uint64_t served_ms;           /* since when it is served, and connections may be older */
} __attribute__((aligned(64)));

_Static_assert(offsetof(struct service_state, connections) <= 64, "a SYN needs one line");

/* When SYNs of a service may take the straight lane, as the policy and its lists have it. */
static inline uint8_t
syn_lane_of(const struct service_state *state)
{
	bool always = state->cookies == COOKIES_ALWAYS;

	if (state->is_listed)
		return SYN_LANE_NEVER;
	switch ((enum service_mode)state->mode) {
	case MODE_PROXY:
	case MODE_RESPOND:
		return always ? SYN_LANE_ALWAYS : SYN_LANE_IN_COOKIE_MODE;
	case MODE_HANDOFF:
		/* Where SYNs pass in calm, they are counted at any time. */
		if (state->is_stateless && (always || state->service->calm != CALM_TRANSPARENT))
			return SYN_LANE_ALWAYS;
		return SYN_LANE_NEVER;
	default:
		return SYN_LANE_NEVER;
	}
}

/* The same at this moment: cookie mode, once on, lasts longer than a burst. */
static inline uint8_t
syn_lane_now(const struct service_state *state)
{
	if (state->lane == SYN_LANE_IN_COOKIE_MODE && !state->cookie_mode)
		return SYN_LANE_NEVER;
	return state->lane;
}

/* What a SYN will be answered with, worked out while the burst's cookies are made. */
struct syn_plan {
	struct packet answer;   /* all but the numbers and TSecr */
	struct tcp_offer offer; /* the client's, cut to what is promised for its server */
	uint8_t profile;        /* of the cookie */
	uint8_t lane;           /* SYN_LANE_NEVER: not for what its options say; else 0 */
};

/* A plan of an earlier burst, and all that it was made of. */
struct syn_plan_kept {
	uint64_t said;   /* the option fields of struct segment */
	uint64_t to;     /* syn_plan_key() and family; 0: nothing is kept here */
	uint64_t shown;  /* what the server has shown: syn_plan_shown() */
	uint64_t stamp;  /* time and window: syn_plan_stamp() */
	uint32_t burst;  /* the last one that needed it: until the next it stays as it is */
	uint32_t serial; /* which of all that were ever kept */
	struct syn_plan plan;
	struct emit_fixed made; /* for its answer */
};

/* A plan that is kept for as long as a burst lasts. */
struct syn_plan_brief {
	struct syn_plan plan;
	struct emit_fixed made;
};

#define SYN_PLANS_BITS 7u

/* What a server is asked before a SYN to it takes the straight lane: beside whether it is the same,
 * and as it was. */
enum syn_asks {
	SYN_ASKS_NOTHING,
	SYN_ASKS_LEARNED, /* has it taught enough in this second? */
	SYN_ASKS_AGAIN,   /* is it time to ask again for what it has not? */
	SYN_ASKS_TABLE    /* it takes none */
};

/*
 * What SYNs have in common that say the same to the same server, found out once for as long as what
 * it was found out from is the same: syn_kind.h. What tells them from others comes first, laid out
 * as in a segment from the server's address to its port.
 */
struct syn_kind {
	uint64_t said; /* the option fields of struct segment, shape included */
	struct ip_addr server;
	uint16_t unused;
	uint16_t port_be;
	uint8_t way;     /* enum locate_way */
	uint8_t profile; /* of their cookies */
	uint8_t asks;    /* enum syn_asks */
	bool is_v4;

	/* As struct syn_planned begins. */
	const struct syn_plan *plan;
	struct backend *backend;
	uint64_t shown[2]; /* of the backend: what is at `shows`, as it was */

	uint32_t found[4]; /* of struct segment_found, from `entry` to `plain` */
	const void *shows; /* see syn_kind_shows(); `shown` if nothing depends on a backend */
	struct service_state *state;
	uint64_t turn;    /* number of the one that it was found out in; 0: for one burst */
	uint32_t serial;  /* of the plan */
	uint32_t burst;   /* the last one that needed it: until the next it stays as it is */
	uint16_t mode;    /* of the service: its lane and cookie mode */
	uint16_t mask_at; /* of the profile's, in struct epoch_keys */

	/* The last kind that found its place taken by this one, and in which burst. */
	uint32_t rival, rival_burst;
} __attribute__((aligned(64)));

/* What all kinds were found out from: with each change of it they are found out anew, and a turn
 * begins. */
struct syn_kinds_turn {
	uint64_t number; /* of turns so far */
	uint64_t stamp;  /* syn_plan_stamp() */
	uint32_t now_s;  /* in which the servers of kinds are used */
};

/* Where a thousand services are flooded at once, most have a place of their own. */
#define SYN_KINDS_BITS 13u
#define SYN_KINDS (1u << SYN_KINDS_BITS)

/* A kind from which those are derived that differ from it in MSS and scale, with its plan. */
struct syn_base {
	struct syn_kind kind;
	struct syn_plan_brief of; /* what is made is for an answer whose TSval is zero */
};

#define SYN_BASES_BITS 11u

/* One SYN of a burst. Good as long as segment.profile is not PROFILE_UNMADE. */
struct syn_planned {
	const struct syn_plan *plan;
	struct backend *backend; /* where its server was known; by now another's, perhaps */
	uint64_t net;            /* source_net_hash() of the client */
	uint64_t net_at;         /* rate_at() of it in core->reflection */
};

/* A datagram whose first fragment crossed. */
struct fragment {
	uint64_t hash;
	uint32_t until_ms;
	uint16_t left;  /* later fragments that may still cross */
	bool is_served; /* of a connection, or of a service that keeps none */
};

struct observer;
struct talkers;

struct core {
	struct core_params params;
	const struct policy *policy;
	const struct live_set *live; /* NULL: there are no live lists */
	struct counters counters;
	uint32_t talk_left[COUNTER_COUNT]; /* of each outcome: frames until the next sample */
	struct flow_index index;
	struct conn_table conns;
	struct half_open_table half_open;
	struct pending_table pending;
	struct backend_table backends;
	struct path_table paths;
	struct source_table sources;
	struct rate syn_rate;     /* by host and net */
	struct rate reflection;   /* by net */
	struct rate adopt_rate;   /* by net */
	struct recent proven;     /* nets that completed a connection lately */
	struct recent unfinished; /* unfinished.h */
	struct bucket port_bucket, proven_bucket, rst_bucket, challenge_bucket, pass_bucket;
	struct bucket signed_bucket, learn_bucket, fragment_bucket;
	struct flow_hash_key hash_key;
	uint64_t served_ms;           /* the last of its services' */
	uint64_t unfinished_until_ms; /* nothing is in `unfinished` any more */
	uint64_t cookie_out_ms;       /* the last cookie of this core dies here: the gate */
	uint32_t server_last;         /* number of the backend that server_of() found last */
	uint32_t n_outbound;          /* TRACKED by SYNs from inside */
	uint32_t n_live;              /* CONNECTING, SPLICED, RESPONDING */
	uint32_t n_closing;
	uint32_t n_adopting;  /* TRACKED candidates */
	uint64_t futile_ms;   /* when eviction last found no victim */
	uint32_t mutations;   /* of the index, in this burst */
	uint32_t n_bursts;    /* located so far */
	uint32_t n_plans;     /* kept so far */
	uint32_t reflect_cap; /* this core's share of the policy's per_net_per_s */
	bool draining;
	bool hands_off; /* the policy has a service of mode handoff */
	bool is_mixed; /* the last burst that asked for cookies did for both families, an eighth of them at least */
	bool has_orphans;          /* a reload came while there were connections */
	uint32_t verdict;          /* without `live`, LIVE_*: of a trial's one client (explain.c) */
	struct talkers *talkers;   /* talkers.h */
	struct observer *observer; /* observe.h; NULL: no room for one */
	const struct known *seen;  /* its own: expected.h */
	uint64_t ticked_s;         /* the last second whose service counts were looked at */
	struct service_state services[SERVICES_MAX]; /* by id */
	struct fragment fragments[FRAGMENTS_TRACKED];
	struct syn_planned syns[CORE_BURST_MAX]; /* by number of the segment in the burst */
	/* Those that have no place; the last for a SYN by itself. */
	struct syn_plan_brief plans[CORE_BURST_MAX + 1];
	/* Of the burst: SYNs by family, and ACKs by family and parity. */
	struct cookie_lane syn_lanes[2];
	struct cookie_tries tries[2][2];
	/* Of the policy, from burst to burst: what would be found out again. */
	struct destinations destinations;
	struct syn_plan_kept plans_kept[1u << SYN_PLANS_BITS];
	struct syn_kinds_turn kinds_turn;
	/* Behind their places those that are of this burst alone. */
	struct syn_kind kinds[SYN_KINDS + CORE_BURST_MAX];
	struct syn_base bases[1u << SYN_BASES_BITS];
};

/* One segment being decided on. */
struct step {
	struct segment *seg;
	uint32_t number; /* of the segment in the burst */
	uint32_t entry;  /* FLOW_NONE, connection, or FLOW_HALF_OPEN | number */
	uint8_t row;     /* of the decision table, where somebody asks for it: struct core_note */
	uint8_t reason;  /* enum counter: why it was refused, where its outcome does not say */
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

/* Remember nothing that was asked of another policy. */
static inline void
core_forget(struct core *core)
{
	destinations_init(&core->destinations, core->policy);
	memset(core->plans_kept, 0, sizeof(core->plans_kept));
	memset(core->plans, 0, sizeof(core->plans));
	memset(core->kinds, 0, sizeof(core->kinds));
	memset(core->bases, 0, sizeof(core->bases));
	core->kinds_turn = (struct syn_kinds_turn){ 0 };
	core->n_plans = 0;
}

/* The secrets behind cookies of a service. */
static inline const struct secret_set *
service_secrets(const struct service_state *state, const struct instant *now)
{
	return &now->secrets[state->group];
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
	return (uint16_t)(instant_s(now) + plus_s);
}

/* The same of the burst or the tick that runs: of the time that core_locate() or core_tick() was
 * called with, and worked out once. */
static inline uint16_t
core_clock_s(const struct core *core, uint32_t plus_s)
{
	return (uint16_t)(core->sources.now_s + plus_s);
}

/* A limit of the whole engine -> this core's share; 0 stays "no limit". */
static inline uint32_t
limit_share(const struct core *core, uint32_t limit)
{
	return limit == 0 ? 0 : (limit + core->params.n_workers - 1) / core->params.n_workers;
}

/* The same of what nobody hands on: it is met by the workers to which a port brings segments. */
static inline uint32_t
receiver_share(const struct core *core, uint32_t limit)
{
	uint32_t n = core->params.n_receivers != 0 ? core->params.n_receivers
	                                           : core->params.n_workers;

	return (limit + n - 1) / n;
}

/* Are connections that are older than the engine, or than their service's being served, still
 * taken over: of any service, and of this one? */
static inline bool
core_adopts(const struct core *core, const struct instant *now)
{
	return now->now_ms - core->served_ms < core->policy->timeouts.adopt * 1000ull;
}

static inline bool
service_adopts(const struct core *core, const struct service_state *state,
               const struct instant *now)
{
	return now->now_ms - state->served_ms < core->policy->timeouts.adopt * 1000ull;
}

#endif
