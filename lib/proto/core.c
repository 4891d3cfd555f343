/* SPDX-License-Identifier: BSD-3-Clause */
/* The core: its policy, and deciding on a burst. */
#include "core.h"

#include "act.h"
#include "admission.h"
#include "admit.h"
#include "decision.h"
#include "entry.h"
#include "foreign.h"
#include "handoff.h"
#include "observe.h"
#include "plain_lane.h"
#include "syn_lane.h"
#include "syn_plan.h"

void
core_set_policy(struct core *core, const struct policy *policy)
{
	/* Connections of a service that the new policy lacks, or serves no more, live on. */
	if (core->policy != NULL && core->conns.used > 0)
		core->has_orphans = true;
	bool is_first = core->policy == NULL;

	core->policy = policy;
	core_forget(core);
	core->hands_off = false;
	core->reflect_cap = limit_share(core, policy->reflection.per_net_per_s);
	for (uint32_t i = 0; i < SERVICES_MAX; i++) {
		core->services[i].service = NULL;
		core->services[i].is_limited = admission_counts_sources(core);
	}
	for (uint32_t i = 0; i < policy->n_services; i++) {
		const struct service *service = &policy->services[i];
		struct service_state *state = &core->services[service->id];

		state->service = service;
		uint8_t mode = service->observe && core->observer != NULL ? MODE_OBSERVED
		                                                          : service->mode;
		/* Other threads look at it. */
		__atomic_store_n(&state->mode, mode, __ATOMIC_RELAXED);
		state->cookies = service->cookies;
		state->drops_unproven = service->unproven != REFUSE_RESET;
		state->is_listed = admit_is_asked(core, service);
		state->is_limited |= admission_limits(service);
		handoff_set(core, state, is_first);
		if (is_first)
			state->served_ms = core->served_ms;
		state->plan_key = syn_plan_key(state);
		state->lane = syn_lane_of(state);
	}
	if (core->observer != NULL)
		core_set_policy(core->observer->shadow, policy);
}

void
core_adopt_anew(struct core *core, const struct instant *now)
{
	for (uint32_t i = 0; i < core->policy->n_services; i++) {
		const struct service *service = &core->policy->services[i];

		if (!service->adopts)
			continue;
		core->services[service->id].served_ms = now->now_ms;
		core->served_ms = now->now_ms;
	}
}

/* ---- decide ---------------------------------------------------------- */

static enum state
state_of(const struct core *core, uint32_t entry)
{
	static const uint8_t of_conn[] = {
		[CONN_FREE] = STATE_LISTEN,     [CONN_CONNECTING] = STATE_CONNECTING,
		[CONN_TRACKED] = STATE_TRACKED, [CONN_SPLICED] = STATE_SPLICED,
		[CONN_CLOSING] = STATE_CLOSING, [CONN_RESPONDING] = STATE_RESPONDING,
		[CONN_SPENT] = STATE_SPENT,
	};

	if (entry == FLOW_NONE)
		return STATE_LISTEN;
	if (entry & FLOW_HALF_OPEN)
		return STATE_SYN_RECEIVED;
	return of_conn[core->conns.conns[entry].state];
}

/* The entry as it is now: what core_locate() saw, unless an earlier segment of
 * this burst has changed the index, or another flow has the same tag. */
static inline __attribute__((always_inline)) void
step_find(struct core *core, struct step *step)
{
	const struct segment *seg = step->seg;
	struct flow_slot at = { seg->found.at_bucket, seg->found.at_slot };
	uint32_t entry = seg->found.entry;

	step->entry = FLOW_NONE;
	if (core->mutations != 0)
		entry = flow_index_first(&core->index, seg->found.hash, &at);
	if (entry == FLOW_NONE)
		return;
	step->at = at;
	if (entry_is(core, entry, &seg->flow, seg->tags))
		step->entry = entry;
	else
		step->entry = entry_find(core, &seg->flow, seg->tags, seg->found.hash, &step->at);
}

/* Is it more than a segment of a connection that no service has? Answers to the host's own
 * connections, and connections that have always been there, have none either. */
static inline bool
closed_matters(const struct core *core, const struct segment *seg)
{
	return core->observer != NULL || seg->class != SEGMENT_TCP ||
	       (seg->side == SIDE_OUTSIDE && decision_event(seg) == EVENT_SYN);
}

/* A SYN to a protected address on a port of no service. */
static __attribute__((noinline)) void
refuse_closed(struct core *core, struct step *step)
{
	switch ((enum refusal)core->policy->closed_port) {
	case REFUSE_PASS:
		act_forward(core, step, COUNTER_passed_closed);
		return;
	case REFUSE_DROP:
		act_drop(core, step, COUNTER_drop_closed);
		return;
	default:
		if (segment_checksum_ok(step->seg))
			act_reset(core, step);
		else
			act_drop(core, step, COUNTER_drop_checksum);
	}
}

