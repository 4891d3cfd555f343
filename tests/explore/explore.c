/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Explore the core exhaustively: see world.h for what is explored and rules.def for
 * what is asserted.
 *
 *   explore [--states N] [--scenario NAME] [--seed N] [--known RULE,...] [--expect RULE,...]
 *           [--strict] [--by-steps] [--rows] [--list]
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cookie.h"
#include "engine.h"
#include "scenario.h"
#include "walk.h"

#define STATES_PRESET 1000000u
#define STATES_MOST 400000000u
/*
 * A known limit rather than a promise; --strict asserts it too. What a server answers may be a SYN
 * from before the entry that is there: a client that has sent two of them, more than 10 s apart,
 * and acknowledges the answer to the lesser one, has a vote. What ends a client is no limit:
 * whoever puts a rule here hides from all of its kind.
 */
#define LIMITS BIT(RULE_late)

struct options {
	uint64_t states; /* distinct ones, of all scenarios together */
	const char *scenario;
	uint32_t seed;
	uint32_t known, expected; /* bits of rules */
	unsigned int weight;      /* of what goes wrong */
	bool rows;
};

struct totals {
	uint64_t states, steps, cores;
	unsigned int n_complete;
	uint64_t n_broken[RULE_COUNT];
};

static void
usage(FILE *out)
{
	fprintf(out,
	        "explore [--states N] [--scenario NAME] [--seed N] [--known RULE,...]\n"
	        "        [--expect RULE,...] [--strict] [--by-steps] [--rows] [--list]\n"
	        "\n"
	        "  --states N       stop after so many distinct states, of all scenarios together\n"
	        "  --scenario NAME  this one alone\n"
	        "  --seed N         other keys, sequence numbers and phases of the clock\n"
	        "  --known RULES    known to be broken: not an error, nothing follows it\n"
	        "  --expect RULES   known to be broken, and an error if they are not\n"
	        "  --strict         assert what is known as a limit, too\n"
	        "  --by-steps       states of fewer steps first, whatever goes wrong\n"
	        "  --rows           name the rows of the decision table that were not taken\n"
	        "  --list           name scenarios and rules\n");
}

static void
list(void)
{
	for (unsigned int i = 0; i < n_scenarios; i++)
		printf("%-20s %s\n", scenarios[i].name, scenarios[i].about);
	printf("\n");
	for (unsigned int i = 0; i < RULE_COUNT; i++)
		printf("%-20s %s\n", rule_names[i], rule_texts[i]);
}

/* Names of rules, separated by commas. Ends the process if one is none. */
static uint32_t
parse_rules(char *names)
{
	uint32_t rules = 0;

	for (char *name = strtok(names, ","); name != NULL; name = strtok(NULL, ",")) {
		unsigned int i = 0;

		while (i < RULE_COUNT && strcmp(name, rule_names[i]) != 0)
			i++;
		if (i == RULE_COUNT) {
			fprintf(stderr, "explore: no such rule: %s\n", name);
			exit(2);
		}
		rules |= BIT(i);
	}
	return rules;
}

