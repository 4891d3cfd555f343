/* SPDX-License-Identifier: BSD-3-Clause */
#include "world.h"

#include "account.h"
#include "world_out.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#include <sanitizer/asan_interface.h>
#endif
#endif
#ifndef ASAN_POISON_MEMORY_REGION
#define ASAN_POISON_MEMORY_REGION(at, size) ((void)(at), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(at, size) ((void)(at), (void)(size))
#endif

#define TICK_BUDGET 100000u
#define CORE_SIZE_MAX (8u << 20)

/* Memory for a core: the same for every input, since megabytes from the heap cost
 * more than what is done with them; closed behind the core's end. */
static uint8_t *
core_memory_open(size_t size)
{
	static uint8_t *memory;

	if (memory == NULL)
		memory = aligned_alloc(64, CORE_SIZE_MAX);
	FUZZ_CHECK(memory != NULL && size <= CORE_SIZE_MAX);
	ASAN_UNPOISON_MEMORY_REGION(memory, CORE_SIZE_MAX);
	ASAN_POISON_MEMORY_REGION(memory + size, CORE_SIZE_MAX - size);
	return memory;
}

/* An instant of the world. */
struct instant
world_now(const struct world *w)
{
	return (struct instant){ w->now_ms, w->wall_ms, secret_current(&w->secrets) };
}

unsigned int
world_find(const struct world *w, const struct flow *flow, uint32_t tags)
{
	unsigned int i = 0;

	while (i < WORLD_FLOWS &&
	       !(flow_equal(&w->flows[i].flow, flow) && w->flows[i].tags == tags))
		i++;
	return i;
}

/* Few clients, both families, every service and a closed port, some tags. */
static void
init_flow(struct world *w, unsigned int i, uint8_t wrap)
{
	static const uint16_t ports[8] = { 80, 80, 81, 82, 80, 83, 99, 81 };
	struct world_flow *f = &w->flows[i];
	struct frame_spec spec = i & 1 ? frame_spec_v6() : frame_spec_v4();

	f->is_v4 = !(i & 1);
	if (f->is_v4) {
		spec.src.bytes[15] ^= i >> 4 & 1; /* another host */
		spec.src.bytes[14] ^= i >> 5 & 1; /* another net */
	} else {
		spec.src.bytes[7] ^= i >> 4 & 1;
		spec.src.bytes[5] ^= i >> 5 & 1;
	}
	f->flow = (struct flow){ spec.src, spec.dst, __builtin_bswap16((uint16_t)(40000 + i)),
		                 __builtin_bswap16(ports[i >> 1 & 7]) };
	if (i % 5 == 3)
		f->tags = segment_tag(false, 7) << 16;
	if (i % 7 == 5)
		f->tags = segment_tag(true, 9) << 16 | segment_tag(false, 7);
	for (unsigned int side = 0; side < SIDE_COUNT; side++) {
		uint32_t iss = wrap & 1u << side ? 0xffffff00u + i
		                                 : 0x10000000u * (side + 1) + 7919 * i;
		f->ends[side] = (struct world_end){ .iss = iss, .nxt = iss, .prev = iss };
	}
}