static __attribute__((noinline)) void
decide_closed(struct core *core, struct step *step)
{
	const struct segment *seg = step->seg;

	if (__builtin_expect(core->observer != NULL, 0) && observe_covers(core, seg))
		observe_segment(core, step);
	else if (seg->class != SEGMENT_TCP)
		foreign_decide(core, step);
	else if (seg->side != SIDE_OUTSIDE || decision_event(seg) != EVENT_SYN)
		act_forward(core, step, COUNTER_passed_other);
	else
		refuse_closed(core, step);
}

/* Whatever is answered or changes a state must be whole (RFC 9293, MUST-3);
 * spliced data keeps its checksum, right or wrong. */
static bool
checksum_matters(enum state state, enum event event, uint8_t flags)
{
	bool carried = state == STATE_TRACKED || state == STATE_SPLICED || state == STATE_CLOSING;

	return !carried || (event != EVENT_ACK && event != EVENT_DATA) || (flags & TCP_FIN);
}

/* Service and entry are known: the table's turn. `is_noted`: somebody wants to know the row. */
static inline __attribute__((always_inline)) void
decide_found(struct core *core, struct step *step, bool is_noted)
{
	struct segment *seg = step->seg;
	enum state state = state_of(core, step->entry);
	enum event event = decision_event(seg);
	if (checksum_matters(state, event, seg->flags) && !segment_checksum_ok(seg)) {
		act_drop(core, step, COUNTER_drop_checksum);
		return;
	}
	/* A frame to a group of stations is nobody's to answer. */
	if (seg->frame[0] & 1) {
		act_drop(core, step, COUNTER_drop_address);
		return;
	}
	if (is_noted)
		step->row = decision_number(state, seg->side, event);
	decision_handlers[state][seg->side][event](core, step);
}

/* What stands for a service that a reload has taken away. */
static const struct service orphan_service = {
	.name = "(removed)",
	.id = SERVICE_NONE,
	.mode = MODE_PROXY,
	.unproven = REFUSE_RESET,
};

/* Does this segment belong to a connection whose service a reload has taken
 * away or changed to bypass? Only looked for after a reload. */
static __attribute__((noinline)) bool
decide_orphan(struct core *core, struct step *step)
{
	struct segment *seg = step->seg;

	if (seg->class != SEGMENT_TCP || decision_event(seg) == EVENT_SYN)
		return false;
	seg->found.hash = flow_hash(&core->hash_key, &seg->flow, seg->tags);
	step->entry = entry_find(core, &seg->flow, seg->tags, seg->found.hash, &step->at);
	if (step->entry == FLOW_NONE || (step->entry & FLOW_HALF_OPEN) ||
	    conn_of(core, step->entry)->state == CONN_SPENT)
		return false;
	seg->found.service = core->conns.sides[step->entry].service;
	step->service = &orphan_service;
	step->state = &core->services[seg->found.service];
	decide_found(core, step, true);
	return true;
}

/* A TCP segment of a service of mode handoff: nothing is kept, so its state is the mode's. */
static inline __attribute__((always_inline)) void
handoff_decide(struct core *core, struct step *step, bool is_noted)
{
	const struct segment *seg = step->seg;
	enum event event = decision_event(seg);

	if (is_noted)
		step->row = decision_number(STATE_HANDOFF, seg->side, event);
	decision_handlers[STATE_HANDOFF][seg->side][event](core, step);
}

/* The same, off the path of what is enforced. */
static __attribute__((noinline)) void
step_find_apart(struct core *core, struct step *step)
{
	step_find(core, step);
}

/* Of a service under observe. What was split before goes on like that. */
static __attribute__((noinline)) void
decide_observed(struct core *core, struct step *step)
{
	const struct segment *seg = step->seg;

	if (seg->class == SEGMENT_TCP)
		step_find_apart(core, step);
	else if (seg->class == SEGMENT_ICMP_ERROR || seg->class == SEGMENT_FRAGMENT_FIRST)
		step->entry = entry_find(core, &seg->flow, seg->tags, seg->found.hash, &step->at);
	if (observe_leaves(core, step)) {
		if (seg->class == SEGMENT_TCP)
			decide_found(core, step, true);
		else
			foreign_decide(core, step);
		return;
	}
	if (seg->class != SEGMENT_TCP || !observe_lets_in(core, step))
		observe_segment(core, step);
}

/* What is not TCP, or of a service whose connections are not followed (any more). */
static __attribute__((noinline)) void
decide_kept_by_nobody(struct core *core, struct step *step)
{
	if (step->state->mode == MODE_OBSERVED) {
		decide_observed(core, step);
		return;
	}
	if (core->has_orphans && decide_orphan(core, step))
		return;
	if (step->state->mode == MODE_HANDOFF && step->seg->class == SEGMENT_TCP)
		handoff_decide(core, step, true);
	else
		foreign_decide(core, step);
}

_Static_assert(MODE_PROXY<MODE_HANDOFF && MODE_RESPOND<MODE_HANDOFF && MODE_BYPASS> MODE_HANDOFF &&
                          MODE_OBSERVED>
                       MODE_HANDOFF,
               "modes that keep entries come first");

