/* SPDX-License-Identifier: BSD-3-Clause */
/* Planning with the memo of a burst beside planning each SYN afresh: the same
 * answer, however SYNs that say different things to different servers are mixed. */
#include "check.h"
#include "core_state.h"
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
	struct syn_plan with;
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
		struct syn_plan without;
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
		CU_ASSERT_PTR_EQUAL(syn_plan_make(core, &seg, &at, &now, &memo, &by_memo), &with);
		CU_ASSERT_PTR_EQUAL(syn_plan_make(core, &seg, &at, &now, &fresh, &afresh),
		                    &without);
		CU_ASSERT_PTR_EQUAL(by_memo.plan, &with);
		CU_ASSERT_PTR_EQUAL(afresh.plan, &without);
		CU_ASSERT_PTR_EQUAL(by_memo.backend, afresh.backend);
		n_same += core->n_plans == n_plans && with.answer.made != NULL;
		with.answer.made = NULL; /* of a kept one */
		n_different += memcmp(&with.answer, &without.answer, sizeof(with.answer)) != 0 ||
		               with.offer.mss != without.offer.mss ||
		               with.offer.wscale != without.offer.wscale ||
		               with.offer.sack != without.offer.sack ||
		               with.offer.timestamps != without.offer.timestamps ||
		               with.profile != without.profile;
	}
	CU_ASSERT_EQUAL(n_different, 0);
	CU_ASSERT_TRUE(n_same > N_SYNS / 20);
	CU_ASSERT_TRUE(n_same < N_SYNS / 2);
	free(backends);
	free(core);
}

int
main(void)
{
	CU_TestInfo tests[] = {
		CHECK_TEST(test_plan_memo_and_afresh_same),
		CU_TEST_INFO_NULL,
	};

	return check_run("syn_plan", tests);
}
