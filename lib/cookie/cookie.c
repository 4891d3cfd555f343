/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Cookies: profiles, timestamps, and those that are made or checked one by one.
 * The AES itself is in cookie_<variant>.c.
 */
#include <cpuid.h>
#include <smmintrin.h>
#include <string.h>

#include "cookie_trial.h"
#include "cookie_tries.h"
#include "tcp_layout.h"

/*
 * The 32 profiles: a class for each common way to combine SACK and scale, with as many
 * values of the MSS as it has clients. Of those without timestamps Windows sends SACK and
 * scale 8, Linux SACK and 7; those with neither are small devices and scanners, of whom
 * alone a low MSS is known. In each class the MSS grows, so rounding down is counting.
 */
#define CLASSES 8u

static const struct profile_class {
	bool sack;
	uint8_t wscale;
	uint8_t start;  /* its first profile ... */
	uint16_t bytes; /* ... and two bits for each */
} classes[CLASSES] = {
	{ false, WSCALE_NONE, 0, 0xffff },
	{ false, 0, 8, 0xf },
	{ false, 7, 10, 0xf },
	{ true, WSCALE_NONE, 12, 0xff },
	{ true, 0, 16, 0xf },
	{ true, 6, 18, 0x3f },
	{ true, 7, 21, 0xff },
	{ true, 8, 25, 0x3fff },
};
/* The best class for an MSS that is in all of them, by SACK and scale. */
static const uint8_t best_class[2][WSCALE_NONE + 1] = {
	{ 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 0 },
	{ 4, 4, 4, 4, 4, 4, 5, 6, 7, 7, 7, 7, 7, 7, 7, 3 },
};
static const uint8_t class_of[COOKIE_PROFILES] = { 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 3, 3,
	                                           4, 4, 5, 5, 5, 6, 6, 6, 6, 7, 7, 7, 7, 7, 7, 7 };

/* IPv6, then IPv4, class by class. All begin with what counts where no MSS is said, but for the
 * first; and eight can be read from the begin of any. */
static const uint16_t mss_rows[2][COOKIE_PROFILES + 1] = {
	{ 48,   536,  1000, 1220, 1300, 1380, 1420, 1440, 1220, 1440, 1220,
	  1440, 1220, 1380, 1420, 1440, 1220, 1440, 1220, 1420, 1440, 1220,
	  1380, 1420, 1440, 1220, 1300, 1360, 1380, 1420, 1440, 8940 },
	{ 48,   216,  536,  1000, 1300, 1400, 1440, 1460, 536,  1460, 536,
	  1460, 536,  1300, 1440, 1460, 536,  1460, 536,  1440, 1460, 536,
	  1300, 1440, 1460, 536,  1000, 1300, 1400, 1440, 1460, 8960 },
};
_Static_assert(COOKIE_MSS_LEAST == 48, "the first row of both");

unsigned int
cookie_profile_of(const struct tcp_offer *offer, bool is_v4)
{
	const struct profile_class *class = &classes[0];

	if (offer->mss >= mss_default(is_v4))
		class = &classes[best_class[offer->sack][offer->wscale & WSCALE_NONE]];
	/* Which of its rows are no larger: two bits for each. The first one is what is left. */
	__m128i rows = _mm_loadu_si128(
		(const __m128i *)(const void *)&mss_rows[is_v4][class->start]);
	__m128i mss = _mm_set1_epi16((short)offer->mss);
	__m128i covered = _mm_cmpeq_epi16(_mm_max_epu16(rows, mss), mss);
	unsigned int bits = ((unsigned int)_mm_movemask_epi8(covered) & class->bytes) | 3;
	return class->start + (unsigned int)__builtin_popcount(bits) / 2 - 1;
}

struct tcp_offer
cookie_profile_offer(unsigned int profile, bool is_v4)
{
	const struct profile_class *class = &classes[class_of[profile]];

	return (struct tcp_offer){
		.mss = mss_rows[is_v4][profile],
		.wscale = class->wscale,
		.sack = class->sack,
	};
}

/* Fields of TSval, as drawn in cookie.h. */
#define TS_SCALE_SHIFT 10u
#define TS_PROMISED_SHIFT 13u
#define TS_MSS_MAX 1023u
#define TS_MSS_EXACT 924u /* the widest gap between two rows of a class */
#define TS_MSS_STEP 822u  /* 8960 - 1460 and 8940 - 1440 are TS_MSS_EXACT + 8 steps */

_Static_assert(TS_MSS_EXACT + (TS_MSS_MAX - TS_MSS_EXACT) * TS_MSS_STEP > UINT16_MAX,
               "every MSS has a code");

static uint32_t
mss_code(uint32_t above)
{
	return above < TS_MSS_EXACT ? above : TS_MSS_EXACT + (above - TS_MSS_EXACT) / TS_MSS_STEP;
}

static uint32_t
mss_decode(uint32_t code)
{
	return code < TS_MSS_EXACT ? code : TS_MSS_EXACT + (code - TS_MSS_EXACT) * TS_MSS_STEP;
}

uint32_t
cookie_ts_make(const struct tcp_offer *client, unsigned int profile, bool is_v4,
               unsigned int promised_wscale, uint64_t wall_ms)
{
	const struct tcp_offer row = cookie_profile_offer(profile, is_v4);
	uint32_t scale = row.wscale == WSCALE_NONE ? 0 : client->wscale - row.wscale;
	uint32_t mss = client->mss > row.mss ? mss_code(client->mss - row.mss) : 0;

	return cookie_ts_again((promised_wscale & 15u) << TS_PROMISED_SHIFT |
	                               (scale & 7u) << TS_SCALE_SHIFT | mss,
	                       wall_ms);
}