static inline __attribute__((always_inline)) void
decide_segment(struct core *core, struct step *step, bool is_noted)
{
	struct segment *seg = step->seg;

	if (__builtin_expect(seg->found.service >= SERVICES_MAX, 0)) {
		if (core->has_orphans && decide_orphan(core, step))
			return;
		if (seg->found.service == SERVICE_CLOSED && closed_matters(core, seg))
			decide_closed(core, step);
		else
			act_forward(core, step, COUNTER_passed_other);
		return;
	}
	step->state = &core->services[seg->found.service];
	step->service = step->state->service;
	if (seg->class != SEGMENT_TCP || step->state->mode >= MODE_HANDOFF) {
		if (step->state->is_stateless && seg->class == SEGMENT_TCP)
			handoff_decide(core, step, is_noted);
		else
			decide_kept_by_nobody(core, step);
		return;
	}
	step_find(core, step);
	decide_found(core, step, is_noted);
}

/* What the only segment of a list counts as: SENDs may stand before its action. */
static uint8_t
outcome_of(const struct actions *out)
{
	unsigned int i = 0;

	while (i + 1 < out->n && out->list[i].kind == ACTION_SEND)
		i++;
	return out->list[i].outcome;
}

static void
note_would(struct core_note *notes, const struct observed *of, enum counter outcome,
           const struct step *step)
{
	if (notes == NULL)
		return;
	struct core_note *note = &notes[of->number];

	note->is_observed = true;
	note->would_outcome = (uint8_t)outcome;
	note->would_row = step->row;
	note->would_reason = step->reason;
}

/* What the shadow would do with the segments of this burst that are observed. `notes` of the
 * burst, or NULL. */
static __attribute__((noinline)) void
decide_shadow(struct core *core, const struct instant *now, struct core_note *notes)
{
	struct observer *o = core->observer;
	struct core *shadow = o->shadow;
	struct step step = { .now = now, .out = &o->out };
	uint32_t n = o->n;

	o->n = 0;
	pending_settle(&shadow->pending);
	core_locate(shadow, o->segs, n, now);
	for (uint32_t i = 0; i < n; i++) {
		struct segment *seg = &o->segs[i];

		o->out.n = 0;
		step.seg = seg;
		step.number = i;
		step.service = NULL;
		step.entry = FLOW_NONE;
		step.row = CORE_ROW_NONE;
		step.reason = 0;
		if (seg->class == SEGMENT_TCP && seg->found.service < SERVICES_MAX)
			step_find_apart(shadow, &step);
		if (!observe_prepare(shadow, &step, &o->seen, &o->notes[i])) {
			core_count(shadow, COUNTER_passed_unasked);
			note_would(notes, &o->notes[i], COUNTER_passed_unasked, &step);
			continue;
		}
		step.entry = FLOW_NONE;
		decide_segment(shadow, &step, true);
		note_would(notes, &o->notes[i], (enum counter)outcome_of(&o->out), &step);
		observe_settle(shadow, &step, &o->seen, &o->notes[i]);
	}
	o->out.n = 0;
}

void
core_decide(struct core *core, struct segment *seg, unsigned int n, const struct instant *now,
            struct actions *out)
{
	struct step step = { .now = now, .out = out };

	pending_settle(&core->pending);
	for (unsigned int i = 0; i < n; i++) {
		if (seg[i].found.lane != SYN_LANE_NEVER)
			i += syn_lane_run(core, seg, i, n, now, out);
		else if (seg[i].found.plain != PLAIN_NEVER)
			i += plain_lane_run(core, seg, i, n, now, out);
		if (i == n)
			break;
		step.seg = &seg[i];
		step.number = i;
		step.entry = FLOW_NONE;
		step.service = NULL;
		decide_segment(core, &step, false);
	}
	if (__builtin_expect(core->observer != NULL, 0) && core->observer->n != 0)
		decide_shadow(core, now, NULL);
}

/* A copy of the code above, so that who wants no notes does not pay for them; apart, so that it
 * takes no registers from whom it is inlined into. The straight lane, which notes nothing, is left
 * out. */
__attribute__((noinline)) void
core_decide_noted(struct core *core, struct segment *seg, unsigned int n, const struct instant *now,
                  struct actions *out, struct core_note *notes)
{
	struct step step = { .now = now, .out = out };

	pending_settle(&core->pending);
	for (unsigned int i = 0; i < n; i++) {
		step.seg = &seg[i];
		step.number = i;
		step.entry = FLOW_NONE;
		step.service = NULL;
		step.row = CORE_ROW_NONE;
		step.reason = 0;
		decide_segment(core, &step, true);
		notes[i] = (struct core_note){ .row = step.row, .reason = step.reason };
	}
	if (__builtin_expect(core->observer != NULL, 0) && core->observer->n != 0)
		decide_shadow(core, now, notes);
}
