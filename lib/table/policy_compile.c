/* SPDX-License-Identifier: BSD-3-Clause */
/* From the services of a policy to their index, and what speaks against them. */
#include <stdlib.h>
#include <sys/random.h>

#include "policy_index.h"

/* One service's claim to one prefix, in the making. */
struct claim {
	uint32_t slot; /* index in addresses.slots */
	uint16_t service;
};

static const char no_memory[] = "no memory for the index of services";
static const char overlap[] = "two services overlap: the same address and port";

static int
port_slot_compare(const void *a, const void *b)
{
	const struct port_slot *x = a, *y = b;

	return (int)x->first - (int)y->first;
}

static int
claim_compare(const void *a, const void *b)
{
	const struct claim *x = a, *y = b;

	if (x->slot != y->slot)
		return x->slot < y->slot ? -1 : 1;
	return (int)x->service - (int)y->service;
}

static bool
ports_reserve(struct policy_index *index, uint32_t n)
{
	if (index->room_ports - index->n_ports >= n)
		return true;

	uint32_t room = 2 * (index->n_ports + n);
	struct port_slot *ports = realloc(index->ports, room * sizeof(*ports));

	if (ports == NULL)
		return false;
	index->ports = ports;
	index->room_ports = room;
	return true;
}

/*
 * Sort the ranges from `start` to the end of ports[] and join those of one
 * service that meet. Returns NULL, or the second of two ranges that overlap and
 * belong to different services; *other is the first's service.
 */
static const struct port_slot *
run_sort(struct policy_index *index, uint32_t start, uint16_t *other)
{
	struct port_slot *ports = index->ports;
	uint32_t n = start;

	if (n == index->n_ports)
		return NULL;
	qsort(&ports[start], index->n_ports - start, sizeof(*ports), port_slot_compare);
	for (uint32_t i = start; i < index->n_ports; i++) {
		struct port_slot *last = n > start ? &ports[n - 1] : NULL;
		const struct port_slot *next = &ports[i];

		if (last == NULL || next->first > last->last + 1u ||
		    (next->first > last->last && next->service != last->service)) {
			ports[n++] = *next;
		} else if (next->service != last->service) {
			*other = last->service;
			return next;
		} else if (next->last > last->last) {
			last->last = next->last;
		}
	}
	index->n_ports = n;
	return NULL;
}

/* The run that lies in ports[] from `start` to its end. */
static struct port_run
run_make(const struct policy_index *index, uint32_t start)
{
	uint32_t n = index->n_ports - start;
	struct port_run run = { .only = { 1, 0 }, .service = SERVICE_NONE, .id = SERVICE_NONE };

	if (n == 1) {
		const struct port_slot *slot = &index->ports[start];

		run.only = (struct port_range){ slot->first, slot->last };
		run.service = slot->service;
		run.id = slot->id;
	} else if (n > 1) {
		run.start = start;
		run.n_less_1 = n - 1;
	}
	return run;
}

/* Append the ranges of one service. */
static bool
ports_append(struct policy_index *index, const struct policy *policy, uint16_t service)
{
	const struct service *s = &policy->services[service];

	if (!ports_reserve(index, s->n_ports))
		return false;
	for (uint32_t i = 0; i < s->n_ports; i++)
		index->ports[index->n_ports++] = (struct port_slot){
			s->ports[i].first,
			s->ports[i].last,
			service,
			s->id,
		};
	return true;
}

/* Give each service a run, in runs[]. */
static const char *
service_runs_make(struct policy_index *index, const struct policy *policy, struct port_run *runs)
{
	uint16_t other;

	for (uint32_t i = 0; i < policy->n_services; i++) {
		uint32_t start = index->n_ports;

		if (!ports_append(index, policy, (uint16_t)i))
			return no_memory;
		/* Ranges of one service never conflict. */
		(void)run_sort(index, start, &other);
		runs[i] = run_make(index, start);
	}
	return NULL;
}

