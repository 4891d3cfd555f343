/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How often: fixed memory, any number of keys.
 *
 * rate: a count-min sketch over a sliding second. It can count too high when
 * keys collide in every row, never too low.
 * recent: which keys were seen in the last while (Bloom filters that take
 * turns): remembered for between one and two periods; false positives only.
 * bucket: a token bucket for one rate.
 *
 * Times are monotonic milliseconds modulo 2^32.
 */
#ifndef SYNFRONT_RATE_H
#define SYNFRONT_RATE_H

#include <smmintrin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RATE_ROWS 2u
#define RATE_CELL_STEP ((uint64_t)RATE_ROWS * sizeof(uint64_t)) /* from cell to cell of a row */

/*
 * A cell knows which second it counts, so none is ever cleared: one of an
 * earlier second is read as what it means now. `second` comes round after 12
 * days; a cell untouched for exactly as long counts too high once. Counts stop
 * at their largest value, 4194303. A cell is read and written as one word:
 *
 *    63           42 41            20 19           0
 *   +---------------+----------------+--------------+
 *   |      now      |     before     |    second    |
 *   +---------------+----------------+--------------+
 *
 * now: events in that second; before: in the one before it.
 */
struct rate {
	uint64_t *cells;     /* of the rows in turn: cells[RATE_ROWS * i + row] */
	uint64_t mask;       /* in either half: cells in a row - 1, in bytes of all rows */
	uint32_t second;     /* the running one, counted from 0 at the first hit */
	uint32_t started_ms; /* when it began */
};

/* `cells` in each row, rounded up to a power of two, at most 2^27. */
size_t rate_size(uint32_t cells);
/* `memory`: rate_size(cells) bytes, 64-byte aligned; zeroed here. */
void rate_init(struct rate *rate, void *memory, uint32_t cells);
/* The running second has ended: begin the next, and return how far we are into it. */
uint32_t rate_turn(struct rate *rate, uint32_t now_ms);

#define RATE_SECOND_BITS 20u
#define RATE_COUNT_BITS 22u
#define RATE_SECONDS ((1u << RATE_SECOND_BITS) - 1)
#define RATE_COUNT_MAX ((1u << RATE_COUNT_BITS) - 1)
_Static_assert(RATE_SECOND_BITS + 2 * RATE_COUNT_BITS == 64, "a cell is one word");

static inline uint64_t *
rate_cell(const struct rate *rate, unsigned int row, uint64_t hash)
{
	uint8_t *at = (uint8_t *)rate->cells + (uint32_t)((hash & rate->mask) >> 32 * row);

	return (uint64_t *)(void *)at + row;
}

#define RATE_NOW_SHIFT (RATE_SECOND_BITS + RATE_COUNT_BITS)

static inline uint32_t
rate_cell_now(uint64_t cell)
{
	return (uint32_t)(cell >> RATE_NOW_SHIFT);
}

static inline uint32_t
rate_cell_before(uint64_t cell)
{
	return (uint32_t)(cell >> RATE_SECOND_BITS) & RATE_COUNT_MAX;
}

/* The cell as one of the running second. */
static inline uint64_t
rate_cell_turned(uint64_t cell, uint32_t second)
{
	uint32_t age = (second - (uint32_t)cell) & RATE_SECONDS;

	if (age == 0)
		return cell;
	uint64_t before = age == 1 ? rate_cell_now(cell) : 0;
	return before << RATE_SECOND_BITS | (second & RATE_SECONDS);
}

/* Where the cells of a hash lie: that of the first row in the lower half, that of the second
 * one in the upper. */
static inline uint64_t
rate_at(const struct rate *rate, uint64_t hash)
{
	return hash & rate->mask;
}

/* Bring the cells to be read by rate_hit() closer. Returns where they lie. */
static inline uint64_t
rate_prefetch(const struct rate *rate, uint64_t hash)
{
	for (unsigned int row = 0; row < RATE_ROWS; row++)
		__builtin_prefetch(rate_cell(rate, row, hash), 1, 3);
	return rate_at(rate, hash);
}

