/* SPDX-License-Identifier: BSD-3-Clause */
#include "explain.h"

#include "admission.h"
#include "admit.h"
#include "connect.h"
#include "decision.h"
#include "entry.h"
#include "observe.h"
#include "unfinished.h"

#define TRIAL_ENTRIES 16u
#define TRIAL_HELD 8u
#define FRAME_ROOM (EMIT_HEADER_MAX + 64u)
#define ISS 0x5eed0001u      /* of the SYN that is tried */
#define NO_PROOF 0x0badacc1u /* of an ACK that proves nothing: no cookie by chance of 2^-26 */

static struct core_params
trial_params(const struct core_params *params)
{
	struct core_params p = *params;

	p.connections = p.half_open = p.paths = p.sources = TRIAL_ENTRIES;
	p.backends = TRIAL_ENTRIES;
	p.held = TRIAL_HELD;
	p.seen = 0;
	p.cookies_until_s = NULL;
	return p;
}

size_t
explain_size(const struct core_params *params)
{
	struct core_params p = trial_params(params);

	return core_size(&p);
}

struct core *
explain_init(void *memory, const struct core_params *params, const struct policy *policy,
             const struct known *known, const struct instant *now)
{
	struct core_params p = trial_params(params);

	p.known = known;
	return core_init(memory, &p, policy, now);
}

/* ---- looking ----------------------------------------------------------- */

/* The core that decides on this service: under observe its shadow. */
static const struct core *
decider(const struct core *core, uint16_t service)
{
	return core->services[service].mode == MODE_OBSERVED && core->observer != NULL
	               ? core->observer->shadow
	               : core;
}

static void
look_at_source(const struct core *core, const struct flow *flow, const struct instant *now,
               struct explain_facts *f)
{
	struct source_table *t = (struct source_table *)(uintptr_t)&core->sources;
	struct source_pair pair = source_find(t, &flow->client, false);
	uint64_t host = source_host_hash(&core->hash_key, &flow->client);
	uint64_t net = source_net_hash(&core->hash_key, &flow->client);
	const struct source *of[2] = { pair.host, pair.net };
	struct explain_source *to[2] = { &f->host, &f->net };
	uint32_t ms = (uint32_t)now->now_ms;

	for (unsigned int i = 0; i < 2; i++)
		if (of[i] != NULL)
			*to[i] = (struct explain_source){
				.connections = of[i]->n_conns,
				.half_open = of[i]->n_half_open,
				.new_per_s = source_new(t, of[i]),
			};
	f->host.syn_per_s = rate_seen(&core->syn_rate, host, ms);
	f->net.syn_per_s = rate_seen(&core->syn_rate, net, ms);
	f->answers_per_s = rate_seen(&core->reflection, net, ms);
	f->is_proven = recent_has(&core->proven, net);
}

static void
look_at_entry(const struct core *core, uint32_t entry, struct explain_facts *f)
{
	f->has_entry = entry != FLOW_NONE;
	f->is_half_open = f->has_entry && (entry & FLOW_HALF_OPEN);
	if (!f->has_entry)
		return;
	if (f->is_half_open) {
		f->n_sent = core->half_open.sides[FLOW_NUMBER(entry)].stage + 1u;
		return;
	}
	const struct conn *conn = &core->conns.conns[entry];
	f->state = conn->state;
	if (conn->state != CONN_CONNECTING)
		return;
	const struct pending *p = &core->pending.records[conn->pending];
	f->n_sent = p->stage + 1u;
	f->held = p->held_size;
}

static uint32_t
backend_of(const struct core *core, const struct flow *flow)
{
	return backend_look(&core->backends, &flow->server, flow->server_port_be);
}

/* ---- copying ----------------------------------------------------------- */

static void
copy_cells(struct rate *to, const struct rate *from, uint64_t hash)
{
	to->second = from->second;
	to->started_ms = from->started_ms;
	for (unsigned int row = 0; row < RATE_ROWS; row++)
		*rate_cell(to, row, hash) = *rate_cell(from, row, hash);
}

