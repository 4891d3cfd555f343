/* SPDX-License-Identifier: BSD-3-Clause */
/* Cookies of every variant, and their life over clocks. */
#include <arpa/inet.h>

#include "check.h"
#include "cookie_lab.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))
#define BATCH_MAX 70u

static struct ip_addr
addr_of(const char *text)
{
	struct ip_addr addr;
	uint32_t v4_be;

	if (inet_pton(AF_INET, text, &v4_be) == 1)
		return ip_addr_v4(v4_be);
	if (inet_pton(AF_INET6, text, addr.bytes) != 1)
		abort();
	return addr;
}

static void
test_cookie_make_gives_the_published_values(void)
{
	static const struct {
		const char *client;
		uint16_t client_port;
		const char *server;
		uint16_t server_port;
		uint32_t irs;
		uint8_t profile;
		uint32_t epoch, iss;
	} published[] = {
#define VECTOR(...) { __VA_ARGS__ },
#include "cookie_vectors.def"
#undef VECTOR
	};
	static struct secret_ring ring;

	lab_ring_start(&ring, LAB_START_S + EPOCH_S);
	for (size_t i = 0; i < N(published); i++) {
		struct flow flow = { addr_of(published[i].client), addr_of(published[i].server),
			             htons(published[i].client_port),
			             htons(published[i].server_port) };
		struct cookie_job job = { .flow = &flow,
			                  .irs = published[i].irs,
			                  .profile = published[i].profile,
			                  .parity = published[i].epoch & 1,
			                  .is_v4 = ip_addr_is_v4(&flow.client) };

		/* Both epochs are in the set that begins with the second. */
		CU_ASSERT_EQUAL(published[i].epoch / 2, LAB_START_S / EPOCH_S / 2);
		cookie_make(secret_current(&ring), &job, 1);
		CU_ASSERT_EQUAL(job.iss, published[i].iss);
	}
}

static void
test_cookie_variants_every_batch_size_equal_the_model(void)
{
	static struct secret_ring ring;
	struct flow flows[BATCH_MAX];
	struct cookie_job jobs[BATCH_MAX + 1];
	uint8_t proof[BATCH_MAX + 1];
	uint64_t state = 3;
	unsigned int n_variants = 0;

	lab_ring_start(&ring, LAB_START_S);
	const struct secret_set *set = secret_current(&ring);

	for (size_t v = 0; v < LAB_VARIANTS; v++) {
		if (cookie_select(lab_variants[v], NULL) == NULL)
			continue;
		n_variants++;
		for (unsigned int mix = 0; mix < LAB_MIXES; mix++) {
			for (unsigned int n = 0; n <= BATCH_MAX; n++) {
				lab_jobs_random(jobs, flows, n, (enum lab_mix)mix, &state);
				jobs[n].iss = 0x5a5a5a5a;
				proof[n] = 0x5a;
				cookie_make(set, jobs, n);
				for (unsigned int i = 0; i < n; i++)
					CU_ASSERT_EQUAL(jobs[i].iss, lab_model(set, &jobs[i]));
				CU_ASSERT_EQUAL(jobs[n].iss, 0x5a5a5a5a);
				for (unsigned int i = 0; i < n; i++) {
					uint32_t low = check_random(&state) & 1;
					jobs[i].iss ^= low << 17;
					proof[i] = low ? PROOF_NONE : PROOF_EXACT;
				}
				uint8_t *expected = check_copy(proof, n + 1);
				memset(proof, 0xff, n);
				cookie_check(set, jobs, n, proof);
				CU_ASSERT_EQUAL(memcmp(proof, expected, n + 1), 0);
				free(expected);
			}
		}
	}
	CU_ASSERT_TRUE(n_variants >= 1);
	CU_ASSERT_PTR_NOT_NULL(cookie_select("auto", NULL));
}

static void
test_cookie_select_unknown_name_is_refused(void)
{
	CU_ASSERT_PTR_NULL(cookie_select("", NULL));
	CU_ASSERT_PTR_NULL(cookie_select("vaes1024", NULL));
	CU_ASSERT_STRING_EQUAL(cookie_select("aesni", NULL), "aesni");
	CU_ASSERT_PTR_NOT_NULL(cookie_select("auto", NULL));
}

static bool
proves(const struct secret_ring *ring, struct cookie_job job)
{
	uint8_t proof = 0xff;

	cookie_check(secret_current(ring), &job, 1, &proof);
	return proof == PROOF_EXACT;
}

