/* SPDX-License-Identifier: BSD-3-Clause */
#include "world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "cookie.h"
#include "engine.h"
#include "scenario.h"
#include "steps.h"

#define SECRETS_CACHED 512u
#define SERVER_PORT 80u
#define SEEN 64u /* what an observer remembers: more than can happen */
#define GROUP 1u /* of mode handoff */
#define TS_CLIENT 0x10000000u
#define TS_SERVER 0x50000000u

const char *const rule_names[RULE_COUNT] = {
#define RULE(name, text) #name,
#include "rules.def"
#undef RULE
};
const char *const rule_texts[RULE_COUNT] = {
#define RULE(name, text) text,
#include "rules.def"
#undef RULE
};

/* The keys of each second that was asked for. */
struct secrets_cache {
	struct {
		uint64_t wall_s;
		struct secret_set sets[GROUP + 1];
	} seconds[SECRETS_CACHED];
};

static void *
zeroed_or_die(size_t size)
{
	void *p = aligned_alloc(64, (size + 63) & ~(size_t)63);

	if (p == NULL) {
		fprintf(stderr, "explore: out of memory\n");
		exit(2);
	}
	memset(p, 0, size);
	return p;
}

static void
init_policies(struct world *w)
{
	const struct scenario *sc = w->scenario;

	w->address = (struct prefix){ world_flow(0)->server, 128 };
	w->port = (struct port_range){ SERVER_PORT, SERVER_PORT };
	for (unsigned int i = 0; i < POLICIES; i++) {
		uint32_t a, b;
		bool changed = i != 0;

		w->services[i] = (struct service){
			.name = "web",
			.mode = sc->mode,
			.cookies = changed && sc->reload == RELOAD_COOKIES ? COOKIES_ALWAYS
			                                                   : sc->cookies,
			.calm = sc->calm,
			.overload = REFUSE_DROP,
			.denied = REFUSE_DROP,
			.unproven = REFUSE_RESET,
			.signed_syn = REFUSE_DROP,
			.wait_for_data = sc->wait_for_data,
			.group_id = sc->mode == MODE_HANDOFF ? GROUP : 0,
			.promise = { .mss = SERVER_MSS,
			             .mss6 = SERVER_MSS,
			             .wscale = 7,
			             .window_scaling = true,
			             .sack = true,
			             .timestamps = true },
			.calm_syn_per_s = sc->calm_syn_per_s,
			.repeat_syn = !sc->single_syn,
			.observe = sc->observe && !(changed && sc->reload == RELOAD_OBSERVE),
			.high = sc->high != 0 ? sc->high : 100,
			.low = sc->low,
			.addresses = &w->address,
			.n_addresses = 1,
			.ports = &w->port,
			.n_ports = 1,
		};
		w->policies[i] = (struct policy){
			.generation = i + 1,
			.services = &w->services[i],
			.n_services = changed && sc->reload == RELOAD_REMOVED ? 0 : 1,
			.observes = w->services[i].observe,
			.may_observe = sc->observe,
			.syn_ack_retries = 2,
			.hold_bytes = WORLD_HOLD_BYTES,
			.closed_port = REFUSE_RESET,
			.sources = { .connections_net = sc->max_of_net },
			.timeouts = { .connecting = 4,
			              .idle = 40,
			              .half_closed = 20,
			              .closing = 10,
			              .reset_linger = 2,
			              .probe = 5,
			              .protect = 5 },
		};
		if (policy_compile(&w->policies[i], &a, &b) != NULL) {
			fprintf(stderr, "explore: the policy does not compile\n");
			exit(2);
		}
	}
}

static void
init_params(struct world *w, struct core_params *params)
{
	const struct scenario *sc = w->scenario;

	*params = (struct core_params){
		.connections = sc->connections != 0 ? sc->connections
		                                    : 8, /* an eighth of it may be adopted */
		.half_open = sc->half_open != 0 ? sc->half_open : 3,
		.backends = 4,
		.paths = 3,
		.sources = sc->max_of_net != 0 ? 2 * FLOWS : 1,
		.seen = sc->observe ? SEEN : 0,
		.held = sc->held != 0 ? sc->held : 2,
		.hold_bytes = WORLD_HOLD_BYTES,
		.n_workers = w->n_workers,
		.has_inside = true,
		.cookies_until_s = w->n_workers > 1 ? w->cookies_until_s : NULL,
	};
	for (unsigned int i = 0; i < sizeof(params->seed); i++)
		params->seed[i] = (uint8_t)(i * 37 + w->seed * 101 + 11);
}

