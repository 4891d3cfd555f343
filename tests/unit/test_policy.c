/* SPDX-License-Identifier: BSD-3-Clause */
/* The look-up index of a policy against a linear search over its services. */
#include <arpa/inet.h>

#include "check.h"
#include "destination.h"
#include "policy.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))
#define SERVICES 12u
#define PER_SERVICE 6u

/* Room for a policy of random services. */
struct world {
	struct policy policy;
	struct service services[SERVICES];
	struct prefix addresses[SERVICES][PER_SERVICE], allow[SERVICES][PER_SERVICE],
		deny[SERVICES][PER_SERVICE];
	struct port_range ports[SERVICES][PER_SERVICE];
};

static struct prefix
prefix_of(const char *text, unsigned int len)
{
	struct prefix p;
	uint32_t v4_be;

	if (inet_pton(AF_INET, text, &v4_be) == 1)
		p = (struct prefix){ ip_addr_v4(v4_be), (uint8_t)(96 + len) };
	else if (inet_pton(AF_INET6, text, p.addr.bytes) == 1)
		p.len = (uint8_t)len;
	else
		abort();
	return p;
}

static uint32_t
below(uint64_t *state, uint32_t n)
{
	return (uint32_t)(check_random(state) >> 32) % n;
}

/* Of a space so small that prefixes nest and are hit: few values a byte. */
static struct ip_addr
addr_random(uint64_t *state)
{
	struct ip_addr addr = { .quads_be = { 0, 0 } };

	if (below(state, 2) == 0)
		return ip_addr_v4(htonl(below(state, 3) << 30 | below(state, 2) << 16 |
		                        below(state, 3) << 8 | below(state, 4)));
	addr.words_be[0] = htonl(0x20010db8u ^ below(state, 2) << 31);
	addr.words_be[1] = htonl(below(state, 3) << 16);
	addr.words_be[3] = htonl(below(state, 5));
	return addr;
}

static struct prefix
prefix_random(uint64_t *state, bool with_all)
{
	static const uint8_t v4[] = { 128, 128, 127, 126, 120, 112, 98, 96 };
	static const uint8_t v6[] = { 128, 128, 127, 64, 48, 33, 1, 0 };
	struct ip_addr addr = addr_random(state);
	uint32_t kind = below(state, with_all ? 8 : 6);
	uint8_t len = ip_addr_is_v4(&addr) ? v4[kind] : v6[kind];

	return (struct prefix){ ip_addr_mask(&addr, len), len };
}

static void
world_random(struct world *world, uint64_t *state)
{
	uint32_t n_services = below(state, SERVICES) + 1;
	/* Half of the worlds are sparse in ports, so that many have no overlap. */
	uint32_t ports_each = below(state, 2) ? 3 : 1, port_space = below(state, 2) ? 60 : 2000;

	memset(world, 0, sizeof(*world));
	for (uint32_t i = 0; i < n_services; i++) {
		struct service *s = &world->services[i];

		s->mode = (uint8_t)below(state, MODE_BYPASS + 1);
		s->addresses = world->addresses[i];
		s->ports = world->ports[i];
		s->allow = world->allow[i];
		s->deny = world->deny[i];
		s->n_addresses = below(state, PER_SERVICE + 1);
		s->n_ports = below(state, ports_each + 1);
		s->n_allow = below(state, 2) * below(state, PER_SERVICE + 1);
		s->n_deny = below(state, 2) * below(state, PER_SERVICE + 1);
		for (uint32_t j = 0; j < PER_SERVICE; j++) {
			uint32_t first = below(state, port_space);

			world->addresses[i][j] = prefix_random(state, ports_each == 1);
			world->allow[i][j] = prefix_random(state, true);
			world->deny[i][j] = prefix_random(state, true);
			world->ports[i][j] = (struct port_range){
				(uint16_t)first,
				(uint16_t)(first + below(state, 4)),
			};
		}
	}
	world->policy.services = world->services;
	world->policy.n_services = n_services;
}

static bool
model_covers(const struct prefix *list, uint32_t n, const struct ip_addr *addr)
{
	for (uint32_t i = 0; i < n; i++)
		if (prefix_contains(&list[i], addr))
			return true;
	return false;
}