static void
copy_source(struct core *to, const struct core *from, const struct flow *flow,
            const struct instant *now)
{
	struct source_table *t = (struct source_table *)(uintptr_t)&from->sources;
	struct source_pair have = source_find(t, &flow->client, false), made;
	uint64_t host = source_host_hash(&from->hash_key, &flow->client);
	uint64_t net = source_net_hash(&from->hash_key, &flow->client);

	copy_cells(&to->syn_rate, &from->syn_rate, host);
	copy_cells(&to->syn_rate, &from->syn_rate, net);
	copy_cells(&to->reflection, &from->reflection, net);
	copy_cells(&to->adopt_rate, &from->adopt_rate, net);
	if (recent_has(&from->proven, net))
		recent_add(&to->proven, net, (uint32_t)now->now_ms);
	to->sources.now_s = from->sources.now_s;
	made = source_find(&to->sources, &flow->client, have.host != NULL || have.net != NULL);
	if (have.host != NULL && made.host != NULL)
		*made.host = *have.host;
	if (have.net != NULL && made.net != NULL)
		*made.net = *have.net;
}

/* Budgets and clocks of the whole core. */
static void
copy_core(struct core *to, const struct core *from)
{
	to->port_bucket = from->port_bucket;
	to->proven_bucket = from->proven_bucket;
	to->rst_bucket = from->rst_bucket;
	to->challenge_bucket = from->challenge_bucket;
	to->pass_bucket = from->pass_bucket;
	to->learn_bucket = from->learn_bucket;
	to->fragment_bucket = from->fragment_bucket;
	to->served_ms = from->served_ms;
	to->cookie_out_ms = from->cookie_out_ms;
	to->draining = from->draining;
	while (from->half_open.used == from->half_open.capacity &&
	       half_open_take(&to->half_open) != FLOW_NONE)
		;
	/* Unless somebody would give way. */
	while (from->pending.free == FLOW_NONE &&
	       pending_gives_way(&from->pending, false) == FLOW_NONE &&
	       pending_take(&to->pending, false) != FLOW_NONE)
		;
}

/* Its policy stays the trial's; cookies of other workers count. */
static void
copy_service(struct core *to, const struct core *from, uint16_t id)
{
	const struct service *service = to->services[id].service;
	uint64_t until_ms = 0;

	to->services[id] = from->services[id];
	to->services[id].service = service;
	if (from->params.cookies_until_s != NULL)
		until_ms = 1000ull *
		           __atomic_load_n(&from->params.cookies_until_s[id], __ATOMIC_RELAXED);
	if (until_ms > to->services[id].cookies_until_ms)
		to->services[id].cookies_until_ms = until_ms;
}

static void
copy_half_open(struct core *to, const struct core *from, uint32_t number, const struct segment *seg,
               uint64_t hash)
{
	const struct half_open *h = &from->half_open.entries[number];
	const struct half_open_side *side = &from->half_open.sides[number];
	uint16_t path = path_get(&to->paths, seg);
	uint32_t fresh;
	struct flow_slot at;

	/* Where all are taken, this one is one of them. */
	if (to->half_open.used == to->half_open.capacity)
		half_open_give(&to->half_open, 0);
	fresh = half_open_take(&to->half_open);
	struct half_open *entry = &to->half_open.entries[fresh];
	entry->flow = h->flow;
	entry->irs = h->irs;
	entry->iss = h->iss;
	entry->tsval = h->tsval;
	entry->service = h->service;
	entry->path = path;
	unsigned int stage = side->stage;
	to->half_open.sides[fresh] = *side;
	to->half_open.sides[fresh].stage = 0;
	half_open_wait(&to->half_open, fresh, stage, h->deadline_ms);
	flow_index_insert(&to->index, hash, FLOW_HALF_OPEN | fresh, 0, &at);
}

