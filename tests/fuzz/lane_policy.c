/* SPDX-License-Identifier: BSD-3-Clause */
#include "lane_policy.h"

#include "frame.h"
#include "fuzz.h"

static struct prefix addresses[LANE_SERVICES][3], denied;
static const struct port_range port = { 80, 80 };
static struct service services[LANE_SERVICES];
static struct service observed[LANE_SERVICES]; /* the same, two of them under observe */
struct policy lane_policies[2][2];
struct secret_ring lane_secrets;
struct live_set *lane_lists[LANE_LISTS];

static void
services_make(void)
{
	static const struct {
		uint8_t mode, cookies, calm;
	} kinds[LANE_SERVICES] = {
		{ MODE_RESPOND, COOKIES_ALWAYS, 0 },
		{ MODE_RESPOND, COOKIES_AUTO, 0 },
		{ MODE_PROXY, COOKIES_ALWAYS, 0 },
		{ MODE_PROXY, COOKIES_AUTO, CALM_TRANSPARENT },
		{ MODE_HANDOFF, COOKIES_ALWAYS, 0 },
		{ MODE_HANDOFF, COOKIES_AUTO, CALM_TRANSPARENT },
		{ MODE_RESPOND, COOKIES_ALWAYS, 0 }, /* with a list */
		{ MODE_PROXY, COOKIES_NEVER, 0 },
	};

	denied = (struct prefix){ ip_addr_v4(htobe32(0xc6336400)), 120 };
	for (unsigned int i = 0; i < LANE_SERVICES; i++) {
		struct frame_spec v4 = frame_spec_v4(), v6 = frame_spec_v6();

		addresses[i][0] = (struct prefix){ v4.dst, 128 };
		addresses[i][1] = (struct prefix){ v6.dst, 128 };
		addresses[i][0].addr.bytes[15] = addresses[i][1].addr.bytes[15] = (uint8_t)(i + 1);
		addresses[i][2] = addresses[i][1];
		addresses[i][2].addr.bytes[LANE_NET_BYTE] ^= 1;
		services[i] = (struct service){
			.id = (uint16_t)i,
			.mode = kinds[i].mode,
			.cookies = kinds[i].cookies,
			.calm = kinds[i].calm,
			.group_id = kinds[i].mode == MODE_HANDOFF ? (uint8_t)(i & 1) + 1 : 0,
			.promise = { .mss = 1460,
			             .mss6 = 1440,
			             .wscale = 7,
			             .window_scaling = true },
			.calm_syn_per_s = 2,
			.unknown_per_s = i == 4 ? 2 : 0,
			.high = 3,
			.low = 1,
			.unproven = i == 2 ? REFUSE_DROP : REFUSE_RESET,
			.addresses = addresses[i],
			.n_addresses = 3,
			.ports = &port,
			.n_ports = 1,
			.deny = i == 6 ? &denied : NULL,
			.n_deny = i == 6,
		};
	}
}

static void
policy_make(struct policy *policy, uint32_t per_port_per_s, bool observes)
{
	uint32_t a, b;

	*policy = (struct policy){
		.generation = 1,
		.services = observes ? observed : services,
		/* A reload that has services observed takes the last one away. */
		.n_services = observes ? LANE_SERVICES - 1 : LANE_SERVICES,
		.observes = observes,
		.may_observe = true,
		.syn_ack_retries = 3,
		.hold_bytes = 2048,
		.closed_port = REFUSE_RESET,
		.sources = { .syn_per_s_host = 4 },
		.reflection = { .per_net_per_s = 6, .per_port_per_s = per_port_per_s },
		.timeouts = { 10, 3600, 120, 60, 2, per_port_per_s != 0 ? 2 : 0, 5, 30 },
	};
	FUZZ_CHECK(policy_compile(policy, &a, &b) == NULL);
}

/* Of one net or host each, as begin() has them: denied to one service, to all, and allowed where
 * the policy denies. */
static void
lists_make(void)
{
	static const struct {
		uint32_t scope, verdict;
	} of[LANE_LISTS] = {
		{ 0, 0 }, { 1 + 2, LIVE_DENY }, { 0, LIVE_DENY }, { 1 + 6, LIVE_ALLOW }
	};

	for (unsigned int i = 1; i < LANE_LISTS; i++) {
		struct prefix v4 = { frame_spec_v4().src, 120 }, v6 = { frame_spec_v6().src, 128 };

		v4.addr.bytes[15] = 0;
		v6.addr.bytes[15] = 1;
		lane_lists[i] = live_set_new(4, 4);
		FUZZ_CHECK(lane_lists[i] != NULL &&
		           live_set_put(lane_lists[i], &v4, of[i].scope, of[i].verdict) &&
		           live_set_put(lane_lists[i], &v6, of[i].scope, of[i].verdict));
	}
}

void
lane_policies_make(void)
{
	static const uint8_t master[MASTER_SECRET_SIZE] = { 3, 1, 4 };

	services_make();
	memcpy(observed, services, sizeof(observed));
	observed[2].observe = observed[5].observe = true;
	for (unsigned int i = 0; i < 4; i++)
		policy_make(&lane_policies[i & 1][i >> 1], i & 1 ? 80 : 0, i >> 1);
	secret_init(&lane_secrets, master, 1700000000);
	secret_set_groups(&lane_secrets, (const char *[SECRET_SETS]){ [1] = "a", [2] = "b" });
	lists_make();
}