static enum policy_match
model_find(const struct policy *policy, const struct ip_addr *dst, uint16_t port,
           const struct service **service)
{
	enum policy_match match = POLICY_NOT_OURS;

	for (uint32_t i = 0; i < policy->n_services; i++) {
		const struct service *s = &policy->services[i];

		if (!model_covers(s->addresses, s->n_addresses, dst))
			continue;
		for (uint32_t j = 0; j < s->n_ports; j++) {
			if (port >= s->ports[j].first && port <= s->ports[j].last) {
				*service = s;
				return POLICY_SERVICE;
			}
		}
		match = POLICY_CLOSED;
	}
	return match;
}

/* Whether two services serve one port of one address. */
static bool
model_overlaps(const struct service *x, const struct service *y)
{
	bool addresses = false, ports = false;

	for (uint32_t i = 0; i < x->n_addresses; i++)
		for (uint32_t j = 0; j < y->n_addresses; j++)
			addresses |= prefix_contains(&x->addresses[i], &y->addresses[j].addr)
			                     ? x->addresses[i].len <= y->addresses[j].len ||
			                               prefix_contains(&y->addresses[j],
			                                               &x->addresses[i].addr)
			                     : prefix_contains(&y->addresses[j],
			                                       &x->addresses[i].addr);
	for (uint32_t i = 0; i < x->n_ports; i++)
		for (uint32_t j = 0; j < y->n_ports; j++)
			ports |= x->ports[i].first <= y->ports[j].last &&
			         y->ports[j].first <= x->ports[i].last;
	return addresses && ports;
}

static bool
model_has_overlap(const struct policy *policy)
{
	for (uint32_t i = 0; i < policy->n_services; i++)
		for (uint32_t j = 0; j < i; j++)
			if (model_overlaps(&policy->services[i], &policy->services[j]))
				return true;
	return false;
}

static bool
model_has_mode(const struct policy *policy, const struct ip_addr *dst, enum service_mode mode)
{
	for (uint32_t i = 0; i < policy->n_services; i++)
		if (policy->services[i].mode == mode && policy->services[i].n_ports != 0 &&
		    model_covers(policy->services[i].addresses, policy->services[i].n_addresses,
		                 dst))
			return true;
	return false;
}

static void
compare_look_ups(const struct world *world, uint64_t *state)
{
	const struct policy *policy = &world->policy;

	for (unsigned int i = 0; i < 300; i++) {
		struct ip_addr addr = addr_random(state);
		uint16_t port = (uint16_t)below(state, 70);
		const struct service *found = NULL, *expected = NULL;

		/* Aim at the ends of ranges that exist half of the time. */
		if (below(state, 2)) {
			const struct port_range *range =
				&world->ports[below(state, policy->n_services)][below(state, 3)];
			port = (uint16_t)(below(state, 2) ? range->first - below(state, 2)
			                                  : range->last + below(state, 2));
		}
		enum policy_match match = policy_find(policy, &addr, port, &found);
		CU_ASSERT_EQUAL(match, model_find(policy, &addr, port, &expected));
		CU_ASSERT_PTR_EQUAL(found, expected);
		CU_ASSERT_EQUAL(policy_find_id(policy, &addr, ip_addr_is_v4(&addr), port),
		                match == POLICY_SERVICE  ? expected->id
		                : match == POLICY_CLOSED ? SERVICE_CLOSED
		                                         : SERVICE_NONE);

		enum service_mode mode = (enum service_mode)below(state, MODE_BYPASS + 1);
		CU_ASSERT_EQUAL(policy_has_mode(policy, &addr, mode),
		                model_has_mode(policy, &addr, mode));

		const struct service *s = &policy->services[below(state, policy->n_services)];
		bool admits = (s->n_allow == 0 || model_covers(s->allow, s->n_allow, &addr)) &&
		              !model_covers(s->deny, s->n_deny, &addr);
		CU_ASSERT_EQUAL(policy_admits(policy, s, &addr), admits);
	}
}

