/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The core with a clock of its own, led step by step through a pipe: what comes
 * next may depend on what came out. Both directions carry records
 *
 *   u64 time_us | u32 kind | u32 size | size bytes       (the machine's byte order)
 *
 * In: a frame for either side at a time, or time alone. Out: the frames that
 * left meanwhile, each with its time, and a record STEP_DONE with the core's time.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "account.h"
#include "carry_out.h"
#include "conf.h"
#include "cookie.h"
#include "core.h"
#include "core_share.h"
#include "group_secrets.h"

#define TICK_US 10000u
/* Its tables are small (engine.yaml): all of them is looked at several times a second. */
#define TICK_BUDGET 512u
#define FRAME_SIZE_MAX (65536u + 64u)

enum step_kind {
	STEP_OUTSIDE, /* a frame, in or out */
	STEP_INSIDE,
	STEP_DONE,   /* in: let time go on until then */
	STEP_LISTEN, /* in: the same, but stop at the first frame that leaves */
	STEP_END,    /* in: the account, as the last thing on standard output */
};

struct step_record {
	uint64_t at_us;
	uint32_t kind;
	uint32_t size;
};

_Static_assert(sizeof(struct step_record) == 16, "as its readers and writers take it");

struct run {
	struct conf *conf;
	struct core *core;
	void *memory;
	struct secret_ring secrets;
	struct known known;
	struct actions actions;
	struct emit_memo memo;
	uint64_t now_us, next_tick_us;
	uint64_t n_received, n_sent;
	uint8_t frame[FRAME_SIZE_MAX], fresh[FRAME_SIZE_MAX];
};

static void
put(const struct run *run, uint32_t kind, const uint8_t *data, uint32_t size)
{
	struct step_record record = { .at_us = run->now_us, .kind = kind, .size = size };

	fwrite(&record, sizeof(record), 1, stdout);
	fwrite(data, 1, size, stdout);
}

static struct instant
instant_now(const struct run *run)
{
	return (struct instant){
		.now_ms = run->now_us / 1000,
		.wall_ms = run->now_us / 1000,
		.secrets = secret_current(&run->secrets),
	};
}

/* `seg` is the frame in run->frame, or NULL after a tick. */
static void
send_all(struct run *run, const struct segment *seg, uint32_t size)
{
	for (unsigned int i = 0; i < run->actions.n; i++) {
		const struct action *a = &run->actions.list[i];
		if (a->kind == ACTION_DROP)
			continue;
		bool made = a->kind == ACTION_SEND;
		uint8_t *frame = made ? run->fresh : run->frame;
		unsigned int fresh = carry_out(frame, made ? NULL : seg, a, EMIT_CHECKSUM_SOFTWARE,
		                               &run->memo);
		run->n_sent++;
		put(run, a->out, frame, fresh != 0 ? fresh : size);
	}
	run->actions.n = 0;
}

static void
receive(struct run *run, enum side side, uint32_t size)
{
	struct instant now = instant_now(run);
	struct segment seg;

	run->n_received++;
	segment_parse(&seg, run->frame, size, size, side);
	core_locate(run->core, &seg, 1, &now);
	core_decide(run->core, &seg, 1, &now, &run->actions);
	send_all(run, &seg, size);
}

static void
advance(struct run *run, uint64_t to_us, bool stop)
{
	uint64_t sent = run->n_sent;

	while (run->next_tick_us <= to_us) {
		run->now_us = run->next_tick_us;
		run->next_tick_us += TICK_US;
		secret_step(&run->secrets, run->now_us / 1000000);
		struct instant now = instant_now(run);
		core_tick(run->core, &now, TICK_BUDGET, &run->actions);
		send_all(run, NULL, 0);
		if (stop && run->n_sent != sent)
			return;
	}
	if (to_us > run->now_us)
		run->now_us = to_us;
}

static int
start(struct run *run, uint64_t now_us)
{
	uint8_t seed[64], master[MASTER_SECRET_SIZE];
	size_t n_actions = 64 * (1 + ACTIONS_PER_EVENT);

	/* Any will do, but its two halves must not be equal (lib/cookie/secret.c). */
	for (unsigned int i = 0; i < sizeof(seed); i++)
		seed[i] = (uint8_t)(i * 37 + 11);
	for (unsigned int i = 0; i < sizeof(master); i++)
		master[i] = (uint8_t)(i * 59 + 23);
	run->now_us = now_us;
	run->next_tick_us = now_us + TICK_US;
	secret_init(&run->secrets, master, now_us / 1000000);
	group_secrets_of(&run->secrets, &run->conf->policy);
	struct core_params params = core_share(run->conf, seed);
	run->memory = aligned_alloc(64, (core_size(&params) + 63) & ~(size_t)63);
	void *known = aligned_alloc(64, known_size(run->conf->memory.known_flows));
	run->actions.list = calloc(n_actions, sizeof(struct action));
	run->actions.max = (unsigned int)n_actions;
	run->memo = EMIT_MEMO_NEW;
	if (run->memory == NULL || run->actions.list == NULL || known == NULL)
		return -1;
	known_init(&run->known, known, run->conf->memory.known_flows, seed);
	params.known = &run->known;
	struct instant now = instant_now(run);
	run->core = core_init(run->memory, &params, &run->conf->policy, &now);
	return 0;
}

/* 0 if it adds up. */
static int
account(struct run *run)
{
	struct account_equation rows[ACCOUNT_EQUATIONS];
	const struct counters *c = core_counters(run->core);
	int rc = 0;

	account_equations(c, run->n_received, core_usage(run->core).half_open,
	                  core_remaining(run->core), rows);
	for (unsigned int i = 0; i < ACCOUNT_EQUATIONS; i++) {
		if (rows[i].left == rows[i].right)
			continue;
		fprintf(stderr, "does not hold: %s: %" PRIu64 " and %" PRIu64 "\n", rows[i].text,
		        rows[i].left, rows[i].right);
		rc = 3;
	}
	fputs("{\n", stdout);
	account_json(stdout, c, " ");
	fputs("\n}\n", stdout);
	return rc;
}

static int
obey(struct run *run)
{
	struct step_record record;

	while (fread(&record, sizeof(record), 1, stdin) == 1) {
		if (record.size > FRAME_SIZE_MAX - EMIT_HEADER_MAX ||
		    fread(run->frame, 1, record.size, stdin) != record.size)
			return 1;
		if (run->core == NULL && start(run, record.at_us) != 0)
			return 1;
		if (record.kind == STEP_END)
			return account(run);
		advance(run, record.at_us, record.kind == STEP_LISTEN);
		if (record.kind == STEP_OUTSIDE || record.kind == STEP_INSIDE)
			receive(run, (enum side)record.kind, record.size);
		put(run, STEP_DONE, run->frame, 0);
		if (fflush(stdout) != 0)
			return 1;
	}
	return 1;
}

int
main(int argc, char **argv)
{
	static struct run run;
	struct conf_error err;

	if (argc != 2) {
		fputs("usage: core_stdio CONFIG\n", stderr);
		return 2;
	}
	run.conf = conf_load(argv[1], &err);
	if (run.conf == NULL) {
		fprintf(stderr, "core_stdio: %s\n", err.text);
		return 1;
	}
	run.conf->workers.count = 1;
	cookie_select("auto", NULL);
	int rc = obey(&run);
	secret_fini(&run.secrets);
	free(run.actions.list);
	free(run.memory);
	free(run.known.words);
	conf_free(run.conf);
	return rc;
}
