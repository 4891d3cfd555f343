/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The engine without a NIC: frames come from capture files, time comes from
 * their timestamps, and what the engine sends goes to capture files. The same
 * input gives the same output, byte for byte.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "account.h"
#include "carry_out.h"
#include "core.h"
#include "core_share.h"
#include "group_secrets.h"
#include "cookie.h"
#include "cpu_guard.h"
#include "neighbour.h"
#include "pcap_comment.h"
#include "pcap_files.h"
#include "pcap_options.h"
#include "pcap_would.h"
#include "rows.h"

#define TICK_US 10000u
#define TICK_BUDGET 4096u
#define FRAME_SIZE_MAX (PCAP_FRAME_MAX + EMIT_HEADER_MAX)

const int cpu_guard_status = EXIT_INPUT;

struct run {
	struct conf *conf;
	struct core *core;
	struct secret_ring secrets;
	struct known known;
	struct pcap_input inputs[SIDE_COUNT];
	pcap_dumper_t *outputs[SIDE_COUNT];
	struct actions actions;
	struct emit_memo memo;
	bool notes_rows;
	struct would would;
	struct pcap_comment comment;
	uint64_t now_us;
	uint64_t next_tick_us;
	uint32_t sweep_ticks; /* in which all of the index is swept */
	uint64_t n_received;
	uint64_t n_sent[SIDE_COUNT];
	uint8_t frame[FRAME_SIZE_MAX];
};

/* SplitMix64 (Steele, Lea, Flood 2014): spreads a small seed over many bytes. */
static void
fill_from_seed(uint64_t *state, uint8_t *out, size_t size)
{
	for (size_t i = 0; i < size; i += 8) {
		uint64_t z = *state += 0x9e3779b97f4a7c15u;
		z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
		z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
		z ^= z >> 31;
		memcpy(out + i, &z, 8);
	}
}

