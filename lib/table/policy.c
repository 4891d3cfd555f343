/* SPDX-License-Identifier: BSD-3-Clause */
/* Which service a segment is for, and whom it admits. */
#include "policy_index.h"

/* The range of many that `port` is in; service SERVICE_NONE if it is in none. */
static __attribute__((noinline)) struct port_slot
run_search(const struct policy_index *index, struct port_run run, uint16_t port)
{
	/* The last range that begins at or below the port. */
	const struct port_slot *base = &index->ports[run.start];
	uint32_t n = run.n_less_1 + 1u;

	while (n > 1) {
		uint32_t half = n / 2;

		base = base[half].first <= port ? base + half : base;
		n -= half;
	}
	if (port >= base->first && port <= base->last)
		return *base;
	return (struct port_slot){ .service = SERVICE_NONE, .id = SERVICE_NONE };
}

/* The range of a run that `port` is in; service SERVICE_NONE if it is in none. */
static inline struct port_slot
run_find(const struct policy_index *index, struct port_run run, uint16_t port)
{
	if (__builtin_expect(run.n_less_1 != 0, 0))
		return run_search(index, run, port);
	if (port < run.only.first || port > run.only.last)
		return (struct port_slot){ .service = SERVICE_NONE, .id = SERVICE_NONE };
	return (struct port_slot){ .service = run.service, .id = run.id };
}

enum policy_match
policy_find(const struct policy *policy, const struct ip_addr *dst, uint16_t port,
            const struct service **service)
{
	const struct policy_index *index = policy->index;
	enum policy_match match = POLICY_NOT_OURS;
	bool is_v4 = ip_addr_is_v4(dst);
	const struct prefix_slot *slot;
	uint32_t at = 0;

	while ((slot = prefix_set_next(&index->addresses, dst, is_v4, &at)) != NULL) {
		uint16_t found = run_find(index, run_of(slot), port).service;

		if (found != SERVICE_NONE) {
			*service = &policy->services[found];
			return POLICY_SERVICE;
		}
		match = POLICY_CLOSED;
	}
	return match;
}

uint16_t
policy_find_id(const struct policy *policy, const struct ip_addr *dst, bool is_v4, uint16_t port)
{
	const struct policy_index *index = policy->index;
	const struct prefix_set *set = &index->addresses;
	const struct prefix_length *length = set->lengths[is_v4];
	const struct prefix_length *end = length + set->n_lengths[is_v4];
	uint16_t match = SERVICE_NONE;

	for (; length < end; length++) {
		const struct prefix_slot *slot = prefix_set_try(set, dst, length);

		if (slot == NULL)
			continue;
		uint16_t found = run_find(index, run_of(slot), port).id;
		if (__builtin_expect(found != SERVICE_NONE, 1))
			return found;
		match = SERVICE_CLOSED;
	}
	return match;
}

/* MODE_OBSERVED asks for any mode, under observe. */
static inline bool
service_is(const struct policy *policy, uint16_t number, enum service_mode mode)
{
	if (number == SERVICE_NONE)
		return false;
	const struct service *service = &policy->services[number];

	return mode == MODE_OBSERVED ? service->observe : service->mode == mode;
}

static bool
run_has(const struct policy *policy, struct port_run run, enum service_mode mode)
{
	if (run.n_less_1 == 0)
		return service_is(policy, run.service, mode);
	for (uint32_t i = 0; i <= run.n_less_1; i++)
		if (service_is(policy, policy->index->ports[run.start + i].service, mode))
			return true;
	return false;
}

bool
policy_has_mode(const struct policy *policy, const struct ip_addr *dst, enum service_mode mode)
{
	const struct prefix_slot *slot;
	uint32_t at = 0;

	while ((slot = prefix_set_next(&policy->index->addresses, dst, ip_addr_is_v4(dst), &at)) !=
	       NULL)
		if (run_has(policy, run_of(slot), mode))
			return true;
	return false;
}

bool
policy_observes(const struct policy *policy, const struct ip_addr *dst)
{
	return policy_has_mode(policy, dst, MODE_OBSERVED);
}

bool
policy_admits(const struct policy *policy, const struct service *service, const struct ip_addr *src)
{
	if (service->n_allow == 0 && service->n_deny == 0)
		return true;

	const struct admission_lists *lists = &policy->index->lists[service - policy->services];

	if (prefix_set_contains(&lists->deny, src))
		return false;
	return service->n_allow == 0 || prefix_set_contains(&lists->allow, src);
}
