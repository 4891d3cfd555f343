/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Cookies: profiles, timestamps, and those that are made or checked one by one.
 * The AES itself is in cookie_<variant>.c.
 */
#include <cpuid.h>
#include <string.h>

#include "cookie_lane.h"

/*
 * A profile is MSS row << 3 | SACK << 2 | scale column. Every table grows, so
 * that 0 is the least of all and rounding down is counting.
 */
#define MSS_ROWS 4u
#define SCALE_COLUMNS 4u
_Static_assert(MSS_ROWS * 2 * SCALE_COLUMNS == COOKIE_PROFILES, "32 profiles");

static const uint16_t mss_rows[2][MSS_ROWS] = {
	{ MSS_DEFAULT_V6, 1380, 1420, 1440 }, /* IPv6 */
	{ MSS_DEFAULT_V4, 1300, 1440, 1460 }, /* IPv4 */
};
static const uint8_t scale_columns[SCALE_COLUMNS] = { WSCALE_NONE, 0, 6, 8 };

unsigned int
cookie_profile_of(const struct tcp_offer *offer, bool is_v4)
{
	const uint16_t *rows = mss_rows[is_v4];
	unsigned int row = 0, column = 0;

	for (unsigned int i = 1; i < MSS_ROWS; i++)
		row += offer->mss >= rows[i];
	for (unsigned int i = 1; i < SCALE_COLUMNS && offer->wscale != WSCALE_NONE; i++)
		column += offer->wscale >= scale_columns[i];
	return row << 3 | (unsigned int)offer->sack << 2 | column;
}

struct tcp_offer
cookie_profile_offer(unsigned int profile, bool is_v4)
{
	struct tcp_offer offer = {
		.mss = mss_rows[is_v4][profile >> 3 & 3],
		.wscale = scale_columns[profile & 3],
		.sack = profile >> 2 & 1,
	};
	return offer;
}

/* Fields of TSval, as drawn in cookie.h. */
#define TS_SACK_SHIFT 4u
#define TS_PROMISED_SHIFT 5u
#define TS_MSS_SHIFT 9u
#define TS_MSS_MAX 31u

uint32_t
cookie_ts_make(const struct tcp_offer *client, unsigned int profile, bool is_v4,
               unsigned int promised_wscale, uint64_t wall_ms)
{
	uint32_t floor = mss_rows[is_v4][profile >> 3 & 3];
	uint32_t above = client->mss > floor ? client->mss - floor : 0;
	uint32_t clock = (uint32_t)(wall_ms >> COOKIE_TS_SHIFT) << COOKIE_TS_SHIFT;

	if (above > TS_MSS_MAX)
		above = TS_MSS_MAX;
	return clock | above << TS_MSS_SHIFT | (promised_wscale & 15u) << TS_PROMISED_SHIFT |
	       (uint32_t)client->sack << TS_SACK_SHIFT | (client->wscale & 15u);
}

void
cookie_ts_read(uint32_t tsecr, unsigned int profile, bool is_v4, struct tcp_offer *client,
               unsigned int *promised_wscale)
{
	client->mss = (uint16_t)(mss_rows[is_v4][profile >> 3 & 3] +
	                         (tsecr >> TS_MSS_SHIFT & TS_MSS_MAX));
	client->wscale = tsecr & 15u;
	client->sack = tsecr >> TS_SACK_SHIFT & 1u;
	client->timestamps = true;
	*promised_wscale = tsecr >> TS_PROMISED_SHIFT & 15u;
}

/* The first variant is the default until cookie_select(); the order is that of
 * preference, last first. */
static const struct variant {
	const char *name;
	cookie_encrypt_fn *encrypt;
} variants[] = {
	{ "aesni", cookie_encrypt_aesni },
	{ "vaes256", cookie_encrypt_vaes256 },
	{ "vaes512", cookie_encrypt_vaes512 },
};
#define N_VARIANTS (sizeof(variants) / sizeof(variants[0]))

/* Written by cookie_select() before there are workers, read-only afterwards. */
static const struct variant *chosen = &variants[0];

/* CPUID leaf 7, ECX bit 9. Whether the system keeps wide registers is part of
 * what __builtin_cpu_supports() says about AVX2 and AVX-512F. */
static bool
cpu_has_vaes(void)
{
	unsigned int a, b, c, d;

	return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (c & 1u << 9);
}

static bool
variant_supported(const struct variant *variant)
{
	__builtin_cpu_init();
	if (!__builtin_cpu_supports("aes") || !__builtin_cpu_supports("sse4.1"))
		return false;
	if (variant->encrypt == cookie_encrypt_aesni)
		return true;
	if (!cpu_has_vaes() || !__builtin_cpu_supports("avx2"))
		return false;
	return variant->encrypt == cookie_encrypt_vaes256 || __builtin_cpu_supports("avx512f");
}

const char *
cookie_select(const char *name)
{
	for (unsigned int i = N_VARIANTS; i-- > 0;) {
		if (strcmp(name, "auto") != 0 && strcmp(name, variants[i].name) != 0)
			continue;
		if (!variant_supported(&variants[i]))
			continue;
		chosen = &variants[i];
		return chosen->name;
	}
	return NULL;
}

/* IPv6: CBC-MAC of three blocks, one pass over the rows each. */
static __attribute__((noinline)) void
run_v6(struct cookie_lane *lane)
{
	__m128i *x = (__m128i *)lane->row[0].blocks;

	chosen->encrypt(&lane->keys->v6, &lane->row[0], lane->n);
	for (unsigned int block = 1; block < 3; block++) {
		const __m128i *next = (const __m128i *)lane->row[block].blocks;

		for (unsigned int i = 0; i < lane->n; i++)
			x[i] = _mm_xor_si128(x[i], next[i]);
		chosen->encrypt(&lane->keys->v6, &lane->row[0], lane->n);
	}
}

void
cookie_lane_run(struct cookie_lane *lane)
{
	if (lane->n == 0)
		return;
	if (lane->is_v4)
		chosen->encrypt(&lane->keys->v4, &lane->row[0], lane->n);
	else
		run_v6(lane);
}

/* The cookies of up to COOKIE_ROW jobs, each made with its profile and parity. */
static void
make_part(const struct secret_set *set, const struct cookie_job *jobs, unsigned int n,
          uint32_t *iss)
{
	struct cookie_lane lane;

	for (unsigned int kind = 0; kind < 4; kind++) {
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