void
cookie_ts_read(uint32_t tsecr, unsigned int profile, bool is_v4, struct tcp_offer *client,
               unsigned int *promised_wscale)
{
	uint32_t mss;

	*client = cookie_profile_offer(profile, is_v4);
	mss = client->mss + mss_decode(tsecr & TS_MSS_MAX);
	client->mss = (uint16_t)(mss < UINT16_MAX ? mss : UINT16_MAX);
	if (client->wscale != WSCALE_NONE) {
		client->wscale += tsecr >> TS_SCALE_SHIFT & 7u;
		if (client->wscale > TCP_WSCALE_MAX)
			client->wscale = TCP_WSCALE_MAX;
	}
	client->timestamps = true;
	*promised_wscale = tsecr >> TS_PROMISED_SHIFT & 15u;
}

/* CPUID leaf 7, ECX bit 9. Whether the system keeps wide registers is part of
 * what __builtin_cpu_supports() says about AVX2 and AVX-512F. */
static bool
cpu_has_vaes(void)
{
	unsigned int a, b, c, d;

	return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (c & 1u << 9);
}

static bool
supports_aesni(void)
{
	__builtin_cpu_init();
	return __builtin_cpu_supports("aes") && __builtin_cpu_supports("sse4.1");
}

static bool
supports_vaes256(void)
{
	return supports_aesni() && cpu_has_vaes() && __builtin_cpu_supports("avx2");
}

static bool
supports_vaes512(void)
{
	return supports_vaes256() && __builtin_cpu_supports("avx512f");
}

/* The first variant is the default until cookie_select(); the order is that of
 * preference, last first. */
static const struct cookie_variant variants[COOKIE_VARIANTS] = {
	{ "aesni", cookie_encrypt_aesni, supports_aesni },
	{ "vaes256", cookie_encrypt_vaes256, supports_vaes256 },
	{ "vaes512", cookie_encrypt_vaes512, supports_vaes512 },
};

/* Written by cookie_select() before there are workers, read-only afterwards. */
static const struct cookie_variant *chosen = &variants[0];

const char *
cookie_select(const char *name, struct cookie_faults *faults)
{
	struct cookie_faults unheard;
	const struct cookie_variant *v = cookie_choose(variants, COOKIE_VARIANTS, name,
	                                               faults != NULL ? faults : &unheard);

	if (v == NULL)
		return NULL;
	chosen = v;
	return v->name;
}

void
cookie_lane_run(struct cookie_lane *lane)
{
	if (lane->n != 0)
		cookie_lane_run_by(lane, chosen->encrypt);
}

void
cookie_tries_run(struct cookie_tries *tries)
{
	if (tries->n != 0)
		cookie_tries_run_by(tries, chosen->encrypt);
}

/* The cookies of up to COOKIE_ROW jobs, each made with its profile and parity. */
static void
make_part(const struct secret_set *set, const struct cookie_job *jobs, unsigned int n,
          uint32_t *iss)
{
	struct cookie_lane lane;
	unsigned int kinds = 0; /* of parity and family, a bit each: mostly it is one job alone */

	for (unsigned int i = 0; i < n; i++)
		kinds |= 1u << ((jobs[i].parity & 1) | (unsigned int)jobs[i].is_v4 << 1);
	for (; kinds != 0; kinds &= kinds - 1) {
		unsigned int kind = (unsigned int)__builtin_ctz(kinds);

		cookie_lane_start(&lane, set, kind & 1, kind >> 1);
		for (unsigned int i = 0; i < n; i++)
			if (jobs[i].is_v4 == lane.is_v4 && (jobs[i].parity & 1) == lane.parity)
				cookie_lane_add(&lane, lane.is_v4, jobs[i].flow, jobs[i].irs,
				                jobs[i].profile, i);
		cookie_lane_run(&lane);
		for (unsigned int i = 0; i < lane.n; i++)
			iss[lane.number[i]] = cookie_lane_get(&lane, i,
			                                      jobs[lane.number[i]].profile & 31u);
	}
}

void
cookie_make(const struct secret_set *set, struct cookie_job *jobs, unsigned int n)
{
	uint32_t iss[COOKIE_ROW];

	for (; n > 0;) {
		unsigned int part = n < COOKIE_ROW ? n : COOKIE_ROW;

		make_part(set, jobs, part, iss);
		for (unsigned int i = 0; i < part; i++)
			jobs[i].iss = iss[i];
		jobs += part;
		n -= part;
	}
}

void
cookie_check(const struct secret_set *set, struct cookie_job *jobs, unsigned int n, uint8_t *proof)
{
	uint32_t iss[COOKIE_ROW];

	for (; n > 0;) {
		unsigned int part = n < COOKIE_ROW ? n : COOKIE_ROW;

		for (unsigned int i = 0; i < part; i++) {
			uint32_t low = cookie_low(jobs[i].iss);

			jobs[i].parity = low >> 5;
			jobs[i].profile = low & 31;
		}
		make_part(set, jobs, part, iss);
		for (unsigned int i = 0; i < part; i++)
			proof[i] = iss[i] == jobs[i].iss ? PROOF_EXACT : PROOF_NONE;
		jobs += part;
		proof += part;
		n -= part;
	}
}
