/* SPDX-License-Identifier: BSD-3-Clause */
#include "explain_lab.h"

#include <stdio.h>

struct segment
explained_flow(struct lab *lab, const struct lab_seg *spec)
{
	static uint8_t frame[FRAME_SIZE];
	uint8_t options[64], payload[8];
	struct frame_spec f = lab_frame(lab, spec, options, payload);
	size_t len = frame_build(frame, &f);
	struct segment seg;

	segment_parse(&seg, frame, (uint32_t)len, (uint32_t)len, spec->side);
	return seg;
}

/* Trials with a copy of what weighs on a flow, in memory of their own. */
struct trial_pair {
	struct instant now;
	uint8_t *memory;
	struct known known;
	struct core *trials[2];
	uint32_t words[LAB_KNOWN] __attribute__((aligned(64)));
};

static void
pair_take(struct lab *lab, struct trial_pair *pair, const struct segment *seg,
          struct explain_facts *facts)
{
	size_t size = (explain_size(&lab->params) + 63) & ~63ul;

	pair->now = (struct instant){ lab->now_ms, lab->wall_ms, secret_current(&lab->secrets) };
	pair->memory = aligned_alloc(64, 2 * size);
	known_init(&pair->known, pair->words, LAB_KNOWN, (const uint8_t *)&lab->known.key);
	for (unsigned int i = 0; i < 2; i++)
		pair->trials[i] = explain_init(pair->memory + i * size, &lab->params, &lab->policy,
		                               &pair->known, &pair->now);
	explain_copy(lab->core, &seg->flow, seg->tags, &pair->now, facts, pair->trials);
}

struct explained
explained_of(struct lab *lab, const struct lab_seg *spec)
{
	size_t size = core_size(&lab->params);
	uint8_t *before = check_copy(lab->core, size);
	uint32_t words[LAB_KNOWN];
	struct trial_pair pair;
	struct explained e;
	/* Only addresses and ports are of interest; clocks of the lab's ends stay as they are. */
	struct segment seg = explained_flow(lab, spec);

	memcpy(words, lab->known_words, sizeof(words));
	pair_take(lab, &pair, &seg, &e.facts);
	explain_ask(pair.trials, &seg.flow, seg.tags, &pair.now, &e.answer);
	CHECK(memcmp(before, lab->core, size) == 0);
	CHECK(memcmp(words, lab->known_words, sizeof(words)) == 0);
	free(pair.memory);
	free(before);
	return e;
}

enum counter
explained_outcome(struct lab *lab, const struct lab_seg *spec)
{
	struct action list[CORE_BURST_MAX + 2 * ACTIONS_PER_EVENT];
	struct actions out = { .list = list, .max = sizeof(list) / sizeof(list[0]) };
	struct segment seg = explained_flow(lab, spec);
	struct explain_facts facts;
	struct trial_pair pair;

	pair_take(lab, &pair, &seg, &facts);
	core_locate(pair.trials[0], &seg, 1, &pair.now);
	core_decide(pair.trials[0], &seg, 1, &pair.now, &out);
	EQUAL(out.n, 1);
	free(pair.memory);
	return (enum counter)list[0].outcome;
}

struct explained
explained(struct lab *lab)
{
	const struct lab_seg spec = { .side = SIDE_OUTSIDE,
		                      .flags = TCP_SYN,
		                      .no_timestamps = true };

	return explained_of(lab, &spec);
}

void
explained_came_true(struct lab *lab, const struct explain_verdict *v)
{
	CHECK(v->is_asked);
	if (!CHECK(lab_grew(lab, (enum counter)v->outcome) == 1))
		printf("    said %s, was %s\n", counter_infos[v->outcome].name, lab_outcome(lab));
}

bool
explained_row_is(const struct explain_verdict *v, const char *name)
{
	const char *row = core_row_name(v->note.row);

	return row != NULL && strcmp(row, name) == 0;
}
