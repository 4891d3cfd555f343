/* SPDX-License-Identifier: BSD-3-Clause */
/* What observe found out, as a table for people: when cookie mode would have been on, what each
 * service would have seen, what would have become of the frames. */
#ifndef SYNFRONT_PCAP_WOULD_H
#define SYNFRONT_PCAP_WOULD_H

#include <stdio.h>

#include "core.h"

#define WOULD_SPANS_MAX 4u /* shown of one service */

/* Of one service. */
struct would_service {
	uint32_t half_open_most;
	uint32_t n_spans; /* times that cookie mode would have begun */
	bool is_on;
	struct {
		uint64_t from_us, to_us;
	} spans[WOULD_SPANS_MAX]; /* the first ones, from the first frame */
};

struct would {
	struct would_service
		*services; /* by their place in the policy; NULL: nothing is observed */
	uint64_t begun_us, now_us;
};

/* 0; -1 if memory is short, which is said on stderr. */
int would_init(struct would *would, const struct core *core, uint64_t now_us);
void would_fini(struct would *would);
/* After each tick. */
void would_look(struct would *would, const struct core *core, uint64_t now_us);
void would_print(FILE *out, const struct would *would, const struct core *core,
                 uint64_t n_received);
/* Has each frame under observe one outcome that it would have had? If not, that is said on
 * stderr. */
bool would_adds_up(const struct counters *c, const struct counters *would);

#endif
