/* SPDX-License-Identifier: BSD-3-Clause */
/* Noting the service of a destination; finding it again is inline in the header. */
#include "destination.h"

void
destinations_init(struct destinations *d, const struct policy *policy)
{
	/* Whatever stands in a place must be true: so, in all of them, of port 0 of ::. */
	const struct flow none = { 0 };

	uint16_t service = policy_find_id(policy, &none.server, false, 0);

	for (unsigned int i = 0; i < 1u << DESTINATIONS_BITS; i++)
		d->places[i] = (struct destination){ .service = service };
}

__attribute__((noinline)) uint16_t
destination_ask(struct destination *place, const struct policy *policy, const struct flow *flow,
                bool is_v4)
{
	place->addr = flow->server;
	place->port_be = flow->server_port_be;
	place->service = policy_find_id(policy, &flow->server, is_v4,
	                                __builtin_bswap16(flow->server_port_be));
	return place->service;
}
