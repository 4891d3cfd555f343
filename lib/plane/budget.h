/* SPDX-License-Identifier: BSD-3-Clause */
/* How many buffers there are to be, and how much memory in all. */
#ifndef SYNFRONT_BUDGET_H
#define SYNFRONT_BUDGET_H

#include "conf.h"

/* What a pool keeps for each lcore: nobody else's until it is given back. */
#define BUFFERS_CACHE 256u

/* Buffers of a worker when every ring is full; `has_syns`: one of SYNs is among them. */
uint32_t budget_buffers_most(const struct conf *conf, bool has_syns);
/* Buffers that each worker gets. */
uint32_t budget_buffers(const struct conf *conf, bool has_syns);
/* Bytes for all workers, of hugepages or of ordinary ones. */
uint64_t budget_memory(const struct conf *conf, bool huge);

#endif