/* How far into the running second we are; a new one has begun if need be. */
static inline uint32_t
rate_into_ms(struct rate *rate, uint32_t now_ms)
{
	uint32_t into_ms = now_ms - rate->started_ms;

	return __builtin_expect(into_ms >= 1000, 0) ? rate_turn(rate, now_ms) : into_ms;
}

/* rate_cell_turned() of the cells of both rows, by their age in seconds; `running` is the second,
 * twice. */
static inline __m128i
rate_cells_aged(__m128i cells, __m128i running, __m128i age)
{
	__m128i before = _mm_slli_epi64(_mm_srli_epi64(cells, RATE_NOW_SHIFT), RATE_SECOND_BITS);
	__m128i turned = _mm_and_si128(before, _mm_cmpeq_epi64(age, _mm_set1_epi64x(1)));

	return _mm_blendv_epi8(_mm_or_si128(turned, running), cells,
	                       _mm_cmpeq_epi64(age, _mm_setzero_si128()));
}

/* The same for who does not know their age. */
static inline __m128i
rate_cells_turned(__m128i cells, uint32_t second)
{
	const __m128i bits = _mm_set1_epi64x(RATE_SECONDS);
	__m128i running = _mm_set1_epi64x(second & RATE_SECONDS);

	return rate_cells_aged(cells, running, _mm_and_si128(_mm_sub_epi64(running, cells), bits));
}

/* The lesser of two words' lower halves, in the lower one. */
static inline uint32_t
rate_least(__m128i words)
{
	return (uint32_t)_mm_cvtsi128_si32(
		_mm_min_epu32(words, _mm_shuffle_epi32(words, _MM_SHUFFLE(1, 0, 3, 2))));
}

/* The lesser count of the second before of both cells. */
static inline uint32_t
rate_least_before(__m128i cells)
{
	return rate_least(_mm_srli_epi64(_mm_slli_epi64(cells, RATE_COUNT_BITS), RATE_NOW_SHIFT));
}

/* What is left of the second before, in events: rounded up. */
static inline uint32_t
rate_fading(uint32_t before, uint32_t into_ms)
{
	return (uint32_t)(((uint64_t)before * (1000 - into_ms) + 999) / 1000);
}

/* rate_hit_up_to() for who knows that, from rate_into_ms(), for many of one moment. The cells
 * of both rows lie in one vector. */
static inline uint32_t
rate_hit_in(const struct rate *rate, uint64_t hash, uint32_t into_ms, uint32_t most)
{
	uint64_t *at_a = rate_cell(rate, 0, hash), *at_b = rate_cell(rate, 1, hash);
	__m128i cells = _mm_unpacklo_epi64(_mm_loadl_epi64((const __m128i *)(void *)at_a),
	                                   _mm_loadl_epi64((const __m128i *)(void *)at_b));
	__m128i second = _mm_set1_epi64x(rate->second);

	if (__builtin_expect(
		    !_mm_testz_si128(_mm_xor_si128(cells, second), _mm_set1_epi64x(RATE_SECONDS)),
		    0))
		cells = rate_cells_turned(cells, rate->second);
	__m128i now = _mm_srli_epi64(cells, RATE_NOW_SHIFT);
	uint32_t before = rate_least_before(cells);
	uint32_t least = rate_least(now) + 1;
	uint32_t grown = least - (least >> RATE_COUNT_BITS); /* stops at the most */
	uint32_t seen = grown;

	if (before != 0)
		seen += rate_fading(before, into_ms);
	if (__builtin_expect(seen > most, 0))
		return seen;
	/* A cell above the least belongs to other keys as well: it need not grow. One at the
	 * most does not. Without branches, for none could foretell. */
	__m128i grows = _mm_cmpgt_epi32(_mm_set1_epi64x(grown), now);
	cells = _mm_add_epi64(cells, _mm_slli_epi64(_mm_srli_epi32(grows, 31), RATE_NOW_SHIFT));
	_mm_storel_epi64((__m128i *)(void *)at_a, cells);
	_mm_storeh_pd((double *)(void *)at_b, _mm_castsi128_pd(cells));
	return seen;
}

