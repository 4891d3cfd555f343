/* SPDX-License-Identifier: BSD-3-Clause */
#include "world.h"

static uint32_t
pick(uint8_t bits, unsigned int shift, uint32_t a, uint32_t b, uint32_t c, uint32_t d)
{
	const uint32_t all[4] = { a, b, c, d };

	return all[bits >> shift & 3];
}

static void
fill_service(struct world_policy *p, uint16_t id, const uint8_t *how)
{
	static const uint8_t others[4] = { MODE_PROXY, MODE_RESPOND, MODE_HANDOFF, MODE_BYPASS };
	struct service *s = &p->services[id];
	uint16_t port = (uint16_t)(80 + id);
	bool second = id == 1;
	enum service_mode mode = (enum service_mode)(
		id == 0   ? pick(how[5], 0, MODE_PROXY, MODE_PROXY, MODE_PROXY, MODE_RESPOND)
		: id == 1 ? pick(how[5], 2, MODE_PROXY, MODE_PROXY, MODE_RESPOND, MODE_HANDOFF)
			  : others[id - 1]);

	p->ports[id] = (struct port_range){ port, port };
	*s = (struct service){
		.id = id,
		.mode = (uint8_t)mode,
		.group_id = mode == MODE_HANDOFF ? 1 : 0,
		.cookies = (uint8_t)pick(how[0], 0, COOKIES_AUTO, COOKIES_ALWAYS, COOKIES_NEVER,
		                         COOKIES_AUTO),
		.calm = how[0] & 4 && (second || mode == MODE_HANDOFF) ? CALM_TRANSPARENT
		                                                       : CALM_INTERCEPT,
		.overload = how[1] & 0x80 ? REFUSE_RESET : REFUSE_DROP,
		.denied = how[1] & 0x80 ? REFUSE_DROP : REFUSE_RESET,
		.unproven = how[0] & 0x40 ? REFUSE_DROP : REFUSE_RESET,
		.signed_syn = how[1] & 0x40 ? REFUSE_PASS : REFUSE_RESET,
		.wait_for_data = how[0] & 8 && second,
		.repeat_syn = how[0] & 0x20,
		.high = how[5] & 0x80 ? 3 : 12,
		.low = how[5] & 0x80 ? 1 : 4,
		.max_connections = pick(how[1], 0, 0, 2, 5, 0),
		.max_connecting = pick(how[1], 2, 0, 1, 2, 0),
		.max_new_per_s = pick(how[1], 4, 0, 1, 3, 0),
		.promise = { .mss = 1460,
		             .mss6 = 1440,
		             .wscale = 7,
		             .window_scaling = how[1] & 1,
		             .sack = how[1] & 2,
		             .timestamps = how[1] & 4 },
		.calm_syn_per_s = 3,
		.unknown_per_s = pick(how[1], 4, 0, 0, 10, 100),
		.addresses = p->addresses,
		.n_addresses = 2,
		.ports = &p->ports[id],
		.n_ports = 1,
		.deny = p->deny,
		.n_deny = how[5] & 0x40 ? 2 : 0,
	};
	snprintf(s->name, sizeof(s->name), "service%u", id);
}

struct world_policy *
world_policy_make(const uint8_t how[WORLD_POLICY_SIZE], const struct core_params *params)
{
	struct world_policy *p = calloc(1, sizeof(*p));
	struct frame_spec v4 = frame_spec_v4(), v6 = frame_spec_v6();
	uint32_t a, b;

	if (p == NULL)
		abort();
	p->addresses[0] = (struct prefix){ v4.dst, 128 };
	p->addresses[1] = (struct prefix){ v6.dst, 128 };
	p->deny[0] = (struct prefix){ v4.src, 128 };
	p->deny[1] = (struct prefix){ v6.src, 128 };
	p->policy = (struct policy){
		.generation = 1,
		.services = p->services,
		/* A reload may take the last service away. */
		.n_services = how[0] & 0x80 ? WORLD_SERVICES - 1 : WORLD_SERVICES,
		.syn_ack_retries = pick(how[5], 4, 3, 0, 1, SYN_ACK_RETRIES_MAX),
		.hold_bytes = params->hold_bytes,
		.adopt_per_net = 4,
		.closed_port = (uint8_t)pick(how[0], 4, REFUSE_RESET, REFUSE_DROP, REFUSE_PASS, REFUSE_RESET),
		.sources = {
			.half_open_host = pick(how[2], 0, 0, 1, 3, 0),
			.half_open_net = pick(how[2], 0, 0, 2, 0, 0),
			.syn_per_s_host = pick(how[2], 2, 0, 1, 0, 0),
			.syn_per_s_net = pick(how[2], 2, 0, 0, 2, 0),
			.connections_host = pick(how[2], 4, 0, 1, 3, 0),
			.connections_net = pick(how[2], 4, 0, 0, 4, 0),
			.new_per_s_host = pick(how[2], 6, 0, 1, 0, 0),
			.new_per_s_net = pick(how[2], 6, 0, 0, 2, 0),
		},
		.reflection = {
			.per_net_per_s = pick(how[3], 0, 0, 2, 20, 0),
			.per_port_per_s = pick(how[3], 2, 0, 5, 50, 0),
			.rst_per_s = pick(how[3], 4, 1000, 1, 5, 1000),
			.challenge_per_s = pick(how[3], 6, 1000, 1, 5, 1000),
		},
		.timeouts = {
			.connecting = how[4] & 1 ? 3 : 10,
			.idle = how[4] & 2 ? 20 : 300,
			.half_closed = how[4] & 4 ? 10 : 100,
			.closing = how[4] & 8 ? 5 : 60,
			.reset_linger = how[4] & 16 ? 1 : 5,
			.adopt = how[4] & 32 ? 60 : 0,
			.probe = how[4] & 64 ? 1 : 10,
			.protect = how[4] & 128 ? 1 : 30,
		},
	};
	for (uint16_t i = 0; i < WORLD_SERVICES; i++)
		fill_service(p, i, how);
	/* With one port nothing but respond can be configured. */
	for (uint16_t i = 0; !params->has_inside && i < WORLD_SERVICES; i++) {
		p->services[i].mode = MODE_RESPOND;
		p->services[i].group_id = 0;
	}
	FUZZ_CHECK(policy_compile(&p->policy, &a, &b) == NULL);
	return p;
}

void
world_policy_free(struct world_policy *p)
{
	policy_free_index(&p->policy);
	free(p);
}
