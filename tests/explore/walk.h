/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Walking through all states of a scenario, in the order of what it takes to reach them:
 * each step counts one, and each thing that goes wrong counts MISCHIEF_WEIGHT more, so that
 * whole conversations are seen before everything that can go wrong at their beginning.
 * A trace to a broken rule is then sought once more by steps alone, and the shortest is told.
 *
 * Of a state its hash is kept, and by which step it came from which other; to go on from
 * one, its path is gone once more, from the last state that the path shares with that
 * of the one before.
 */
#ifndef SYNFRONT_EXPLORE_WALK_H
#define SYNFRONT_EXPLORE_WALK_H

#include "hash.h"
#include "steps.h"

#define PATH_MAX_STEPS 128u
#define NODE_NONE UINT32_MAX

#define MISCHIEF_WEIGHT 3u
#define MISCHIEF_MAX 8u

struct node {
	uint32_t parent;
	uint32_t next; /* in its queue */
	struct step_taken step;
	uint8_t depth;
	uint8_t unused;
};

/* States whose steps have not been taken yet, all equally far. */
struct queue {
	uint32_t head, tail;
};
#define QUEUES (PATH_MAX_STEPS + MISCHIEF_WEIGHT * MISCHIEF_MAX + 1)

/* What a walk is about. */
struct walk_limits {
	unsigned int weight; /* of what goes wrong, in steps: MISCHIEF_WEIGHT or 0 */
	uint32_t states;
	unsigned int depth; /* longest path */
	uint32_t known;     /* bits of rules that are known to be broken */
	uint32_t quiet;     /* ... of these, not to be told */
	uint32_t sought;    /* ... to be found by a shorter path; all others are passed over */
};

struct walk {
	struct world *w;
	struct walk_limits limits;
	struct node *nodes;
	uint32_t n_nodes;
	uint32_t n_left; /* not in any queue any more, by all of their steps */
	struct queue queues[QUEUES];
	unsigned int level;     /* queue at hand */
	unsigned int depth_max; /* of any state */
	struct hash_set states, cores;
	uint64_t n_steps;

	/* The path to the state at hand. */
	uint32_t path[PATH_MAX_STEPS];
	uint8_t *saved; /* its states */
	unsigned int depth;
	size_t state_size;
	struct hash core_hash[WORKERS_MAX]; /* of the state at hand */

	uint64_t n_broken[RULE_COUNT];
	unsigned int n_trace; /* the path to the last broken rule */
	struct step_taken trace[PATH_MAX_STEPS];
	struct violation violation;
};

/* From where the world is, which it is again afterwards. False when a rule was broken that is not
 * known to be. Traces are printed of the first time that each rule is broken. */
bool walk_all(struct walk *walk, struct world *w, const struct walk_limits *limits);
void walk_fini(struct walk *walk);

#endif
