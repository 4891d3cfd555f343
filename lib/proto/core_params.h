/* SPDX-License-Identifier: BSD-3-Clause */
/* What a core is given: its sizes for life, and the time of each burst. */
#ifndef SYNFRONT_CORE_PARAMS_H
#define SYNFRONT_CORE_PARAMS_H

#include <stdbool.h>
#include <stdint.h>

#include "known.h"
#include "secret.h"

/* Most segments in one burst. */
#define CORE_BURST_MAX 64u

/* What a core is built with; fixed for its life. Figures are this core's own
 * share. */
struct core_params {
	uint32_t connections;
	uint32_t half_open;
	uint32_t backends;
	uint32_t paths;
	uint32_t sources;
	uint32_t held;        /* connections that may wait for their server at once */
	uint32_t seen;        /* observe: handshakes of servers that are remembered; 0: nothing is
	                         ever observed, and there is no room for it */
	uint32_t hold_bytes;  /* most early data held for each */
	uint32_t n_workers;   /* limits of the policy are divided by this */
	uint32_t n_receivers; /* workers to which the outside port brings segments; 0: all */
	uint8_t seed[64];     /* uniformly random: keys of the tables */
	bool has_inside;      /* false: responder topology, nothing can be forwarded */
	bool cookie_gate;     /* refuse ACKs unchecked while no cookie is out: only if this core
	                         alone makes the cookies that its ACKs carry */
	/* [SERVICES_MAX], of all cores together; NULL: this one is alone. The second in which no
	 * cookie of a service is out any more, of their common clock; 0: none has been.
	 * Relaxed: each core writes what is later than what it reads, and a value that is
	 * lost for another's is less than a second older. */
	uint32_t *cookies_until_s;
	const struct known *known; /* of all cores together; NULL: no service has a shield */
};

/* The time of one burst. */
struct instant {
	uint64_t now_ms;                  /* monotonic */
	uint64_t wall_ms;                 /* since 1970; TSval clock */
	const struct secret_set *secrets; /* secret_current(): a row, [0] of the master */
};

static inline uint32_t
instant_s(const struct instant *now)
{
	return (uint32_t)(now->now_ms / 1000);
}

#endif
