/* SPDX-License-Identifier: BSD-3-Clause */
#include "core_lab.h"

#include <stdio.h>

#include "core_state.h"
#include "rows.h"

#define CLIENT_MAC { 0x06, 0x11, 0x22, 0x33, 0x44, 0x55 }
#define SERVER_MAC { 0x02, 0, 0, 0, 0, 0x01 }

/* One of each kind of client; sequence numbers of some pass zero. */
const struct lab_variant lab_variants[] = {
	{ "IPv4, no options", false, 0, 0, 0, 0x12345678, 0x9abcdef0 },
	{ "IPv4, all options, wrap", false, 0, LAB_ALL, 7, 0xfffffff0, 0xffffffc0 },
	{ "IPv6, all options, VLAN", true, 1, LAB_ALL, 9, 0x00000003, 0x7fffffff },
	{ "IPv4, no timestamps, QinQ, wrap", false, 2,
	  OPTION_MSS | OPTION_WSCALE | OPTION_SACK_PERMITTED, 8, 0xffffffff, 0x80000000 },
	{ "IPv6, no timestamps", true, 0, OPTION_MSS | OPTION_WSCALE | OPTION_SACK_PERMITTED, 2,
	  0x80000000, 0xfffffffe },
	{ "IPv6, MSS alone, QinQ", true, 2, OPTION_MSS, 0, 0x7ffffffe, 0x00000000 },
	{ "IPv4, scale 0 and timestamps, VLAN", false, 1,
	  OPTION_MSS | OPTION_WSCALE | OPTION_TIMESTAMPS, 0, 0xfffff000, 0x00000001 },
	{ NULL },
};

const char *
lab_outcome(const struct lab *lab)
{
	if (!lab->is_started)
		return "not started";
	for (unsigned int i = 0; i < COUNTER_COUNT; i++)
		if (counter_infos[i].class != OUTCOME_NOT && lab_grew(lab, (enum counter)i))
			return counter_infos[i].name;
	return "no outcome";
}

bool
lab_check(const struct lab *lab, bool ok, const char *text, const char *file, int line)
{
	if (!ok)
		fprintf(stderr, "\n%s:%d: %s [%s; last: %s]", file, line, text, lab->variant->name,
		        lab_outcome(lab));
	CU_assertImplementation(ok, (unsigned int)line, text, file, "", CU_FALSE);
	return ok;
}

bool
lab_equal(const struct lab *lab, uint64_t a, uint64_t b, const char *text, const char *file,
          int line)
{
	if (a != b)
		fprintf(stderr, "\n%s:%d: %#llx and %#llx:", file, line, (unsigned long long)a,
		        (unsigned long long)b);
	return lab_check(lab, a == b, text, file, line);
}

uint64_t
lab_count(const struct lab *lab, enum counter which)
{
	return counter_read(core_counters(lab->core), which);
}

uint64_t
lab_grew(const struct lab *lab, enum counter which)
{
	return lab_count(lab, which) - counter_read(&lab->before, which);
}

static void
lab_init(struct lab *lab, const struct lab_variant *variant)
{
	static const uint8_t modes[LAB_SERVICES] = { MODE_PROXY, MODE_RESPOND, MODE_HANDOFF,
		                                     MODE_BYPASS };
	struct frame_spec v4 = frame_spec_v4(), v6 = frame_spec_v6();

	*lab = (struct lab){
		.variant = variant,
		.params = { .connections = 64, .half_open = 32, .backends = 16, .paths = 64,
		            .sources = 256, .held = 8, .hold_bytes = LAB_HOLD_BYTES, .n_workers = 1,
		            .has_inside = true },
		.policy = {
			.generation = 1, .n_services = LAB_SERVICES, .syn_ack_retries = 3,
			.hold_bytes = LAB_HOLD_BYTES, .adopt_per_net = 16, .closed_port = REFUSE_RESET,
			.reflection = { .rst_per_s = 10000, .challenge_per_s = 1000 },
			.timeouts = { .connecting = 10, .idle = 600, .half_closed = 200, .closing = 20,
			              .reset_linger = 5, .probe = 5, .protect = 30 },
		},
		.client_port = 40000, .server_port = LAB_WEB,
		.server_mss = variant->is_v6 ? 1440 : 1460, .server_wscale = 7,
		.server_options = LAB_ALL,
		.now_ms = 5000000, .wall_ms = 1700000000000,
		.addresses = { { v4.dst, 128 }, { v6.dst, 128 } },
		.irs = variant->irs, .server_iss = variant->server_iss,
		.ts_clock = { 0xfffffff8, 0x7ffffff8 },
	};
	for (uint16_t i = 0; i < LAB_SERVICES; i++) {
		lab->ports[i] = (struct port_range){ (uint16_t)(LAB_WEB + i),
			                             (uint16_t)(LAB_WEB + i) };
		lab->services[i] = (struct service){
			.id = i,
			.mode = modes[i],
			.overload = REFUSE_DROP,
			.denied = REFUSE_DROP,
			.unproven = REFUSE_RESET,
			.signed_syn = REFUSE_PASS,
			.high = 24,
			.low = 8,
			.group = "lab",
			.group_id = modes[i] == MODE_HANDOFF ? 1 : 0,
			.promise = { .mss = 1460,
			             .mss6 = 1440,
			             .wscale = 7,
			             .window_scaling = true,
			             .sack = true,
			             .timestamps = true },
			.calm_syn_per_s = 4,
			.addresses = lab->addresses,
			.n_addresses = 2,
			.ports = &lab->ports[i],
			.n_ports = 1,
		};
		snprintf(lab->services[i].name, sizeof(lab->services[i].name), "service%u", i);
	}
	lab->policy.services = lab->services;
}

