/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The straight lane of SYNs beside the decision table: bursts of frames, decided once with the
 * lane and once without, from the same memory. Actions, the bytes that leave, and all of the
 * core's memory, tables and counters included, are the same.
 *
 * Input: which policy (1), then 12 bytes a frame: what it is (1), service (1), client (1),
 * options (1), ISS (2), flags (1), how it is bent: at, by (2), the clock (1), payload (1),
 * whether the burst ends (1).
 */
#include "fuzz.h"

#include "carry_out.h"
#include "core.h"
#include "core_state.h"
#include "frame.h"
#include "syn_lane.h"

#define N_SERVICES 8u
#define BURST_MAX 16u
#define FRAMES_MAX 48u
#define ROOM 1024u

static const struct {
	uint8_t bytes[24], len;
} layouts[] = {
	{ { 2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 9, 0, 0, 0, 0, 1, 3, 3, 7 }, 20 },
	{ { 2, 4, 5, 0xb4, 1, 3, 3, 8, 1, 1, 4, 2 }, 12 },
	{ { 2, 4, 5, 0xa0, 1, 3, 3, 6, 1, 1, 8, 10, 0, 0, 0, 5, 0, 0, 0, 0, 4, 2 }, 24 },
	{ { 2, 4, 5, 0xb4, 1, 3, 3, 6, 4, 2, 8, 10, 0, 0, 0, 7 }, 20 },
	{ { 2, 4, 2, 0 }, 4 },
	{ { 0 }, 0 },
	{ { 19, 18 }, 20 },
	{ { 3, 3, 4, 2, 4, 0, 100, 1, 1, 1 }, 12 },
};

static struct prefix addresses[N_SERVICES][2], denied;
static const struct port_range port = { 80, 80 };
static struct service services[N_SERVICES];
static struct policy policies[2];
static struct secret_ring secrets;

struct lane_burst {
	struct segment seg[BURST_MAX];
	uint8_t frames[BURST_MAX][FRAME_SIZE];
	size_t len[BURST_MAX];
	unsigned int n;
};

/* What came of a burst. */
struct outcome {
	struct action list[BURST_MAX * (1 + ACTIONS_PER_EVENT) + CORE_BURST_MAX];
	struct actions actions;
	uint8_t bytes[BURST_MAX * (1 + ACTIONS_PER_EVENT) + CORE_BURST_MAX][ROOM];
	unsigned int len[BURST_MAX * (1 + ACTIONS_PER_EVENT) + CORE_BURST_MAX];
};

static void
services_make(void)
{
	static const struct {
		uint8_t mode, cookies, calm;
	} kinds[N_SERVICES] = {
		{ MODE_RESPOND, COOKIES_ALWAYS, 0 },
		{ MODE_RESPOND, COOKIES_AUTO, 0 },
		{ MODE_PROXY, COOKIES_ALWAYS, 0 },
		{ MODE_PROXY, COOKIES_AUTO, CALM_TRANSPARENT },
		{ MODE_HANDOFF, COOKIES_ALWAYS, 0 },
		{ MODE_HANDOFF, COOKIES_AUTO, CALM_TRANSPARENT },
		{ MODE_RESPOND, COOKIES_ALWAYS, 0 }, /* with a list */
		{ MODE_PROXY, COOKIES_NEVER, 0 },
	};

	denied = (struct prefix){ ip_addr_v4(htobe32(0xc6336400)), 120 };
	for (unsigned int i = 0; i < N_SERVICES; i++) {
		struct frame_spec v4 = frame_spec_v4(), v6 = frame_spec_v6();

		addresses[i][0] = (struct prefix){ v4.dst, 128 };
		addresses[i][1] = (struct prefix){ v6.dst, 128 };
		addresses[i][0].addr.bytes[15] = addresses[i][1].addr.bytes[15] = (uint8_t)(i + 1);
		services[i] = (struct service){
			.id = (uint16_t)i,
			.mode = kinds[i].mode,
			.cookies = kinds[i].cookies,
			.calm = kinds[i].calm,
			.group_id = kinds[i].mode == MODE_HANDOFF ? (uint8_t)(i & 1) + 1 : 0,
			.promise = { .mss = 1460,
			             .mss6 = 1440,
			             .wscale = 7,
			             .window_scaling = true },
			.calm_syn_per_s = 2,
			.high = 3,
			.low = 1,
			.addresses = addresses[i],
			.n_addresses = 2,
			.ports = &port,
			.n_ports = 1,
			.deny = i == 6 ? &denied : NULL,
			.n_deny = i == 6,
		};
	}
}

