/* SPDX-License-Identifier: BSD-3-Clause */
#include "bench_rows.h"

/* A flow of any client, of one that has an entry, and of one that has none. */
static uint32_t
any_flow(struct load *load)
{
	return load_random(load) & 0x0fffffff;
}

static uint32_t
entry_flow(struct load *load)
{
	return load_random(load) % load->params.entries;
}

static uint32_t
strange_flow(struct load *load)
{
	return 0x10000000u + any_flow(load);
}

/* A SYN as Linux sends it; `mss`: if it is not 0, in the place of its MSS. */
static void
add_syn(struct load *load, uint32_t flow, uint32_t seq, uint16_t mss)
{
	load_add(load, &(struct load_frame){ .flow = flow,
	                                     .seq = seq,
	                                     .flags = TCP_SYN,
	                                     .syn_options = true,
	                                     .mss = mss,
	                                     .tsval = 1 });
}

static void
fill_syn(struct load *load)
{
	for (unsigned int i = 0; i < LOAD_BURST; i++) {
		uint32_t flow = any_flow(load);
		add_syn(load, flow, load_random(load), 0);
	}
}

static void
fill_syn_bare(struct load *load)
{
	for (unsigned int i = 0; i < LOAD_BURST; i++)
		load_add(load, &(struct load_frame){ .flow = any_flow(load),
		                                     .seq = load_random(load),
		                                     .flags = TCP_SYN });
}

static void
fill_syn_duplicate(struct load *load)
{
	for (unsigned int i = 0; i < LOAD_BURST; i++) {
		uint32_t flow = entry_flow(load);
		add_syn(load, flow, load_client_seq(flow), 0);
	}
}

/* As of clients that begin anew, which anybody can forge. */
static void
fill_syn_restart(struct load *load)
{
	for (unsigned int i = 0; i < LOAD_BURST; i++) {
		uint32_t flow = entry_flow(load);
		add_syn(load, flow, load_random(load), 0);
	}
}

static void
fill_ack_half_open(struct load *load)
{
	for (unsigned int i = 0; i < LOAD_BURST; i++)
		load_add(load, &(struct load_frame){ .flow = entry_flow(load),
		                                     .seq = load_random(load),
		                                     .ack = load_random(load),
		                                     .flags = TCP_ACK });
}

static void
fill_ack_blind(struct load *load)
{
	for (unsigned int i = 0; i < LOAD_BURST; i++)
		load_add(load, &(struct load_frame){ .flow = strange_flow(load),
		                                     .seq = load_random(load),
		                                     .ack = load_random(load),
		                                     .flags = TCP_ACK });
}

static void
fill_syn_closed(struct load *load)
{
	for (unsigned int i = 0; i < LOAD_BURST; i++)
		load_add(load, &(struct load_frame){ .flow = any_flow(load),
		                                     .seq = load_random(load),
		                                     .flags = TCP_SYN,
		                                     .syn_options = true,
		                                     .port = 81 });
}

/* The client's next data on the connection of a flow. */
static void
add_data(struct load *load, uint32_t flow)
{
	load_add(load, &(struct load_frame){ .flow = flow,
	                                     .seq = load_client_seq(flow) + 1,
	                                     .ack = load_random(load),
	                                     .flags = TCP_ACK,
	                                     .payload_len = (uint16_t)load->params.payload_len });
}

static void
fill_client_data(struct load *load)
{
	for (unsigned int i = 0; i < LOAD_BURST; i++)
		add_data(load, entry_flow(load));
}

static void
fill_server_data(struct load *load)
{
	for (unsigned int i = 0; i < LOAD_BURST; i++) {
		uint32_t flow = entry_flow(load);
		load_add(load,
		         &(struct load_frame){ .flow = flow,
		                               .side = SIDE_INSIDE,
		                               .seq = load_server_seq(flow) + 1,
		                               .ack = load_client_seq(flow) + 1,
		                               .flags = TCP_ACK,
		                               .payload_len = (uint16_t)load->params.payload_len });
	}
}

static void
fill_foreign(struct load *load)
{
	for (unsigned int i = 0; i < LOAD_BURST; i++)
		load_add(load, &(struct load_frame){ .flow = any_flow(load),
		                                     .seq = load_random(load),
		                                     .ack = load_random(load),
		                                     .flags = TCP_ACK,
		                                     .port = 22 });
}

/* Nine SYNs of a flood to one segment of a real connection. */
static void
fill_mix(struct load *load)
{
	for (unsigned int i = 0; i < LOAD_BURST; i++) {
		uint32_t real = entry_flow(load);
		if (i % 10 != 9) {
			uint32_t flow = strange_flow(load);
			add_syn(load, flow, load_random(load), 0);
		} else {
			add_data(load, real);
		}
	}
}

/* What a flood looks like that is less kind: any layout of options, any service, both
 * families, and one segment in a hundred of a real connection. */
static void
fill_syn_mixed(struct load *load)
{
	for (unsigned int i = 0; i < LOAD_BURST; i++) {
		uint32_t kind = load_random(load);

		if (kind % 100 == 0) {
			add_data(load, entry_flow(load));
			continue;
		}
		load_add(load, &(struct load_frame){ .flow = strange_flow(load),
		                                     .seq = load_random(load),
		                                     .flags = TCP_SYN,
		                                     .syn_options = true,
		                                     .layout = (kind >> 8 & 0xffff) % LOAD_LAYOUTS,
		                                     .other_family = kind >> 24 & 1,
		                                     .tsval = load_random(load) });
	}
}

