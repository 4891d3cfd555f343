/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bursts in which frames of both families are mixed. Nearly every step on the way of a packet asks
 * for its family, and where that changes at random no branch foretells it. So such a burst is
 * sorted before anything else is looked at: what is no IPv6 first, and of both what came first
 * before what came later. A flow is of one family, so that in no flow anything is overtaken.
 */
#ifndef SYNFRONT_FAMILIES_H
#define SYNFRONT_FAMILIES_H

#include <stdbool.h>

#include "bytes.h"
#include "protocols.h"

#define FAMILIES_MAX 64u /* frames of a burst */

/* The bytes of a frame, of which there are 14 at least. */
typedef const uint8_t *families_frame_fn(const void *item);

/*
 * Sort n frames (0..FAMILIES_MAX) of a burst; `frame` tells where those of an item are. They stay
 * as they are if one has any EtherType but IPv4 and IPv6: the family of what is tagged is not seen
 * at one look. No branch depends on a family.
 */
static inline __attribute__((always_inline)) void
families_sort(void **items, unsigned int n, families_frame_fn *frame)
{
	void *first[FAMILIES_MAX], *last[FAMILIES_MAX];
	unsigned int n_last = 0, n_other = 0;

	/* Each is written to both, and counted in one. */
	for (unsigned int i = 0; i < n; i++) {
		uint16_t type = bytes_get_u16_be(frame(items[i]) + ETH_TYPE_OFF);
		bool is_v6 = type == htobe16(ETH_TYPE_IPV6);

		first[i - n_last] = last[n_last] = items[i];
		n_last += is_v6;
		n_other += (type != htobe16(ETH_TYPE_IPV4)) ^ is_v6;
	}
	if (n_other != 0 || n_last == 0)
		return;
	memcpy(items, first, (n - n_last) * sizeof(*items));
	memcpy(items + n - n_last, last, n_last * sizeof(*items));
}

#endif
