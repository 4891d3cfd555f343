/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * IP addresses, prefixes and the pair of endpoints that names a connection.
 *
 * Both families share one 16-byte form: an IPv4 address a.b.c.d is held as the
 * IPv4-mapped ::ffff:a.b.c.d (RFC 4291, 2.5.5.2), so that a key of either
 * family has one size and equality is four 64-bit compares.
 * All values are in network byte order.
 */
#ifndef SYNFRONT_ADDR_H
#define SYNFRONT_ADDR_H

#include <smmintrin.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Aligned as its words, not as its quads: struct flow takes 36 bytes, not 40, and
 * an entry with it and 28 bytes more is one cache line. */
struct ip_addr {
	union {
		uint8_t bytes[16];
		uint32_t words_be[4];
		uint64_t quads_be[2];
	} __attribute__((packed, aligned(4)));
};

/* ::ffff:0:0/96 as the two words before an IPv4 address. */
#define IP_ADDR_V4_WORD2_BE __builtin_bswap32(0x0000ffffu)

static inline struct ip_addr
ip_addr_v4(uint32_t addr_be)
{
	struct ip_addr a = { .words_be = { 0, 0, IP_ADDR_V4_WORD2_BE, addr_be } };
	return a;
}

static inline bool
ip_addr_is_v4(const struct ip_addr *a)
{
	return a->quads_be[0] == 0 && a->words_be[2] == IP_ADDR_V4_WORD2_BE;
}

static inline bool
ip_addr_equal(const struct ip_addr *a, const struct ip_addr *b)
{
	return ((a->quads_be[0] ^ b->quads_be[0]) | (a->quads_be[1] ^ b->quads_be[1])) == 0;
}

/*
 * A prefix. `len` counts bits of the 16-byte form: an IPv4 /24 has len 120.
 * Bits past `len` are zero.
 */
struct prefix {
	struct ip_addr addr;
	uint8_t len;
};

/* `a` with all bits past the first `len` (0..128) cleared. */
static inline struct ip_addr
ip_addr_mask(const struct ip_addr *a, unsigned int len)
{
	struct ip_addr m = *a;
	for (unsigned int i = 0; i < 4; i++) {
		unsigned int kept = len >= 32 * (i + 1) ? 32 : len > 32 * i ? len - 32 * i : 0;
		m.words_be[i] &= kept == 0 ? 0 : __builtin_bswap32(~0u << (32 - kept));
	}
	return m;
}

static inline bool
prefix_contains(const struct prefix *p, const struct ip_addr *a)
{
	struct ip_addr m = ip_addr_mask(a, p->len);
	return ip_addr_equal(&m, &p->addr);
}

/*
 * The two ends of a connection as the front end sees them, whichever way a
 * segment travels: `client` is the end on the outside port, `server` the end on
 * the inside port. An outbound connection of a protected host therefore has
 * the protected host as `server`.
 */
struct flow {
	struct ip_addr client;
	struct ip_addr server;
	uint16_t client_port_be;
	uint16_t server_port_be;
};

_Static_assert(sizeof(struct flow) == 36, "flow key has no holes inside");

static inline bool
flow_equal(const struct flow *a, const struct flow *b)
{
	uint32_t pa, pb;
	__m128i client = _mm_xor_si128(_mm_loadu_si128((const __m128i *)a->client.bytes),
	                               _mm_loadu_si128((const __m128i *)b->client.bytes));
	__m128i server = _mm_xor_si128(_mm_loadu_si128((const __m128i *)a->server.bytes),
	                               _mm_loadu_si128((const __m128i *)b->server.bytes));
	__m128i differs = _mm_or_si128(client, server);

	memcpy(&pa, &a->client_port_be, sizeof(pa));
	memcpy(&pb, &b->client_port_be, sizeof(pb));
	return _mm_testz_si128(differs, differs) && pa == pb;
}

/* All of an IPv4 flow that differs, in one vector: the server's word, both ports, the client's
 * word, and 0. */
static inline __m128i
flow_ends_v4(const struct flow *flow)
{
	return _mm_insert_epi32(_mm_loadl_epi64((const __m128i *)&flow->server.bytes[12]),
	                        (int)flow->client.words_be[3], 2);
}
_Static_assert(__builtin_offsetof(struct flow, client_port_be) == 32 &&
                       __builtin_offsetof(struct flow, server_port_be) == 34,
               "the ports are read with the end of the server's address");

#endif