static void
send_frame(struct run *run, enum side out, const uint8_t *frame, uint32_t len)
{
	run->n_sent[out]++;
	pcap_output_add(run->outputs[out], run->now_us, frame, len);
	if (run->comment.out != NULL)
		pcap_comment_sent(&run->comment, out, run->now_us, frame, len);
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
carry_out_all(struct run *run, const struct segment *seg, uint32_t len)
{
	static uint8_t fresh[FRAME_SIZE_MAX];

	for (unsigned int i = 0; i < run->actions.n; i++) {
		const struct action *a = &run->actions.list[i];
		if (a->kind == ACTION_DROP)
			continue;
		uint8_t *frame = a->kind == ACTION_SEND ? fresh : run->frame;
		unsigned int fresh_len = carry_out(frame, a->kind == ACTION_SEND ? NULL : seg, a,
		                                   EMIT_CHECKSUM_SOFTWARE, &run->memo);
		send_frame(run, (enum side)a->out, frame, fresh_len != 0 ? fresh_len : len);
	}
	run->actions.n = 0;
}

/* On the frame in run->frame. */
static void
decide(struct run *run, struct segment *seg, const struct instant *now, uint32_t len)
{
	struct core_note note;

	if (run->comment.out == NULL) {
		core_decide(run->core, seg, 1, now, &run->actions);
		return;
	}
	core_decide_noted(run->core, seg, 1, now, &run->actions, &note);
	pcap_comment_received(&run->comment, seg, &run->actions, &note, run->now_us, run->frame,
	                      len);
}

static void
receive(struct run *run, enum side side, const uint8_t *frame, uint32_t len)
{
	static const uint8_t own_mac[6] = { 0x02, 0, 0, 0, 0, 0x01 };
	const struct port_conf *port = side == SIDE_OUTSIDE ? &run->conf->outside
	                                                    : &run->conf->inside;
	const uint8_t *mac = port->mac_source == CONF_MAC_GIVEN ? port->mac : own_mac;
	struct instant now = instant_now(run);
	struct segment seg;

	memcpy(run->frame, frame, len);
	run->n_received++;
	segment_parse(&seg, run->frame, len, len, side);
	if (!run->conf->has_inside && seg.class == SEGMENT_OTHER) {
		unsigned int n = neighbour_answer(run->frame, len, &seg, core_policy(run->core),
		                                  mac);
		if (n != 0) {
			counter_add(core_counters_own(run->core), COUNTER_answered_neighbour, 1);
			pcap_comment_neighbour(&run->comment);
			send_frame(run, side, run->frame, n);
			return;
		}
	}
	core_locate(run->core, &seg, 1, &now);
	decide(run, &seg, &now, len);
	carry_out_all(run, &seg, len);
}

static void
tick(struct run *run)
{
	run->now_us = run->next_tick_us;
	run->next_tick_us += TICK_US;
	secret_step(&run->secrets, run->now_us / 1000000);
	struct instant now = instant_now(run);
	run->comment.is_tick = true;
	if (run->notes_rows)
		rows_tick(run->core, &now, TICK_BUDGET, &run->actions);
	else
		core_tick(run->core, &now, TICK_BUDGET, &run->actions);
	carry_out_all(run, NULL, 0);
	would_look(&run->would, run->core, run->now_us);
}

/* Leave out the ticks before `to_us` in which nothing would happen, but not the last. */
static void
skip_quiet(struct run *run, uint64_t to_us)
{
	uint64_t left = to_us < run->next_tick_us ? 0 : (to_us - run->next_tick_us) / TICK_US;

	/* To ask costs as much as to sweep. */
	if (left <= run->sweep_ticks)
		return;
	struct instant now = instant_now(run);
	uint64_t next_us = core_next_ms(run->core, &now) * 1000;
	if (next_us <= run->next_tick_us)
		return;
	uint64_t quiet = (next_us - run->next_tick_us + TICK_US - 1) / TICK_US;
	run->next_tick_us += (quiet < left ? quiet : left) * TICK_US;
}

/* Between two frames there may be years: there are as many ticks as timers that end at
 * different times, and some for each sweep that looks for these. */
static void
advance(struct run *run, uint64_t to_us)
{
	for (uint64_t n = 1; run->next_tick_us <= to_us; n++) {
		tick(run);
		if (n % run->sweep_ticks == 0)
			skip_quiet(run, to_us);
	}
	/* Frames of two files may lie a little out of order; time does not. */
	if (to_us > run->now_us)
		run->now_us = to_us;
}

/* The input whose frame is next, outside first; NULL at the end of both. */
static struct pcap_input *
next_input(struct run *run)
{
	struct pcap_input *a = &run->inputs[SIDE_OUTSIDE], *b = &run->inputs[SIDE_INSIDE];

	if (b->frame == NULL || (a->frame != NULL && a->at_us <= b->at_us))
		return a->frame != NULL ? a : NULL;
	return b;
}

static bool
known_start(struct run *run, uint64_t *state)
{
	uint32_t n = run->conf->memory.known_flows;
	void *memory = aligned_alloc(64, known_size(n));
	uint8_t key[64];

	if (memory == NULL)
		return false;
	fill_from_seed(state, key, sizeof(key));
	known_init(&run->known, memory, n, key);
	return true;
}

static int
core_start(struct run *run, const struct options *options)
{
	uint64_t state = options->seed;
	uint8_t seed[64], master[MASTER_SECRET_SIZE];
	struct conf_error err;

	fill_from_seed(&state, seed, sizeof(seed));
	fill_from_seed(&state, master, sizeof(master));
	if (run->conf->secret_file != NULL && conf_read_secret(run->conf, master, &err) != 0) {
		fprintf(stderr, "synfront-pcap: %s\n", err.text);
		return -1;
	}
	secret_init(&run->secrets, master, run->now_us / 1000000);
	group_secrets_of(&run->secrets, &run->conf->policy);

	struct core_params params = core_share(run->conf, seed);
	void *memory = aligned_alloc(64, (core_size(&params) + 63) & ~(size_t)63);
	size_t n_actions = 64 * (1 + ACTIONS_PER_EVENT);
	run->memo = EMIT_MEMO_NEW;
	run->actions.list = calloc(n_actions, sizeof(struct action));
	run->actions.max = (unsigned int)n_actions;
	if (memory == NULL || run->actions.list == NULL || !known_start(run, &state)) {
		free(memory);
		fputs("synfront-pcap: not enough memory for the tables\n", stderr);
		return -1;
	}
	size_t index_size = flow_index_size(params.connections + params.half_open);
	uint32_t buckets = (uint32_t)(index_size / sizeof(struct flow_bucket));
	run->sweep_ticks = (buckets + TICK_BUDGET - 1) / TICK_BUDGET;
	struct instant now = instant_now(run);
	params.known = &run->known;
	run->core = core_init(memory, &params, &run->conf->policy, &now);
	return would_init(&run->would, run->core, run->now_us);
}

/* Of a capture of both directions: to a protected address, from one, or neither. */
static enum side
side_by_address(const struct run *run, const struct pcap_input *in)
{
	const struct policy *policy = &run->conf->policy;
	struct segment seg;

	for (unsigned int side = 0; side < SIDE_COUNT; side++) {
		segment_parse(&seg, in->frame, in->len, in->len, (enum side)side);
		if (seg.class != SEGMENT_OTHER &&
		    policy_find_id(policy, &seg.flow.server, seg.is_v4, 0) != SERVICE_NONE)
			return (enum side)side;
	}
	return SIDE_OUTSIDE;
}

static enum side
side_of(const struct run *run, const struct options *options, const struct pcap_input *in)
{
	if (options->observe != NULL)
		return side_by_address(run, in);
	return in == &run->inputs[SIDE_INSIDE] ? SIDE_INSIDE : SIDE_OUTSIDE;
}

static int
run_all(struct run *run, const struct options *options)
{
	uint64_t drain_us = UINT64_MAX;
	struct pcap_input *in = next_input(run);

	run->now_us = in != NULL ? in->at_us : 0;
	run->next_tick_us = run->now_us + TICK_US;
	if (options->drains)
		drain_us = run->now_us + options->drain_at_us;
	if (core_start(run, options) != 0)
		return EXIT_INPUT;

	for (; in != NULL; in = next_input(run)) {
		advance(run, in->at_us);
		if (run->now_us >= drain_us) {
			core_drain(run->core, true);
			drain_us = UINT64_MAX;
		}
		receive(run, side_of(run, options, in), in->frame, in->len);
		if (pcap_input_next(in) != 0)
			return EXIT_INPUT;
	}
	advance(run, run->now_us + options->until_us);
	return EXIT_OK;
}

/* The final account; EXIT_ACCOUNT if it does not add up. */
static int
check_account(const struct run *run)
{
	struct account_equation rows[ACCOUNT_EQUATIONS];
	const struct counters *c = core_counters(run->core);
	struct core_usage use = core_usage(run->core);
	int rc = EXIT_OK;

	account_equations(c, run->n_received, use.half_open, core_remaining(run->core), rows);
	for (unsigned int i = 0; i < ACCOUNT_EQUATIONS; i++) {
		if (rows[i].left == rows[i].right)
			continue;
		fprintf(stderr, "synfront-pcap: does not hold: %s: %" PRIu64 " and %" PRIu64 "\n",
		        rows[i].text, rows[i].left, rows[i].right);
		rc = EXIT_ACCOUNT;
	}
	if (core_would(run->core) != NULL && !would_adds_up(c, core_would(run->core)))
		rc = EXIT_ACCOUNT;
	return rc;
}

static int
write_counters(const struct run *run, const char *path)
{
	struct core_usage use = core_usage(run->core);
	FILE *out = strcmp(path, "-") == 0 ? stdout : fopen(path, "w");

	if (out == NULL) {
		fprintf(stderr, "synfront-pcap: %s: %s\n", path, strerror(errno));
		return EXIT_INPUT;
	}
	fprintf(out,
	        "{\n  \"received\": %" PRIu64 ",\n  \"truncated\": %" PRIu64
	        ",\n  \"sent_outside\": %" PRIu64 ",\n  \"sent_inside\": %" PRIu64
	        ",\n  \"connections\": %u,\n  \"half_open\": %u,\n"
	        "  \"held\": %u,\n  \"remaining\": %u,\n",
	        run->n_received, run->inputs[SIDE_OUTSIDE].n_cut + run->inputs[SIDE_INSIDE].n_cut,
	        run->n_sent[SIDE_OUTSIDE], run->n_sent[SIDE_INSIDE], use.connections, use.half_open,
	        use.held, core_remaining(run->core));
	account_json(out, core_counters(run->core), "  ");
	if (core_would(run->core) != NULL)
		account_would_json(out, core_would(run->core), "  ");
	fputs("\n}\n", out);
	if ((out == stdout ? fflush(out) : fclose(out)) != 0) {
		fprintf(stderr, "synfront-pcap: %s: %s\n", path, strerror(errno));
		return EXIT_INPUT;
	}
	return EXIT_OK;
}

static int
write_rows(const char *path)
{
	FILE *out = fopen(path, "w");
	int rc = out != NULL ? rows_write(out) : -1;

	if (out == NULL || fclose(out) != 0 || rc != 0) {
		fprintf(stderr, "synfront-pcap: %s: %s\n", path, strerror(errno));
		return EXIT_INPUT;
	}
	return EXIT_OK;
}

/* All that is to be had before the first frame. */
static int
open_all(struct run *run, struct options *options)
{
	struct conf_error err;

	run->conf->workers.count = 1;
	if (options->observe != NULL) {
		options->read[SIDE_OUTSIDE] = options->observe;
		if (conf_observe_all(run->conf, &err) != 0) {
			fprintf(stderr, "synfront-pcap: --observe: %s\n", err.text);
			return EXIT_INPUT;
		}
	}
	if (cookie_select("auto", NULL) == NULL) {
		fputs("synfront-pcap: this CPU has no AES instructions, or wrong ones\n", stderr);
		return EXIT_INPUT;
	}
	if (!run->conf->has_inside && options->read[SIDE_INSIDE] != NULL) {
		fputs("synfront-pcap: --inside: the configuration has no inside port\n", stderr);
		return EXIT_INPUT;
	}
	for (unsigned int side = 0; side < SIDE_COUNT; side++)
		if (pcap_input_open(&run->inputs[side], options->read[side]) != 0 ||
		    pcap_output_open(&run->outputs[side], options->write[side]) != 0)
			return EXIT_INPUT;
	if (pcap_comment_open(&run->comment, options->comment, run->conf->has_inside) != 0)
		return EXIT_INPUT;
	run->comment.policy = &run->conf->policy;
	run->notes_rows = options->rows != NULL;
	return EXIT_OK;
}

/* What is said of a run at its end. */
static int
write_all(struct run *run, const struct options *options)
{
	int rc = check_account(run);

	if (options->counters != NULL && write_counters(run, options->counters) != EXIT_OK)
		return EXIT_INPUT;
	if (rc == EXIT_OK && options->observe != NULL)
		would_print(stdout, &run->would, run->core, run->n_received);
	if (rc == EXIT_OK && options->rows != NULL)
		rc = write_rows(options->rows);
	return rc;
}

/* Give all back; `rc` is how it went so far. */
static int
close_all(struct run *run, const struct options *options, int rc)
{
	for (unsigned int side = 0; side < SIDE_COUNT; side++) {
		if (rc == EXIT_OK && run->inputs[side].ends_early)
			rc = EXIT_CUT;
		pcap_input_close(&run->inputs[side]);
		if (pcap_output_close(run->outputs[side], options->write[side]) != 0)
			rc = EXIT_INPUT;
	}
	if (pcap_comment_close(&run->comment) != 0)
		rc = EXIT_INPUT;
	secret_fini(&run->secrets);
	free(run->actions.list);
	free(run->core);
	free(run->known.words);
	would_fini(&run->would);
	conf_free(run->conf);
	return rc;
}

int
main(int argc, char **argv)
{
	static struct run run;
	struct options options = { 0 };
	struct conf_error err;

	if (pcap_options(argc, argv, &options) != 0)
		return EXIT_USAGE;
	run.conf = conf_load(options.config, &err);
	if (run.conf == NULL) {
		fprintf(stderr, "synfront-pcap: %s\n", err.text);
		return EXIT_INPUT;
	}
	int rc = open_all(&run, &options);
	if (rc == EXIT_OK)
		rc = run_all(&run, &options);
	if (rc == EXIT_OK)
		rc = write_all(&run, &options);
	return close_all(&run, &options, rc);
}
