/* SPDX-License-Identifier: BSD-3-Clause */
#include "engine.h"

#include <stdio.h>
#include <stdlib.h>

#include "carry_out.h"
#include "frame.h"

#define RESTARTS_CACHED 64u
#define TICK_BUDGET 100000u

static const uint8_t client_mac[6] = { 0x06, 0x11, 0x22, 0x33, 0x44, 0x55 };
static const uint8_t server_mac[6] = { 0x02, 0, 0, 0, 0, 0x01 };

/* What a core looks like that was begun anew at some time: making one writes megabytes. */
struct restart_cache {
	unsigned int n;
	struct {
		uint32_t elapsed_ms;
		uint8_t policy, worker;
		uint8_t image[IMAGE_MAX];
	} restarts[RESTARTS_CACHED];
};

static void *
memory_or_die(size_t size)
{
	void *p = aligned_alloc(64, (size + 63) & ~(size_t)63);

	if (p == NULL) {
		fprintf(stderr, "explore: out of memory\n");
		exit(2);
	}
	memset(p, 0, size);
	return p;
}

void
engine_init(struct world *w, unsigned int worker)
{
	struct engine *e = &w->engines[worker];
	size_t size = core_size(&e->params);
	struct instant now = world_instant(w, w->model.elapsed_ms);

	if (worker == 0)
		w->restarts = memory_or_die(sizeof(*w->restarts));
	e->memory = memory_or_die(size);
	e->core = core_init(e->memory, &e->params, &w->policies[w->model.policy], &now);
	e->pristine = memory_or_die(size);
	memcpy(e->pristine, e->memory, size);
	e->is_dirty = true;
}

void
engine_fini(struct world *w, unsigned int worker)
{
	if (worker == 0)
		free(w->restarts);
	free(w->engines[worker].memory);
	free(w->engines[worker].pristine);
}

void
engine_restart(struct world *w, unsigned int worker)
{
	struct restart_cache *cache = w->restarts;
	struct engine *e = &w->engines[worker];
	struct model *m = &w->model;
	struct instant now = world_instant(w, m->elapsed_ms);
	unsigned int i = 0;

	e->is_dirty = true;
	while (i < cache->n &&
	       (cache->restarts[i].elapsed_ms != m->elapsed_ms ||
	        cache->restarts[i].policy != m->policy || cache->restarts[i].worker != worker))
		i++;
	if (i < cache->n) {
		inside_load(e, cache->restarts[i].image);
		return;
	}
	e->core = core_init(e->memory, &e->params, &w->policies[m->policy], &now);
	if (i == RESTARTS_CACHED)
		return;
	cache->n++;
	cache->restarts[i].elapsed_ms = m->elapsed_ms;
	cache->restarts[i].policy = m->policy;
	cache->restarts[i].worker = (uint8_t)worker;
	inside_save(e, cache->restarts[i].image);
}

void
engine_reload(struct world *w, unsigned int worker)
{
	core_set_policy(w->engines[worker].core, &w->policies[w->model.policy]);
	w->engines[worker].is_dirty = true;
}

/* ---- segments <-> frames ------------------------------------------------ */

static unsigned int
frame_of(struct world *w, const struct seg *seg, uint8_t *frame)
{
	bool from_client = seg->hop == HOP_FROM_CLIENT;
	struct link link = { .tags = 0 };
	uint8_t payload[UINT8_MAX];

	for (unsigned int i = 0; i < seg->len; i++)
		payload[i] = (uint8_t)(seg->data + i);
	memcpy(link.src_mac, from_client ? client_mac : server_mac, 6);
	memcpy(link.dst_mac, from_client ? server_mac : client_mac, 6);
	const struct packet p = {
		.seq = seg->seq,
		.ack = seg->ack,
		.flags = seg->flags,
		.window = seg->window,
		.options = seg->options,
		.mss = seg->mss,
		.wscale = seg->wscale,
		.tsval = seg->tsval,
		.tsecr = seg->tsecr,
		.payload = seg->len != 0 ? payload : NULL,
		.payload_len = seg->len,
	};
	return emit_new(frame, &link, world_flow(seg->flow),
	                from_client ? SIDE_INSIDE : SIDE_OUTSIDE, &p, EMIT_CHECKSUM_SOFTWARE,
	                &w->memo);
}

static unsigned int
number_of_flow(const struct flow *flow)
{
	unsigned int i = 0;

	while (i < FLOWS && !flow_equal(flow, world_flow(i)))
		i++;
	return i;
}

