/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Is an ISS predictable? Millions of cookies, made by what an attacker can see and choose:
 * sources, ports, client sequence numbers, epochs one after the other. Of each kind:
 *
 *   - each of the 32 bits is set in half of them (chi-square, 32 degrees of freedom);
 *   - the values of each byte are equally frequent (4 x 255);
 *   - so are those of the difference to the cookie before (XOR): neighbours tell nothing;
 *   - no two bits of the MAC go together (all pairs, 325).
 *
 * Then: each bit of the input, flipped, flips each bit of the MAC half of the time. And the
 * chance of a guess, measured on MACs cut to k bits, is 2^-k as documented.
 *
 * Keys are fixed, so a run says the same each time. Statistics come as standard deviations
 * from what is expected: a chi-square of n degrees of freedom is (x - n) / sqrt(2n) away.
 */
#include <math.h>
#include <stdio.h>

#include "check.h"
#include "cookie_lane.h"

#ifdef __SANITIZE_ADDRESS__
#define N_COOKIES (UINT32_C(1) << 18)
#define N_AVALANCHE (UINT32_C(1) << 9)
#define N_GUESSES (UINT32_C(1) << 19)
#else
#define N_COOKIES (UINT32_C(1) << 21)
#define N_AVALANCHE (UINT32_C(1) << 12)
#define N_GUESSES (UINT32_C(1) << 22)
#endif
#define N_EPOCHS 4096u
#define BATCH 64u
/* Beyond it something is wrong: one in 10^6 by chance, and there are some 50 figures. */
#define SIGMAS_MAX 5.0
#define WALL_S UINT64_C(1800000000)

static struct secret_ring ring;

static void
ring_start(uint64_t wall_s)
{
	uint8_t master[MASTER_SECRET_SIZE];

	for (unsigned int i = 0; i < MASTER_SECRET_SIZE; i++)
		master[i] = (uint8_t)(7 * i + 1);
	secret_init(&ring, master, wall_s);
}

/* ---- which cookies ---------------------------------------------------- */

enum kind {
	KIND_RANDOM,  /* any flow */
	KIND_SOURCES, /* the next address */
	KIND_PORTS,   /* the next port, then the next address */
	KIND_NUMBERS, /* the next sequence number of the client */
	KIND_EPOCHS,  /* the same SYNs in the next epoch */
	KIND_COUNT
};

static const char *const kind_names[KIND_COUNT] = { "any flow", "next source", "next port",
	                                            "next client ISS", "next epoch" };

static struct flow
flow_make(bool is_v4, uint32_t client, uint16_t port)
{
	struct flow flow = {
		.client_port_be = htobe16(port),
		.server_port_be = htobe16(443),
	};

	if (is_v4) {
		flow.client = ip_addr_v4(htobe32(client));
		flow.server = ip_addr_v4(htobe32(0xc6336401));
		return flow;
	}
	flow.client.quads_be[0] = htobe64(UINT64_C(0x20010db800010000));
	flow.client.quads_be[1] = htobe64(client);
	flow.server.quads_be[0] = htobe64(UINT64_C(0x20010db800020000));
	flow.server.quads_be[1] = htobe64(1);
	return flow;
}

static void
job_fill(enum kind kind, bool is_v4, uint32_t i, uint64_t *state, struct flow *flow,
         struct cookie_job *job)
{
	uint32_t client = 0x0a000001, irs = 1000;
	uint16_t port = 40000;

	switch (kind) {
	case KIND_RANDOM:
		client = (uint32_t)(check_random(state) >> 16);
		port = (uint16_t)(check_random(state) >> 24);
		irs = (uint32_t)(check_random(state) >> 8);
		break;
	case KIND_SOURCES:
		client += i;
		break;
	case KIND_PORTS:
		port = (uint16_t)(1024 + i % 64000);
		client += i / 64000;
		break;
	case KIND_NUMBERS:
		irs += i;
		break;
	default:
		client += i % (N_COOKIES / N_EPOCHS);
		break;
	}
	*flow = flow_make(is_v4, client, port);
	*job = (struct cookie_job){
		.flow = flow,
		.irs = irs,
		.profile = 31,
		.parity = ring.current->epoch & 1,
		.is_v4 = is_v4,
	};
}

/* ---- statistics ------------------------------------------------------- */

#define MAC_LOW (32 - COOKIE_MAC_BITS)

struct tally {
	uint64_t n, n_pairs;
	uint64_t bits[32], bytes[4][256], pairs[32][32];
};

static void
tally_add(struct tally *t, uint32_t x, bool with_pairs)
{
	t->n++;
	for (unsigned int b = 0; b < 32; b++)
		t->bits[b] += x >> b & 1;
	for (unsigned int b = 0; b < 4; b++)
		t->bytes[b][x >> 8 * b & 255]++;
	if (!with_pairs)
		return;
	t->n_pairs++;
	for (unsigned int b = MAC_LOW; b < 31; b++)
		for (unsigned int c = b + 1; c < 32; c++)
			t->pairs[b][c] += (x >> b ^ x >> c) & 1;
}