/* Counting for many of one moment: what is the same for all. */
struct rate_burst {
	struct rate *rate;
	uint8_t *cells;
	__m128i second; /* the running one, twice */
	uint32_t into_ms;
	uint32_t most;
	uint32_t limit; /* `most`, but no more than a cell can count to */
};

/* `most` is 1 or more. */
static inline struct rate_burst
rate_burst_start(struct rate *rate, uint32_t now_ms, uint32_t most)
{
	uint32_t into_ms = rate_into_ms(rate, now_ms);

	return (struct rate_burst){
		.rate = rate,
		.cells = (uint8_t *)rate->cells,
		.second = _mm_set1_epi64x(rate->second & RATE_SECONDS),
		.into_ms = into_ms,
		.most = most,
		.limit = most < RATE_COUNT_MAX ? most : RATE_COUNT_MAX,
	};
}

/* rate_hit_in() in a burst: is it no more than `most`? */
bool rate_burst_hit_any(const struct rate_burst *burst, const uint64_t *hash);

/*
 * The same, by where the cells lie (rate_at()). Those that have rested for a second at least are
 * told apart, since no more is to be known of them; what may be above the limit is looked at
 * again.
 */
static inline bool
rate_burst_hit(const struct rate_burst *burst, const uint64_t *hash, uint64_t at)
{
	const __m128i one = _mm_set1_epi64x(1ll << RATE_NOW_SHIFT);
	const __m128i bits = _mm_set1_epi64x(RATE_SECONDS);
	const __m128i before = _mm_set1_epi64x((long long)RATE_COUNT_MAX << RATE_SECOND_BITS);
	uint64_t *at_a = (uint64_t *)(void *)(burst->cells + (uint32_t)at);
	uint64_t *at_b = (uint64_t *)(void *)(burst->cells + (at >> 32)) + 1;
	__m128i cells = _mm_castpd_si128(
		_mm_loadh_pd(_mm_castsi128_pd(_mm_loadl_epi64((const __m128i *)(void *)at_a)),
	                     (const double *)(void *)at_b));

	if (!_mm_testz_si128(_mm_xor_si128(cells, burst->second), bits)) {
		__m128i age = _mm_and_si128(_mm_sub_epi64(burst->second, cells), bits);
		__m128i rested = _mm_cmpgt_epi32(age, _mm_set1_epi64x(1));

		if (_mm_movemask_epi8(rested) == 0x0f0f) {
			cells = _mm_or_si128(burst->second, one);
			goto store;
		}
		cells = rate_cells_aged(cells, burst->second, age);
	}
	__m128i now = _mm_srli_epi64(cells, RATE_NOW_SHIFT);
	__m128i least = _mm_min_epu32(now, _mm_shuffle_epi32(now, _MM_SHUFFLE(1, 0, 3, 2)));
	uint32_t seen = (uint32_t)_mm_cvtsi128_si32(least) + 1;

	/* As if nothing of the second before had faded: that may be too much. */
	if (!_mm_testz_si128(cells, before))
		seen += rate_least_before(cells);
	if (__builtin_expect(seen > burst->limit, 0))
		return rate_burst_hit_any(burst, hash);
	/* A cell above the least belongs to other keys as well. */
	cells = _mm_add_epi64(cells, _mm_and_si128(_mm_cmpeq_epi64(now, least), one));
store:
	_mm_storel_epi64((__m128i *)(void *)at_a, cells);
	_mm_storeh_pd((double *)(void *)at_b, _mm_castsi128_pd(cells));
	return true;
}

/* Count one event of `hash`, unless that were more than `most` in a second; returns
 * events in the last second, this one included: those of the running second, and of the
 * one before as far as it still counts (as if it had been even, rounded up). */
static inline uint32_t
rate_hit_up_to(struct rate *rate, uint64_t hash, uint32_t now_ms, uint32_t most)
{
	return rate_hit_in(rate, hash, rate_into_ms(rate, now_ms), most);
}

