/* SPDX-License-Identifier: BSD-3-Clause */
/* The two tries of an ACK, many at once, of every variant. */
#include "check.h"
#include "cookie_lab.h"
#include "cookie_tries.h"

/* `n` segments of one family, each with the cookie of one of its tries or of neither, in a lane for
 * each parity: are those found that the model says? */
static void
check_tries(const struct secret_set *set, unsigned int n, bool is_v4, uint64_t *state)
{
	static struct cookie_tries tries[2];
	struct flow flows[COOKIE_ROW / 2];
	struct cookie_job jobs[COOKIE_ROW / 2], first, second;
	unsigned int expected[COOKIE_ROW / 2], n_found = 0;

	for (unsigned int parity = 0; parity < 2; parity++)
		cookie_tries_start(&tries[parity], &set->parity[parity], is_v4);
	lab_jobs_random(jobs, flows, n, is_v4 ? LAB_V4 : LAB_V6, state);
	for (unsigned int i = 0; i < n; i++) {
		uint64_t r = check_random(state);
		uint32_t seq = jobs[i].irs + (r & 1), iss;

		jobs[i].parity = r >> 1 & 1;
		iss = lab_model(set, &jobs[i]) ^ ((r >> 2 & 3) == 0 ? 1u << (r >> 4 & 31) : 0);
		uint32_t low = cookie_low(iss);
		first = second = jobs[i];
		first.profile = second.profile = low & 31;
		first.parity = second.parity = low >> 5;
		first.irs = seq - 1;
		second.irs = seq;
		expected[i] = lab_model(set, &first) == iss;
		expected[i] |= (lab_model(set, &second) == iss) << 1;
		cookie_tries_add(&tries[low >> 5], is_v4, &flows[i], seq, iss, low & 31, i);
	}
	for (unsigned int parity = 0; parity < 2; parity++) {
		const struct cookie_tries *t = &tries[parity];

		cookie_tries_run(&tries[parity]);
		for (unsigned int i = 0; i < t->n; i += 2) {
			unsigned int hits = cookie_tries_hits(t, i);

			CU_ASSERT_EQUAL(hits & 3, expected[t->number[i]]);
			if (i + 1 < t->n)
				CU_ASSERT_EQUAL(hits >> 2, expected[t->number[i + 1]]);
		}
		n_found += t->n;
	}
	CU_ASSERT_EQUAL(n_found, n);
}

static void
test_cookie_tries_of_every_variant_and_number_equal_the_model(void)
{
	static struct secret_ring ring;
	uint64_t state = 13;

	lab_ring_start(&ring, LAB_START_S);
	for (size_t v = 0; v < LAB_VARIANTS; v++) {
		if (cookie_select(lab_variants[v], NULL) == NULL)
			continue;
		for (unsigned int n = 0; n <= COOKIE_ROW / 2; n++) {
			check_tries(secret_current(&ring), n, true, &state);
			check_tries(secret_current(&ring), n, false, &state);
		}
	}
	CU_ASSERT_PTR_NOT_NULL(cookie_select("auto", NULL));
}

int
main(void)
{
	CU_TestInfo tests[] = {
		CHECK_TEST(test_cookie_tries_of_every_variant_and_number_equal_the_model),
		CU_TEST_INFO_NULL,
	};
	return check_run("cookie_tries", tests);
}
