/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How often: fixed memory, any number of keys.
 *
 * rate: a count-min sketch over a sliding second. It can count too high when
 * keys collide in every row, never too low.
 * recent: which keys were seen in the last while (two Bloom filters that take
 * turns): remembered for between one and two periods; false positives only.
 * bucket: a token bucket for one rate.
 */
#ifndef SYNFRONT_RATE_H
#define SYNFRONT_RATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RATE_ROWS 2u

struct rate {
	uint32_t *cells[RATE_ROWS][2]; /* [row][this second, the one before] */
	uint32_t mask;
	uint32_t second;               /* the one being counted, now_ms / 1000 */
	uint32_t cursor;               /* how far the coming second's cells are cleared */
	unsigned int turn;
};

size_t rate_size(uint32_t cells);
void rate_init(struct rate *rate, void *memory, uint32_t cells);
/* Bring the cells to be read by rate_hit() closer. */
void rate_prefetch(const struct rate *rate, uint64_t hash);
/* Count one event of `hash`; returns events in the last second, this one included:
 * those of the running second, and of the one before as far as it still counts. */
uint32_t rate_hit(struct rate *rate, uint64_t hash, uint32_t now_ms);

struct recent {
	uint64_t *bits[2];
	uint32_t mask;
	uint32_t period_ms;
	uint32_t turned_ms;
	unsigned int turn;
};

size_t recent_size(uint32_t bits);
void recent_init(struct recent *recent, void *memory, uint32_t bits, uint32_t period_ms);
void recent_add(struct recent *recent, uint64_t hash, uint32_t now_ms);
bool recent_has(const struct recent *recent, uint64_t hash);

struct bucket {
	uint32_t tokens;
	uint32_t refilled_ms;
};

/* Take one token of `per_s` (burst of a tenth of a second's worth, at least 8);
 * per_s 0: always. */
bool bucket_take(struct bucket *bucket, uint32_t per_s, uint32_t now_ms);

#endif
