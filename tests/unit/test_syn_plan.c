/* SPDX-License-Identifier: BSD-3-Clause */
/* Planning with the memo of a burst, and out of the plan for SYNs that say nearly the same, beside
 * planning each SYN afresh: the same answer, however SYNs that say different things to different
 * servers are mixed. */
#include "check.h"
#include "checksum.h"
#include "core_state.h"
#include "syn_kind.h"
#include "syn_plan.h"

#define N_SYNS 200000
#define N_SERVERS 4

static struct core *
core_make(void **backends)
{
	struct core *core = aligned_alloc(64, (sizeof(*core) + 63) & ~(size_t)63);

	memset(core, 0, sizeof(*core));
	*backends = aligned_alloc(64, backend_table_size(16));
	backend_table_init(&core->backends, *backends, 16, &core->hash_key);
	/* Servers 1 and 2 are known, and differ; of 3 nothing is. */
	for (uint32_t i = 1; i < N_SERVERS; i++) {
		struct ip_addr addr = ip_addr_v4(i);
		struct backend *b = backend_at(&core->backends,
		                               backend_find(&core->backends, &addr, 80, true, 1));
		b->known = i < 3;
		b->mss = (uint16_t)(1300 + 100 * i);
		b->wscale = i == 1 ? 9 : WSCALE_NONE;
		b->sack = i == 1;
		b->timestamps = i == 1;
	}
	return core;
}

static struct segment
random_syn(uint64_t *state)
{
	static const uint16_t mss[] = { 0, 536, 1400, 1460 };
	uint64_t r = check_random(state);
	struct segment seg = {
		.flags = TCP_SYN,
		.is_v4 = r & 1,
		.seq = (uint32_t)(r >> 32),
		.options = (uint8_t)(r >> 1 & 15),
		.wscale = (uint8_t)(r >> 5 & 7),
		.mss = mss[r >> 8 & 3],
		.tsval = (uint32_t)check_random(state),
		.flow.client = ip_addr_v4((uint32_t)(r >> 16)),
		.flow.server = ip_addr_v4((uint32_t)(r >> 10) % N_SERVERS),
		.flow.server_port_be = 80,
	};

	return seg;
}

static void
test_plan_memo_and_afresh_same(void)
{
	static const uint8_t modes[] = { MODE_PROXY, MODE_RESPOND, MODE_HANDOFF, MODE_PROXY };
	const struct secret_set secrets = { .epoch = 7 };
	const struct instant now = { 5000, 1700000000000, &secrets };
	uint64_t state = 0x9e3779b97f4a7c15ull;
	struct syn_plan_brief with;
	struct syn_plan_memo memo = { .stamp = 1 };
	unsigned int n_different = 0, n_same = 0;
	struct segment seg = random_syn(&state);
	void *backends;
	struct core *core = core_make(&backends);

	for (unsigned int i = 0; i < N_SYNS; i++) {
		uint64_t r = check_random(&state);
		struct service service = { .mode = modes[r >> 8 & 3],
			                   .promise = { .mss = 1460, .mss6 = 1440 } };
		struct service_state at = { .service = &service, .mode = service.mode };
		at.plan_key = syn_plan_key(&at);
		struct syn_plan_brief without;
		/* What is kept is of another time. */
		struct syn_plan_memo fresh = { .stamp = 2 + i, .next = &without };

		if (r & 1) {
			seg = random_syn(&state);
		} else { /* the same but for one thing */
			struct segment other = random_syn(&state);
			switch (r >> 1 & 7) {
			case 0:
				seg.options = other.options;
				break;
			case 1:
				seg.wscale = other.wscale;
				break;
			case 2:
				seg.mss = other.mss;
				break;
			case 3:
				seg.is_v4 = other.is_v4;
				break;
			case 4:
				seg.flow.server = other.flow.server;
				break;
			default:
				seg.flow.client = other.flow.client;
				break;
			}
		}
		uint32_t n_plans = core->n_plans;
		memo.next = &with; /* in place of the one before */
		memo.burst = fresh.burst = i;
		struct syn_planned by_memo, afresh;
		CU_ASSERT_PTR_EQUAL(syn_plan_make(core, &seg, &at, &now, &memo, &by_memo),
		                    &with.plan);
		CU_ASSERT_PTR_EQUAL(syn_plan_make(core, &seg, &at, &now, &fresh, &afresh),
		                    &without.plan);
		CU_ASSERT_PTR_EQUAL(by_memo.plan, &with.plan);
		CU_ASSERT_PTR_EQUAL(afresh.plan, &without.plan);
		CU_ASSERT_PTR_EQUAL(by_memo.backend, afresh.backend);
		n_same += core->n_plans == n_plans && with.plan.answer.made != NULL;
		with.plan.answer.made = NULL; /* of a kept one */
		n_different += memcmp(&with.plan.answer, &without.plan.answer,
		                      sizeof(with.plan.answer)) != 0 ||
		               with.plan.offer.mss != without.plan.offer.mss ||
		               with.plan.offer.wscale != without.plan.offer.wscale ||
		               with.plan.offer.sack != without.plan.offer.sack ||
		               with.plan.offer.timestamps != without.plan.offer.timestamps ||
		               with.plan.profile != without.plan.profile;
	}
	CU_ASSERT_EQUAL(n_different, 0);
	CU_ASSERT_TRUE(n_same > N_SYNS / 20);
	CU_ASSERT_TRUE(n_same < N_SYNS / 2);
	free(backends);
	free(core);
}