/* Give each prefix the run of its service, or a joint one. `claims` are sorted. */
static const char *
prefix_runs_make(struct policy_index *index, const struct policy *policy,
                 const struct port_run *runs, const struct claim *claims, size_t n_claims,
                 uint32_t *a, uint32_t *b)
{
	size_t next;

	for (size_t i = 0; i < n_claims; i = next) {
		struct port_run run = runs[claims[i].service];
		uint32_t start = index->n_ports;
		uint16_t last = SERVICE_NONE;
		bool joint = false;

		for (next = i; next < n_claims && claims[next].slot == claims[i].slot; next++)
			joint |= claims[next].service != claims[i].service;
		for (size_t c = i; joint && c < next; c++) {
			if (claims[c].service == last)
				continue;
			last = claims[c].service;
			if (!ports_append(index, policy, last))
				return no_memory;
		}
		if (joint) {
			uint16_t other = 0;
			const struct port_slot *clash = run_sort(index, start, &other);

			if (clash != NULL) {
				*a = other;
				*b = clash->service;
				return overlap;
			}
			run = run_make(index, start);
		}
		memcpy(&index->addresses.slots[claims[i].slot].value, &run, sizeof(run));
	}
	return NULL;
}

/* A run as an array, `only` having been copied to *room. */
static const struct port_slot *
run_ranges(const struct policy_index *index, struct port_run run, struct port_slot *room)
{
	*room = (struct port_slot){ run.only.first, run.only.last, run.service, run.id };
	return run.n_less_1 == 0 ? room : &index->ports[run.start];
}

/* Whether two prefixes of which one contains the other share a port. */
static bool
runs_clash(const struct policy_index *index, struct port_run x, struct port_run y, uint32_t *a,
           uint32_t *b)
{
	struct port_slot x_room, y_room;
	const struct port_slot *p = run_ranges(index, x, &x_room);
	const struct port_slot *q = run_ranges(index, y, &y_room);
	const struct port_slot *p_end = p + x.n_less_1 + 1, *q_end = q + y.n_less_1 + 1;

	/* The run of a service without ports has no range. */
	if ((x.n_less_1 == 0 && x.service == SERVICE_NONE) ||
	    (y.n_less_1 == 0 && y.service == SERVICE_NONE))
		return false;
	while (p < p_end && q < q_end) {
		if (p->service != q->service && p->first <= q->last && q->first <= p->last) {
			*a = p->service;
			*b = q->service;
			return true;
		}
		if (p->last < q->last)
			p++;
		else
			q++;
	}
	return false;
}

/* Look for a clash of any prefix with those that contain it. */
static const char *
nesting_check(const struct policy_index *index, uint32_t *a, uint32_t *b)
{
	const struct prefix_set *set = &index->addresses;

	for (uint32_t i = 0; i <= set->slot_mask; i++) {
		const struct prefix_slot *slot = &set->slots[i], *wider;
		const struct prefix *p = &slot->prefix;
		uint32_t at = 0;

		if (p->len == PREFIX_SLOT_EMPTY)
			continue;
		bool is_v4 = p->len >= 96 && ip_addr_is_v4(&p->addr);

		while ((wider = prefix_set_next(set, &p->addr, is_v4, &at)) != NULL) {
			if (wider->prefix.len < p->len &&
			    runs_clash(index, run_of(wider), run_of(slot), a, b))
				return overlap;
		}
	}
	return NULL;
}

static const char *
services_validate(const struct policy *policy, uint32_t *a, uint32_t *b)
{
	if (policy->n_services > SERVICES_MAX)
		return "too many services";
	for (uint32_t i = 0; i < policy->n_services; i++) {
		const struct service *s = &policy->services[i];

		*a = *b = i;
		for (uint32_t j = 0; j < s->n_ports; j++)
			if (s->ports[j].first > s->ports[j].last)
				return "a range of ports ends before it begins";
		for (uint32_t j = 0; j < s->n_addresses; j++)
			if (s->addresses[j].len > 128)
				return "a prefix is longer than an address";
	}
	return NULL;
}

