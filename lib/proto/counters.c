/* SPDX-License-Identifier: BSD-3-Clause */
/* Names and meanings of all counters, from counters.def. */
#include "counters.h"

const struct counter_info counter_infos[COUNTER_COUNT] = {
#define OUTCOME(name, class, help) { #name, "would_" #name, help, OUTCOME_##class },
#define COUNTER(name, help) { #name, "would_" #name, help, OUTCOME_NOT },
#include "counters.def"
#undef OUTCOME
#undef COUNTER
};
