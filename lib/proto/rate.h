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

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RATE_ROWS 2u

/*
 * A cell knows which second it counts, so none is ever cleared: one of an
 * earlier second is read as what it means now. `second` comes round after 12
 * days; a cell untouched for exactly as long counts too high once. Counts stop
 * at their largest value, 4194303. A cell is read and written as one word:
 *
 *    63            42 41           20 19           0
 *   +----------------+---------------+--------------+
 *   |     before     |      now      |    second    |
 *   +----------------+---------------+--------------+
 *
 * now: events in that second; before: in the one before it.
 */
struct rate {
	uint64_t *cells[RATE_ROWS];
	uint32_t mask;       /* cells in a row - 1 */
	uint32_t second;     /* the running one, counted from 0 at the first hit */
	uint32_t started_ms; /* when it began */
};

/* `cells` in each row, rounded up to a power of two, at most 2^31. */
size_t rate_size(uint32_t cells);
/* `memory`: rate_size(cells) bytes, 64-byte aligned; zeroed here. */
void rate_init(struct rate *rate, void *memory, uint32_t cells);
/* Bring the cells to be read by rate_hit() closer. */
void rate_prefetch(const struct rate *rate, uint64_t hash);
/* Count one event of `hash`; returns events in the last second, this one included:
 * those of the running second, and of the one before as far as it still counts
 * (as if it had been even, rounded up). */
uint32_t rate_hit(struct rate *rate, uint64_t hash, uint32_t now_ms);

#define RECENT_FILTERS 3u /* filled; of the period before; being cleared for the next */

struct recent {
	uint64_t *bits[RECENT_FILTERS];
	uint32_t mask;       /* lines of 512 bits in a filter - 1 */
	uint32_t cleared;    /* lines of the coming filter that are clear */
	uint32_t period_ms;
	uint32_t turned_ms;
	unsigned int turn;   /* filter being filled */
	bool started;        /* turned_ms holds */
};

/* `bits` in each of the filters, rounded up to a power of two, at least 512. A key sets 3: with
 * ten bits for each key of a period, 2 % of strangers pass for seen. */
size_t recent_size(uint32_t bits);
/* `memory`: recent_size(bits) bytes, 64-byte aligned; zeroed here. */
void recent_init(struct recent *recent, void *memory, uint32_t bits, uint32_t period_ms);
void recent_add(struct recent *recent, uint64_t hash, uint32_t now_ms);
bool recent_has(const struct recent *recent, uint64_t hash);
/* Forget what is due. recent_add() does it too; call it from time to time where
 * nothing may be added for long. */
void recent_turn(struct recent *recent, uint32_t now_ms);

/* Zeroed: empty at time 0. */
struct bucket {
	uint32_t tokens;      /* in thousandths */
	uint32_t refilled_ms;
};

/* Take one token of `per_s` (burst of a tenth of a second's worth, at least 8);
 * per_s 0: always. */
bool bucket_take(struct bucket *bucket, uint32_t per_s, uint32_t now_ms);

#endif