/* One random cookie of the ring's current epoch. */
static struct cookie_job
cookie_of(const struct secret_ring *ring, struct flow *flow, bool is_v4, uint64_t *state)
{
	const struct secret_set *set = secret_current(ring);
	struct cookie_job job;

	lab_jobs_random(&job, flow, 1, is_v4 ? LAB_V4 : LAB_V6, state);
	job.parity = set->epoch & 1;
	cookie_make(set, &job, 1);
	return job;
}

static void
test_cookie_check_reads_profile_and_parity(void)
{
	static struct secret_ring ring;
	struct flow flow;
	uint64_t state = 11;

	lab_ring_start(&ring, LAB_START_S);
	for (unsigned int i = 0; i < 4 * COOKIE_PROFILES; i++) {
		struct cookie_job job;
		uint8_t proof, parity = i >> 5 & 1, profile = i & 31;

		lab_jobs_random(&job, &flow, 1, i >> 6 ? LAB_V6 : LAB_V4, &state);
		job.parity = parity;
		job.profile = profile;
		cookie_make(secret_current(&ring), &job, 1);
		job.parity = !parity;
		job.profile = profile ^ 31;
		cookie_check(secret_current(&ring), &job, 1, &proof);
		CU_ASSERT_EQUAL(proof, PROOF_EXACT);
		CU_ASSERT_EQUAL(job.parity, parity);
		CU_ASSERT_EQUAL(job.profile, profile);
	}
}

/* Made in any second of an epoch, on one clock, for how long is it good? */
static void
test_cookie_life_on_one_clock_is_28_to_58_s(void)
{
	static struct secret_ring ring;
	struct flow flow;
	uint64_t state = 5;
	unsigned int shortest = ~0u, longest = 0;

	for (unsigned int made = 0; made < 2 * EPOCH_S; made++) {
		lab_ring_start(&ring, LAB_START_S + made);
		struct cookie_job job = cookie_of(&ring, &flow, made & 1, &state);
		unsigned int life = 0;

		for (unsigned int s = 0; s <= 3 * EPOCH_S; s++) {
			secret_step(&ring, LAB_START_S + made + s);
			if (!proves(&ring, job))
				continue;
			CU_ASSERT_EQUAL(life, s); /* good at once and without a gap */
			life = s + 1;
		}
		shortest = life < shortest ? life : shortest;
		longest = life > longest ? life : longest;
	}
	/* `life` is the first whole second at which the cookie is dead. */
	CU_ASSERT_EQUAL(shortest, EPOCH_S - EPOCH_LEAD_S + 1);
	CU_ASSERT_EQUAL(longest, 2 * EPOCH_S - EPOCH_LEAD_S);
	CU_ASSERT_TRUE(longest <= COOKIE_LIFE_MAX_S);
}

/* The same, checked by a node whose clock differs by up to the lead. */
static void
test_cookie_life_across_skewed_nodes_is_26_to_60_s(void)
{
	static struct secret_ring here, there;
	struct flow flow;
	uint64_t state = 6;
	unsigned int shortest = ~0u, longest = 0;

	for (unsigned int skew = 0; skew <= 2 * EPOCH_LEAD_S; skew++) {
		for (unsigned int made = 0; made < 2 * EPOCH_S; made++) {
			uint64_t wall_s = LAB_START_S + made;
			unsigned int life = 0;

			lab_ring_start(&here, wall_s);
			struct cookie_job job = cookie_of(&here, &flow, made & 1, &state);
			for (unsigned int s = 0; s <= 3 * EPOCH_S; s++) {
				lab_ring_start(&there, wall_s + s + skew - EPOCH_LEAD_S);
				if (!proves(&there, job))
					continue;
				CU_ASSERT_EQUAL(life, s); /* good at once and without a gap */
				life = s + 1;
			}
			shortest = life < shortest ? life : shortest;
			longest = life > longest ? life : longest;
		}
	}
	CU_ASSERT_EQUAL(shortest, EPOCH_S - 2 * EPOCH_LEAD_S + 1);
	CU_ASSERT_EQUAL(longest, COOKIE_LIFE_MAX_S);
}

static void
test_cookie_after_restart_with_same_master_is_good(void)
{
	static struct secret_ring before, after;
	struct flow flow;
	uint64_t state = 8;

	lab_ring_start(&before, LAB_START_S + 20);
	struct cookie_job job = cookie_of(&before, &flow, true, &state);
	lab_ring_start(&after, LAB_START_S + 40);
	CU_ASSERT_TRUE(proves(&after, job));

	uint8_t other[MASTER_SECRET_SIZE] = { 1 };
	secret_init(&after, other, LAB_START_S + 40);
	CU_ASSERT_FALSE(proves(&after, job));
}