/* A flood, and beside it one SYN in a burst to another service. */
static void
fill_syn_beside(struct load *load)
{
	for (unsigned int i = 0; i < LOAD_BURST; i++) {
		uint32_t flow = any_flow(load) & ~1u;
		add_syn(load, i == 0 ? flow | 1 : flow, load_random(load), 0);
	}
}

/* The flood that costs most: no two SYNs say the same, so that nothing of one serves another. */
static void
fill_syn_unlike(struct load *load)
{
	for (unsigned int i = 0; i < LOAD_BURST; i++) {
		uint32_t flow = any_flow(load), seq = load_random(load);
		add_syn(load, flow, seq, (uint16_t)(load_random(load) | 1));
	}
}

/* The first ACK of a connection: SYNs first, whose cookies it echoes. */
static void
fill_ack_first(struct load *load)
{
	unsigned int l4 = load->params.is_v4 ? 34 : 54;
	uint32_t first = load->burst_number++ * LOAD_BURST;

	for (unsigned int i = 0; i < LOAD_BURST; i++)
		add_syn(load, first + i, load_client_seq(first + i), 0);
	load_run(load);
	uint32_t iss[LOAD_BURST];
	for (unsigned int i = 0; i < LOAD_BURST; i++) {
		memcpy(&iss[i], load->frames[i] + l4 + 4, 4);
		iss[i] = __builtin_bswap32(iss[i]);
	}
	for (unsigned int i = 0; i < LOAD_BURST; i++)
		load_add(load, &(struct load_frame){ .flow = first + i,
		                                     .seq = load_client_seq(first + i) + 1,
		                                     .ack = iss[i] + 1,
		                                     .flags = TCP_ACK });
}

/* The server accepts what fill_ack_first() opened, so that no pending record runs out. */
static void
accept_all(struct load *load)
{
	load_accept(load, (load->burst_number - 1) * LOAD_BURST, LOAD_BURST);
}

/* clang-format off: a table */
const struct bench_row bench_rows[BENCH_ROWS] = {
	{ "floor", "touch and swap addresses", fill_syn, .is_floor = true },
	{ "syn-cookie", "SYN answered by cookie", fill_syn, .mode = MODE_RESPOND },
	{ "syn-cookie-bare", "the same, SYN without options", fill_syn_bare, .mode = MODE_RESPOND },
	{ "syn-cookie-proxy", "the same, with a server behind", fill_syn },
	{ "syn-mixed", "the same: five layouts of options, 20 services, both families, 1 % data",
	  fill_syn_mixed, .tables = BENCH_OPEN, .payload_len = 6, .n_services = 20 },
	{ "syn-beside", "the same, and one SYN of a burst to a service that keeps state for it",
	  fill_syn_beside, .n_services = 2, .last_keeps = true, .tables = BENCH_HALF_OPENS },
	{ "syn-unlike", "the same: each SYN with an MSS of its own", fill_syn_unlike },
	{ "syn-state", "SYN answered with state", fill_syn, .mode = MODE_RESPOND, .by_state = true,
	  .tables = BENCH_HALF_OPENS },
	{ "syn-duplicate", "SYN of a half-open entry again", fill_syn_duplicate,
	  .mode = MODE_RESPOND, .by_state = true, .tables = BENCH_HALF_OPEN },
	{ "syn-restart", "SYN of another ISS than its half-open entry's", fill_syn_restart,
	  .mode = MODE_RESPOND, .by_state = true, .tables = BENCH_HALF_OPEN },
	{ "ack-half-open", "ACK that is not its half-open entry's, answered by RST",
	  fill_ack_half_open, .mode = MODE_RESPOND, .by_state = true, .tables = BENCH_HALF_OPEN },
	{ "ack-first", "ACK proves a cookie, becomes SYN to the server", fill_ack_first,
	  .after = accept_all, .tables = BENCH_OPENS },
	{ "ack-blind", "ACK that proves nothing, dropped", fill_ack_blind,
	  .unproven = REFUSE_DROP },
	{ "ack-blind-reset", "the same, answered by RST", fill_ack_blind },
	{ "syn-closed", "SYN to a closed port, RST", fill_syn_closed },
	{ "client-64", "client to server, 64-byte frames", fill_client_data, .tables = BENCH_OPEN,
	  .payload_len = 6 },
	{ "client-1500", "client to server, 1,500-byte packets", fill_client_data,
	  .tables = BENCH_OPEN, .payload_len = 1446 },
	{ "server-64", "server to client, 64-byte frames", fill_server_data, .tables = BENCH_OPEN,
	  .payload_len = 6 },
	{ "server-1500", "server to client, 1,500-byte packets", fill_server_data,
	  .tables = BENCH_OPEN, .payload_len = 1446 },
	{ "foreign", "TCP of no service", fill_foreign },
	{ "syn-handoff", "SYN answered by cookie, mode handoff", fill_syn, .mode = MODE_HANDOFF },
	{ "handoff-64", "client to server in mode handoff, 64-byte frames", fill_client_data,
	  .mode = MODE_HANDOFF, .payload_len = 6 },
	{ "handoff-known", "the same behind a shield, of a known flow", fill_client_data,
	  .mode = MODE_HANDOFF, .unknown_per_s = 100, .tables = BENCH_KNOWN, .payload_len = 6 },
	{ "handoff-blind", "ACK that a shield drops", fill_ack_blind, .mode = MODE_HANDOFF,
	  .unknown_per_s = 100 },
	{ "mix", "90 % SYN flood, 10 % spliced data", fill_mix, .tables = BENCH_OPEN,
	  .payload_len = 6 },
};
/* clang-format on */
