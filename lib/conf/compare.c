/* SPDX-License-Identifier: BSD-3-Clause */
/* Reload: what may change, and who keeps which service id. */
#include <stdio.h>
#include <string.h>

#include "value.h"

static int
fail_change(const struct conf *fresh, const struct conf_place *place, const char *was,
            const char *now, struct conf_error *err)
{
	char path[CONF_PATH_SIZE];

	conf_place_path(place, path);
	conf_refuse_change(fresh, path, was, now, err);
	return -1;
}

static int
compare_mapping(const struct conf *fresh, const struct conf_place *up,
                const struct conf_mapping *mapping, const char *old_base, const char *new_base,
                struct conf_error *err)
{
	for (uint32_t i = 0; i < mapping->n_keys; i++) {
		const struct conf_key *key = &mapping->keys[i];
		struct conf_place place = { up, key->name, 0, NULL };

		if ((key->flags & CONF_LIVE) != 0)
			continue;
		if (key->type == CONF_MAPPING) {
			if ((key->flags & CONF_OPTIONAL) != 0) {
				bool had = *(const bool *)(old_base + key->count_offset);
				bool has = *(const bool *)(new_base + key->count_offset);
				if (had != has)
					return fail_change(fresh, &place, had ? "one" : "none",
					                   has ? "one" : "none", err);
				if (!has)
					continue;
			}
			if (compare_mapping(fresh, &place, key->mapping, old_base + key->offset,
			                    new_base + key->offset, err) != 0)
				return -1;
		} else if (!conf_value_equal(key, old_base, new_base)) {
			char was[256], now[256];
			conf_format_value(key, old_base, was, sizeof(was));
			conf_format_value(key, new_base, now, sizeof(now));
			return fail_change(fresh, &place, was, now, err);
		}
	}
	return 0;
}

/* What observe keeps is made at the start. */
static int
fail_observe(const struct conf *fresh, struct conf_error *err)
{
	struct conf_place root = { NULL, NULL, 0, NULL };
	struct conf_place list = { &root, "services", 0, NULL };
	struct conf_place service = { &list, NULL, 0, NULL };
	struct conf_place key = { fresh->policy.observe ? &root : &service, "observe", 0, NULL };

	while (!fresh->policy.services[service.index].observe &&
	       service.index + 1 < fresh->policy.n_services)
		service.index++;
	return fail_change(fresh, &key, "false", "true", err);
}

int
conf_compare(const struct conf *running, const struct conf *fresh, struct conf_error *err)
{
	struct conf_place root = { NULL, NULL, 0, NULL };

	if (fresh->policy.observes && !running->policy.may_observe)
		return fail_observe(fresh, err);
	return compare_mapping(fresh, &root, &conf_root, (const char *)running, (const char *)fresh,
	                       err);
}

void
conf_mark_ids(struct conf_ids *ids, const struct policy *policy)
{
	for (uint32_t i = 0; i < policy->n_services; i++) {
		uint16_t id = policy->services[i].id;
		ids->used[id / 64] |= UINT64_C(1) << (id % 64);
	}
}

static uint32_t
lowest_free(const struct conf_ids *ids)
{
	for (uint32_t w = 0; w < CONF_ID_WORDS; w++)
		if (~ids->used[w] != 0)
			return w * 64 + (uint32_t)__builtin_ctzll(~ids->used[w]);
	return SERVICES_MAX;
}

static const struct service *
find_name(const struct policy *policy, const char *name)
{
	for (uint32_t i = 0; i < policy->n_services; i++)
		if (strcmp(policy->services[i].name, name) == 0)
			return &policy->services[i];
	return NULL;
}

/* The number of a group of the running policy; 0: it has none of this name. */
static uint8_t
group_of(const struct policy *policy, const char *name)
{
	for (uint32_t i = 0; i < policy->n_services; i++)
		if (policy->services[i].group_id != 0 &&
		    strcmp(policy->services[i].group, name) == 0)
			return policy->services[i].group_id;
	return 0;
}

