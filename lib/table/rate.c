/* SPDX-License-Identifier: BSD-3-Clause */
/* Counting in fixed memory: sliding seconds, recent keys, token buckets. */
#include "rate.h"

#include <string.h>

#include "pow2.h"

size_t
rate_size(uint32_t cells)
{
	return (size_t)pow2_ceil(cells) * RATE_ROWS * sizeof(uint64_t);
}

void
rate_init(struct rate *rate, void *memory, uint32_t cells)
{
	uint32_t n = pow2_ceil(cells);

	memset(memory, 0, rate_size(cells));
	/* The lowest bits of each half of the hash go unused. */
	*rate = (struct rate){ .cells = memory,
		               .mask = (n - 1) * (RATE_CELL_STEP << 32 | RATE_CELL_STEP) };
}

uint32_t
rate_turn(struct rate *rate, uint32_t now_ms)
{
	uint32_t into_ms = now_ms - rate->started_ms;

	rate->second += into_ms / 1000;
	into_ms %= 1000;
	rate->started_ms = now_ms - into_ms;
	return into_ms;
}

__attribute__((noinline)) bool
rate_burst_hit_any(const struct rate_burst *burst, const uint64_t *hash)
{
	return rate_hit_in(burst->rate, *hash, burst->into_ms, burst->most) <= burst->most;
}

#define LINE_QUADS RECENT_LINE_QUADS
#define LINE_BITS (LINE_QUADS * 64)
_Static_assert(LINE_BITS == 1u << 9, "nine bits of a hash for each that is set");

static uint32_t
recent_lines(uint32_t bits)
{
	return pow2_ceil(bits <= LINE_BITS ? 1 : (bits - 1) / LINE_BITS + 1);
}

size_t
recent_size(uint32_t bits)
{
	return (size_t)recent_lines(bits) * RECENT_FILTERS * (LINE_BITS / 8);
}

void
recent_init(struct recent *recent, void *memory, uint32_t bits, uint32_t period_ms)
{
	uint32_t lines = recent_lines(bits);

	memset(memory, 0, recent_size(bits));
	*recent = (struct recent){
		.mask = lines - 1,
		.cleared = lines,
		.period_ms = period_ms,
	};
	for (unsigned int i = 0; i < RECENT_FILTERS; i++)
		recent->bits[i] = (uint64_t *)memory + (size_t)i * lines * LINE_QUADS;
}

/* Clear up to n lines more of the filter that comes next. */
static void
recent_clear(struct recent *recent, uint32_t n)
{
	uint64_t *coming = recent->bits[(recent->turn + 1) % RECENT_FILTERS];
	uint32_t left = recent->mask + 1 - recent->cleared;

	if (left == 0)
		return;
	if (n > left)
		n = left;
	memset(coming + (size_t)recent->cleared * LINE_QUADS, 0, n * (LINE_BITS / 8));
	recent->cleared += n;
}

void
recent_turn(struct recent *recent, uint32_t now_ms)
{
	uint32_t periods;

	if (!recent->started) {
		recent->started = true;
		recent->turned_ms = now_ms;
	}
	if (now_ms - recent->turned_ms < recent->period_ms)
		return;
	periods = recent->period_ms == 0 ? 2 : (now_ms - recent->turned_ms) / recent->period_ms;
	recent->turned_ms += periods * recent->period_ms;
	for (unsigned int i = 0; i < 2 && i < periods; i++) {
		recent_clear(recent, recent->mask + 1);
		recent->turn = (recent->turn + 1) % RECENT_FILTERS;
		recent->cleared = 0;
		recent->still_ms = 0;
	}
}

void
recent_advance(struct recent *recent, uint32_t now_ms)
{
	recent_turn(recent, now_ms);
	recent_clear(recent, 2);
	recent->still_ms = recent->cleared > recent->mask ? recent->period_ms : 0;
}

static bool
line_has(const uint64_t *line, uint64_t hash)
{
	for (unsigned int i = 0; i < RECENT_KEY_BITS; i++)
		if ((line[recent_quad(hash, i)] >> recent_bit(hash, i) % 64 & 1) == 0)
			return false;
	return true;
}

bool
recent_has(const struct recent *recent, uint64_t hash)
{
	size_t at = (size_t)((uint32_t)hash & recent->mask) * LINE_QUADS;
	unsigned int last = (recent->turn + RECENT_FILTERS - 1) % RECENT_FILTERS;

	return line_has(recent->bits[recent->turn] + at, hash) ||
	       line_has(recent->bits[last] + at, hash);
}

static inline bool
take(struct bucket *bucket, uint32_t per_s, uint32_t now_ms, uint64_t reserve)
{
	uint64_t burst = bucket_burst(per_s);
	/* per_s tokens a second are as many thousandths a millisecond. */
	uint64_t tokens = bucket->tokens + (uint64_t)(now_ms - bucket->refilled_ms) * per_s;

	if (per_s == 0)
		return true;
	burst *= 1000;
	if (burst > UINT32_MAX)
		burst = UINT32_MAX;
	if (tokens > burst)
		tokens = burst;
	bucket->refilled_ms = now_ms;
	bucket->tokens = (uint32_t)tokens;
	if (tokens < 1000 * (reserve + 1))
		return false;
	bucket->tokens -= 1000;
	return true;
}

bool
bucket_take(struct bucket *bucket, uint32_t per_s, uint32_t now_ms)
{
	return take(bucket, per_s, now_ms, 0);
}

bool
bucket_take_above(struct bucket *bucket, uint32_t per_s, uint32_t now_ms, uint32_t reserve)
{
	return take(bucket, per_s, now_ms, reserve);
}
