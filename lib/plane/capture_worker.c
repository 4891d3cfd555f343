/* SPDX-License-Identifier: BSD-3-Clause */
/* The worker's part of a capture. */
#include <rte_branch_prediction.h>
#include <rte_cycles.h>
#include <rte_mbuf.h>

#include "capture.h"
#include "egress.h"
#include "wall_clock.h"

_Static_assert(BURST <= 64, "a bit for each segment");

/* Of one burst: what was decided, and which segments are wanted. */
struct noted {
	struct core_note notes[BURST];
	uint8_t outcomes[BURST];
	uint64_t wanted;
};

static uint64_t
wall_ns(const struct plane *plane)
{
	uint64_t passed = rte_rdtsc() - plane->base_tsc, per_ms = plane->tsc_per_ms;
	uint64_t ms = wall_clock_ms(plane, passed / per_ms);

	return ms * 1000000 + passed % per_ms * 1000000 / per_ms;
}

static void
copy(struct worker *w, struct capture *c, const struct rte_mbuf *m, struct capture_record *record)
{
	struct capture_ring *ring = &c->rings[w->id];

	record->at_ns = wall_ns(w->plane);
	record->len = m->pkt_len;
	record->captured = (uint16_t)RTE_MIN(m->pkt_len, CAPTURE_SNAP);
	uint8_t *to = capture_ring_reserve(ring, record, w->now.now_ms);
	if (to == NULL)
		return;
	const void *from = rte_pktmbuf_read(m, 0, record->captured, to);
	if (from != to)
		memcpy(to, from, record->captured);
	capture_ring_commit(ring);
}

static void
copy_received(struct worker *w, struct capture *c, const struct noted *noted, uint32_t number,
              const struct rte_mbuf *m)
{
	const struct segment *seg = &w->segments[number];
	struct capture_record record = {
		.service = seg->found.service,
		.side = seg->side,
		.verdict = { noted->outcomes[number], noted->notes[number] },
	};

	copy(w, c, m, &record);
}

/* The segments that are wanted, and copies of them as they came. */
static void
look(struct worker *w, struct capture *c, struct noted *noted, struct rte_mbuf **mbufs)
{
	noted->wanted = capture_wanted(&c->filter, &w->actions, w->segments, noted->outcomes);
	for (uint64_t left = noted->wanted; left != 0; left &= left - 1) {
		uint32_t i = (uint32_t)__builtin_ctzll(left);
		copy_received(w, c, noted, i, mbufs[i]);
	}
}

/* The segment, of those that are wanted, because of which a packet of this flow is sent. */
static uint32_t
cause_of(const struct worker *w, const struct noted *noted, const struct action *a)
{
	if (a->kind != ACTION_SEND)
		return noted->wanted >> a->seg & 1 ? a->seg : ACTION_NO_SEGMENT;
	for (uint64_t left = noted->wanted; left != 0; left &= left - 1) {
		uint32_t i = (uint32_t)__builtin_ctzll(left);
		if (w->segments[i].class != SEGMENT_OTHER &&
		    flow_equal(&w->segments[i].flow, &a->flow))
			return i;
	}
	return ACTION_NO_SEGMENT;
}

/* Carry out one action; the frame that it has staged, if any. */
static const struct rte_mbuf *
act_one(struct worker *w, struct rte_mbuf **mbufs, const struct action *a)
{
	struct worker_staged *s = &w->staged[a->out];
	const struct actions all = w->actions;

	/* What is staged must be found at the end of its list. */
	if (s->n == STAGED_MAX || s->n_first == STAGED_MAX)
		egress_flush(w);
	unsigned int n = s->n, n_first = s->n_first;
	w->actions.list = all.list + (a - all.list);
	w->actions.n = 1;
	egress_act(w, mbufs);
	w->actions = all;
	if (s->n > n)
		return s->list[n];
	return s->n_first > n_first ? s->first[n_first] : NULL;
}

static void
act_noted(struct worker *w, struct capture *c, struct rte_mbuf **mbufs, const struct noted *noted)
{
	for (unsigned int i = 0; i < w->actions.n; i++) {
		const struct action *a = &w->actions.list[i];
		uint32_t cause = cause_of(w, noted, a);
		const struct rte_mbuf *m = act_one(w, mbufs, a);
		if (m == NULL || cause == ACTION_NO_SEGMENT)
			continue;
		struct capture_record record = {
			.service = w->segments[cause].found.service,
			.side = a->out,
			.is_sent = true,
			.verdict = { noted->outcomes[cause], noted->notes[cause] },
		};
		copy(w, c, m, &record);
	}
	w->actions.n = 0;
}

/* Has it lost its reader? */
static bool
is_over(const struct worker *w, const struct capture *c)
{
	return w->now.now_ms >= __atomic_load_n(&c->lease_ms, __ATOMIC_RELAXED);
}

void
capture_burst(struct worker *w, struct capture *c, struct rte_mbuf **mbufs, unsigned int n)
{
	struct noted noted;

	if (is_over(w, c) || likely(!capture_may_want(&c->filter, w->segments, n))) {
		core_decide(w->core, w->segments, n, &w->now, &w->actions);
		egress_act(w, mbufs);
		return;
	}
	core_decide_noted(w->core, w->segments, n, &w->now, &w->actions, noted.notes);
	look(w, c, &noted, mbufs);
	if (likely(noted.wanted == 0))
		egress_act(w, mbufs);
	else
		act_noted(w, c, mbufs, &noted);
}

/* What a timer sends has no outcome, so that nobody who names outcomes wants it. */
static bool
wants_sent(const struct worker *w, const struct capture_filter *filter, const struct action *a,
           uint16_t *service)
{
	if (filter->has_outcomes || !capture_wants_client(filter, &a->flow.client))
		return false;
	*service = policy_find_id(core_policy(w->core), &a->flow.server,
	                          ip_addr_is_v4(&a->flow.server),
	                          __builtin_bswap16(a->flow.server_port_be));
	return filter->service == SERVICE_NONE || filter->service == *service;
}

void
capture_tick(struct worker *w, struct capture *c)
{
	bool copies = w->actions.n != 0 && !is_over(w, c);

	for (unsigned int i = 0; copies && i < w->actions.n; i++) {
		const struct action *a = &w->actions.list[i];
		struct capture_record record = { .side = a->out,
			                         .is_sent = true,
			                         .is_by_timer = true };
		bool is_wanted = wants_sent(w, &c->filter, a, &record.service);
		const struct rte_mbuf *m = act_one(w, NULL, a);
		if (m != NULL && is_wanted)
			copy(w, c, m, &record);
	}
	if (copies)
		w->actions.n = 0;
	else
		egress_act(w, NULL);
}
