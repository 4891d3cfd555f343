/* SPDX-License-Identifier: BSD-3-Clause */
/* An answer to a SYN, taken at one look, teaches what it teaches step by step. */
#include "backend.h"

#include "check.h"
#include "trial.h"

static struct tcp_offer
random_offer(struct trial *trial)
{
	struct tcp_offer offer = { .mss = (uint16_t)(1460 - 20 * trial_pick(trial, 3)),
		                   .wscale = (uint8_t)trial_pick(trial, 4),
		                   .sack = trial_pick(trial, 4) != 0,
		                   .timestamps = trial_pick(trial, 4) != 0 };

	if (trial_pick(trial, 4) == 0)
		offer.wscale = WSCALE_NONE;
	return offer;
}

/* Of what was offered mostly all. */
static struct tcp_offer
random_answer(struct trial *trial, const struct tcp_offer *offered)
{
	struct tcp_offer answer = random_offer(trial);

	if (offered->wscale == WSCALE_NONE)
		answer.wscale = WSCALE_NONE;
	answer.sack &= offered->sack;
	answer.timestamps &= offered->timestamps;
	if (trial_pick(trial, 16) == 0)
		answer.mss = 0;
	return answer;
}

static void
test_answers_at_one_look_teach_the_same(void)
{
	struct trial trial = trial_start(122);
	struct backend a = { .port_be = 80, .wscale = WSCALE_NONE }, b = a;
	unsigned int n_down = 0;

	for (; trial.step < 200000; trial.step++) {
		struct tcp_offer offered = random_offer(&trial);
		struct tcp_offer answered = random_answer(&trial, &offered);
		uint8_t ttl = (uint8_t)(trial_pick(&trial, 2) ? 255 - trial_pick(&trial, 20)
		                                              : trial_pick(&trial, 256));
		uint32_t net = trial_pick(&trial, 5), now_s = trial.step / 16;

		backend_answers(&a, &offered, &answered, ttl, net, now_s);
		backend_succeed(&b);
		backend_learn(&b, &offered, &answered, net, now_s);
		backend_learn_ttl(&b, ttl);
		TRIAL_CHECK(&trial, memcmp(&a, &b, sizeof(a)) == 0);
		for (uint32_t left = trial_pick(&trial, 6); left > 0; left--) {
			bool falls = backend_fail(&a, left, now_s, 5);

			TRIAL_CHECK(&trial, backend_fail(&b, left, now_s, 5) == falls);
			n_down += falls;
		}
		if (trial_pick(&trial, 300) == 0) {
			backend_forget(&a);
			backend_forget(&b);
		}
	}
	CU_ASSERT(n_down > 0);
}

int
main(void)
{
	CU_TestInfo tests[] = {
		CHECK_TEST(test_answers_at_one_look_teach_the_same),
		CU_TEST_INFO_NULL,
	};
	return check_run("backend_answers", tests);
}