static void
policies_make(void)
{
	static const uint8_t master[MASTER_SECRET_SIZE] = { 3, 1, 4 };

	services_make();
	for (unsigned int i = 0; i < 2; i++) {
		uint32_t a, b;

		policies[i] = (struct policy){
			.generation = 1,
			.services = services,
			.n_services = N_SERVICES,
			.syn_ack_retries = 3,
			.hold_bytes = 2048,
			.closed_port = REFUSE_RESET,
			.sources = { .syn_per_s_host = 4 },
			.reflection = { .per_net_per_s = 6, .per_port_per_s = i == 0 ? 0 : 80 },
			.timeouts = { 10, 3600, 120, 60, 2, 0, 5, 30 },
		};
		FUZZ_CHECK(policy_compile(&policies[i], &a, &b) == NULL);
	}
	secret_init(&secrets, master, 1700000000);
	secret_set_groups(&secrets, (const char *[SECRET_SETS]){ [1] = "a", [2] = "b" });
}

static size_t
read_frame(struct fuzz_input *in, uint8_t *frame, uint64_t *now_ms, bool *ends)
{
	static const uint8_t payload[8] = "payload";
	uint8_t kind = fuzz_u8(in), service = fuzz_u8(in), client = fuzz_u8(in),
		layout = fuzz_u8(in) % (sizeof(layouts) / sizeof(layouts[0]));
	struct frame_spec s = kind & 1 ? frame_spec_v6() : frame_spec_v4();

	s.dst.bytes[15] = (uint8_t)(1 + service % (N_SERVICES + 1)); /* or none */
	s.src.bytes[15] = client & 7;
	s.src.bytes[kind & 1 ? 5 : 14] ^= client >> 4 & 1; /* another net */
	s.src_port = (uint16_t)(40000 + (client >> 5));
	s.options = layouts[layout].bytes;
	s.options_len = layouts[layout].len;
	s.seq = 0x01010000u * fuzz_u16(in);
	uint8_t flags = fuzz_u8(in);
	s.flags = flags < 224 ? 0x02 : flags;
	s.ack = s.flags == 0x02 ? 0 : s.seq * 3;
	uint8_t at = fuzz_u8(in), by = fuzz_u8(in), clock = fuzz_u8(in), more = fuzz_u8(in);
	s.payload = payload;
	s.payload_len = more < 224 ? 0 : more & 7;
	s.bad_tcp_checksum = (kind & 0x70) == 0x70;
	s.n_tags = (kind & 0x0e) == 0x0e;
	s.tpid[0] = 0x8100;
	s.tci[0] = 5;
	size_t len = frame_build(frame, &s);
	if (by >= 240)
		frame[at % len] ^= (uint8_t)(1u << (by & 7));
	if ((kind & 0x8e) == 0x8c)
		frame[0] |= 1;
	*now_ms += clock < 200 ? 0 : 1u << (clock & 15);
	*ends = fuzz_u8(in) >= 192;
	return len;
}

static void
decide(struct core *core, const struct lane_burst *burst, const struct instant *now, bool lane,
       struct outcome *out)
{
	struct lane_burst *mine = (void *)fuzz_copy(burst, sizeof(*burst), sizeof(*burst));
	struct emit_memo memo = EMIT_MEMO_NEW;