/* The lowest number that neither policy has; SERVICE_GROUPS_MAX + 1 if there is none. */
static uint8_t
free_group(const struct policy *running, const uint8_t *chosen, uint32_t n_chosen)
{
	uint32_t used = 1; /* 0 is the master's */

	for (uint32_t i = 0; i < running->n_services; i++)
		used |= 1u << running->services[i].group_id;
	for (uint32_t i = 0; i < n_chosen; i++)
		used |= 1u << chosen[i];
	return (uint8_t)__builtin_ctz(~used);
}

/*
 * Groups keep their numbers; new ones get numbers that no worker uses now. `services` is as
 * the configuration numbered it; false, and unchanged, if there are too few numbers.
 */
static bool
adopt_groups(const struct policy *running, struct service *services, uint32_t n)
{
	uint8_t numbers[SERVICE_GROUPS_MAX + 1] = { 0 }; /* by those of the configuration */

	for (uint32_t i = 0; i < n; i++) {
		uint8_t was = services[i].group_id;
		if (was != 0 && numbers[was] == 0)
			numbers[was] = group_of(running, services[i].group);
	}
	for (uint32_t i = 0; i < n; i++) {
		uint8_t was = services[i].group_id;
		if (was != 0 && numbers[was] == 0)
			numbers[was] = free_group(running, numbers, SERVICE_GROUPS_MAX + 1);
		if (was != 0 && numbers[was] > SERVICE_GROUPS_MAX)
			return false;
	}
	for (uint32_t i = 0; i < n; i++)
		services[i].group_id = numbers[services[i].group_id];
	return true;
}

static bool
serve_the_same(const struct service *a, const struct service *b)
{
	bool same = a->n_addresses == b->n_addresses && a->n_ports == b->n_ports;

	for (uint32_t i = 0; same && i < a->n_addresses; i++)
		same = ip_addr_equal(&a->addresses[i].addr, &b->addresses[i].addr) &&
		       a->addresses[i].len == b->addresses[i].len;
	for (uint32_t i = 0; same && i < a->n_ports; i++)
		same = a->ports[i].first == b->ports[i].first &&
		       a->ports[i].last == b->ports[i].last;
	return same;
}

/* May there be connections that crossed until now, and are this service's from now on? What is
 * under observe is followed already. */
static bool
is_put_before(const struct service *old, const struct service *fresh)
{
	if (fresh->mode == MODE_BYPASS || fresh->mode == MODE_HANDOFF)
		return false;
	return old == NULL || old->mode == MODE_BYPASS || old->mode == MODE_HANDOFF ||
	       !serve_the_same(old, fresh);
}

int
conf_adopt_ids(const struct policy *running, struct conf *fresh, struct conf_ids *ids,
               struct conf_error *err)
{
	/* Not published yet, so this conf's array may be written. */
	struct service *services = (struct service *)fresh->policy.services;
	uint32_t n_new = 0, n_free = 0, line, column;

	for (uint32_t w = 0; w < CONF_ID_WORDS; w++)
		n_free += (uint32_t)__builtin_popcountll(~ids->used[w]);
	for (uint32_t i = 0; i < fresh->policy.n_services; i++)
		n_new += find_name(running, services[i].name) == NULL;
	conf_position(fresh, "services", &line, &column);
	if (n_new > n_free) {
		snprintf(err->text, sizeof(err->text),
		         "%.128s:%u:%u: services: found %u new ones; expected at most %u, since "
		         "the ids of removed ones are still in use",
		         fresh->source, line, column, n_new, n_free);
		return -1;
	}
	if (!adopt_groups(running, services, fresh->policy.n_services)) {
		snprintf(err->text, sizeof(err->text),
		         "%.128s:%u:%u: services: found too many groups, the running ones among "
		         "them; expected at most %u",
		         fresh->source, line, column, SERVICE_GROUPS_MAX);
		return -1;
	}
	for (uint32_t i = 0; i < fresh->policy.n_services; i++) {
		const struct service *old = find_name(running, services[i].name);
		uint32_t id = old != NULL ? old->id : lowest_free(ids);
		services[i].id = (uint16_t)id;
		services[i].adopts = is_put_before(old, &services[i]);
		ids->used[id / 64] |= UINT64_C(1) << (id % 64);
	}
	fresh->policy.generation = running->generation + 1;
	fresh->policy.may_observe = running->may_observe;
	return 0;
}
