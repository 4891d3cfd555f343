/* SPDX-License-Identifier: BSD-3-Clause */
/* The core's work that no segment asks for: the clock's, and coming to an end. */
#include "core.h"

#include "admission.h"
#include "connect.h"
#include "entry.h"
#include "handoff.h"
#include "observe.h"
#include "syn_again.h"
#include "track.h"
#include "unfinished.h"

#define SWEEP_MAX 256u   /* expired connections handled in one tick */
#define RESET_LOOK 4096u /* entries looked at in one call of core_reset_remaining() */

static void
expire(struct core *core, struct flow_slot at, const struct instant *now, struct actions *out)
{
	uint32_t number = core->index.buckets[at.bucket].entry[at.slot];
	struct conn *conn = &core->conns.conns[number];

	switch ((enum conn_state)conn->state) {
	case CONN_SPLICED:
	case CONN_RESPONDING:
		core_count(core, COUNTER_expired);
		conn_reset_ends(core, conn, out);
		break;
	case CONN_TRACKED:
		track_expire(core, conn, now, out);
		break;
	case CONN_CONNECTING: /* has a timer of its own */
		flow_index_touch(&core->index, at, clock_s(now, core->policy->timeouts.connecting));
		return;
	default:
		break;
	}
	conn_finish(core, number, at, now);
}

/* Does cookie mode end? Each way of counting is its mode's own. */
static void
service_second(struct core *core, uint16_t id)
{
	struct service_state *state = &core->services[id];

	if (state->mode == MODE_HANDOFF && state->service != NULL)
		handoff_second(core, state);
	else
		admission_second(core, id);
}

void
core_tick(struct core *core, const struct instant *now, unsigned int budget, struct actions *out)
{
	struct flow_slot expired[SWEEP_MAX];
	uint64_t second = now->now_ms / 1000;

	pending_settle(&core->pending);
	core->sources.now_s = (uint32_t)second;
	recent_turn(&core->proven, (uint32_t)now->now_ms);
	if (now->now_ms < core->unfinished_until_ms)
		recent_turn(&core->unfinished, (uint32_t)now->now_ms);
	if (core->conns.used == 0)
		core->has_orphans = false;
	if (core->ticked_s != second) {
		core->ticked_s = second;
		for (uint32_t i = 0; i < core->policy->n_services; i++)
			service_second(core, core->policy->services[i].id);
	}
	syn_again_timers(core, now, out);
	connect_timers(core, now, out);
	unsigned int n = flow_index_sweep(&core->index, budget, clock_s(now, 0), expired,
	                                  SWEEP_MAX);
	for (unsigned int i = 0; i < n; i++)
		expire(core, expired[i], now, out);
	if (core->observer != NULL) {
		core_tick(core->observer->shadow, now, budget, &core->observer->out);
		core->observer->out.n = 0;
	}
}

void
core_drain(struct core *core, bool on)
{
	core->draining = on;
	if (core->observer != NULL)
		core->observer->shadow->draining = on;
}

uint32_t
core_live(const struct core *core)
{
	return __atomic_load_n(&core->n_live, __ATOMIC_RELAXED);
}

uint32_t
core_remaining(const struct core *core)
{
	return core_live(core) + __atomic_load_n(&core->n_closing, __ATOMIC_RELAXED);
}

void
core_reset_remaining(struct core *core, const struct instant *now, unsigned int max,
                     struct actions *out)
{
	struct conn_table *t = &core->conns;
	unsigned int n = 0;

	pending_settle(&core->pending);
	for (unsigned int i = 0; i < RESET_LOOK && n < max && core_remaining(core) > 0; i++) {
		uint32_t number = t->hand;
		struct conn *conn = &t->conns[number];
		struct flow_slot at;

		t->hand = number + 1 < t->fresh ? number + 1 : 0;
		if (number >= t->fresh || !conn_remains(conn))
			continue;
		n++;
		if (conn->state != CONN_CLOSING) {
			core_count(core, COUNTER_drained);
			conn_reset_ends(core, conn, out);
		}
		if (conn_find_slot(core, number, &at))
			conn_finish(core, number, at, now);
	}
}