/* Fill index->addresses and claims[] (room for n) from the services. */
static bool
claims_make(struct policy_index *index, const struct policy *policy, struct claim *claims, size_t n)
{
	struct prefix *all = malloc((n > 0 ? n : 1) * sizeof(*all));
	size_t at = 0;

	if (all == NULL)
		return false;
	for (uint32_t i = 0; i < policy->n_services; i++)
		for (uint32_t j = 0; j < policy->services[i].n_addresses; j++) {
			claims[at].service = (uint16_t)i;
			all[at++] = policy->services[i].addresses[j];
		}
	/* Every segment asks for one of these. */
	bool made = prefix_set_init(&index->addresses, &index->key, all, n,
	                            n <= 2 * SERVICES_MAX ? PREFIX_ROOM_AMPLE : PREFIX_ROOM);

	for (size_t i = 0; made && i < n; i++) {
		struct ip_addr masked = ip_addr_mask(&all[i].addr, all[i].len);
		const struct prefix_slot *slot = prefix_set_exact(&index->addresses, &masked,
		                                                  all[i].len);

		claims[i].slot = (uint32_t)(slot - index->addresses.slots);
	}
	free(all);
	if (made)
		qsort(claims, n, sizeof(*claims), claim_compare);
	return made;
}

static const char *
addresses_compile(struct policy_index *index, const struct policy *policy, uint32_t *a, uint32_t *b)
{
	const char *message = no_memory;
	size_t n = 0;

	for (uint32_t i = 0; i < policy->n_services; i++)
		n += policy->services[i].n_addresses;

	struct claim *claims = calloc(n > 0 ? n : 1, sizeof(*claims));
	struct port_run *runs = calloc(policy->n_services + 1u, sizeof(*runs));

	if (claims != NULL && runs != NULL && claims_make(index, policy, claims, n)) {
		message = service_runs_make(index, policy, runs);
		if (message == NULL)
			message = prefix_runs_make(index, policy, runs, claims, n, a, b);
		if (message == NULL)
			message = nesting_check(index, a, b);
	}
	free(claims);
	free(runs);
	return message;
}

static bool
list_compile(struct prefix_set *set, const struct policy_index *index, const struct prefix *list,
             size_t n)
{
	if (!prefix_set_init(set, &index->key, list, n, PREFIX_ROOM))
		return false;
	if (prefix_set_note_near(set))
		return true;
	prefix_set_fini(set);
	return false;
}

static const char *
lists_compile(struct policy_index *index, const struct policy *policy)
{
	index->lists = calloc(policy->n_services + 1u, sizeof(*index->lists));
	if (index->lists == NULL)
		return no_memory;
	for (; index->n_lists < policy->n_services; index->n_lists++) {
		const struct service *s = &policy->services[index->n_lists];
		struct admission_lists *lists = &index->lists[index->n_lists];

		if (!list_compile(&lists->allow, index, s->allow, s->n_allow))
			return no_memory;
		if (!list_compile(&lists->deny, index, s->deny, s->n_deny)) {
			prefix_set_fini(&lists->allow);
			return no_memory;
		}
	}
	return NULL;
}

static void
index_free(struct policy_index *index)
{
	if (index == NULL)
		return;
	for (uint32_t i = 0; i < index->n_lists; i++) {
		prefix_set_fini(&index->lists[i].allow);
		prefix_set_fini(&index->lists[i].deny);
	}
	prefix_set_fini(&index->addresses);
	free(index->lists);
	free(index->ports);
	free(index);
}

const char *
policy_compile(struct policy *policy, uint32_t *a, uint32_t *b)
{
	policy->index = NULL;
	const char *message = services_validate(policy, a, b);

	if (message != NULL)
		return message;
	*a = *b = 0;

	size_t size = (sizeof(struct policy_index) + 63) & ~(size_t)63;
	struct policy_index *index = aligned_alloc(64, size);

	if (index == NULL)
		return no_memory;
	memset(index, 0, sizeof(*index));
	if (getrandom(&index->key, sizeof(index->key), 0) != (ssize_t)sizeof(index->key))
		message = "no random numbers";
	if (message == NULL)
		message = addresses_compile(index, policy, a, b);
	if (message == NULL)
		message = lists_compile(index, policy);
	if (message != NULL) {
		index_free(index);
		return message;
	}
	policy->index = index;
	return NULL;
}

void
policy_free_index(struct policy *policy)
{
	/* The index is const to its readers alone. */
	index_free((struct policy_index *)policy->index);
	policy->index = NULL;
}