	out->actions = (struct actions){ out->list, 0, sizeof(out->list) / sizeof(out->list[0]) };
	for (unsigned int i = 0; i < mine->n; i++) {
		mine->seg[i].frame = mine->frames[i];
		if (!lane)
			mine->seg[i].found.lane = SYN_LANE_NEVER;
	}
	core_decide(core, mine->seg, mine->n, now, &out->actions);
	for (unsigned int i = 0; i < out->actions.n; i++) {
		const struct action *a = &out->list[i];
		uint8_t *bytes = a->kind == ACTION_SEND ? out->bytes[i] : mine->frames[a->seg];

		out->len[i] = 0;
		if (a->kind == ACTION_DROP)
			continue;
		out->len[i] = carry_out(bytes, a->kind == ACTION_SEND ? NULL : &mine->seg[a->seg],
		                        a, EMIT_CHECKSUM_SOFTWARE, &memo);
		if (a->kind != ACTION_SEND)
			memcpy(out->bytes[i], bytes, ROOM);
	}
	free(mine);
}

static void
check_same(const struct outcome *a, const struct outcome *b)
{
	FUZZ_CHECK(a->actions.n == b->actions.n);
	for (unsigned int i = 0; i < a->actions.n; i++) {
		const struct action *x = &a->list[i], *y = &b->list[i];

		FUZZ_CHECK(x->kind == y->kind && x->out == y->out && x->seg == y->seg);
		FUZZ_CHECK(a->len[i] == b->len[i]);
		FUZZ_CHECK(x->kind == ACTION_DROP ||
		           memcmp(a->bytes[i], b->bytes[i],
		                  x->kind == ACTION_SEND ? a->len[i] : ROOM) == 0);
	}
}

/* Both ways from one state; it goes on from the one without the lane. */
static void
play(struct core *core, size_t size, uint8_t *before, uint8_t *after, struct lane_burst *burst,
     const struct instant *now)
{
	static struct outcome with, without;
	static unsigned int n_bursts, n_taken;

	core_locate(core, burst->seg, burst->n, now);
	for (unsigned int i = 0; i < burst->n; i++)
		n_taken += burst->seg[i].found.lane != SYN_LANE_NEVER;
	memcpy(before, core, size);
	decide(core, burst, now, true, &with);
	memcpy(after, core, size);
	memcpy(core, before, size);
	decide(core, burst, now, false, &without);
	check_same(&with, &without);
	FUZZ_CHECK(memcmp(after, core, size) == 0);
	/* It is no test of anything if nothing ever takes the lane. */
	FUZZ_CHECK(++n_bursts < 1000 || n_taken > 0);
	burst->n = 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct lane_burst burst;
	struct fuzz_input in = { data, data + size };
	uint64_t now_ms = 1000;
	static struct action ticked[CORE_BURST_MAX + 64];

	if (policies[0].index == NULL)
		policies_make();
	const struct policy *policy = &policies[fuzz_u8(&in) & 1];
	struct core_params params = { .connections = 32,
		                      .half_open = 8,
		                      .backends = 8,
		                      .paths = 8,
		                      .sources = 32,
		                      .held = 8,
		                      .hold_bytes = 2048,
		                      .n_workers = 1,
		                      .seed = { 5, 6, 7 },
		                      .has_inside = true };
	size_t memory = core_size(&params);
	uint8_t *at = aligned_alloc(64, 3 * memory);
	if (at == NULL)
		abort();
	/* What is not touched stays the same. */
	memset(at, 0, memory);
	struct instant now = { now_ms, 1700000000000, secret_current(&secrets) };
	struct core *core = core_init(at, &params, policy, &now);

	burst.n = 0;
	for (unsigned int i = 0; i < FRAMES_MAX && in.at < in.end; i++) {
		uint8_t *frame = burst.frames[burst.n];
		bool ends;
		size_t len = read_frame(&in, frame, &now_ms, &ends);

		segment_parse(&burst.seg[burst.n], frame, (uint32_t)len, (uint32_t)len,
		              SIDE_OUTSIDE);
		burst.len[burst.n++] = len;
		if (!ends && burst.n < BURST_MAX && in.at < in.end)
			continue;
		now.wall_ms += now_ms - now.now_ms;
		now.now_ms = now_ms;
		struct actions out = { ticked, 0, sizeof(ticked) / sizeof(ticked[0]) };
		core_tick(core, &now, 64, &out);
		play(core, memory, at + memory, at + 2 * memory, &burst, &now);
	}
	free(at);
	return 0;
}