static void
copy_pending(struct core *to, const struct core *from, uint32_t number, struct conn *conn,
             uint32_t backend)
{
	const struct pending *have = &from->pending.records[conn->pending];

	if (to->pending.free == FLOW_NONE)
		to->pending.free = 0; /* all are taken, and this one is one of them */
	uint32_t fresh = pending_take(&to->pending, pending_is_doubtful(have));
	struct pending *p = &to->pending.records[fresh];
	uint8_t stage = p->stage;
	*p = *have;
	p->stage = stage;
	p->next = p->prev = p->first_block = p->last_block = FLOW_NONE;
	p->held_size = 0;
	p->conn = number;
	p->backend = backend;
	conn->pending = fresh;
	pending_wait(&to->pending, fresh, have->stage, have->deadline_ms);
}

static void
copy_conn(struct core *to, const struct core *from, uint32_t number, const struct segment *seg,
          uint64_t hash, uint16_t deadline_s, uint32_t backend)
{
	uint16_t path = path_get(&to->paths, seg);
	uint32_t fresh = conn_table_take(&to->conns);
	struct conn *conn = &to->conns.conns[fresh];
	struct flow_slot at;

	*conn = from->conns.conns[number];
	conn->path = path;
	conn->flags &= ~(unsigned int)CONN_COUNTED; /* in a table that may lack its source */
	to->conns.sides[fresh] = from->conns.sides[number];
	to->n_live += conn_is_live(conn);
	to->n_closing += conn->state == CONN_CLOSING;
	if (conn->state == CONN_CONNECTING)
		copy_pending(to, from, fresh, conn, backend);
	flow_index_insert(&to->index, hash, fresh, deadline_s, &at);
}

/* A frame of the client's, in `room`. */
static void
frame_of(const struct flow *flow, uint32_t tags, const struct packet *packet, uint8_t *room,
         struct segment *seg)
{
	static const struct link from_client = { .dst_mac = { 2, 0, 0, 0, 0, 1 },
		                                 .src_mac = { 2, 0, 0, 0, 0, 2 } };
	struct link link = from_client;
	struct emit_memo memo = EMIT_MEMO_NEW;

	link.tags = tags;
	unsigned int len = emit_new(room, &link, flow, SIDE_INSIDE, packet, EMIT_CHECKSUM_SOFTWARE,
	                            &memo);
	segment_parse(seg, room, len, len, SIDE_OUTSIDE);
}

static struct packet
syn_of(const struct flow *flow)
{
	return (struct packet){
		.flags = TCP_SYN,
		.seq = ISS,
		.window = 64240,
		.mss = ip_addr_is_v4(&flow->client) ? 1460 : 1440,
		.options = OPTION_MSS | OPTION_WSCALE | OPTION_SACK_PERMITTED | OPTION_TIMESTAMPS,
		.wscale = 7,
		.tsval = 1,
	};
}

static void
copy_to(struct core *to, const struct core *from, const struct segment *seg, uint32_t entry,
        const struct flow_slot *at, const struct instant *now)
{
	const struct flow *flow = &seg->flow;
	uint64_t hash = seg->found.hash;
	uint32_t have = backend_of(from, flow), backend = BACKEND_NONE;

	copy_core(to, from);
	copy_service(to, from, seg->found.service);
	/* The lists themselves may be gone by the time of the question. */
	to->verdict = live_verdict(from, from->services[seg->found.service].service, &flow->client);
	copy_source(to, from, flow, now);
	if (have != BACKEND_NONE)
		backend = backend_find(&to->backends, &flow->server, flow->server_port_be, true,
		                       instant_s(now));
	if (backend != BACKEND_NONE)
		*backend_at(&to->backends, backend) = *backend_at(&from->backends, have);
	if (unfinished_answered(from, seg, now))
		recent_add(&to->unfinished, hash, (uint32_t)now->now_ms);
	if (unfinished_passed(from, seg, now))
		recent_add(&to->unfinished, ~hash, (uint32_t)now->now_ms);
	to->unfinished_until_ms = from->unfinished_until_ms;
	if (from->params.known != NULL && to->params.known != NULL) {
		uint64_t mark = known_hash(from->params.known, flow);
		if (known_has(from->params.known, mark))
			known_note(to->params.known, known_hash(to->params.known, flow),
			           instant_s(now));
	}
	if (entry == FLOW_NONE)
		return;
	if (entry & FLOW_HALF_OPEN)
		copy_half_open(to, from, FLOW_NUMBER(entry), seg, hash);
	else
		copy_conn(to, from, entry, seg, hash,
		          from->index.buckets[at->bucket].deadline[at->slot], backend);
}

