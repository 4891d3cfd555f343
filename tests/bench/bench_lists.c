/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What it costs to look a source up in a list of N prefixes: in the live lists, beside a list of
 * the configuration. Sources at random, found by none (as of a flood) or all by an entry; prefixes
 * all addresses, or of 17 lengths as lists of networks have them. Ticks of the time stamp counter a
 * look-up, the median of many short runs; each look-up waits for the one before.
 *
 * bench_lists [N [repeats]]
 */
#include <stdio.h>
#include <stdlib.h>
#include <x86intrin.h>

#include "live_set.h"
#include "prefix_set.h"

#define LOOKUPS 1000u /* in a row: short, since others may want the CPU */

static uint64_t state = 88172645463325252u;

static uint64_t
next(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static struct prefix *
prefixes_make(uint32_t n, bool mixed)
{
	struct prefix *list = malloc(n * sizeof(*list));

	if (list == NULL)
		exit(1);
	for (uint32_t i = 0; i < n; i++) {
		uint64_t r = next();
		/* Half of them addresses, a quarter /24, the rest from /16 up. */
		unsigned int kind = r >> 40 & 3;
		unsigned int len = !mixed || kind < 2 ? 32 : kind == 2 ? 24 : 16 + (r >> 48) % 17;
		struct ip_addr addr = ip_addr_v4((uint32_t)r);
		list[i] = (struct prefix){ ip_addr_mask(&addr, 96 + len), (uint8_t)(96 + len) };
	}
	return list;
}

static int
compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* Of addresses asked for, each depends on the answer before. */
static double
measure(const struct live_set *live, const struct prefix_set *set, const struct prefix *list,
        uint32_t n, bool hits, unsigned int repeats)
{
	static struct ip_addr asked[LOOKUPS + 1];
	double *ticks = malloc(repeats * sizeof(*ticks));

	if (ticks == NULL)
		exit(1);
	for (unsigned int r = 0; r < repeats; r++) {
		uint32_t found = 0;
		for (uint32_t i = 0; i < LOOKUPS; i++)
			asked[i] = hits ? list[next() % n].addr : ip_addr_v4((uint32_t)next());
		uint64_t begin = __rdtsc();
		for (uint32_t i = 0; i < LOOKUPS; i++) {
			const struct ip_addr *addr = &asked[i + (found == UINT32_MAX)];
			found += live != NULL ? live_set_find(live, addr, 1) != 0
			                      : prefix_set_contains(set, addr);
		}
		ticks[r] = (double)(__rdtsc() - begin) / LOOKUPS;
	}
	qsort(ticks, repeats, sizeof(*ticks), compare);
	double median = ticks[repeats / 2];
	free(ticks);
	return median;
}

int
main(int argc, char **argv)
{
	uint32_t n = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 1000000;
	unsigned int repeats = argc > 2 ? (unsigned int)strtoul(argv[2], NULL, 10) : 501;
	struct flow_hash_key key;

	for (unsigned int i = 0; i < sizeof(key); i++)
		key.bytes[i / 16][i % 16] = (uint8_t)next();
	printf("%-22s %-6s %14s %14s\n", "prefixes", "asked", "configuration", "live");
	for (unsigned int mixed = 0; mixed < 2; mixed++) {
		struct prefix *list = prefixes_make(n, mixed);
		struct live_set *live = live_set_new(n, 0);
		struct prefix_set set;
		if (live == NULL || !prefix_set_init(&set, &key, list, n, PREFIX_ROOM) ||
		    !prefix_set_note_near(&set))
			return 1;
		for (uint32_t i = 0; i < n; i++)
			live_set_put(live, &list[i], 0, LIVE_DENY);
		for (unsigned int hits = 0; hits < 2; hits++)
			printf("%-8u %-13s %-6s %14.1f %14.1f\n", n,
			       mixed ? "17 lengths" : "addresses", hits ? "there" : "other",
			       measure(NULL, &set, list, n, hits, repeats),
			       measure(live, NULL, list, n, hits, repeats));
		prefix_set_fini(&set);
		live_set_free(live);
		free(list);
	}
	return 0;
}