static void
test_policy_random_services_equal_linear_search(void)
{
	static struct world world;
	uint64_t state = 31;
	unsigned int n_clean = 0, n_overlapping = 0;

	for (unsigned int i = 0; i < 4000; i++) {
		uint32_t a = 99, b = 99;

		world_random(&world, &state);
		const char *message = policy_compile(&world.policy, &a, &b);

		CU_ASSERT_EQUAL(message != NULL, model_has_overlap(&world.policy));
		if (message != NULL) {
			CU_ASSERT_PTR_NULL(world.policy.index);
			CU_ASSERT_TRUE(a != b && a < world.policy.n_services &&
			               b < world.policy.n_services &&
			               model_overlaps(&world.services[a], &world.services[b]));
			n_overlapping++;
			continue;
		}
		n_clean++;
		compare_look_ups(&world, &state);
		policy_free_index(&world.policy);
		CU_ASSERT_PTR_NULL(world.policy.index);
	}
	CU_ASSERT_TRUE(n_clean > 500 && n_overlapping > 500);
}

/* Two services of one prefix and one range of ports each. */
static const char *
compile_two(struct prefix p, struct port_range p_ports, struct prefix q, struct port_range q_ports)
{
	struct service services[2] = {
		{ .addresses = &p, .n_addresses = 1, .ports = &p_ports, .n_ports = 1 },
		{ .addresses = &q, .n_addresses = 1, .ports = &q_ports, .n_ports = 1 },
	};
	struct policy policy = { .services = services, .n_services = 2 };
	uint32_t a, b;
	const char *message = policy_compile(&policy, &a, &b);

	policy_free_index(&policy);
	return message;
}

static void
test_policy_compile_overlap_is_refused(void)
{
	const struct port_range web = { 80, 80 }, low = { 1, 80 }, high = { 81, 65535 };
	struct prefix host = prefix_of("192.0.2.1", 32), net = prefix_of("192.0.2.0", 24);
	struct prefix other = prefix_of("192.0.3.0", 24), all = prefix_of("::", 0);
	struct prefix host6 = prefix_of("2001:db8::1", 128);

	CU_ASSERT_PTR_NOT_NULL(compile_two(host, web, host, web));
	CU_ASSERT_PTR_NOT_NULL(compile_two(host, web, host, low));
	CU_ASSERT_PTR_NOT_NULL(compile_two(host, web, net, low));
	CU_ASSERT_PTR_NOT_NULL(compile_two(net, low, host, web));
	CU_ASSERT_PTR_NOT_NULL(compile_two(all, low, host, web));
	CU_ASSERT_PTR_NOT_NULL(compile_two(all, low, host6, web));
	CU_ASSERT_PTR_NULL(compile_two(host, web, host, high));
	CU_ASSERT_PTR_NULL(compile_two(host, web, net, high));
	CU_ASSERT_PTR_NULL(compile_two(host, web, other, web));
	CU_ASSERT_PTR_NULL(compile_two(net, low, other, low));
	CU_ASSERT_PTR_NULL(compile_two(host, web, host6, web));
}

static void
test_policy_compile_impossible_values_are_refused(void)
{
	struct prefix host = prefix_of("192.0.2.1", 32), long_one = host;
	const struct port_range web = { 80, 80 }, reversed = { 81, 80 };

	long_one.len = 129;
	CU_ASSERT_PTR_NOT_NULL(compile_two(host, web, host, reversed));
	CU_ASSERT_PTR_NOT_NULL(compile_two(host, web, long_one, (struct port_range){ 1, 2 }));
}

/* Port 443 is served by the wider prefix, though the narrower is closed to it. */
static void
test_policy_find_nested_services_look_past_the_narrower(void)
{
	struct prefix host = prefix_of("192.0.2.1", 32), net = prefix_of("192.0.2.0", 24);
	const struct port_range web = { 80, 80 }, tls = { 443, 443 };
	struct service services[2] = {
		{ .addresses = &host, .n_addresses = 1, .ports = &web, .n_ports = 1 },
		{ .addresses = &net, .n_addresses = 1, .ports = &tls, .n_ports = 1 },
	};
	struct policy policy = { .services = services, .n_services = 2 };
	struct ip_addr inside = host.addr, beside = prefix_of("192.0.2.2", 32).addr;
	struct ip_addr outside = prefix_of("192.0.3.1", 32).addr;
	const struct service *found = NULL;
	uint32_t a, b;

	CU_ASSERT_PTR_NULL_FATAL(policy_compile(&policy, &a, &b));
	CU_ASSERT_EQUAL(policy_find(&policy, &inside, 80, &found), POLICY_SERVICE);
	CU_ASSERT_PTR_EQUAL(found, &services[0]);
	CU_ASSERT_EQUAL(policy_find(&policy, &inside, 443, &found), POLICY_SERVICE);
	CU_ASSERT_PTR_EQUAL(found, &services[1]);
	CU_ASSERT_EQUAL(policy_find(&policy, &inside, 22, &found), POLICY_CLOSED);
	CU_ASSERT_EQUAL(policy_find(&policy, &beside, 80, &found), POLICY_CLOSED);
	CU_ASSERT_EQUAL(policy_find(&policy, &outside, 80, &found), POLICY_NOT_OURS);
	policy_free_index(&policy);
}

