/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Batches of cookies, of both families mixed: made in one call they are what
 * they are one at a time and by every variant; checked in one call, a job proves
 * itself if and only if making it again gives the same ISS. What was changed
 * since it was made is found out.
 *
 * Input: epoch (1), then 16 bytes a job: how it is changed (1), flow (3), ISS (4),
 * profile (1), what to change it by (4), timestamp fields (3).
 */
#include "fuzz.h"

#include "cookie.h"

#define JOBS_MAX 80u /* more than any burst */
#define JOB_SIZE 16

enum change {
	CHANGE_NONE,
	CHANGE_ISS,
	CHANGE_IRS,
	CHANGE_FLOW,
	CHANGE_BLIND,
	CHANGE_COUNT
};

struct made {
	struct flow flow;
	struct cookie_job job;
	enum change change;
	uint32_t by;
};

static const char *const variants[] = { "aesni", "vaes256", "vaes512" };

static struct flow
flow_of(uint8_t a, uint8_t b, uint8_t c)
{
	struct flow flow = { .client_port_be = (uint16_t)(a * 257u),
		             .server_port_be = (uint16_t)(b << 4) };

	if (a & 1) {
		flow.client = ip_addr_v4(0x0100a8c0u + ((uint32_t)b << 24));
		flow.server = ip_addr_v4(0x010200c0u + ((uint32_t)c << 24));
		return flow;
	}
	for (unsigned int i = 0; i < 16; i++) {
		flow.client.bytes[i] = (uint8_t)(0x20 + i * b);
		flow.server.bytes[i] = (uint8_t)(0x20 + i * c);
	}
	return flow;
}

static void
read_job(struct fuzz_input *in, struct made *m)
{
	m->change = fuzz_u8(in) % CHANGE_COUNT;
	uint8_t a = fuzz_u8(in), b = fuzz_u8(in), c = fuzz_u8(in);
	m->flow = flow_of(a, b, c);
	m->job = (struct cookie_job){ .flow = &m->flow, .is_v4 = a & 1 };
	m->job.irs = fuzz_u32(in);
	uint8_t how = fuzz_u8(in);
	m->job.profile = how % COOKIE_PROFILES;
	m->job.parity = how >> 7;
	m->by = fuzz_u32(in);
	/* What a TSval carries comes back, but for what does not fit. */
	uint8_t scales = fuzz_u8(in);
	uint16_t mss = fuzz_u16(in);
	struct tcp_offer offer = { .mss = mss > COOKIE_MSS_LEAST ? mss : COOKIE_MSS_LEAST,
		                   .wscale = scales & 15,
		                   .sack = scales & 0x10,
		                   .timestamps = true };
	unsigned int promised = scales >> 4, back_promised;
	unsigned int profile = cookie_profile_of(&offer, m->job.is_v4);
	FUZZ_CHECK(profile < COOKIE_PROFILES);
	struct tcp_offer kept = cookie_profile_offer(profile, m->job.is_v4), back = kept;
	/* Granted is what the profile's class has. */
	offer.sack = kept.sack;
	if (kept.wscale == WSCALE_NONE)
		offer.wscale = WSCALE_NONE;
	uint32_t ts = cookie_ts_make(&offer, profile, m->job.is_v4, promised, m->by);
	cookie_ts_read(ts, profile, m->job.is_v4, &back, &back_promised);
	FUZZ_CHECK(back.wscale == offer.wscale && back.sack == offer.sack &&
	           back_promised == promised);
	FUZZ_CHECK(back.mss >= kept.mss && back.mss <= offer.mss);
	FUZZ_CHECK(back.mss == offer.mss || (offer.mss >= 1460 && offer.mss - back.mss < 822));
	FUZZ_CHECK(kept.wscale == WSCALE_NONE || kept.wscale <= offer.wscale);
	/* Anything may be echoed, and gives a valid offer. */
	cookie_ts_read(m->by, m->job.profile, m->job.is_v4, &back, &back_promised);
	FUZZ_CHECK(back.mss != 0 && back.wscale <= WSCALE_NONE && back_promised <= WSCALE_NONE);
}

static void
change(struct made *m)
{
	switch (m->change) {
	case CHANGE_ISS:
		m->job.iss ^= m->by | !m->by;
		break;
	case CHANGE_IRS:
		m->job.irs += m->by | !m->by;
		break;
	case CHANGE_FLOW:
		((uint8_t *)&m->flow)[m->by % 4 < 2 ? 32 + m->by % 4 : 12 + m->by % 4] ^=
			(uint8_t)(m->by >> 8 | 1);
		break;
	case CHANGE_BLIND:
		m->job.iss = m->by;
		break;
	default:
		break;
	}
}

static void
check_made(const struct secret_set *set, const struct made *made, struct cookie_job *jobs,
           unsigned int n)
{
	for (unsigned int v = 0; v < sizeof(variants) / sizeof(variants[0]); v++) {
		if (cookie_select(variants[v], NULL) == NULL)
			continue;
		for (unsigned int i = 0; i < n; i++)
			jobs[i] = made[i].job;
		cookie_make(set, jobs, n);
		for (unsigned int i = 0; i < n; i++)
			FUZZ_CHECK(jobs[i].iss == made[i].job.iss);
	}
	cookie_select("auto", NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t master[MASTER_SECRET_SIZE] = "a secret that fuzzers know";
	static struct secret_ring ring;
	static struct made made[JOBS_MAX];
	static struct cookie_job jobs[JOBS_MAX];
	struct fuzz_input in = { data, data + size };
	uint8_t proof[JOBS_MAX];
	unsigned int n = 0;

	secret_init(&ring, master, 1700000000u + fuzz_u8(&in));
	const struct secret_set *set = secret_current(&ring);
	while (in.at + JOB_SIZE <= in.end && n < JOBS_MAX)
		read_job(&in, &made[n++]);
	for (unsigned int i = 0; i < n; i++)
		cookie_make(set, &made[i].job, 1);
	check_made(set, made, jobs, n);
	for (unsigned int i = 0; i < n; i++) {
		change(&made[i]);
		jobs[i] = made[i].job;
		jobs[i].profile = jobs[i].parity = 0xff; /* to be read out of the ISS */
	}
	cookie_check(set, jobs, n, proof);
	for (unsigned int i = 0; i < n; i++) {
		struct cookie_job again = jobs[i];
		FUZZ_CHECK(again.profile < COOKIE_PROFILES && again.parity < 2);
		FUZZ_CHECK(jobs[i].irs == made[i].job.irs && jobs[i].iss == made[i].job.iss);
		cookie_make(set, &again, 1);
		FUZZ_CHECK(proof[i] == (again.iss == jobs[i].iss ? PROOF_EXACT : PROOF_NONE));
		if (made[i].change == CHANGE_NONE)
			FUZZ_CHECK(proof[i] == PROOF_EXACT &&
			           jobs[i].profile == made[i].job.profile &&
			           jobs[i].parity == made[i].job.parity);
	}
	secret_fini(&ring);
	return 0;
}
