/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Cookies: profiles, timestamps, and the way from jobs to blocks and back.
 * The AES itself is in cookie_<variant>.c.
 */
#include <cpuid.h>
#include <emmintrin.h>
#include <string.h>

#include "cookie.h"
#include "cookie_batch.h"

/*
 * A profile is MSS row << 3 | SACK << 2 | scale column. Every table grows, so
 * that 0 is the least of all and rounding down is counting.
 */
#define MSS_ROWS 4u
#define SCALE_COLUMNS 4u
_Static_assert(MSS_ROWS * 2 * SCALE_COLUMNS == COOKIE_PROFILES, "32 profiles");

static const uint16_t mss_rows[2][MSS_ROWS] = {
	{ 1220, 1380, 1420, 1440 }, /* IPv6 */
	{ 536, 1300, 1440, 1460 },  /* IPv4 */
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

/* What the six low bits are XORed with: a fold of the whole MAC. */
static inline uint32_t
low_mask(uint32_t mac)
{
	uint32_t folded = mac ^ mac >> 13;

	return (folded ^ folded >> 6) & 63u;
}

static inline __m128i
load_mask(const struct epoch_keys *keys, const struct cookie_job *job)
{
	return _mm_load_si128((const __m128i *)keys->profile_mask[job->profile & 31]);
}

/* Lay out the IPv4 blocks (see cookie.h) and encrypt them. */
static void
row_v4(const struct epoch_keys *keys, const struct cookie_job *jobs, const uint8_t *order,
       unsigned int n, struct cookie_row *row)
{
	for (unsigned int i = 0; i < n; i++) {
		const struct cookie_job *job = &jobs[order[i]];
		const struct flow *flow = job->flow;
		__m128i client = _mm_cvtsi32_si128((int)flow->client.words_be[3]);
		__m128i irs = _mm_cvtsi32_si128((int)job->irs);
		/* Server address and both ports lie side by side. */
		__m128i server = _mm_loadl_epi64((const __m128i *)&flow->server.bytes[12]);
		__m128i block = _mm_unpacklo_epi64(_mm_unpacklo_epi32(client, irs), server);

		block = _mm_xor_si128(block, load_mask(keys, job));
		_mm_store_si128((__m128i *)row->blocks[i], block);
	}
	chosen->encrypt(&keys->v4, row, n);
}
_Static_assert(__builtin_offsetof(struct flow, client_port_be) == 32 &&
                       __builtin_offsetof(struct flow, server_port_be) == 34,
               "row_v4 and row_v6 read the ports after the server's address");

/* The same for IPv6: CBC-MAC of three blocks, one row pass each. */
static void
row_v6(const struct epoch_keys *keys, const struct cookie_job *jobs, const uint8_t *order,
       unsigned int n, struct cookie_row *row)
{
	__m128i *x = (__m128i *)row->blocks;

	for (unsigned int i = 0; i < n; i++)
		x[i] = _mm_loadu_si128((const __m128i *)jobs[order[i]].flow->client.bytes);
	chosen->encrypt(&keys->v6, row, n);

	for (unsigned int i = 0; i < n; i++) {
		const struct flow *flow = jobs[order[i]].flow;

		x[i] = _mm_xor_si128(x[i], _mm_loadu_si128((const __m128i *)flow->server.bytes));
	}
	chosen->encrypt(&keys->v6, row, n);

	for (unsigned int i = 0; i < n; i++) {
		const struct cookie_job *job = &jobs[order[i]];
		uint32_t ports;

		memcpy(&ports, &job->flow->client_port_be, sizeof(ports));
		__m128i last = _mm_unpacklo_epi32(_mm_cvtsi32_si128((int)ports),
		                                  _mm_cvtsi32_si128((int)job->irs));
		x[i] = _mm_xor_si128(x[i], _mm_xor_si128(last, load_mask(keys, job)));
	}
	chosen->encrypt(&keys->v6, row, n);
}

/* The MACs of the n jobs listed in `order`, all of one family and key. */
static void
mac_row(const struct epoch_keys *keys, const struct cookie_job *jobs, const uint8_t *order,
        unsigned int n, bool is_v4, uint32_t *words)
{
	struct cookie_row row;

	if (n == 0)
		return;
	if (is_v4)
		row_v4(keys, jobs, order, n, &row);
	else
		row_v6(keys, jobs, order, n, &row);
	for (unsigned int i = 0; i < n; i++)
		memcpy(&words[order[i]], row.blocks[i], sizeof(words[0]));
}

/*
 * The MAC of each of n (1..COOKIE_ROW) jobs, in the upper COOKIE_MAC_BITS bits
 * of words[i]; the rest of the word is more of the cipher's output. The jobs of
 * a family are listed from both ends of `order`, one for each key.
 */
static void
mac_words(const struct secret_set *set, const struct cookie_job *jobs, unsigned int n,
          uint32_t *words)
{
	uint8_t order[COOKIE_ROW + 1];
	unsigned int n_done = 0;

	for (unsigned int is_v4 = 2; n_done < n && is_v4-- > 0;) {
		unsigned int n_even = 0, odd = COOKIE_ROW;

		for (unsigned int i = 0; i < n; i++) {
			if (jobs[i].is_v4 != is_v4)
				continue;
			/* To both ends: which one stays is a matter of arithmetic. */
			unsigned int is_odd = jobs[i].parity & 1u;
			order[n_even] = (uint8_t)i;
			order[odd] = (uint8_t)i;
			n_even += is_odd ^ 1;
			odd -= is_odd;
		}
		mac_row(&set->parity[0], jobs, order, n_even, is_v4, words);
		mac_row(&set->parity[1], jobs, order + odd + 1, COOKIE_ROW - odd, is_v4, words);
		n_done += n_even + COOKIE_ROW - odd;
	}
}

void
cookie_make(const struct secret_set *set, struct cookie_job *jobs, unsigned int n)
{
	uint32_t words[COOKIE_ROW];

	for (; n > 0;) {
		unsigned int part = n < COOKIE_ROW ? n : COOKIE_ROW;

		mac_words(set, jobs, part, words);
		for (unsigned int i = 0; i < part; i++) {
			uint32_t mac = words[i] >> 6;
			uint32_t low = (jobs[i].parity & 1u) << 5 | (jobs[i].profile & 31u);

			jobs[i].iss = mac << 6 | (low ^ low_mask(mac));
		}
		jobs += part;
		n -= part;
	}
}

void
cookie_check(const struct secret_set *set, struct cookie_job *jobs, unsigned int n, uint8_t *proof)
{
	uint32_t words[COOKIE_ROW];

	for (; n > 0;) {
		unsigned int part = n < COOKIE_ROW ? n : COOKIE_ROW;

		for (unsigned int i = 0; i < part; i++) {
			uint32_t low = jobs[i].iss ^ low_mask(jobs[i].iss >> 6);

			jobs[i].parity = low >> 5 & 1;
			jobs[i].profile = low & 31;
		}
		mac_words(set, jobs, part, words);
		for (unsigned int i = 0; i < part; i++)
			proof[i] = (words[i] ^ jobs[i].iss) >> 6 == 0 ? PROOF_EXACT : PROOF_NONE;
		jobs += part;
		proof += part;
		n -= part;
	}
}
