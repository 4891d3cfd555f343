/* SPDX-License-Identifier: BSD-3-Clause */
/* Compiling a policy while memory, or randomness, gives out: at any step it says so, and
 * keeps nothing. The linker brings the library's allocations here (--wrap). */
#include <stdbool.h>

#include "check.h"
#include "policy.h"
#include "prefix_set.h"
#include "scarce_memory.h"

/* Three services: two share an address by ports, one is a network; two have lists. */
static struct prefix addresses[3][2], list[4];
static struct port_range ports[3][20];
static struct service services[3];

static struct policy
policy_new(void)
{
	for (uint16_t i = 0; i < 3; i++) {
		addresses[i][0] = (struct prefix){ ip_addr_v4(htobe32(0xc0000201)), 128 };
		addresses[i][1] = (struct prefix){ ip_addr_v4(htobe32(0xc6336400u + i)), 128 };
		for (uint16_t k = 0; k < 20; k++) {
			uint16_t port = (uint16_t)(1000 * (i + 1) + 10 * k);
			ports[i][k] = (struct port_range){ port, (uint16_t)(port + 3) };
		}
		services[i] = (struct service){ .id = i,
			                        .mode = MODE_PROXY,
			                        .addresses = addresses[i],
			                        .n_addresses = 2,
			                        .ports = ports[i],
			                        .n_ports = 20 };
		services[i].name[0] = (char)('a' + i);
	}
	list[0] = (struct prefix){ ip_addr_v4(htobe32(0x0a000000)), 104 };
	list[1] = (struct prefix){ ip_addr_v4(htobe32(0x0a010000)), 110 };
	/* Of both families some that lie near each other. */
	list[2] = (struct prefix){ { .bytes = { 0x20, 1, 0xd, 0xb8, 1 } }, 40 };
	list[3] = (struct prefix){ { .bytes = { 0x20, 1, 0xd, 0xb8, 2 } }, 44 };
	services[1].allow = services[2].deny = list;
	services[1].n_allow = services[2].n_deny = 4;
	return (struct policy){ .services = services, .n_services = 3 };
}

static const char *
compile(struct policy *policy, unsigned int fail)
{
	uint32_t a = 7, b = 7;

	memory.n = 0;
	memory.fail = fail;
	memory.live = 0;
	memory.counts = true;
	const char *message = policy_compile(policy, &a, &b);
	memory.counts = false;
	return message;
}

static void
test_every_allocation_may_fail(void)
{
	struct policy policy = policy_new();
	unsigned int fail = 1;

	for (; fail < 1000; fail++) {
		const char *message = compile(&policy, fail);
		if (message == NULL)
			break;
		CU_ASSERT_PTR_NOT_NULL(strstr(message, "memory"));
		CU_ASSERT_PTR_NULL(policy.index);
		CU_ASSERT_EQUAL(memory.live, 0);
	}
	/* Many steps, and in the end it is made, and freed. */
	CU_ASSERT(fail > 10 && fail < 1000);
	CU_ASSERT(memory.live > 0);
	memory.counts = true;
	policy_free_index(&policy);
	memory.counts = false;
	CU_ASSERT_EQUAL(memory.live, 0);
	CU_ASSERT_PTR_NULL(policy.index);
}

static void
test_no_randomness(void)
{
	struct policy policy = policy_new();

	memory.no_random = true;
	const char *message = compile(&policy, 0);
	memory.no_random = false;
	CU_ASSERT_PTR_NOT_NULL_FATAL(message);
	CU_ASSERT_PTR_NOT_NULL(strstr(message, "random"));
	CU_ASSERT_PTR_NULL(policy.index);
	CU_ASSERT_EQUAL(memory.live, 0);
}

/* Nothing at all is a policy, too, and freeing what was never made is nothing. */
static void
test_empty(void)
{
	struct policy policy = { .n_services = 0 };
	const struct service *found;
	struct ip_addr address = ip_addr_v4(htobe32(0xc0000201));

	policy_free_index(&policy);
	CU_ASSERT_PTR_NULL(compile(&policy, 0));
	CU_ASSERT_EQUAL(policy_find(&policy, &address, 80, &found), POLICY_NOT_OURS);
	policy_free_index(&policy);
}