/* Of a count that is binomial with 1/2. */
static double
chi_half(uint64_t count, uint64_t n)
{
	double off = (double)count - (double)n / 2;

	return off * off / ((double)n / 4);
}

/* Print and judge a chi-square. */
static void
hold(const char *kind, bool is_v4, const char *what, double chi, double degrees)
{
	double off = (chi - degrees) / sqrt(2 * degrees);

	printf("\n    IPv%d, %s: %s: %+.2f sigma", is_v4 ? 4 : 6, kind, what, off);
	CU_ASSERT(fabs(off) < SIGMAS_MAX);
}

static void
judge(const struct tally *t, const char *kind, bool is_v4, bool is_xor)
{
	double bits = 0, bytes = 0, pairs = 0;

	for (unsigned int b = 0; b < 32; b++)
		bits += chi_half(t->bits[b], t->n);
	for (unsigned int b = 0; b < 4; b++) {
		for (unsigned int v = 0; v < 256; v++) {
			double expected = (double)t->n / 256;
			double off = (double)t->bytes[b][v] - expected;
			bytes += off * off / expected;
		}
	}
	hold(kind, is_v4, is_xor ? "bits of the XOR of neighbours" : "bits", bits, 32);
	hold(kind, is_v4, is_xor ? "bytes of the XOR of neighbours" : "bytes", bytes, 4 * 255);
	if (t->n_pairs == 0)
		return;
	for (unsigned int b = MAC_LOW; b < 31; b++)
		for (unsigned int c = b + 1; c < 32; c++)
			pairs += chi_half(t->pairs[b][c], t->n_pairs);
	hold(kind, is_v4, "pairs of bits", pairs, COOKIE_MAC_BITS * (COOKIE_MAC_BITS - 1) / 2);
}

static void
distribution(enum kind kind, bool is_v4)
{
	static struct tally own, xored;
	static uint32_t before[N_COOKIES / N_EPOCHS];
	const uint32_t n_each = N_COOKIES / N_EPOCHS;
	uint32_t first = kind == KIND_EPOCHS ? n_each : 1;
	uint64_t state = UINT64_C(0x2545f4914f6cdd1d);
	struct cookie_job jobs[BATCH];
	struct flow flows[BATCH];

	memset(&own, 0, sizeof(own));
	memset(&xored, 0, sizeof(xored));
	for (uint32_t i = 0; i < N_COOKIES; i += BATCH) {
		if (kind == KIND_EPOCHS && i % n_each == 0)
			ring_start(WALL_S + (uint64_t)(i / n_each) * EPOCH_S);
		for (unsigned int k = 0; k < BATCH; k++)
			job_fill(kind, is_v4, i + k, &state, &flows[k], &jobs[k]);
		cookie_make(ring.current, jobs, BATCH);
		for (unsigned int k = 0; k < BATCH; k++) {
			uint32_t *old = &before[kind == KIND_EPOCHS ? (i + k) % n_each : 0];
			tally_add(&own, jobs[k].iss, k % 8 == 0);
			if (i + k >= first)
				tally_add(&xored, jobs[k].iss ^ *old, false);
			*old = jobs[k].iss;
		}
	}
	judge(&own, kind_names[kind], is_v4, false);
	judge(&xored, kind_names[kind], is_v4, true);
}

static void
test_iss_distribution(void)
{
	ring_start(WALL_S);
	for (unsigned int kind = 0; kind < KIND_COUNT; kind++) {
		distribution((enum kind)kind, true);
		distribution((enum kind)kind, false);
	}
	ring_start(WALL_S);
}

/* ---- one bit of the input --------------------------------------------- */

#define N_INPUT_BITS 133u /* both addresses' last 32, ports, client's ISS, profile */

static void
flip(struct flow *flow, struct cookie_job *job, unsigned int bit)
{
	if (bit < 32)
		flow->client.bytes[12 + bit / 8] ^= (uint8_t)(1u << bit % 8);
	else if (bit < 64)
		flow->server.bytes[8 + bit / 8] ^= (uint8_t)(1u << bit % 8);
	else if (bit < 80)
		flow->client_port_be ^= (uint16_t)(1u << (bit - 64));
	else if (bit < 96)
		flow->server_port_be ^= (uint16_t)(1u << (bit - 80));
	else if (bit < 128)
		job->irs ^= 1u << (bit - 96);
	else
		job->profile ^= (uint8_t)(1u << (bit - 128));
}

