/* SPDX-License-Identifier: BSD-3-Clause */
/* What core_locate() has found of segments in the index, once an earlier one of their burst has changed
 * that. Inside lib/proto only. */
#ifndef SYNFRONT_LOCATED_H
#define SYNFRONT_LOCATED_H

#include "core_state.h"

/*
 * Before which number, up to n, would the same be found of segments from number `first` on: no entry,
 * or the same candidate? Notes where that stands then. Looks no further than at those that may go by
 * the same lane as the first.
 */
unsigned int located_until(const struct core *core, struct segment *seg, unsigned int first,
                           unsigned int n);

#endif