void
world_init(struct world *w, const struct scenario *scenario, uint32_t seed)
{
	memset(w, 0, sizeof(*w));
	w->scenario = scenario;
	w->seed = seed;
	w->n_workers = scenario->n_workers != 0 ? scenario->n_workers : 1;
	w->base_ms = 5000000 + 7000ull * seed;
	/* A few seconds into an epoch, wherever that is. */
	w->wall_base_ms = (1700000000 / 60 + seed) * 60000ull + 5000 + seed * 7 % 20 * 1000;
	w->secrets = zeroed_or_die(sizeof(*w->secrets));
	w->cookies_until_s = zeroed_or_die(SERVICES_MAX * sizeof(uint32_t));
	w->actions.max = 8 * CORE_BURST_MAX;
	w->actions.list = zeroed_or_die(w->actions.max * sizeof(struct action));
	w->memo = EMIT_MEMO_NEW;
	init_policies(w);
	for (unsigned int i = 0; i < w->n_workers; i++) {
		init_params(w, &w->engines[i].params);
		engine_init(w, i);
	}
	w->image_size = inside_size(w->engines[0].core);
	if (w->image_size > IMAGE_MAX) {
		fprintf(stderr, "explore: %zu bytes of a core change\n", w->image_size);
		exit(2);
	}
	w->judges = true;
	if (scenario->prelude != NULL)
		scenario->prelude(w);
	w->model.n_segments = 0;
}

void
world_fini(struct world *w)
{
	for (unsigned int i = 0; i < w->n_workers; i++)
		engine_fini(w, i);
	for (unsigned int i = 0; i < POLICIES; i++)
		policy_free_index(&w->policies[i]);
	free(w->secrets);
	free(w->cookies_until_s);
	free(w->actions.list);
}

size_t
world_size(const struct world *w)
{
	return sizeof(w->model) + w->n_workers * w->image_size;
}

void
world_save(const struct world *w, void *state)
{
	uint8_t *at = state;

	memcpy(at, &w->model, sizeof(w->model));
	at += sizeof(w->model);
	for (unsigned int i = 0; i < w->n_workers; i++, at += w->image_size)
		inside_save(&w->engines[i], at);
}

void
world_load(struct world *w, const void *state, bool all)
{
	const uint8_t *at = state;

	memcpy(&w->model, at, sizeof(w->model));
	at += sizeof(w->model);
	w->cookies_until_s[0] = w->model.cookies_until_s;
	for (unsigned int i = 0; i < w->n_workers; i++, at += w->image_size) {
		if (all || w->engines[i].is_dirty)
			inside_load(&w->engines[i], at);
		w->engines[i].is_dirty = false;
	}
}

struct instant
world_instant(struct world *w, uint32_t elapsed_ms)
{
	uint64_t wall_ms = w->wall_base_ms + elapsed_ms, wall_s = wall_ms / 1000;
	unsigned int i = wall_s % SECRETS_CACHED;

	if (w->secrets->seconds[i].wall_s != wall_s) {
		static const uint8_t master[MASTER_SECRET_SIZE] = "a secret that explorers know";
		struct secret_ring ring;

		secret_init(&ring, master, wall_s);
		if (w->scenario->mode == MODE_HANDOFF)
			secret_set_groups(&ring, (const char *[SECRET_SETS]){ [GROUP] = "web" });
		w->secrets->seconds[i].wall_s = wall_s;
		memcpy(w->secrets->seconds[i].sets, secret_current(&ring),
		       sizeof(w->secrets->seconds[i].sets));
	}
	return (struct instant){ w->base_ms + elapsed_ms, wall_ms, w->secrets->seconds[i].sets };
}

