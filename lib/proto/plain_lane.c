/* SPDX-License-Identifier: BSD-3-Clause */
/* Segments that cross, and blind ACKs, one after the other: see plain_lane.h. */
#include "plain_lane.h"

#include "decision.h"
#include "entry.h"
#include "located.h"
#include "segment_sum.h"
#include "talkers.h"
#include "unfinished.h"

/* A run in the lane, of one kind. Copies, which no store can change: they stay in registers. */
struct plain_lane {
	struct core *core;
	const struct instant *now;
	uint16_t service; /* the last one that was asked for, if its mode keeps entries */
	uint64_t head;    /* of the next action */
	struct action *a;
};

_Static_assert(offsetof(struct action, kind) == 0 && offsetof(struct action, outcome) == 1 &&
                       offsetof(struct action, out) == 2 && offsetof(struct action, seg) == 4,
               "what is done, where, and with which segment are one word");

/* The action for a segment, as act_append() would append it; neither counted nor sampled. */
static inline __attribute__((always_inline)) void
plain_act(struct plain_lane *lane, enum action_kind kind, unsigned int out, enum counter outcome)
{
	uint64_t head = lane->head | (kind | (uint64_t)outcome << 8 | (uint64_t)out << 16);

	memcpy(lane->a++, &head, sizeof(head));
	lane->head += 1ull << 32;
}

/* A segment of a run whose outcomes differ: is it its turn to be looked at? */
static inline __attribute__((always_inline)) void
plain_sample(struct plain_lane *lane, struct segment *seg, enum counter outcome)
{
	if (__builtin_expect(--lane->core->talk_left[outcome] == 0, 0)) {
		const struct step step = { .seg = seg, .now = lane->now };

		talkers_sample(lane->core, &step, outcome);
	}
}

/* Count a run of n segments, all of one outcome, from this one on. */
static unsigned int
plain_end(const struct plain_lane *lane, struct segment *first, unsigned int n,
          enum counter outcome)
{
	counter_add(&lane->core->counters, outcome, n);
	talkers_sample_run(lane->core, first, n, outcome, lane->now);
	return n;
}

/* Does its service keep entries? Few follow each other that are not of the same one. */
static inline bool
plain_serves(struct plain_lane *lane, const struct segment *seg)
{
	uint16_t service = seg->found.service;

	if (__builtin_expect(service == lane->service, 1))
		return true;
	lane->service = service;
	return lane->core->services[service].mode < MODE_HANDOFF;
}

/* ---- data ------------------------------------------------------------- */

static inline uint64_t
rest_put_lag(uint64_t rest, uint64_t field, uint32_t lag)
{
	return (rest & ~field) | conn_rest_of(field, lag < CONN_LAG_MAX ? lag : CONN_LAG_MAX);
}

/* What is to be known of a connection for nothing but numbers to be done for it. */
#define PLAIN_SPLICED_MASK                                                                    \
	CONN_REST(.state = 0xf, .flags = CONN_REWRITTEN | CONN_CONVERT | CONN_SERVER_SILENT | \
	                                 CONN_CLIENT_FIN | CONN_SERVER_FIN)
#define PLAIN_SPLICED CONN_REST(.state = CONN_SPLICED, .flags = CONN_REWRITTEN)
#define PLAIN_TRACKED_MASK                                                              \
	CONN_REST(.state = 0xf, .flags = CONN_REWRITTEN | CONN_CONFIRMED | CONN_RESET | \
	                                 CONN_CLIENT_FIN | CONN_SERVER_FIN)
#define PLAIN_TRACKED CONN_REST(.state = CONN_TRACKED, .flags = CONN_CONFIRMED)

/* As splice_follow(), of a segment with an ACK and no FIN. Returns what `rest` is then. What is
 * ahead by no more than an unscaled window is so whatever the server's scale is. */
static inline uint64_t
follow_client(struct conn *conn, const struct segment *seg, uint64_t rest)
{
	uint32_t end = seg->seq + seg->payload_len;
	uint32_t ahead = end - conn->client_nxt, behind = conn->server_nxt - seg->ack;

	if (__builtin_expect(behind > WINDOW_MAX, 0))
		return rest;
	if (ahead != 0) {
		uint32_t most = UINT16_MAX;

		if (__builtin_expect(ahead > most, 0))
			most = rest & CONN_REST(.flags = CONN_REWRITTEN)
			               ? most << wscale_shift(
						 conn_rest_get(rest, CONN_SERVER_WSCALE))
			               : WINDOW_MAX;
		if (ahead <= most) {
			uint32_t lag = conn_rest_get(rest, CONN_CLIENT_LAG);

			conn->client_nxt = end;
			rest = rest_put_lag(rest, CONN_CLIENT_LAG, lag + ahead);
		}
	}
	if (seg->payload_len != 0)
		rest |= CONN_REST(.flags = CONN_CLIENT_DATA);
	return rest_put_lag(rest, CONN_SERVER_LAG, behind);
}