void
explain_copy(const struct core *core, const struct flow *flow, uint32_t tags,
             const struct instant *now, struct explain_facts *f, struct core *trials[2])
{
	const struct packet packet = syn_of(flow);
	uint8_t frame[FRAME_ROOM];
	struct segment seg;
	struct flow_slot at = { 0 };

	frame_of(flow, tags, &packet, frame, &seg);
	*f = (struct explain_facts){ .service = policy_find_id(
					     core->policy, &flow->server, seg.is_v4,
					     __builtin_bswap16(flow->server_port_be)) };
	if (f->service >= SERVICES_MAX)
		return;
	f->is_observed = core->services[f->service].mode == MODE_OBSERVED;
	const struct core *from = decider(core, f->service);
	const struct service_state *state = &from->services[f->service];

	seg.found.service = f->service;
	seg.found.hash = flow_hash(&from->hash_key, flow, tags);
	uint32_t entry = entry_find(from, flow, tags, seg.found.hash, &at);
	uint32_t backend = backend_of(from, flow);

	f->is_admitted = admits(from, state->service, &flow->client);
	f->is_draining = from->draining;
	f->cookie_mode = state->cookie_mode;
	f->is_full = from->half_open.used == from->half_open.capacity;
	f->is_known = from->params.known != NULL &&
	              known_has(from->params.known, known_hash(from->params.known, flow));
	f->backend_known = backend != BACKEND_NONE && backend_at(&from->backends, backend)->known;
	f->backend_down = backend != BACKEND_NONE && backend_at(&from->backends, backend)->down;
	look_at_source(from, flow, now, f);
	look_at_entry(from, entry, f);
	for (unsigned int i = 0; trials != NULL && i < 2; i++)
		copy_to(trials[i], from, &seg, entry, &at, now);
}

/* ---- asking ------------------------------------------------------------ */

/* What becomes of it in the trial. `answer`: the packet that it is answered with, if it is. */
static struct explain_verdict
decide(struct core *trial, const struct flow *flow, uint32_t tags, const struct packet *packet,
       const struct instant *now, struct packet *answer)
{
	struct action list[CORE_BURST_MAX + 2 * ACTIONS_PER_EVENT];
	struct actions out = { .list = list, .max = sizeof(list) / sizeof(list[0]) };
	struct explain_verdict v = { .is_asked = true };
	uint8_t frame[FRAME_ROOM];
	struct segment seg;

	frame_of(flow, tags, packet, frame, &seg);
	core_locate(trial, &seg, 1, now);
	core_decide_noted(trial, &seg, 1, now, &out, &v.note);
	for (unsigned int i = 0; i < out.n; i++) {
		const struct action *a = &list[i];
		if (a->kind != ACTION_SEND)
			v.outcome = a->outcome;
		if (a->kind == ACTION_REPLY) {
			v.has_syn_ack = a->packet.flags & TCP_SYN;
			*answer = a->packet;
		}
		v.asks_server |= (a->kind == ACTION_ONWARD || a->kind == ACTION_SEND) &&
		                 a->out == SIDE_INSIDE && (a->packet.flags & TCP_SYN);
	}
	return v;
}

/* The ACK of a SYN-ACK. */
static struct packet
ack_of(const struct packet *syn_ack)
{
	return (struct packet){
		.flags = TCP_ACK,
		.seq = syn_ack->ack,
		.ack = syn_ack->seq + 1,
		.window = 502,
		.options = syn_ack->options & OPTION_TIMESTAMPS,
		.tsval = 2,
		.tsecr = syn_ack->tsval,
	};
}