struct instant
lab_now(const struct lab *lab)
{
	return (struct instant){ lab->now_ms, lab->wall_ms, secret_current(&lab->secrets) };
}

void
lab_start(struct lab *lab)
{
	static const uint8_t master[MASTER_SECRET_SIZE] = "a secret that is known to tests";
	const char *groups[SECRET_SETS] = { NULL };
	uint32_t a, b;

	CHECK(policy_compile(&lab->policy, &a, &b) == NULL);
	secret_init(&lab->secrets, master, lab->wall_ms / 1000);
	for (uint16_t i = 0; i < LAB_SERVICES; i++)
		groups[lab->services[i].group_id] = lab->services[i].group;
	secret_set_groups(&lab->secrets, groups);
	for (unsigned int i = 0; i < sizeof(lab->params.seed); i++)
		lab->params.seed[i] = (uint8_t)(i * 37 + 11);
	if (lab->params.known == NULL) {
		known_init(&lab->known, lab->known_words, LAB_KNOWN, lab->params.seed);
		lab->params.known = &lab->known;
	}
	lab_memory_take(lab);
	lab->memo = EMIT_MEMO_NEW;
	struct instant now = lab_now(lab);
	lab->core = core_init(lab->memory, &lab->params, &lab->policy, &now);
	lab->is_started = true;
}

void
lab_clear_out(struct lab *lab)
{
	for (unsigned int i = 0; i < lab->n_out; i++)
		free(lab->out[i].frame);
	lab->n_out = 0;
}

static void
lab_fini(struct lab *lab)
{
	lab_clear_out(lab);
	if (lab->is_started) {
		policy_free_index(&lab->policy);
		secret_fini(&lab->secrets);
	}
	lab_memory_leave(lab);
	free(lab->opened);
}

void
lab_leave(struct lab *lab)
{
	lab_fini(lab);
	free(lab);
}

static void
run_one(void (*body)(struct lab *lab), const struct lab_variant *variant)
{
	struct lab *lab = malloc(sizeof(*lab));

	if (lab == NULL)
		abort();
	lab_init(lab, variant);
	body(lab);
	lab_leave(lab);
}

void
lab_each(void (*body)(struct lab *lab), const char *const *rows)
{
	rows_forget();
	for (const struct lab_variant *v = lab_variants; v->name != NULL; v++)
		run_one(body, v);
	lab_rows_claim(rows);
}

void
lab_once(void (*body)(struct lab *lab), const char *const *rows)
{
	rows_forget();
	run_one(body, &lab_variants[1]);
	run_one(body, &lab_variants[4]);
	lab_rows_claim(rows);
}

const struct conn *
lab_entry(const struct lab *lab)
{
	static const struct conn none = { .state = CONN_FREE };
	uint32_t n = core_connection_bound(lab->core);

	for (uint32_t i = 0; i < n; i++) {
		const struct conn *conn = &lab->core->conns.conns[i];

		if (conn->state != CONN_FREE &&
		    conn->flow.client_port_be == htobe16(lab->client_port) &&
		    conn->flow.server_port_be == htobe16(lab->server_port))
			return conn;
	}
	return &none;
}

enum conn_state
lab_state(const struct lab *lab)
{
	return (enum conn_state)lab_entry(lab)->state;
}

struct connection_view
lab_view(const struct lab *lab)
{
	struct connection_view view = { .state = CONN_FREE };
	const struct conn *entry = lab_entry(lab);
	struct instant now = lab_now(lab);

	if (entry->state != CONN_FREE)
		core_connection_view(lab->core, (uint32_t)(entry - lab->core->conns.conns), &now,
		                     &view);
	return view;
}