static inline uint64_t
follow_server(struct conn *conn, const struct segment *seg, uint64_t rest)
{
	uint32_t end = seg->seq + seg->payload_len + conn->seq_delta;
	uint32_t ahead = end - conn->server_nxt, behind = conn->client_nxt - seg->ack;

	if (ahead != 0 && ahead <= WINDOW_MAX) {
		uint32_t lag = conn_rest_get(rest, CONN_SERVER_LAG);

		conn->server_nxt = end;
		rest = rest_put_lag(rest, CONN_SERVER_LAG, lag + ahead);
	}
	if (behind != 0 && 0u - behind <= WINDOW_MAX) {
		conn->client_nxt = seg->ack;
		behind = 0;
	}
	uint64_t acked = rest_put_lag(rest, CONN_CLIENT_LAG, behind);
	return behind <= WINDOW_MAX ? acked : rest;
}

_Static_assert(offsetof(struct rewrite, seq_add) == 0 && offsetof(struct rewrite, ack_add) == 4 &&
                       offsetof(struct rewrite, tsval_add) == 8 &&
                       offsetof(struct rewrite, tsecr_add) == 12 && sizeof(struct rewrite) == 24,
               "two pairs of numbers, and the rest in one word");

/* As splice_forward() has it: ACK and TSecr of a client, SEQ and TSval of a server. */
static inline void
plain_rewrite(struct rewrite *rw, const struct conn *conn, enum side side)
{
	uint64_t words[3] = { conn->seq_delta, conn->ts_delta, 0 };

	if (side == SIDE_OUTSIDE) {
		words[0] = (uint64_t)(0u - conn->seq_delta) << 32;
		words[1] = (uint64_t)(0u - conn->ts_delta) << 32;
	}
	memcpy(rw, words, sizeof(words));
}

/* By itself for either side, so that what depends on it is constant. */
static inline __attribute__((always_inline)) unsigned int
data_run(struct plain_lane *lane, struct segment *first, unsigned int n, enum side side)
{
	struct core *core = lane->core;
	struct conn *conns = core->conns.conns;
	const struct path *paths = core->paths.paths;
	struct flow_index index = core->index;
	uint16_t deadline_s = clock_s(lane->now, core->policy->timeouts.idle);
	struct segment *seg = first, *end = first + n;
	unsigned int n_tracked = 0;

	for (; seg < end && seg->found.plain == PLAIN_DATA && seg->side == side; seg++) {
		struct conn *conn = &conns[seg->found.entry];
		uint64_t rest = conn->rest;

		if ((seg->frame[0] & 1) || !plain_serves(lane, seg) ||
		    !flow_equal(&conn->flow, &seg->flow) ||
		    paths[conn_rest_get(rest, CONN_PATH)].tags != seg->tags)
			break;
		if (__builtin_expect((rest & PLAIN_SPLICED_MASK) == PLAIN_SPLICED, 1)) {
			plain_rewrite(&lane->a->rewrite, conn, side);
			plain_act(lane, ACTION_EDIT, side ^ 1, COUNTER_spliced);
			plain_sample(lane, seg, COUNTER_spliced);
			decision_note(STATE_SPLICED, side, decision_event(seg));
		} else {
			if ((rest & PLAIN_TRACKED_MASK) != PLAIN_TRACKED)
				break;
			n_tracked++;
			plain_act(lane, ACTION_FORWARD, side ^ 1, COUNTER_passed_tracked);
			plain_sample(lane, seg, COUNTER_passed_tracked);
			decision_note(STATE_TRACKED, side, decision_event(seg));
		}
		conn->rest = side == SIDE_OUTSIDE ? follow_client(conn, seg, rest)
		                                  : follow_server(conn, seg, rest);
		flow_index_touch(&index,
		                 (struct flow_slot){ seg->found.at_bucket, seg->found.at_slot },
		                 deadline_s);
	}
	unsigned int n_taken = (unsigned int)(seg - first);
	counter_add(&core->counters, COUNTER_spliced, n_taken - n_tracked);
	counter_add(&core->counters, COUNTER_passed_tracked, n_tracked);
	return n_taken;
}

