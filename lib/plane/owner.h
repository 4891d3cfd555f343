/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which worker owns a connection: the one to which a Toeplitz hash (the one of
 * RSS) over client and server, as seen from outside, points in a table. A NIC that
 * has the key and the table brings an outside segment to its owner; for
 * everything else the same hash is taken here.
 *
 * The key is uniformly random over its whole length. A key that repeats every
 * 16 bits would bring both directions to one queue without a ring, but it makes
 * the hash a function of the XOR of all words, and anybody can then choose flows
 * that meet in one queue without knowing the key.
 */
#ifndef SYNFRONT_OWNER_H
#define SYNFRONT_OWNER_H

#include "segment.h"

#define OWNER_KEY_SIZE 52u    /* the longest that a driver asks for; 40 are used */
#define OWNER_TABLE_SIZE 512u /* a multiple of every common RETA size */
#define OWNER_FRAGMENTS 4096u
#define OWNER_WORDS_MAX 9u /* two IPv6 addresses and the ports */

struct owner_map {
	uint8_t key[OWNER_KEY_SIZE];    /* as NICs take it */
	uint8_t key_be[OWNER_KEY_SIZE]; /* as rte_softrss_be() wants it */
	/* For each word that is hashed, the 64 bits of the key that meet it, the first one lowest. */
	uint64_t windows[OWNER_WORDS_MAX];
	bool multiplies;                 /* carry-less, in one instruction */
	uint8_t table[OWNER_TABLE_SIZE]; /* hash -> worker; read-only after start */
	uint32_t n_workers;
	/*
	 * Where the first fragment of a datagram went, by addresses and identification:
	 * worker + 1, 0 for none. A hint: written by whoever passes a first fragment on,
	 * relaxed; a wrong one costs that datagram and no more.
	 */
	uint8_t fragments[OWNER_FRAGMENTS];
};

/*
 * From now on the table is that of a NIC whose own has `size` entries, a divisor of
 * OWNER_TABLE_SIZE: all of the NIC's hashes that meet in one entry have one owner.
 */
void owner_map_fit(struct owner_map *map, uint32_t size);
/* 0, or -1 when there is no randomness. `n_workers` at most 255. */
int owner_map_init(struct owner_map *map, uint32_t n_workers);
/* The same with a key that is given. */
void owner_map_init_key(struct owner_map *map, uint32_t n_workers,
                        const uint8_t key[OWNER_KEY_SIZE]);

/* Take the hash by carry-less multiplication from now on, if the CPU has it and it gives what
 * the plain way gives. False: it has it and that is wrong, so the plain way stays. */
bool owner_map_multiply(struct owner_map *map);

/* The RSS hash of a flow, from outside. */
uint32_t owner_hash(const struct owner_map *map, const struct flow *flow, bool is_v4);

static inline uint32_t
owner_of_hash(const struct owner_map *map, uint32_t hash)
{
	return map->table[hash % OWNER_TABLE_SIZE];
}

/* Owner of a later fragment, or `self` when its first one was not seen; and
 * the note that makes it known. */
uint32_t owner_of_fragment(const struct owner_map *map, const struct segment *seg, uint32_t self);
void owner_note_fragment(struct owner_map *map, const struct segment *seg, uint32_t owner);

#endif