static inline uint32_t
rate_hit(struct rate *rate, uint64_t hash, uint32_t now_ms)
{
	return rate_hit_up_to(rate, hash, now_ms, UINT32_MAX);
}

/* Events of `hash` in the last second, by the same reckoning, and nothing is counted. */
static inline uint32_t
rate_seen(const struct rate *rate, uint64_t hash, uint32_t now_ms)
{
	uint32_t into_ms = now_ms - rate->started_ms, second = rate->second + into_ms / 1000;
	uint64_t a = rate_cell_turned(*rate_cell(rate, 0, hash), second);
	uint64_t b = rate_cell_turned(*rate_cell(rate, 1, hash), second);
	uint32_t now_a = rate_cell_now(a), now_b = rate_cell_now(b);
	uint32_t before_a = rate_cell_before(a), before_b = rate_cell_before(b);
	uint32_t before = before_a < before_b ? before_a : before_b;

	return (now_a < now_b ? now_a : now_b) + rate_fading(before, into_ms % 1000);
}

#define RECENT_FILTERS 3u /* filled; of the period before; being cleared for the next */

struct recent {
	uint64_t *bits[RECENT_FILTERS];
	uint32_t mask;    /* lines of 512 bits in a filter - 1 */
	uint32_t cleared; /* lines of the coming filter that are clear */
	uint32_t period_ms;
	uint32_t turned_ms;
	/* For so long after turned_ms a key is added and no more is to be done: the period, once the
	 * coming filter is clear. */
	uint32_t still_ms;
	unsigned int turn; /* filter being filled */
	bool started;      /* turned_ms holds */
};

#define RECENT_LINE_QUADS 8u
#define RECENT_KEY_BITS 3u /* set in one line for each key */

/* Which bit of a line: one of 512. */
static inline uint32_t
recent_bit(uint64_t hash, unsigned int i)
{
	return (uint32_t)(hash >> (32 + 9 * i));
}

static inline uint32_t
recent_quad(uint64_t hash, unsigned int i)
{
	return (uint32_t)(hash >> (32 + 9 * i + 6)) % RECENT_LINE_QUADS;
}

/* `bits` in each of the filters, rounded up to a power of two, at least 512. A key sets 3: with
 * ten bits for each key of a period, 2 % of strangers pass for seen. */
size_t recent_size(uint32_t bits);
/* `memory`: recent_size(bits) bytes, 64-byte aligned; zeroed here. */
void recent_init(struct recent *recent, void *memory, uint32_t bits, uint32_t period_ms);
/* Forget what is due, and clear some of the coming filter. */
void recent_advance(struct recent *recent, uint32_t now_ms);
static inline void
recent_add(struct recent *recent, uint64_t hash, uint32_t now_ms)
{
	if (__builtin_expect(now_ms - recent->turned_ms >= recent->still_ms, 0))
		recent_advance(recent, now_ms);
	uint64_t *line = recent->bits[recent->turn] +
	                 (size_t)((uint32_t)hash & recent->mask) * RECENT_LINE_QUADS;
	for (unsigned int i = 0; i < RECENT_KEY_BITS; i++)
		line[recent_quad(hash, i)] |= 1ull << recent_bit(hash, i) % 64;
}
bool recent_has(const struct recent *recent, uint64_t hash);
/* Forget what is due. recent_add() does it too; call it from time to time where
 * nothing may be added for long. */
void recent_turn(struct recent *recent, uint32_t now_ms);

/* Zeroed: empty at time 0. */
struct bucket {
	uint32_t tokens; /* in thousandths */
	uint32_t refilled_ms;
};

/* The most that a bucket of `per_s` holds: a tenth of a second's worth, at least 8. */
static inline uint32_t
bucket_burst(uint32_t per_s)
{
	return per_s / 10 < 8 ? 8 : per_s / 10;
}

/* Take one token of `per_s`; per_s 0: always. */
bool bucket_take(struct bucket *bucket, uint32_t per_s, uint32_t now_ms);
/* The same if `reserve` tokens are left then, for others. */
bool bucket_take_above(struct bucket *bucket, uint32_t per_s, uint32_t now_ms, uint32_t reserve);

#endif