void
world_init(struct world *w, const uint8_t how[4], const uint8_t policy[WORLD_POLICY_SIZE])
{
	static const uint8_t master[MASTER_SECRET_SIZE] = "a secret that fuzzers know";
	static const uint32_t connections[4] = { 8, 24, 48, 16 };

	memset(w, 0, sizeof(*w));
	w->params = (struct core_params){
		.connections = connections[how[0] & 3],
		.half_open = how[0] & 4 ? 4 : 16,
		.backends = how[0] & 8 ? 4 : 8,
		.paths = how[0] & 16 ? 4 : 32,
		.sources = how[0] & 32 ? 8 : 64,
		.held = how[0] & 64 ? 2 : 8,
		.hold_bytes = how[0] & 128 ? 1460 : 4096,
		.n_workers = how[1] & 8 ? 2 : 1,
		.has_inside = (how[1] & 0x30) != 0x30,
		.cookie_gate = how[1] & 4,
	};
	for (unsigned int i = 0; i < sizeof(w->params.seed); i++)
		w->params.seed[i] = (uint8_t)(i * 37 + how[2]);
	known_init(&w->known, w->known_words, WORLD_KNOWN, w->params.seed);
	w->params.known = how[1] & 0x80 ? NULL : &w->known;
	w->now_ms = 5000000 + how[3] * 100;
	w->wall_ms = 1700000000000 + how[3] * 300;
	w->bytes_known = true;
	w->trace = getenv("FUZZ_TRACE") != NULL;
	for (unsigned int i = 0; i < WORLD_FLOWS; i++)
		init_flow(w, i, how[1]);
	secret_init(&w->secrets, master, w->wall_ms / 1000);
	secret_set_groups(&w->secrets, (const char *[SECRET_SETS]){ [1] = "fuzz" });
	w->policy = world_policy_make(policy, &w->params);
	/* Exactly as long as the contract asks for, or so short that SENDs are not made. */
	w->memo = EMIT_MEMO_NEW;
	w->actions.max = how[1] & 0x40 ? CORE_BURST_MAX + 4
	                               : CORE_BURST_MAX * (1 + ACTIONS_PER_EVENT);
	w->actions.list = calloc(w->actions.max, sizeof(struct action));
	if (w->actions.list == NULL)
		abort();
	struct instant now = world_now(w);
	w->core = core_init(core_memory_open(core_size(&w->params)), &w->params, &w->policy->policy,
	                    &now);
}

void
world_fini(struct world *w)
{
	world_policy_free(w->policy);
	secret_fini(&w->secrets);
	free(w->actions.list);
}

void
world_reload(struct world *w, const uint8_t policy[WORLD_POLICY_SIZE])
{
	struct world_policy *old = w->policy;

	w->policy = world_policy_make(policy, &w->params);
	w->policy->policy.generation = old->policy.generation + 1;
	core_set_policy(w->core, &w->policy->policy);
	world_policy_free(old);
}

void
world_clock(struct world *w, uint64_t ms)
{
	w->now_ms += ms;
	w->wall_ms += ms;
	secret_step(&w->secrets, w->wall_ms / 1000);
}

static void
check_account(const struct world *w)
{
	struct account_equation rows[ACCOUNT_EQUATIONS];
	struct core_usage use = core_usage(w->core);

	account_equations(core_counters(w->core), w->n_received, use.half_open,
	                  core_remaining(w->core), rows);
	for (unsigned int i = 0; i < ACCOUNT_EQUATIONS; i++) {
		if (rows[i].left != rows[i].right)
			fprintf(stderr, "%s: %llu, %llu\n", rows[i].text,
			        (unsigned long long)rows[i].left,
			        (unsigned long long)rows[i].right);
		FUZZ_CHECK(rows[i].left == rows[i].right);
	}
	FUZZ_CHECK(use.connections <= w->params.connections &&
	           use.half_open <= w->params.half_open);
	FUZZ_CHECK(use.backends <= w->params.backends && use.paths <= w->params.paths);
	/* Sets have room for twice the sources that they are made for. */
	FUZZ_CHECK(use.sources <= 2 * w->params.sources && use.held <= w->params.held);
	FUZZ_CHECK(core_live(w->core) <= core_remaining(w->core));
	FUZZ_CHECK(core_remaining(w->core) <= use.connections);
}

/* The engine may forget a cookie under pressure (a CLOSING entry evicted, no room
 * for an entry that was to take another's place); then one that has no entry
 * any more may be used again. */
static void
forget_opened(struct world *w, const struct counters *before)
{
	static const enum counter signs[] = { COUNTER_table_full, COUNTER_path_full,
		                              COUNTER_index_full, COUNTER_evicted };
	bool pressure = core_usage(w->core).connections == w->params.connections;
	const struct counters *now = core_counters(w->core);

	for (unsigned int i = 0; i < sizeof(signs) / sizeof(signs[0]); i++)
		pressure |= counter_read(now, signs[i]) != counter_read(before, signs[i]);
	if (!pressure)
		return;
	for (unsigned int i = 0; i < WORLD_FLOWS; i++)
		memset(w->flows[i].opened, 0, sizeof(w->flows[i].opened));
}

