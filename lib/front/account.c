/* SPDX-License-Identifier: BSD-3-Clause */
/* Adding counters up, and the equations that every frame must fit. */
#include "account.h"

#include <inttypes.h>

void
account_add(struct counters *sum, const struct counters *c)
{
	for (unsigned int i = 0; i < COUNTER_COUNT; i++)
		sum->values[i] += counter_read(c, (enum counter)i);
}

static uint64_t
sum_of_outcomes(const struct counters *c)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < COUNTER_COUNT; i++)
		if (counter_infos[i].class != OUTCOME_NOT)
			sum += counter_read(c, (enum counter)i);
	return sum;
}

static uint64_t
add_up(const struct counters *c, const enum counter *which, unsigned int n)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < n; i++)
		sum += counter_read(c, which[i]);
	return sum;
}

#define ADD_UP(c, list) add_up(c, list, sizeof(list) / sizeof(list[0]))

void
account_equations(const struct counters *c, uint64_t received, uint64_t half_open,
                  uint64_t remaining, struct account_equation rows[ACCOUNT_EQUATIONS])
{
	static const enum counter half_open_ends[] = {
		COUNTER_half_open_completed,
		COUNTER_half_open_expired,
		COUNTER_half_open_reset,
		COUNTER_half_open_replaced,
	};
	static const enum counter ends[] = {
		COUNTER_completed, COUNTER_expired, COUNTER_evicted, COUNTER_reset, COUNTER_drained,
	};

	rows[0] = (struct account_equation){
		.text = "received = sum of outcomes",
		.left = received,
		.right = sum_of_outcomes(c),
	};
	rows[1] = (struct account_equation){
		.text = "half-open made = completed + expired + reset + replaced + current",
		.left = counter_read(c, COUNTER_half_open_made),
		.right = ADD_UP(c, half_open_ends) + half_open,
	};
	rows[2] = (struct account_equation){
		.text = "opened = completed + expired + evicted + reset + drained + current",
		.left = counter_read(c, COUNTER_opened),
		.right = ADD_UP(c, ends) + remaining,
	};
}

struct account_equation
account_observed(const struct counters *c, const struct counters *would)
{
	return (struct account_equation){
		.text = "passed_observed = sum of would-be outcomes",
		.left = counter_read(c, COUNTER_passed_observed),
		.right = sum_of_outcomes(would),
	};
}

void
account_would_json(FILE *out, const struct counters *would, const char *indent)
{
	for (unsigned int i = 0; i < COUNTER_COUNT; i++)
		fprintf(out, ",\n%s\"%s\": %" PRIu64, indent, counter_infos[i].would,
		        counter_read(would, i));
}

void
account_json(FILE *out, const struct counters *c, const char *indent)
{
	for (unsigned int i = 0; i < COUNTER_COUNT; i++)
		fprintf(out, "%s%s\"%s\": %" PRIu64, i == 0 ? "" : ",\n", indent,
		        counter_infos[i].name, counter_read(c, (enum counter)i));
}