static void
avalanche(bool is_v4)
{
	static uint64_t flipped[N_INPUT_BITS][32];
	uint64_t state = UINT64_C(0x9e3779b97f4a7c15);
	double chi = 0, worst = 0;

	memset(flipped, 0, sizeof(flipped));
	for (uint32_t i = 0; i < N_AVALANCHE; i++) {
		struct cookie_job jobs[N_INPUT_BITS + 1];
		struct flow flows[N_INPUT_BITS + 1];
		uint64_t begin = state;
		for (unsigned int bit = 0; bit <= N_INPUT_BITS; bit++) {
			state = begin;
			job_fill(KIND_RANDOM, is_v4, i, &state, &flows[bit], &jobs[bit]);
			if (bit < N_INPUT_BITS)
				flip(&flows[bit], &jobs[bit], bit);
		}
		cookie_make(ring.current, jobs, N_INPUT_BITS + 1);
		for (unsigned int bit = 0; bit < N_INPUT_BITS; bit++)
			for (unsigned int out = MAC_LOW; out < 32; out++)
				flipped[bit][out] += (jobs[bit].iss ^ jobs[N_INPUT_BITS].iss) >>
				                             out &
				                     1;
	}
	for (unsigned int bit = 0; bit < N_INPUT_BITS; bit++) {
		for (unsigned int out = MAC_LOW; out < 32; out++) {
			double one = chi_half(flipped[bit][out], N_AVALANCHE);
			chi += one;
			worst = fmax(worst, sqrt(one));
		}
	}
	hold("one bit of the input flipped", is_v4, "bits of the MAC that flip", chi,
	     N_INPUT_BITS * COOKIE_MAC_BITS);
	/* The largest of 3458: beyond 6 one in 10^5. */
	printf(", the worst %.2f", worst);
	CU_ASSERT(worst < 6);
}

static void
test_iss_avalanche(void)
{
	avalanche(true);
	avalanche(false);
}

/* ---- guesses ---------------------------------------------------------- */

enum guess {
	GUESS_RANDOM,
	GUESS_NEIGHBOUR, /* what an attacker was given himself, for the address below */
	GUESS_COUNT
};

/*
 * How many of N_GUESSES a check would take that compared but the first k bits of the MAC;
 * and how many the real one takes.
 */
static uint64_t
guess(enum guess how, bool is_v4, uint64_t hits[COOKIE_MAC_BITS + 1])
{
	uint64_t state = UINT64_C(0x123456789abcdef1), n_taken = 0;
	uint32_t last = 0;

	memset(hits, 0, (COOKIE_MAC_BITS + 1) * sizeof(*hits));
	for (uint32_t i = 0; i < N_GUESSES; i += BATCH) {
		struct cookie_job jobs[BATCH], checked[BATCH];
		struct flow flows[BATCH];
		uint32_t guesses[BATCH];
		uint8_t proof[BATCH];
		for (unsigned int k = 0; k < BATCH; k++)
			job_fill(KIND_SOURCES, is_v4, i + k, &state, &flows[k], &jobs[k]);
		if (how == GUESS_NEIGHBOUR)
			cookie_make(ring.current, jobs, BATCH);
		for (unsigned int k = 0; k < BATCH; k++) {
			guesses[k] = how == GUESS_RANDOM ? (uint32_t)(check_random(&state) >> 16)
			                                 : last;
			last = jobs[k].iss;
			jobs[k].parity = cookie_low(guesses[k]) >> 5 & 1;
			jobs[k].profile = cookie_low(guesses[k]) & 31;
			checked[k] = jobs[k];
			checked[k].iss = guesses[k];
		}
		cookie_make(ring.current, jobs, BATCH);
		cookie_check(ring.current, checked, BATCH, proof);
		for (unsigned int k = 0; k < BATCH; k++) {
			uint32_t off = (jobs[k].iss ^ guesses[k]) >> MAC_LOW;
			unsigned int same = off == 0 ? COOKIE_MAC_BITS
			                             : (unsigned int)__builtin_clz(off) - MAC_LOW;
			for (unsigned int bits = 1; bits <= same; bits++)
				hits[bits]++;
			n_taken += proof[k] == PROOF_EXACT;
			/* All bits of the MAC the same is what the check asks for. */
			CU_ASSERT_FATAL((proof[k] == PROOF_EXACT) == (off == 0));
		}
	}
	return n_taken;
}

static void
test_iss_guess(void)
{
	static const char *const names[] = { "random guesses", "the neighbour's cookie" };
	uint64_t hits[COOKIE_MAC_BITS + 1];

	for (unsigned int how = 0; how < 2 * GUESS_COUNT; how++) {
		bool is_v4 = how < GUESS_COUNT;
		uint64_t n_taken = guess((enum guess)(how % GUESS_COUNT), is_v4, hits);
		for (unsigned int k = 6; k <= 14; k += 2) {
			double expected = N_GUESSES / (double)(1u << k);
			double off = ((double)hits[k] - expected) / sqrt(expected);
			printf("\n    IPv%d, %s, MAC of %u bits: %.4f of 2^-%u, %+.2f sigma",
			       is_v4 ? 4 : 6, names[how % GUESS_COUNT], k,
			       (double)hits[k] / expected, k, off);
			CU_ASSERT(fabs(off) < SIGMAS_MAX);
		}
		/* 1/16 at most is expected of all 26 bits; three or more one time in 25,000. */
		CU_ASSERT(n_taken < 3);
	}
}

int
main(void)
{
	CU_TestInfo tests[] = {
		CHECK_TEST(test_iss_distribution),
		CHECK_TEST(test_iss_avalanche),
		CHECK_TEST(test_iss_guess),
		CU_TEST_INFO_NULL,
	};

	if (cookie_select("auto", NULL) == NULL)
		return EXIT_FAILURE;
	return check_run("iss", tests);
}
