/* SPDX-License-Identifier: BSD-3-Clause */
#include "walk.h"

#include <stdlib.h>

#include "engine.h"
#include "judge.h"
#include "recover.h"
#include "scenario.h"

static uint8_t *
saved_at(const struct walk *walk, unsigned int depth)
{
	return walk->saved + depth * walk->state_size;
}

/* ---- going ---------------------------------------------------------------- */

static struct hash
hash_core(struct world *w, unsigned int worker)
{
	struct instant now = world_instant(w, w->model.elapsed_ms);

	return inside_hash(&w->engines[worker], w->image_size, &now);
}

/* Make `node` the state at hand. */
static void
go_to(struct walk *walk, uint32_t node)
{
	struct world *w = walk->w;
	unsigned int depth = walk->nodes[node].depth, at = depth;
	uint32_t path[PATH_MAX_STEPS];

	for (uint32_t n = node; at > walk->depth || walk->path[at] != n;
	     n = walk->nodes[n].parent, at--)
		path[at] = n;
	world_load(w, saved_at(walk, at), true);
	w->judges = false;
	while (at < depth) {
		at++;
		steps_take(w, walk->nodes[path[at]].step);
		walk->path[at] = path[at];
		world_save(w, saved_at(walk, at));
	}
	w->judges = true;
	walk->depth = depth;
	world_load(w, saved_at(walk, depth), true);
	for (unsigned int i = 0; i < w->n_workers; i++)
		walk->core_hash[i] = hash_core(w, i);
}

/* The hash of the world as it is now. `new_core`: bits of workers whose core nobody has
 * seen like that. */
static struct hash
hash_world(struct walk *walk, unsigned int *new_core)
{
	struct world *w = walk->w;
	struct hash parts[1 + WORKERS_MAX] = { hash_of(&w->model, sizeof(w->model), 1) };

	*new_core = 0;
	for (unsigned int i = 0; i < w->n_workers; i++) {
		parts[1 + i] = walk->core_hash[i];
		if (!w->engines[i].is_dirty)
			continue;
		parts[1 + i] = hash_core(w, i);
		if (hash_set_add(&walk->cores, parts[1 + i]))
			*new_core |= BIT(i);
	}
	return hash_of(parts, (1 + w->n_workers) * sizeof(parts[0]), 2);
}

/* ---- what is found -------------------------------------------------------- */

/* The steps from the beginning to the state at hand, and one more. */
static void
note_trace(struct walk *walk, struct step_taken last)
{
	walk->n_trace = walk->depth + 1;
	walk->trace[walk->depth] = last;
	for (unsigned int i = 1; i <= walk->depth; i++)
		walk->trace[i - 1] = walk->nodes[walk->path[i]].step;
	walk->violation = walk->w->violation;
}

static void
print_trace(const struct walk *walk)
{
	struct world *w = walk->w;

	printf("\n%s: broken: %s (%s)\n  %s\n", w->scenario->name, rule_names[walk->violation.rule],
	       rule_texts[walk->violation.rule], walk->violation.text);
	world_load(w, saved_at(walk, 0), true);
	w->trace = stdout;
	w->judges = false;
	for (unsigned int i = 0; i < walk->n_trace; i++) {
		printf("%3u  ", i + 1);
		steps_print(stdout, w, walk->trace[i]);
		printf("\n");
		steps_take(w, walk->trace[i]);
	}
	if (walk->violation.rule == RULE_stuck) {
		printf("     and nothing more goes wrong:\n");
		recover_all(w);
		w->violation.is_set = false;
	}
	w->judges = true;
	w->trace = NULL;
	fflush(stdout);
}

/* The same rule may be broken by fewer steps, with more mischief. */
static void
print_shortest(struct walk *walk, enum rule rule)
{
	const struct walk_limits limits = {
		.states = walk->limits.states,
		.depth = walk->n_trace - 1,
		.sought = BIT(rule),
	};
	struct walk shorter;

	world_load(walk->w, saved_at(walk, 0), true);
	bool found = !walk_all(&shorter, walk->w, &limits);
	print_trace(found ? &shorter : walk);
	walk_fini(&shorter);
}

/* False: the walk ends here. */
static bool
broken(struct walk *walk, struct step_taken step)
{
	enum rule rule = walk->w->violation.rule;
	const struct walk_limits *limits = &walk->limits;
	bool first = walk->n_broken[rule]++ == 0;

	if (limits->sought != 0 && !(limits->sought & BIT(rule))) {
		walk->w->violation.is_set = false;
		return true;
	}
	if (first)
		note_trace(walk, step);
	walk->w->violation.is_set = false;
	if (limits->sought != 0)
		return false;
	if (first && !(limits->quiet & BIT(rule))) {
		print_shortest(walk, rule);
		world_load(walk->w, saved_at(walk, walk->depth), true);
	}
	return limits->known & BIT(rule);
}

/* ---- all of it ------------------------------------------------------------ */