static void
test_cookie_after_clock_steps_back_is_good(void)
{
	static struct secret_ring ring;
	struct flow flow;
	uint64_t state = 9;

	lab_ring_start(&ring, LAB_START_S + 10);
	struct cookie_job job = cookie_of(&ring, &flow, false, &state);
	for (unsigned int s = 0; s < 17; s++) {
		secret_step(&ring, LAB_START_S + 10 - 3600 + s);
		CU_ASSERT_TRUE(proves(&ring, job));
	}
	/* And it dies for all that, in twice its life at most. */
	for (unsigned int s = 17; s <= 2 * COOKIE_LIFE_MAX_S; s++)
		secret_step(&ring, LAB_START_S + 10 - 3600 + s);
	CU_ASSERT_FALSE(proves(&ring, job));
}

/* With 26 bits one change in 2^26 would pass; these numbers are fixed, so that
 * none does. */
static void
test_cookie_with_any_bit_changed_is_refused(void)
{
	static struct secret_ring ring;
	uint64_t state = 10;

	lab_ring_start(&ring, LAB_START_S);
	for (unsigned int round = 0; round < 64; round++) {
		struct flow flow;
		bool is_v4 = round & 1;
		struct cookie_job job = cookie_of(&ring, &flow, is_v4, &state);

		CU_ASSERT_TRUE(proves(&ring, job));
		for (unsigned int bit = 0; bit < 32; bit++) {
			struct cookie_job changed = job;
			changed.irs ^= 1u << bit;
			CU_ASSERT_FALSE(proves(&ring, changed));
			/* Profile and parity are among these. */
			changed = job;
			changed.iss ^= 1u << bit;
			CU_ASSERT_FALSE(proves(&ring, changed));
		}
		for (unsigned int bit = is_v4 ? 96 : 0; bit < 36 * 8; bit++) {
			uint8_t *bytes = (uint8_t *)&flow;
			if (is_v4 && bit >= 128 && bit < 224)
				continue; /* ::ffff: of the server */
			bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
			CU_ASSERT_FALSE(proves(&ring, job));
			bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		}
	}
}

static void
test_cookie_with_another_profile_claimed_is_refused(void)
{
	static struct secret_ring ring;
	struct flow flow;
	uint64_t state = 12;

	lab_ring_start(&ring, LAB_START_S);
	for (unsigned int round = 0; round < 64; round++) {
		struct cookie_job job = cookie_of(&ring, &flow, round & 1, &state);

		for (uint32_t low = 1; low < 64; low++) {
			struct cookie_job changed = job;
			changed.iss ^= low;
			CU_ASSERT_FALSE(proves(&ring, changed));
		}
	}
}

/* No bit of an ISS is the same over many flows, the low six included. */
static void
test_cookie_make_leaves_no_bit_constant(void)
{
	static struct secret_ring ring;
	struct flow flow;
	uint64_t state = 13;
	unsigned int ones[32] = { 0 };
	const unsigned int n = 4096;

	lab_ring_start(&ring, LAB_START_S);
	for (unsigned int i = 0; i < n; i++) {
		struct cookie_job job;

		lab_jobs_random(&job, &flow, 1, LAB_V4, &state);
		job.profile = 31;
		cookie_make(secret_current(&ring), &job, 1);
		for (unsigned int bit = 0; bit < 32; bit++)
			ones[bit] += job.iss >> bit & 1;
	}
	/* Eight standard deviations (32 each) around the middle. */
	for (unsigned int bit = 0; bit < 32; bit++)
		CU_ASSERT_TRUE(ones[bit] > n / 2 - 256 && ones[bit] < n / 2 + 256);
}

int
main(void)
{
	CU_TestInfo tests[] = {
		CHECK_TEST(test_cookie_make_gives_the_published_values),
		CHECK_TEST(test_cookie_variants_every_batch_size_equal_the_model),
		CHECK_TEST(test_cookie_select_unknown_name_is_refused),
		CHECK_TEST(test_cookie_check_reads_profile_and_parity),
		CHECK_TEST(test_cookie_life_on_one_clock_is_28_to_58_s),
		CHECK_TEST(test_cookie_life_across_skewed_nodes_is_26_to_60_s),
		CHECK_TEST(test_cookie_after_restart_with_same_master_is_good),
		CHECK_TEST(test_cookie_after_clock_steps_back_is_good),
		CHECK_TEST(test_cookie_with_any_bit_changed_is_refused),
		CHECK_TEST(test_cookie_with_another_profile_claimed_is_refused),
		CHECK_TEST(test_cookie_make_leaves_no_bit_constant),
		CU_TEST_INFO_NULL,
	};
	return check_run("cookie", tests);
}