static struct options
parse_options(int argc, char **argv)
{
	static const struct option names[] = {
		{ "states", required_argument, NULL, 'n' },
		{ "scenario", required_argument, NULL, 's' },
		{ "seed", required_argument, NULL, 'r' },
		{ "known", required_argument, NULL, 'k' },
		{ "expect", required_argument, NULL, 'e' },
		{ "strict", no_argument, NULL, 't' },
		{ "by-steps", no_argument, NULL, 'b' },
		{ "rows", no_argument, NULL, 'w' },
		{ "list", no_argument, NULL, 'l' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	struct options o = { .states = STATES_PRESET, .weight = MISCHIEF_WEIGHT, .known = LIMITS };
	int c;

	while ((c = getopt_long(argc, argv, "", names, NULL)) != -1) {
		switch (c) {
		case 'n':
			o.states = strtoull(optarg, NULL, 10);
			break;
		case 's':
			o.scenario = optarg;
			break;
		case 'r':
			o.seed = (uint32_t)strtoul(optarg, NULL, 10);
			break;
		case 'k':
			o.known |= parse_rules(optarg);
			break;
		case 'e':
			o.expected |= parse_rules(optarg);
			break;
		case 't':
			o.known &= ~LIMITS;
			break;
		case 'b':
			o.weight = 0;
			break;
		case 'w':
			o.rows = true;
			break;
		case 'l':
			list();
			exit(0);
		default:
			usage(c == 'h' ? stdout : stderr);
			exit(c == 'h' ? 0 : 2);
		}
	}
	if (optind != argc || o.states == 0) {
		usage(stderr);
		exit(2);
	}
	return o;
}

static double
seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static bool
run_scenario(const struct options *o, const struct scenario *scenario, uint64_t states,
             struct totals *totals)
{
	static struct world world;
	const struct walk_limits limits = {
		.weight = o->weight,
		.states = states < STATES_MOST ? (uint32_t)states : STATES_MOST,
		.depth = PATH_MAX_STEPS,
		.known = o->known | o->expected,
		.quiet = o->known & LIMITS,
	};
	struct walk walk;
	double began = seconds();

	world_init(&world, scenario, o->seed);
	bool ok = walk_all(&walk, &world, &limits);
	bool complete = ok && walk.n_left == walk.n_nodes;
	printf("%-20s %10zu states %11llu steps %8zu of a core  up to %3u steps%s  %.1f s\n",
	       scenario->name, walk.states.n, (unsigned long long)walk.n_steps, walk.cores.n,
	       walk.depth_max, complete ? " (all)" : "", seconds() - began);
	fflush(stdout);
	totals->states += walk.states.n;
	totals->steps += walk.n_steps;
	totals->cores += walk.cores.n;
	totals->n_complete += complete;
	for (unsigned int i = 0; i < RULE_COUNT; i++)
		totals->n_broken[i] += walk.n_broken[i];
	walk_fini(&walk);
	world_fini(&world);
	return ok;
}

int
main(int argc, char **argv)
{
	struct options o = parse_options(argc, argv);
	struct totals totals = { 0 };
	unsigned int n = 0, left, n_rows, n_all;
	bool ok = true;

	cookie_select("auto", NULL);
	for (unsigned int i = 0; i < n_scenarios; i++)
		n += o.scenario == NULL || strcmp(o.scenario, scenarios[i].name) == 0;
	if (n == 0) {
		fprintf(stderr, "explore: no such scenario: %s\n", o.scenario);
		return 2;
	}
	left = n;
	for (unsigned int i = 0; i < n_scenarios; i++) {
		if (o.scenario != NULL && strcmp(o.scenario, scenarios[i].name) != 0)
			continue;
		/* What one does not need is the others'. */
		uint64_t share = o.states > totals.states ? (o.states - totals.states) / left : 0;
		ok &= run_scenario(&o, &scenarios[i], share + 1, &totals);
		left--;
	}
	n_rows = inside_rows(&n_all, o.rows);
	printf("%llu states by %llu steps, %llu of a core; %u of %u scenarios to their end; "
	       "%u of %u rows of the decision table\n",
	       (unsigned long long)totals.states, (unsigned long long)totals.steps,
	       (unsigned long long)totals.cores, totals.n_complete, n, n_rows, n_all);
	for (unsigned int i = 0; i < RULE_COUNT; i++) {
		if (totals.n_broken[i] != 0)
			printf("%s: %s, by %llu steps\n",
			       o.known & LIMITS & BIT(i) ? "a known limit" : "broken",
			       rule_names[i], (unsigned long long)totals.n_broken[i]);
		else if (o.expected & BIT(i))
			printf("not broken, as it should be: %s\n", rule_names[i]);
		ok &= totals.n_broken[i] != 0 || !(o.expected & BIT(i));
	}
	return ok ? 0 : 1;
}