void
world_tick(struct world *w, unsigned int budget)
{
	struct instant now = world_now(w);
	struct counters before = *core_counters(w->core);

	w->actions.n = 0;
	core_tick(w->core, &now, budget, &w->actions);
	world_carry_out(w, NULL, NULL, 0);
	forget_opened(w, &before);
	check_account(w);
}

void
world_reset_remaining(struct world *w, unsigned int max)
{
	struct instant now = world_now(w);
	uint32_t remaining = core_remaining(w->core);

	w->actions.n = 0;
	core_reset_remaining(w->core, &now, max, &w->actions);
	FUZZ_CHECK(core_remaining(w->core) <= remaining);
	world_carry_out(w, NULL, NULL, 0);
	check_account(w);
}

/* A SYN that was answered without state has left none. */
static void
check_stateless(const struct world *w, const struct segment *seg, const struct counters *before,
                const struct core_usage *was)
{
	const struct counters *now = core_counters(w->core);
	struct core_usage is = core_usage(w->core);

	if (counter_read(now, COUNTER_answered_syn_cookie) ==
	    counter_read(before, COUNTER_answered_syn_cookie))
		return;
	FUZZ_CHECK(seg->side == SIDE_OUTSIDE && w->actions.n == 1);
	FUZZ_CHECK(w->actions.list[0].packet.flags == (TCP_SYN | TCP_ACK));
	FUZZ_CHECK(is.half_open <= was->half_open && is.connections <= was->connections);
	FUZZ_CHECK(is.paths <= was->paths && is.held <= was->held && is.sources <= was->sources);
}

void
world_burst(struct world *w, const struct world_frame *frames, unsigned int n)
{
	struct segment seg[WORLD_BURST];
	uint8_t *bytes[WORLD_BURST];
	struct instant now = world_now(w);
	struct core_usage was = core_usage(w->core);
	struct counters before = *core_counters(w->core);

	for (unsigned int i = 0; i < n; i++) {
		uint32_t len = (uint32_t)frames[i].len;
		bytes[i] = fuzz_copy(frames[i].bytes, len, len);
		segment_parse(&seg[i], bytes[i], len, len, frames[i].side);
		world_trace(w, "in", &seg[i]);
		if (seg[i].class != SEGMENT_TCP)
			continue;
		unsigned int f = world_find(w, &seg[i].flow, seg[i].tags);
		if (f == WORLD_FLOWS)
			continue;
		/* A protected host that connects from its service's port to the client's takes
		 * the place of what was remembered. */
		if (seg[i].side == SIDE_INSIDE && (seg[i].flags & (TCP_SYN | TCP_ACK)) == TCP_SYN)
			memset(w->flows[f].opened, 0, sizeof(w->flows[f].opened));
	}
	w->n_received += n;
	w->actions.n = 0;
	core_locate(w->core, seg, n, &now);
	core_decide(w->core, seg, n, &now, &w->actions);
	if (n == 1)
		check_stateless(w, &seg[0], &before, &was);
	forget_opened(w, &before);
	world_carry_out(w, frames, seg, n);
	check_account(w);
	for (unsigned int i = 0; i < n; i++)
		free(bytes[i]);
}

void
world_end(struct world *w)
{
	struct core_usage use = { 0 };

	/* The longest wait: idle, then closing, then spent. */
	for (unsigned int i = 0; i < 200; i++) {
		world_clock(w, 5000);
		world_tick(w, TICK_BUDGET);
		use = core_usage(w->core);
		if (use.connections + use.half_open + use.held + use.paths == 0)
			break;
	}
	FUZZ_CHECK(use.connections == 0 && use.half_open == 0 && use.held == 0 && use.paths == 0);
	FUZZ_CHECK(core_remaining(w->core) == 0 && core_live(w->core) == 0);
	for (uint16_t i = 0; i < WORLD_SERVICES; i++) {
		struct service_view view = core_service_view(w->core, i);
		FUZZ_CHECK(view.half_open == 0 && view.connections == 0);
	}
	/* What still holds a source is a count that was never taken back. */
	FUZZ_CHECK(core_counters(w->core)->values[COUNTER_tracked_ended] >=
	           core_counters(w->core)->values[COUNTER_tracked]);
}
