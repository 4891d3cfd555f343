/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Letting a segment without an entry pass, to be followed as TRACKED: SYNs, and, for a time
 * after the start, segments of connections that are older than the engine.
 */
#include "pass.h"

#include "act.h"
#include "admission.h"
#include "entry_open.h"
#include "expected.h"
#include "unfinished.h"

/* A client sends its SYN again after a second, some stacks after half of one (RFC 6298, 2.1). */
#define SYN_TICK_MS 128u
#define SYN_AGAIN_TICKS 4u /* with what is under way, and a tick begun: 384 ms at least */
#define SIGNATURES (OPTION_MD5 | OPTION_AO)

static uint8_t
syn_clock(const struct instant *now)
{
	return (uint8_t)((uint32_t)now->now_ms / SYN_TICK_MS);
}

bool
pass_is_again(const struct conn *conn, const struct segment *seg)
{
	/* A plain SYN is not the signed one: servers drop that before anything else. */
	return (seg->seq == conn->irs || seg->seq + 1 == conn->client_nxt) &&
	       ((conn->offered ^ seg->options) & SIGNATURES) == 0;
}

/* Which of its SYNs the server answers nobody knows before it does. */
static void
syn_note(struct conn *conn, const struct segment *seg, const struct instant *now)
{
	conn->irs = seg->seq;
	conn->offered &= seg->options;
	conn->syn_at = syn_clock(now);
	if (seg->payload_len > conn->syn_len)
		conn->syn_len = (uint16_t)seg->payload_len;
}

bool
pass_again(struct conn *conn, const struct segment *seg, const struct instant *now)
{
	if ((uint8_t)(syn_clock(now) - conn->syn_at) < SYN_AGAIN_TICKS)
		return false;
	syn_note(conn, seg, now);
	return true;
}

/* Is there an entry already that a SYN which passes leaves as it is? Anybody can forge one: a
 * handshake under way, and a candidate for adoption, must survive it. */
static bool
joins_entry(struct core *core, const struct step *step)
{
	if (step->entry == FLOW_NONE || (step->entry & FLOW_HALF_OPEN))
		return false;
	struct conn *conn = conn_of(core, step->entry);
	if (conn_is_half_open(conn))
		syn_note(conn, step->seg, step->now);
	else if (conn->state != CONN_TRACKED || !(conn->flags & CONN_ADOPTING))
		return false;
	return true;
}

bool
pass_begin(struct core *core, struct step *step, bool outbound)
{
	const struct segment *seg = step->seg;

	if (!core->params.has_inside)
		return false;
	if (!outbound && joins_entry(core, step))
		return true;
	if (outbound && core->n_outbound >= core->conns.capacity / OUTBOUND_SHARE) {
		core_count(core, COUNTER_table_full);
		return false;
	}
	struct conn *conn = conn_open(core, step, UNCONFIRMED_S);
	if (conn == NULL)
		return false;
	conn->state = CONN_TRACKED;
	if (outbound) {
		conn->flags = CONN_OUTBOUND;
		conn->server_nxt = seg->seq + 1;
		core->n_outbound++;
	} else {
		conn->client_nxt = seg->seq + 1;
		conn->offered = seg->options;
		syn_note(conn, seg, step->now);
		admission_half_open(core, seg->found.service, 1);
	}
	return true;
}

/*
 * A candidate for adoption. What comes from inside says how the server counts; what
 * comes from outside anybody may have sent, and it counts only where it fits.
 */
void
pass_seed(struct conn *conn, const struct segment *seg)
{
	uint32_t end = seg->seq + segment_seq_len(seg);
	bool outside = seg->side == SIDE_OUTSIDE;

	conn->client_nxt = outside ? end : seg->ack;
	conn->server_nxt = outside ? seg->ack : end;
	if (!outside)
		conn->flags |= CONN_SEEDED;
}

bool
pass_resumes(const struct core *core, const struct step *step)
{
	return !step->state->cookie_mode &&
	       (unfinished_passed(core, step->seg, step->now) || expected_is(core, step->seg));
}

bool
pass_adopt(struct core *core, struct step *step)
{
	const struct segment *seg = step->seg;
	const struct instant *now = step->now;
	uint32_t cap = limit_share(core, core->policy->adopt_per_net);

	if (!(service_adopts(core, step->state, now) || pass_resumes(core, step)) ||
	    !(seg->flags & TCP_ACK) || step->entry != FLOW_NONE ||
	    core->n_adopting >= core->conns.capacity / ADOPT_SHARE ||
	    core->conns.used == core->conns.capacity)
		return false;
	if (cap != 0 &&
	    rate_hit(&core->adopt_rate, source_net_hash(&core->hash_key, &seg->flow.client),
	             (uint32_t)now->now_ms) > cap)
		return false;
	struct conn *conn = conn_open(core, step, UNCONFIRMED_S);
	if (conn == NULL)
		return false;
	conn->state = CONN_TRACKED;
	conn->flags = CONN_ADOPTING;
	core->n_adopting++;
	pass_seed(conn, seg);
	act_forward(core, step, COUNTER_passed_adopted);
	return true;
}

/* Does this SYN, which may pass to teach what its server does, pass? A few a second. `b`: the
 * server, if it is known. */
static bool
syn_teaches(struct core *core, struct step *step, struct backend *b)
{
	const struct segment *seg = step->seg;
	uint32_t now_s = instant_s(step->now);

	if (b == NULL)
		b = backend_at(&core->backends, server_of(core, step));
	if (b == NULL ||
	    (!backend_curious(b, seg->options) && !backend_ask_again(b, seg->options, now_s)))
		return false;
	if (b->learn_s != (uint8_t)now_s) {
		b->learn_s = (uint8_t)now_s;
		b->n_learn = 0;
	}
	if (b->n_learn == LEARN_PASSES_PER_S)
		return false;
	b->n_learn++;
	return bucket_take(&core->learn_bucket, LEARN_ALL_PER_S, (uint32_t)step->now->now_ms);
}

bool
syn_may_pass(const struct core *core, const struct service_state *state, const struct backend *b,
             const struct segment *seg, const struct instant *now)
{
	if (core->draining || (b != NULL && b->down))
		return true;
	if (state->cookie_mode)
		return false;
	return (state->service->calm == CALM_TRANSPARENT && state->cookies != COOKIES_ALWAYS) ||
	       b == NULL || backend_curious(b, seg->options) ||
	       backend_asks_again(b, seg->options, instant_s(now));
}

bool
syn_passes(struct core *core, struct step *step, struct backend *b)
{
	const struct service *service = step->service;

	if (!syn_may_pass(core, step->state, b, step->seg, step->now))
		return false;
	if (core->draining)
		return pass_begin(core, step, false);
	if (service->calm == CALM_TRANSPARENT && service->cookies != COOKIES_ALWAYS)
		return !admission_wants_cookie(core, step) && pass_begin(core, step, false);
	return syn_teaches(core, step, b) && pass_begin(core, step, false);
}
