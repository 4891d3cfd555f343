/* SPDX-License-Identifier: BSD-3-Clause */
#include "condition.h"

#include <inttypes.h>

#include "stats.h"

/* A worker that stands still for so long does not come back by itself. */
#define WORKER_FAILED_MS 5000u

static void
look_at_workers(const struct watch *watch, struct health *health)
{
	for (unsigned int i = 0; i < watch->plane->n_workers; i++) {
		const struct watched_worker *seen = &watch->workers[i];
		uint64_t still_ms = watch->monotonic_ms - seen->since_ms;
		if (seen->is_still)
			health_add(health,
			           still_ms >= WORKER_FAILED_MS ? HEALTH_FAILED : HEALTH_DEGRADED,
			           "worker %u has stood still for %" PRIu64 " s", i,
			           still_ms / 1000);
	}
}

static void
look_at_ports(const struct watch *watch, struct health *health)
{
	const struct plane *plane = watch->plane;

	for (unsigned int side = 0; side < plane->n_ports; side++) {
		const struct port_link *link = &plane->ports[side].link;
		enum port_link_state state = port_link_state(link);
		if (state == PORT_LINK_LOST)
			health_add(health, HEALTH_FAILED, "the %s port is lost", side_name(side));
		else if (state == PORT_LINK_DOWN)
			health_add(health, HEALTH_DEGRADED, "the link of the %s port is down",
			           side_name(side));
		if (link->is_deaf)
			health_add(health, HEALTH_DEGRADED,
			           "promiscuous mode of the %s port was taken off",
			           side_name(side));
		for (unsigned int i = 0; i < plane->n_workers; i++)
			if (watch->queues[i][side].is_stuck)
				health_add(health, HEALTH_DEGRADED,
				           "the %s port takes nothing from worker %u",
				           side_name(side), i);
	}
}

void
condition_look(const struct control *c, struct health *health)
{
	*health = (struct health){ .state = HEALTH_READY };
	look_at_workers(&c->watch, health);
	look_at_ports(&c->watch, health);
	if (plane_is_draining(c->plane))
		health_add(health, HEALTH_DEGRADED,
		           "draining: new connections pass to the servers untouched");
	if (c->is_refused)
		health_add(health, HEALTH_DEGRADED,
		           "the last reload was refused: the file is not what is in force");
	if (events_is_so(&c->events, EVENT_TABLE_FULL, PRESSURE_CONNECTIONS))
		health_add(health, HEALTH_DEGRADED, "the connection table is full: %u of %u",
		           stats_usage(c->plane).connections, c->first->memory.connections);
}

void
condition_text(const struct control *c, const struct health *health, char *text, size_t size)
{
	const struct policy *policy = &c->live->policy;
	size_t at = 0;
	uint32_t n_flooded = 0;

	for (uint32_t i = 0; i < policy->n_services && at < size; i++)
		if (events_is_so(&c->events, EVENT_FLOOD, policy->services[i].id))
			at += (size_t)snprintf(text + at, size - at, "%s%s",
			                       n_flooded++ == 0 ? "flood: cookies answer for "
			                                        : ", ",
			                       policy->services[i].name);
	if (n_flooded == 0)
		at = (size_t)snprintf(text, size, "calm");
	if (at < size)
		at += (size_t)snprintf(text + at, size - at, "; %u service%s", policy->n_services,
		                       policy->n_services == 1 ? "" : "s");
	if (health->n != 0 && at < size)
		snprintf(text + at, size - at, "; %s: %s", health_text(health->state),
		         health->reasons[0]);
}
