/* SPDX-License-Identifier: BSD-3-Clause */
/* Counting in fixed memory: sliding seconds, recent keys, token buckets. */
#include "rate.h"

#include <string.h>

#include "pow2.h"

#define CELL_SECOND_BITS 20u
#define CELL_COUNT_BITS 22u
#define CELL_SECONDS ((1u << CELL_SECOND_BITS) - 1)
#define CELL_COUNT_MAX ((1u << CELL_COUNT_BITS) - 1)
_Static_assert(CELL_SECOND_BITS + 2 * CELL_COUNT_BITS == 64, "a cell is one word");

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
	*rate = (struct rate){ .mask = n - 1 };
	for (unsigned int i = 0; i < RATE_ROWS; i++)
		rate->cells[i] = (uint64_t *)memory + (size_t)i * n;
}

static inline uint64_t *
rate_cell(const struct rate *rate, unsigned int row, uint64_t hash)
{
	return &rate->cells[row][(uint32_t)(hash >> (32 * row)) & rate->mask];
}

void
rate_prefetch(const struct rate *rate, uint64_t hash)
{
	for (unsigned int row = 0; row < RATE_ROWS; row++)
		__builtin_prefetch(rate_cell(rate, row, hash), 1, 3);
}

static inline uint32_t
cell_now(uint64_t cell)
{
	return (uint32_t)(cell >> CELL_SECOND_BITS) & CELL_COUNT_MAX;
}

static inline uint32_t
cell_before(uint64_t cell)
{
	return (uint32_t)(cell >> (CELL_SECOND_BITS + CELL_COUNT_BITS));
}

/* The cell as one of the running second. */
static inline uint64_t
cell_turned(uint64_t cell, uint32_t second)
{
	uint32_t age = (second - (uint32_t)cell) & CELL_SECONDS;

	if (__builtin_expect(age == 0, 1))
		return cell;
	uint64_t before = age == 1 ? cell_now(cell) : 0;
	return before << (CELL_SECOND_BITS + CELL_COUNT_BITS) | (second & CELL_SECONDS);
}

/* The running second has ended: how far into the next one are we? */
static uint32_t
rate_turn(struct rate *rate, uint32_t now_ms)
{
	uint32_t into_ms = now_ms - rate->started_ms;

	rate->second += into_ms / 1000;
	into_ms %= 1000;
	rate->started_ms = now_ms - into_ms;
	return into_ms;
}

uint32_t
rate_hit(struct rate *rate, uint64_t hash, uint32_t now_ms)
{
	uint32_t into_ms = now_ms - rate->started_ms;

	if (__builtin_expect(into_ms >= 1000, 0))
		into_ms = rate_turn(rate, now_ms);
	uint64_t *cells[RATE_ROWS] = { rate_cell(rate, 0, hash), rate_cell(rate, 1, hash) };
	uint64_t a = cell_turned(*cells[0], rate->second), b = cell_turned(*cells[1], rate->second);
	uint32_t now_a = cell_now(a), now_b = cell_now(b);
	uint32_t now = now_a < now_b ? now_a : now_b;
	uint32_t before = cell_before(a) < cell_before(b) ? cell_before(a) : cell_before(b);

	if (now < CELL_COUNT_MAX)
		now++;
	/* A cell above the least belongs to other keys as well: it need not grow. */
	*cells[0] = now_a < now ? a + (1ull << CELL_SECOND_BITS) : a;
	*cells[1] = now_b < now ? b + (1ull << CELL_SECOND_BITS) : b;
	if (__builtin_expect(before == 0, 1))
		return now;
	return now + (uint32_t)(((uint64_t)before * (1000 - into_ms) + 999) / 1000);
}

#define LINE_BITS 512u
#define LINE_QUADS (LINE_BITS / 64)
#define KEY_BITS 3u /* set in one line for each key */

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
	}
}

void
recent_add(struct recent *recent, uint64_t hash, uint32_t now_ms)
{
	uint64_t *line;

	recent_turn(recent, now_ms);
	recent_clear(recent, 2);
	line = recent->bits[recent->turn] + (size_t)((uint32_t)hash & recent->mask) * LINE_QUADS;
	for (unsigned int i = 0; i < KEY_BITS; i++) {
		uint32_t bit = (uint32_t)(hash >> (32 + 9 * i)) % LINE_BITS;
		line[bit / 64] |= 1ull << (bit % 64);
	}
}

static bool
line_has(const uint64_t *line, uint64_t hash)
{
	for (unsigned int i = 0; i < KEY_BITS; i++) {
		uint32_t bit = (uint32_t)(hash >> (32 + 9 * i)) % LINE_BITS;
		if ((line[bit / 64] >> (bit % 64) & 1) == 0)
			return false;
	}
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

bool
bucket_take(struct bucket *bucket, uint32_t per_s, uint32_t now_ms)
{
	uint64_t burst = per_s / 10 < 8 ? 8 : per_s / 10;
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
	if (tokens < 1000)
		return false;
	bucket->tokens -= 1000;
	return true;
}