static __attribute__((noinline)) unsigned int
data_run_outside(struct plain_lane lane, struct segment *first, unsigned int n)
{
	return data_run(&lane, first, n, SIDE_OUTSIDE);
}

static __attribute__((noinline)) unsigned int
data_run_inside(struct plain_lane lane, struct segment *first, unsigned int n)
{
	return data_run(&lane, first, n, SIDE_INSIDE);
}

/* ---- others ------------------------------------------------------------ */

/* Those of one kind, which cross as they are. By itself for either, as above. */
static inline __attribute__((always_inline)) unsigned int
cross_run(struct plain_lane *lane, struct segment *first, unsigned int n, enum plain_kind kind,
          enum counter outcome)
{
	struct segment *seg = first, *end = first + n;

	for (; seg < end && seg->found.plain == kind; seg++) {
		plain_act(lane, ACTION_FORWARD, seg->side ^ 1u, outcome);
		if (kind == PLAIN_HANDED)
			decision_note(STATE_HANDOFF, (enum side)seg->side, decision_event(seg));
	}
	return plain_end(lane, first, (unsigned int)(seg - first), outcome);
}

static __attribute__((noinline)) unsigned int
foreign_run(struct plain_lane lane, struct segment *first, unsigned int n)
{
	return cross_run(&lane, first, n, PLAIN_FOREIGN, COUNTER_passed_other);
}

static __attribute__((noinline)) unsigned int
handed_run(struct plain_lane lane, struct segment *first, unsigned int n)
{
	return cross_run(&lane, first, n, PLAIN_HANDED, COUNTER_passed_handoff);
}

_Static_assert(PROOF_NONE == 0 && offsetof(struct segment_found, probe) ==
                                          offsetof(struct segment_found, proof) + 1,
               "what has come of both tries is one word");

static inline bool
plain_proves_nothing(const struct segment *seg)
{
	uint16_t both;

	memcpy(&both, &seg->found.proof, sizeof(both));
	return both == 0;
}

/* ACKs that core_locate() found no entry for, and whose cookies it looked at. */
static __attribute__((noinline)) unsigned int
blind_run(struct plain_lane lane, struct segment *first, unsigned int n)
{
	struct segment *seg = first, *end = first + n;
	const bool remembers = lane.now->now_ms < lane.core->unfinished_until_ms;

	if (core_adopts(lane.core, lane.now) || lane.core->observer != NULL)
		return 0;
	for (; seg < end && seg->found.plain == PLAIN_BLIND; seg++) {
		if ((remembers && unfinished_passed(lane.core, seg, lane.now)) ||
		    !plain_proves_nothing(seg) || (seg->frame[0] & 1) ||
		    !plain_serves(&lane, seg) || !segment_sum_of_ack_is_whole(seg))
			break;
		plain_act(&lane, ACTION_DROP, SIDE_OUTSIDE, COUNTER_drop_unproven_ack);
		decision_note(STATE_LISTEN, SIDE_OUTSIDE, EVENT_ACK);
	}
	counter_add(&lane.core->counters, COUNTER_cookies_checked, (uint64_t)(seg - first));
	return plain_end(&lane, first, (unsigned int)(seg - first), COUNTER_drop_unproven_ack);
}

unsigned int
plain_lane_run(struct core *core, struct segment *seg, unsigned int first, unsigned int n,
               const struct instant *now, struct actions *out)
{
	const struct plain_lane lane = { .core = core,
		                         .now = now,
		                         .service = SERVICE_NONE,
		                         .head = (uint64_t)first << 32,
		                         .a = &out->list[out->n] };
	unsigned int n_taken = 0;

	if (core->has_orphans || !core->params.has_inside)
		return 0;
	if (__builtin_expect(core->mutations != 0, 0))
		n = located_until(core, seg, first, n);
	switch ((enum plain_kind)seg[first].found.plain) {
	case PLAIN_DATA:
		n_taken = seg[first].side == SIDE_OUTSIDE
		                  ? data_run_outside(lane, &seg[first], n - first)
		                  : data_run_inside(lane, &seg[first], n - first);
		break;
	case PLAIN_FOREIGN:
		n_taken = foreign_run(lane, &seg[first], n - first);
		break;
	case PLAIN_HANDED:
		n_taken = handed_run(lane, &seg[first], n - first);
		break;
	case PLAIN_BLIND:
		n_taken = blind_run(lane, &seg[first], n - first);
		break;
	case PLAIN_NEVER:
		break;
	}
	out->n += n_taken;
	return n_taken;
}
