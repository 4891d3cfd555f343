/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Paths: the MAC pair and tag stack by which a flow's frames travel, for the
 * packets that a timer sends with no frame at hand. Bounded, counted by
 * reference, one table per worker. Number 0 is "no path": what has it gets no
 * timer packets.
 */
#ifndef SYNFRONT_PATH_H
#define SYNFRONT_PATH_H

#include <stddef.h>

#include "emit.h"

#define PATHS_MAX 16384u /* fits conn.path */

struct path {
	uint8_t outside_mac[6]; /* the neighbour on the outside port */
	uint8_t inside_mac[6];  /* the neighbour on the inside port */
	uint32_t tags;
	uint32_t n_refs;
	uint32_t next; /* in its hash chain or the free list; 0 ends both */
};

struct path_table {
	struct path *paths;
	uint32_t *heads; /* hash chains */
	uint32_t capacity, used, free, fresh, mask;
	uint32_t last; /* the one that was got last: it may be free */
};

/* `capacity` counts numbers, 0 included: 2 to PATHS_MAX. `memory`: as many bytes,
 * 8-byte aligned, any content. */
size_t path_table_size(uint32_t capacity);
void path_table_init(struct path_table *table, void *memory, uint32_t capacity);
/* The path whose stations and tags are these, laid out as in struct path. */
uint16_t path_get_any(struct path_table *table, __m128i same);

static inline bool
path_is(const struct path *path, __m128i wanted)
{
	__m128i differ = _mm_xor_si128(_mm_loadu_si128((const __m128i *)path), wanted);

	return _mm_testz_si128(differ, differ);
}

/* The path of a segment, with one more reference; 0 when there is no room. */
static inline uint16_t
path_get(struct path_table *table, const struct segment *seg)
{
	/* The neighbour ahead is what a frame names first. */
	__m128i wanted = emit_envelope(seg, seg->side == SIDE_OUTSIDE);
	struct path *last = &table->paths[table->last];

	/* Few segments that follow each other have neighbours of their own. */
	if (__builtin_expect(last->n_refs != 0 && path_is(last, wanted), 1)) {
		last->n_refs++;
		return (uint16_t)table->last;
	}
	return path_get_any(table, wanted);
}
/* One reference less on a path in use; nothing for 0. The last one frees it. */
void path_put(struct path_table *table, uint16_t path);
/* The envelope of a frame that leaves on `out`; not for 0. */
struct link path_link(const struct path_table *table, uint16_t path, enum side out);

#endif