static void
test_policy_find_every_port_of_many_ranges(void)
{
	static struct port_range odd[2][16384];
	struct prefix host = prefix_of("192.0.2.1", 32);
	struct service services[2];
	uint32_t a, b;

	/* 32,768 odd ports, every other one another service's; even ones closed. */
	memset(services, 0, sizeof(services));
	for (uint32_t i = 0; i < 2; i++) {
		for (uint32_t j = 0; j < N(odd[0]); j++)
			odd[i][N(odd[0]) - 1 - j] = (struct port_range){
				(uint16_t)(4 * j + 2 * i + 1),
				(uint16_t)(4 * j + 2 * i + 1),
			};
		services[i].addresses = &host;
		services[i].n_addresses = 1;
		services[i].ports = odd[i];
		services[i].n_ports = N(odd[0]);
	}
	struct policy policy = { .services = services, .n_services = 2 };

	CU_ASSERT_PTR_NULL_FATAL(policy_compile(&policy, &a, &b));
	for (uint32_t port = 0; port <= 65535; port++) {
		const struct service *found = NULL;
		enum policy_match match = policy_find(&policy, &host.addr, (uint16_t)port, &found);

		CU_ASSERT_EQUAL(match, port % 2 ? POLICY_SERVICE : POLICY_CLOSED);
		CU_ASSERT_PTR_EQUAL(found, port % 2 ? &services[port % 4 / 2] : NULL);
	}
	policy_free_index(&policy);
}

static void
test_policy_of_no_services_finds_nothing(void)
{
	struct policy policy = { .n_services = 0 };
	struct ip_addr addr = prefix_of("192.0.2.1", 32).addr;
	const struct service *found = NULL;
	uint32_t a, b;

	CU_ASSERT_PTR_NULL_FATAL(policy_compile(&policy, &a, &b));
	CU_ASSERT_EQUAL(policy_find(&policy, &addr, 80, &found), POLICY_NOT_OURS);
	CU_ASSERT_PTR_NULL(found);
	policy_free_index(&policy);
	policy_free_index(&policy);
}

/* All places are true from the beginning, and nothing beside them is written. */
static void
test_destinations_begin_as_places_that_are_true(void)
{
	static struct {
		struct destinations kept;
		uint8_t beside[sizeof(struct destinations)];
	} room;
	struct policy none = { .n_services = 0 };
	uint32_t a, b;

	CU_ASSERT_PTR_NULL_FATAL(policy_compile(&none, &a, &b));
	memset(&room, 0xa5, sizeof(room));
	destinations_init(&room.kept, &none);
	for (uint32_t i = 0; i < N(room.kept.places); i++)
		CU_ASSERT_EQUAL(room.kept.places[i].service,
		                policy_find_id(&none, &room.kept.places[i].addr, false, 0));
	for (uint32_t i = 0; i < sizeof(room.beside); i++)
		CU_ASSERT_EQUAL_FATAL(room.beside[i], 0xa5);
	policy_free_index(&none);
}

int
main(void)
{
	CU_TestInfo tests[] = {
		CHECK_TEST(test_destinations_begin_as_places_that_are_true),
		CHECK_TEST(test_policy_random_services_equal_linear_search),
		CHECK_TEST(test_policy_compile_overlap_is_refused),
		CHECK_TEST(test_policy_compile_impossible_values_are_refused),
		CHECK_TEST(test_policy_find_nested_services_look_past_the_narrower),
		CHECK_TEST(test_policy_find_every_port_of_many_ranges),
		CHECK_TEST(test_policy_of_no_services_finds_nothing),
		CU_TEST_INFO_NULL,
	};
	return check_run("policy", tests);
}