static void
enqueue(struct walk *walk, struct node node, unsigned int n_mischief)
{
	unsigned int level = node.depth + walk->limits.weight * n_mischief;
	uint32_t number = walk->n_nodes++;
	struct queue *q = &walk->queues[level];
	node.next = NODE_NONE;
	walk->nodes[number] = node;
	if (q->head == NODE_NONE)
		q->head = number;
	else
		walk->nodes[q->tail].next = number;
	q->tail = number;
	if (node.depth > walk->depth_max)
		walk->depth_max = node.depth;
}

static uint32_t
dequeue(struct walk *walk)
{
	/* Every step leads farther: a level that is empty stays so. */
	while (walk->level < QUEUES && walk->queues[walk->level].head == NODE_NONE)
		walk->level++;
	if (walk->level == QUEUES)
		return NODE_NONE;
	struct queue *q = &walk->queues[walk->level];
	uint32_t number = q->head;
	q->head = walk->nodes[number].next;
	return number;
}

static bool
has_room(const struct walk *walk)
{
	return walk->states.n < walk->limits.states;
}

/* The world has just come to a new state by `step`. It is in another one afterwards. What
 * takes long is asked once of each state of a core, whatever is in flight then. */
static void
judge_new(struct walk *walk, unsigned int new_core, struct step_taken step)
{
	struct world *w = walk->w;

	for (unsigned int i = 0; i < w->n_workers; i++)
		if (new_core & BIT(i))
			judge_core(w, i);
	if (new_core == 0 || w->violation.is_set)
		return;
	world_load(w, saved_at(walk, walk->depth), false);
	w->judges = false;
	steps_take(w, step);
	recover_all(w);
}

/* One step from the state at hand. False: the walk ends here. */
static bool
try_step(struct walk *walk, uint32_t from, struct step_taken step)
{
	struct world *w = walk->w;
	unsigned int new_core, n_mischief;

	world_load(w, saved_at(walk, walk->depth), false);
	steps_take(w, step);
	walk->n_steps++;
	if (w->violation.is_set)
		return broken(walk, step);
	if (!hash_set_add(&walk->states, hash_world(walk, &new_core)))
		return true;
	n_mischief = w->model.n_mischief;
	judge_new(walk, new_core, step);
	if (w->violation.is_set)
		return broken(walk, step);
	if (walk->depth + 1 < walk->limits.depth)
		enqueue(walk,
		        (struct node){
				.parent = from, .step = step, .depth = (uint8_t)(walk->depth + 1) },
		        n_mischief);
	return true;
}

static bool
expand(struct walk *walk, uint32_t node)
{
	struct step_taken steps[STEPS_MAX];
	unsigned int n;

	go_to(walk, node);
	if (hash_set_add(&walk->states, hash_world(walk, &(unsigned int){ 0 }))) {
		world_violate(walk->w, RULE_pure, "once more, they have led to another one");
		return broken(walk, walk->nodes[node].step);
	}
	n = steps_list(walk->w, steps);
	for (unsigned int i = 0; i < n && has_room(walk); i++)
		if (!try_step(walk, node, steps[i]))
			return false;
	walk->n_left += has_room(walk);
	return true;
}

static bool
memory_is_clean(const struct world *w)
{
	for (unsigned int i = 0; i < w->n_workers; i++)
		if (!inside_is_clean(&w->engines[i], &w->engines[i].params)) {
			printf("\n%s: broken: %s (%s), worker %u\n", w->scenario->name,
			       rule_names[RULE_memory], rule_texts[RULE_memory], i);
			return false;
		}
	return true;
}

bool
walk_all(struct walk *walk, struct world *w, const struct walk_limits *limits)
{
	uint32_t node;
	bool ok = true;

	*walk = (struct walk){
		.w = w,
		.limits = *limits,
		.state_size = (world_size(w) + 63) & ~(size_t)63,
	};
	for (unsigned int i = 0; i < QUEUES; i++)
		walk->queues[i].head = NODE_NONE;
	walk->nodes = malloc((size_t)limits->states * sizeof(walk->nodes[0]));
	walk->saved = malloc(PATH_MAX_STEPS * walk->state_size);
	if (walk->nodes == NULL || walk->saved == NULL) {
		fprintf(stderr, "explore: out of memory\n");
		exit(2);
	}
	hash_set_init(&walk->states);
	hash_set_init(&walk->cores);
	world_save(w, saved_at(walk, 0));
	for (unsigned int i = 0; i < w->n_workers; i++)
		w->engines[i].is_dirty = true;
	hash_set_add(&walk->states, hash_world(walk, &(unsigned int){ 0 }));
	enqueue(walk, (struct node){ .depth = 0 }, 0);
	while (ok && has_room(walk) && (node = dequeue(walk)) != NODE_NONE)
		ok = expand(walk, node);
	world_load(w, saved_at(walk, 0), true);
	return memory_is_clean(w) && ok;
}

void
walk_fini(struct walk *walk)
{
	hash_set_fini(&walk->states);
	hash_set_fini(&walk->cores);
	free(walk->nodes);
	free(walk->saved);
}
