/* SPDX-License-Identifier: BSD-3-Clause */
#include "prelude.h"

#include <stdlib.h>

#include "ends.h"
#include "engine.h"
#include "steps.h"

#define ISS 0x22222222u
#define FORGET_S 45u /* what was followed has idled out */
#define ASK_AGAIN_MS 601000u

static void
pass(struct world *w, unsigned int seconds)
{
	for (unsigned int i = 0; i < seconds; i++) {
		w->model.elapsed_ms += 1000;
		for (unsigned int worker = 0; worker < w->n_workers; worker++)
			engine_tick(w, worker, w->model.elapsed_ms);
	}
	w->n_out = 0;
}

/* A SYN of this net passes, is answered with what the server can do, and the client
 * acknowledges that. */
static void
teach(struct world *w, unsigned int worker, unsigned int flow)
{
	struct seg syn = {
		.hop = HOP_FROM_CLIENT,
		.flow = (uint8_t)flow,
		.flags = TCP_SYN,
		.seq = ISS,
		.options = ALL_OPTIONS,
		.mss = 1460,
		.wscale = 6,
		.tsval = 1,
		.window = 1000,
	};
	struct seg answer = {
		.hop = HOP_FROM_SERVER,
		.flow = (uint8_t)flow,
		.flags = TCP_SYN | TCP_ACK,
		.seq = ISS,
		.ack = ISS + 1,
		.options = w->scenario->server_options | OPTION_MSS,
		.mss = SERVER_MSS,
		.window = 1000,
	};

	struct seg ack = {
		.hop = HOP_FROM_CLIENT,
		.flow = (uint8_t)flow,
		.flags = TCP_ACK,
		.seq = ISS + 1,
		.ack = ISS + 1,
		.window = 1000,
	};

	if (answer.options & OPTION_WSCALE)
		answer.wscale = 3;
	if (answer.options & OPTION_TIMESTAMPS) {
		answer.tsval = answer.tsecr = 1;
		ack.options = OPTION_TIMESTAMPS;
		ack.tsval = ack.tsecr = 1;
	}
	engine_receive(w, worker, &syn);
	if (w->n_out != 1 || w->out[0].seg.hop != HOP_TO_SERVER)
		return; /* it has nothing to learn any more */
	engine_receive(w, worker, &answer);
	engine_receive(w, worker, &ack);
	w->n_out = 0;
}

static void
taught(struct world *w, bool is_observed)
{
	for (unsigned int worker = 0; worker < w->n_workers; worker++)
		for (unsigned int flow = 0; flow < FLOWS; flow++)
			teach(w, worker, flow);
	pass(w, FORGET_S);
	for (unsigned int worker = 0; worker < w->n_workers; worker++) {
		const struct core *core = w->engines[worker].core;

		if (!inside_is_taught(is_observed ? inside_shadow(core) : core)) {
			fprintf(stderr, "explore: worker %u has not learned of its server\n",
			        worker);
			exit(2);
		}
	}
}

void
prelude_taught(struct world *w)
{
	taught(w, false);
}

void
prelude_observed(struct world *w)
{
	taught(w, true);
}

void
prelude_taught_long_ago(struct world *w)
{
	prelude_taught(w);
	w->model.elapsed_ms += ASK_AGAIN_MS;
	pass(w, 1);
}

void
prelude_connected(struct world *w)
{
	prelude_taught(w);
	client_do(w, 0, CLIENT_OPEN);
	steps_settle(w);
}

void
prelude_answered(struct world *w)
{
	prelude_connected(w);
	client_do(w, 0, CLIENT_DATA);
	steps_settle(w);
}

void
prelude_closed(struct world *w)
{
	struct seg syn, data;

	prelude_taught(w);
	client_do(w, 0, CLIENT_OPEN);
	syn = w->model.net[0];
	steps_settle(w);
	client_do(w, 0, CLIENT_DATA);
	data = w->model.net[0];
	steps_settle(w);
	client_do(w, 0, CLIENT_FIN);
	steps_settle(w);
	world_send(w, &syn);
	world_send(w, &data);
}