/* A SYN with this MSS or scale, in the test's own order of options. */
static void
vary(struct segment *seg, uint64_t *state)
{
	uint64_t r = check_random(state);

	seg->options = (uint8_t)(r & 15);
	if (r >> 8 & 1)
		seg->options |= (uint8_t)(r >> 9);
	seg->ts_off = (uint8_t)(r >> 16);
	seg->shape = (uint8_t)(r >> 24 & 3);
	seg->wscale = seg->options & OPTION_WSCALE ? (uint8_t)((r >> 32) % 15) : 0;
	seg->mss = 0;
	if (seg->options & OPTION_MSS) /* low ones in half of them */
		seg->mss = (uint16_t)(r >> 40 & 1 ? (r >> 48) % 1500 : r >> 48);
}

static void
test_plan_derived_and_worked_out_same(void)
{
	static const uint8_t modes[] = { MODE_PROXY, MODE_RESPOND, MODE_HANDOFF, MODE_PROXY };
	uint64_t state = 0x2545f4914f6cdd1dull;
	unsigned int n_different = 0, n_profiles[2][COOKIE_PROFILES] = { 0 };
	void *backends;
	struct core *core = core_make(&backends);

	for (unsigned int i = 0; i < 10 * N_SYNS; i++) {
		uint64_t r = check_random(&state);
		const struct secret_set secrets = { .epoch = 7 };
		const struct instant now = { 5000, 1700000000000 + (r >> 40), &secrets };
		const struct service service = { .mode = modes[r & 3],
			                         .promise = { .mss = 1460,
			                                      .mss6 = 1440,
			                                      .wscale = 9,
			                                      .window_scaling = r >> 2 & 1,
			                                      .sack = r >> 3 & 1,
			                                      .timestamps = r >> 4 & 1 } };
		const struct backend *b = backend_at(&core->backends,
		                                     (uint32_t)(r >> 8) % N_SERVERS);
		struct segment seg = { .flags = TCP_SYN, .is_v4 = r >> 5 & 1 }, other;
		struct syn_plan base, derived, plan;
		struct emit_fixed base_made, derived_made, made;

		vary(&seg, &state);
		other = seg;
		uint64_t said = syn_plan_base(&seg);
		memcpy(&other.options, &said, sizeof(said));
		syn_plan_work_out(core, &other, &service, b, &now, &base);
		struct packet answer = base.answer;
		answer.tsval = 0;
		emit_make(&base_made, &answer);
		syn_plan_derive(&seg, &base, &now, &derived);
		emit_make_of(&derived_made, &base_made, derived.answer.tsval);
		syn_plan_work_out(core, &seg, &service, b, &now, &plan);
		emit_make(&made, &plan.answer);
		n_different += memcmp(&derived, &plan, sizeof(plan)) != 0 ||
		               checksum_fold(derived_made.sum) != checksum_fold(made.sum);
		derived_made.sum = made.sum;
		n_different += memcmp(&derived_made, &made, sizeof(made)) != 0;
		n_profiles[seg.is_v4][plan.profile]++;
	}
	CU_ASSERT_EQUAL(n_different, 0);
	for (unsigned int i = 0; i < COOKIE_PROFILES; i++)
		CU_ASSERT_TRUE(n_profiles[0][i] != 0 && n_profiles[1][i] != 0);
	free(backends);
	free(core);
}

static void
test_kind_gets_a_place_when_met_again_and_the_other_not(void)
{
	const struct segment seg = { .is_v4 = true, .options = OPTION_MSS, .mss = 1400 };
	struct syn_kinds kinds = { .turn = 3, .memo.burst = 100 };
	struct syn_kind kind = { .said = 1, .is_v4 = true, .turn = 3, .burst = 90 };
	kind.shows = kind.shown;

	/* For the second time, but not for long ... */
	CU_ASSERT_FALSE(syn_kind_may_stand(&seg, &kinds, 7, &kind));
	kinds.memo.burst = 100 + SYN_KIND_WHILE;
	CU_ASSERT_FALSE(syn_kind_may_stand(&seg, &kinds, 7, &kind));
	kinds.memo.burst += SYN_KIND_WHILE - 1;
	CU_ASSERT_TRUE(syn_kind_may_stand(&seg, &kinds, 7, &kind));
	/* ... no other one between ... */
	CU_ASSERT_FALSE(syn_kind_may_stand(&seg, &kinds, 8, &kind));
	CU_ASSERT_FALSE(syn_kind_may_stand(&seg, &kinds, 7, &kind));
	/* ... nor the one that stands there, which may be needed yet. */
	kind.burst = kinds.memo.burst + 1;
	kinds.memo.burst += 2;
	CU_ASSERT_FALSE(syn_kind_may_stand(&seg, &kinds, 7, &kind));
	CU_ASSERT_TRUE(syn_kind_may_stand(&seg, &kinds, 7, &kind));
	kind.burst = kinds.memo.burst;
	CU_ASSERT_FALSE(syn_kind_may_stand(&seg, &kinds, 7, &kind));
	/* Its own place it has as soon as a turn begins. */
	kind.burst--;
	kind.said = syn_said(&seg);
	CU_ASSERT_FALSE(syn_kind_may_stand(&seg, &kinds, 7, &kind));
	kinds.turn++;
	CU_ASSERT_TRUE(syn_kind_may_stand(&seg, &kinds, 7, &kind));
}

int
main(void)
{
	CU_TestInfo tests[] = {
		CHECK_TEST(test_plan_memo_and_afresh_same),
		CHECK_TEST(test_plan_derived_and_worked_out_same),
		CHECK_TEST(test_kind_gets_a_place_when_met_again_and_the_other_not),
		CU_TEST_INFO_NULL,
	};

	return check_run("syn_plan", tests);
}