/* More services than there are numbers for. */
static void
test_too_many_services(void)
{
	struct service *many = calloc(SERVICES_MAX + 1u, sizeof(*many));
	struct policy policy = { .services = many, .n_services = SERVICES_MAX + 1u };

	CU_ASSERT_PTR_NOT_NULL_FATAL(many);
	CU_ASSERT_PTR_NOT_NULL(compile(&policy, 0));
	CU_ASSERT_PTR_NULL(policy.index);
	free(many);
}

/* So many addresses that their index is kept denser: each is found all the same. */
static void
test_many_addresses(void)
{
	const uint32_t n = 3 * SERVICES_MAX;
	struct prefix *many = calloc(n, sizeof(*many));
	struct service service = { .mode = MODE_PROXY,
		                   .addresses = many,
		                   .n_addresses = n,
		                   .ports = ports[0],
		                   .n_ports = 1 };
	struct policy policy = { .services = &service, .n_services = 1 };
	const struct service *found;

	CU_ASSERT_PTR_NOT_NULL_FATAL(many);
	(void)policy_new();
	for (uint32_t i = 0; i < n; i++)
		many[i] = (struct prefix){ ip_addr_v4(htobe32(0x0a000000u + 7 * i)), 128 };
	CU_ASSERT_PTR_NULL_FATAL(compile(&policy, 0));
	for (uint32_t i = 0; i < 7 * n; i++) {
		struct ip_addr a = ip_addr_v4(htobe32(0x0a000000u + i));
		enum policy_match want = i % 7 == 0 ? POLICY_SERVICE : POLICY_NOT_OURS;
		CU_ASSERT_EQUAL(policy_find(&policy, &a, ports[0][0].first, &found), want);
	}
	policy_free_index(&policy);
	free(many);
}

/* Which service is at fault is told. */
static void
test_fault_is_located(void)
{
	for (uint32_t i = 0; i < 3; i++) {
		struct policy policy = policy_new();
		uint32_t a = 7, b = 7;
		addresses[i][1].len = 129;
		CU_ASSERT_PTR_NOT_NULL(policy_compile(&policy, &a, &b));
		CU_ASSERT(a == i && b == i);
		policy = policy_new();
		ports[i][19].last = (uint16_t)(ports[i][19].first - 1);
		a = b = 7;
		CU_ASSERT_PTR_NOT_NULL(policy_compile(&policy, &a, &b));
		CU_ASSERT(a == i && b == i);
	}
}

/* A set's places are reached by a mask: it must be all ones. */
static void
test_set_is_masked(void)
{
	struct flow_hash_key key = { 0 };

	for (unsigned int room = 2; room < 9; room += 2) {
		for (size_t n = 0; n < 40; n++) {
			struct prefix prefixes[40];
			struct prefix_set set;
			for (uint32_t i = 0; i < n; i++)
				prefixes[i] = (struct prefix){ ip_addr_v4(htobe32(i * 77)), 128 };
			CU_ASSERT_TRUE_FATAL(prefix_set_init(&set, &key, prefixes, n, room));
			CU_ASSERT_EQUAL(set.slot_mask & (set.slot_mask + 1), 0);
			CU_ASSERT(set.slot_mask + 1 >= room * n && set.slot_mask >= 1);
			CU_ASSERT_EQUAL(set.n_prefixes, n);
			prefix_set_fini(&set);
		}
	}
}

static CU_TestInfo tests[] = {
	CHECK_TEST(test_every_allocation_may_fail),
	CHECK_TEST(test_no_randomness),
	CHECK_TEST(test_empty),
	CHECK_TEST(test_fault_is_located),
	CHECK_TEST(test_set_is_masked),
	CHECK_TEST(test_too_many_services),
	CHECK_TEST(test_many_addresses),
	CU_TEST_INFO_NULL,
};

int
main(void)
{
	return check_run("policy_memory", tests);
}