/* The next ACK of what the trial has, or one that proves nothing. */
static struct packet
next_ack(const struct core *trial, const struct flow *flow, uint32_t tags)
{
	struct packet p = { .flags = TCP_ACK, .seq = ISS + 1, .ack = NO_PROOF, .window = 502 };
	struct flow_slot at;
	uint32_t entry = entry_find(trial, flow, tags, flow_hash(&trial->hash_key, flow, tags),
	                            &at);

	if (entry == FLOW_NONE)
		return p;
	if (entry & FLOW_HALF_OPEN) {
		const struct half_open *h = &trial->half_open.entries[FLOW_NUMBER(entry)];
		const struct half_open_side *side = &trial->half_open.sides[FLOW_NUMBER(entry)];
		p.seq = h->irs + 1;
		p.ack = h->iss + 1;
		p.options = side->options & OPTION_TIMESTAMPS;
		p.tsval = h->tsval + 1;
		p.tsecr = side->ts_sent;
		return p;
	}
	const struct conn *conn = &trial->conns.conns[entry];
	if (conn->state == CONN_SPENT)
		return p;
	p.seq = conn->client_nxt;
	p.ack = conn->server_nxt;
	return p;
}

void
explain_ask(struct core *trials[2], const struct flow *flow, uint32_t tags,
            const struct instant *now, struct explain_answer *answer)
{
	struct packet syn = syn_of(flow), said = { 0 };
	struct packet ack = next_ack(trials[1], flow, tags);

	memset(answer, 0, sizeof(*answer));
	/* First: both trials have one cache of known flows, to which a proof adds this one. */
	answer->ack = decide(trials[1], flow, tags, &ack, now, &said);
	answer->syn = decide(trials[0], flow, tags, &syn, now, &said);
	if (answer->syn.has_syn_ack) {
		struct packet proof = ack_of(&said);
		answer->proof = decide(trials[0], flow, tags, &proof, now, &said);
	}
}

/* ---- flows of a client ------------------------------------------------- */

static bool
flow_at(const struct core *core, const struct ip_addr *client, uint32_t entry,
        struct explain_flow *found)
{
	bool is_half_open = entry & FLOW_HALF_OPEN;
	uint32_t number = FLOW_NUMBER(entry);
	const struct half_open *h = is_half_open ? &core->half_open.entries[number] : NULL;
	const struct conn *conn = is_half_open ? NULL : &core->conns.conns[number];
	const struct flow *flow = is_half_open ? &h->flow : &conn->flow;
	struct flow_slot at;

	if (!ip_addr_equal(&flow->client, client) || (conn != NULL && conn->state == CONN_FREE))
		return false;
	uint32_t tags = core->paths.paths[is_half_open ? h->path : conn->path].tags;
	/* A half-open entry that has been given back still says whose it was. */
	if (entry_find(core, flow, tags, flow_hash(&core->hash_key, flow, tags), &at) != entry)
		return false;
	*found = (struct explain_flow){
		.flow = *flow,
		.tags = tags,
		.service = is_half_open ? h->service : core->conns.sides[number].service,
		.is_half_open = is_half_open,
		.state = conn != NULL ? conn->state : CONN_FREE,
	};
	return true;
}

uint32_t
explain_flows(const struct core *core, const struct ip_addr *client, uint64_t *at, uint32_t look,
              struct explain_flow *flows, uint32_t max)
{
	uint64_t i = *at, conns = core->conns.fresh, end = conns + core->half_open.fresh;
	uint32_t n = 0;

	for (; i < end && look > 0 && n < max; i++, look--) {
		uint32_t entry = i < conns ? (uint32_t)i : FLOW_HALF_OPEN | (uint32_t)(i - conns);
		n += flow_at(core, client, entry, &flows[n]);
	}
	*at = i < end ? i : 0;
	return n;
}