bool
world_proves(struct world *w, unsigned int flow, uint32_t irs, uint32_t iss)
{
	struct instant now = world_instant(w, w->model.elapsed_ms);
	struct cookie_job job = { .flow = world_flow(flow), .irs = irs, .iss = iss, .is_v4 = true };
	uint8_t proof;

	cookie_check(&now.secrets[w->services[0].group_id], &job, 1, &proof);
	return proof == PROOF_EXACT;
}

bool
world_may_open(struct world *w, unsigned int flow)
{
	const struct client *c = &w->model.clients[flow];
	const struct history *h = &w->model.flows[flow];

	if (c->state != CLIENT_ESTABLISHED || c->una != 0)
		return false;
	for (unsigned int i = 0; i < h->n_opened; i++)
		if (h->opened[i].irs == c->iss && h->opened[i].iss == c->irs)
			return false;
	return world_proves(w, flow, c->iss, c->irs);
}

bool
world_is_direct(const struct world *w, unsigned int flow)
{
	const struct client *c = &w->model.clients[flow];
	const struct server *s = &w->model.servers[flow];

	return s->state == SERVER_SYN_RECEIVED && c->state == CLIENT_ESTABLISHED &&
	       s->irs == c->iss && s->iss == c->irs;
}

bool
world_observes(const struct world *w)
{
	return w->services[w->model.policy].observe;
}

bool
world_hands_off(const struct world *w)
{
	return w->scenario->mode == MODE_HANDOFF;
}

const struct flow *
world_flow(unsigned int flow)
{
	/* Each in a net of its own. */
#define FLOW(net)                                                                    \
	{ .client = { { .bytes = { [10] = 0xff, 0xff, 198, 51, 100 + (net), 7 } } }, \
	  .server = { { .bytes = { [10] = 0xff, 0xff, 192, 0, 2, 1 } } },            \
	  .client_port_be = __builtin_bswap16(40000 + (net)),                        \
	  .server_port_be = __builtin_bswap16(SERVER_PORT) }
	static const struct flow flows[FLOWS] = { FLOW(0), FLOW(1), FLOW(2) };
#undef FLOW

	return &flows[flow];
}

/* The incarnations of a client are 1 MiB apart, all of them around zero and around the
 * middle for one seed or another. */
uint32_t
world_iss(const struct world *w, unsigned int flow, unsigned int incarnation)
{
	return 0xfffffffeu + w->seed % 5 * 0x3fffffffu + flow * 0x10000000u +
	       incarnation * 0x100000u;
}

unsigned int
world_incarnation(const struct world *w, unsigned int flow, uint32_t seq)
{
	unsigned int i = 0;

	while (i < INCARNATIONS && seq - world_iss(w, flow, i) >= 0x1000)
		i++;
	return i;
}

uint32_t
world_ts_base(bool server)
{
	return server ? TS_SERVER : TS_CLIENT;
}

uint32_t
world_tsval(const struct world *w, bool server)
{
	return world_ts_base(server) + w->model.elapsed_ms;
}

void
world_send(struct world *w, const struct seg *seg)
{
	struct model *m = &w->model;
	unsigned int i = m->n_net;
	/* Nobody has the forger's address. */
	bool is_lost = i == NET_MAX || (seg->hop == HOP_TO_CLIENT && seg->flow >= CLIENTS);

	if (w->trace != NULL) {
		fprintf(w->trace, "       ");
		steps_print_seg(w->trace, seg);
		fprintf(w->trace, "%s\n", is_lost ? " (lost)" : "");
	}
	if (is_lost)
		return;
	for (; i > 0 && memcmp(&m->net[i - 1], seg, sizeof(*seg)) > 0; i--)
		m->net[i] = m->net[i - 1];
	m->net[i] = *seg;
	m->n_net++;
}

void
world_unsend(struct world *w, unsigned int number)
{
	struct model *m = &w->model;

	m->n_net--;
	for (unsigned int i = number; i < m->n_net; i++)
		m->net[i] = m->net[i + 1];
	memset(&m->net[m->n_net], 0, sizeof(m->net[0]));
}

void
world_violate(struct world *w, enum rule rule, const char *format, ...)
{
	va_list args;

	if (!w->judges || w->violation.is_set)
		return;
	w->violation.is_set = true;
	w->violation.rule = rule;
	va_start(args, format);
	vsnprintf(w->violation.text, sizeof(w->violation.text), format, args);
	va_end(args);
}
