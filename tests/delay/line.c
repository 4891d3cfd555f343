/* SPDX-License-Identifier: BSD-3-Clause */
#include "line.h"

#include <stdlib.h>

#define NS_PER_S 1000000000ull

void
line_init(struct line *line, const struct line_settings *settings, uint64_t seed)
{
	*line = (struct line){ .settings = *settings, .chance = { seed } };
	line->last = &line->first;
}

void
line_fini(struct line *line)
{
	free(line->held);
	line->held = NULL;
	line->held_size = line->n_held = 0;
}

/* Let the rate limit take a frame; false if its queue has no room. */
static bool
line_queue(struct line *line, uint32_t length, uint64_t now_ns, uint64_t *through_ns)
{
	const struct line_settings *settings = &line->settings;
	unsigned __int128 work;
	uint64_t wait_ns;

	*through_ns = now_ns;
	if (!settings->rate_bps)
		return true;
	if (line->free_ns < now_ns) {
		line->free_ns = now_ns;
		line->part = 0;
	}
	wait_ns = line->free_ns - now_ns;
	if (settings->queue_bytes) {
		uint64_t waiting = (uint64_t)((unsigned __int128)wait_ns * settings->rate_bps / 8 /
		                              NS_PER_S);

		/* What waits is a round number of bytes less than what was put in, never more;
		 * a frame larger than the queue passes an idle line. */
		if (wait_ns && waiting + length > settings->queue_bytes)
			return false;
	} else if (wait_ns > settings->queue_ns) {
		return false;
	}
	work = (unsigned __int128)length * 8 * NS_PER_S + line->part;
	line->free_ns += (uint64_t)(work / settings->rate_bps);
	line->part = (uint64_t)(work % settings->rate_bps);
	*through_ns = line->free_ns;
	return true;
}

unsigned int
line_plan(struct line *line, uint32_t length, uint64_t now_ns, struct line_copy copies[LINE_COPIES])
{
	const struct line_settings *settings = &line->settings;
	struct chance *chance = &line->chance;
	/* What befalls a frame depends on its number alone, not on when it comes: the draws
	 * are the same whatever the queue does with it. */
	bool lost = chance_share(chance) < settings->loss;
	bool twice = chance_share(chance) < settings->duplicate;
	unsigned int n = 0;

	line->counts.received++;
	line->n_numbers++;
	for (unsigned int i = 0; i < LINE_COPIES; i++) {
		uint64_t jitter_ns = chance_upto(chance, 2 * settings->jitter_ns);
		bool held = chance_share(chance) < settings->reorder;
		uint64_t hold_ns = chance_upto(chance, settings->hold_ns);
		uint64_t through_ns;

		if (lost || (i && !twice))
			continue;
		if (!line_queue(line, length, now_ns, &through_ns)) {
			line->counts.queue_dropped++;
			continue;
		}
		copies[n].held = held;
		copies[n].due_ns = through_ns + settings->delay_ns + jitter_ns -
		                   settings->jitter_ns;
		if (copies[n].due_ns < line->order_ns)
			copies[n].due_ns = line->order_ns;
		if (held)
			copies[n].due_ns += hold_ns;
		else
			line->order_ns = copies[n].due_ns;
		line->counts.held += held;
		n++;
	}
	line->counts.lost += lost;
	line->counts.duplicated += twice && !lost;
	return n;
}

static bool
heap_before(const struct frame *a, const struct frame *b)
{
	return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->number < b->number;
}

static bool
heap_push(struct line *line, struct frame *frame)
{
	size_t at = line->n_held;

	if (at == line->held_size) {
		size_t size = at ? 2 * at : 64;
		struct frame **held = realloc(line->held, size * sizeof(struct frame *));

		if (!held)
			return false;
		line->held = held;
		line->held_size = size;
	}
	line->n_held++;
	while (at && heap_before(frame, line->held[(at - 1) / 2])) {
		line->held[at] = line->held[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	line->held[at] = frame;
	return true;
}

static struct frame *
heap_pop(struct line *line)
{
	struct frame *top = line->held[0], *last = line->held[--line->n_held];
	size_t at = 0, child;

	while ((child = 2 * at + 1) < line->n_held) {
		if (child + 1 < line->n_held &&
		    heap_before(line->held[child + 1], line->held[child]))
			child++;
		if (!heap_before(line->held[child], last))
			break;
		line->held[at] = line->held[child];
		at = child;
	}
	line->held[at] = last;
	return top;
}

bool
line_put(struct line *line, struct frame *frame, const struct line_copy *copy)
{
	frame->due_ns = copy->due_ns;
	frame->number = line->n_numbers;
	frame->next = NULL;
	if (copy->held)
		return heap_push(line, frame);
	*line->last = frame;
	line->last = &frame->next;
	return true;
}

uint64_t
line_due(const struct line *line)
{
	uint64_t due_ns = line->first ? line->first->due_ns : UINT64_MAX;

	if (line->n_held && line->held[0]->due_ns < due_ns)
		due_ns = line->held[0]->due_ns;
	return due_ns;
}

struct frame *
line_take(struct line *line, uint64_t now_ns)
{
	struct frame *frame = line->first;

	if (line_due(line) > now_ns)
		return NULL;
	if (line->n_held && (!frame || heap_before(line->held[0], frame))) {
		frame = heap_pop(line);
	} else {
		line->first = frame->next;
		if (!line->first)
			line->last = &line->first;
	}
	line->counts.sent++;
	if (frame->number < line->most_number)
		line->counts.reordered++;
	else
		line->most_number = frame->number;
	return frame;
}