/* A frame that leaves by `side`. */
static void
add_out(struct world *w, const struct action *a, const uint8_t *frame, unsigned int len)
{
	enum side side = (enum side)a->out;
	struct segment s;

	segment_parse(&s, frame, len, len, side ^ 1);
	unsigned int flow = s.class == SEGMENT_TCP ? number_of_flow(&s.flow) : FLOWS;
	if (flow == FLOWS || s.tags != 0 || !frame_is_good(frame, len) ||
	    memcmp(frame, side == SIDE_OUTSIDE ? client_mac : server_mac, 6) != 0 ||
	    memcmp(frame + 6, side == SIDE_OUTSIDE ? server_mac : client_mac, 6) != 0) {
		world_violate(w, RULE_whole, "a frame that leaves %s is not whole",
		              side == SIDE_OUTSIDE ? "outside" : "inside");
		return;
	}
	if (w->n_out == OUT_MAX)
		return;
	struct out *out = &w->out[w->n_out++];
	*out = (struct out){
		.kind = a->kind,
		.seg = { .seq = s.seq,
		         .ack = s.flags & TCP_ACK ? s.ack : 0,
		         .window = s.window,
		         .hop = side == SIDE_OUTSIDE ? HOP_TO_CLIENT : HOP_TO_SERVER,
		         .flow = (uint8_t)flow,
		         .flags = s.flags,
		         .options = s.options,
		         .len = (uint8_t)s.payload_len },
	};
	if (s.options & OPTION_TIMESTAMPS) {
		out->seg.tsval = s.tsval;
		out->seg.tsecr = s.tsecr;
	}
	out->seg.mss = s.mss;
	out->seg.wscale = s.options & OPTION_WSCALE ? s.wscale : 0;
	if (s.payload_len == 0)
		return;
	out->seg.data = segment_payload(&s)[0];
	for (unsigned int i = 1; i < s.payload_len; i++)
		if (segment_payload(&s)[i] != (uint8_t)(out->seg.data + i))
			world_violate(w, RULE_stream, "bytes that nobody has sent in this order");
}

/* All that the core wants done. `in`: of the segment that is at hand, in `frame`. */
static void
carry_out_all(struct world *w, uint8_t *frame, unsigned int len, const struct segment *in)
{
	uint8_t fresh[FRAME_SIZE] = { 0 };
	unsigned int n_disposed = 0;

	w->n_out = 0;
	for (unsigned int i = 0; i < w->actions.n; i++) {
		const struct action *a = &w->actions.list[i];
		bool is_send = a->kind == ACTION_SEND;

		n_disposed += !is_send;
		if (a->kind == ACTION_DROP)
			continue;
		unsigned int n = carry_out(is_send ? fresh : frame, is_send ? NULL : in, a,
		                           EMIT_CHECKSUM_SOFTWARE, &w->memo);
		add_out(w, a, is_send ? fresh : frame, n != 0 ? n : len);
	}
	w->actions.n = 0;
	if (n_disposed != (in != NULL))
		world_violate(w, RULE_outcome, "a frame was disposed of %u times", n_disposed);
}

bool
engine_answers(struct world *w, unsigned int worker, const struct seg *seg)
{
	struct instant now = world_instant(w, w->model.elapsed_ms);
	uint8_t frame[FRAME_SIZE];
	unsigned int len = frame_of(w, seg, frame);
	struct segment s;

	w->engines[worker].is_dirty = true; /* it notes when a server was last looked for */
	segment_parse(&s, frame, len, len,
	              seg->hop == HOP_FROM_CLIENT ? SIDE_OUTSIDE : SIDE_INSIDE);
	return core_whose(w->engines[worker].core, &s, &now) == CORE_ANY;
}

void
engine_receive(struct world *w, unsigned int worker, const struct seg *seg)
{
	struct engine *e = &w->engines[worker];
	struct instant now = world_instant(w, w->model.elapsed_ms);
	uint8_t frame[FRAME_SIZE];
	unsigned int len = frame_of(w, seg, frame);
	struct segment s;

	e->is_dirty = true;
	segment_parse(&s, frame, len, len,
	              seg->hop == HOP_FROM_CLIENT ? SIDE_OUTSIDE : SIDE_INSIDE);
	if (w->judges)
		inside_note_row(e->core, &s, seg->flow);
	core_locate(e->core, &s, 1, &now);
	core_decide(e->core, &s, 1, &now, &w->actions);
	carry_out_all(w, frame, len, &s);
	w->model.cookies_until_s = w->cookies_until_s[0];
}

void
engine_tick(struct world *w, unsigned int worker, uint32_t elapsed_ms)
{
	struct engine *e = &w->engines[worker];
	struct instant now = world_instant(w, elapsed_ms);

	e->is_dirty = true;
	core_tick(e->core, &now, TICK_BUDGET, &w->actions);
	carry_out_all(w, NULL, 0, NULL);
}
