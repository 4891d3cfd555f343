/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * AES rounds as a hash.
 *
 * A CBC chain with two rounds between its blocks and three after the last. The
 * best differential over two rounds has five active S-boxes, each of 2^-6 at
 * best: two flows chosen to differ in client and server collide inside the chain
 * with 2^-30 a pair at most, below the chance in any index that fits a machine.
 * A difference in the client alone cannot be undone by the four bytes of ports
 * and the tags but over four rounds.
 *
 * Of an IPv4 flow all that differs fits into one block: four rounds under a key of
 * their own before each and after the last. Two blocks that differ have 25 active S-boxes at
 * least.
 */
#include <immintrin.h>

#include "flow_hash.h"

#define TARGET __attribute__((target("aes,sse4.1")))

TARGET uint64_t
flow_hash_ends(const struct flow_hash_key *key, __m128i ends)
{
	const __m128i *k = (const __m128i *)key->bytes;
	__m128i x = _mm_xor_si128(ends, k[0]);

	x = _mm_aesenc_si128(x, k[1]);
	x = _mm_aesenc_si128(x, k[2]);
	x = _mm_aesenc_si128(x, k[3]);
	x = _mm_aesenc_si128(x, k[0]);
	return (uint64_t)_mm_cvtsi128_si64(x);
}

TARGET uint64_t
flow_hash(const struct flow_hash_key *key, const struct flow *flow, uint32_t tags)
{
	return flow_hash_of(key, flow, tags, ip_addr_is_v4(&flow->client));
}

TARGET uint64_t
flow_hash_of(const struct flow_hash_key *key, const struct flow *flow, uint32_t tags, bool is_v4)
{
	if (is_v4)
		return flow_hash_ends(key, _mm_insert_epi32(flow_ends_v4(flow), (int)tags, 3));
	const __m128i *k = (const __m128i *)key->bytes;
	__m128i x = _mm_loadu_si128((const __m128i *)flow->client.bytes);
	uint32_t ports;

	memcpy(&ports, &flow->client_port_be, sizeof(ports));
	x = _mm_aesenc_si128(_mm_xor_si128(x, k[0]), k[1]);
	x = _mm_aesenc_si128(x, k[2]);
	x = _mm_xor_si128(x, _mm_loadu_si128((const __m128i *)flow->server.bytes));
	x = _mm_aesenc_si128(x, k[3]);
	x = _mm_aesenc_si128(x, k[0]);
	x = _mm_xor_si128(x, _mm_cvtsi64_si128((long long)((uint64_t)tags << 32 | ports)));
	x = _mm_aesenc_si128(x, k[1]);
	x = _mm_aesenc_si128(x, k[2]);
	x = _mm_aesenc_si128(x, k[3]);
	return (uint64_t)_mm_cvtsi128_si64(x);
}

/* The salt goes in after a round: XORed to the address itself, it would make
 * (a, s) and (a ^ s, 0) the same. */
TARGET uint64_t
addr_hash(const struct flow_hash_key *key, const struct ip_addr *addr, uint32_t salt)
{
	const __m128i *k = (const __m128i *)key->bytes;
	__m128i x = _mm_loadu_si128((const __m128i *)addr->bytes);

	x = _mm_aesenc_si128(_mm_xor_si128(x, k[3]), k[2]);
	x = _mm_xor_si128(x, _mm_cvtsi32_si128((int)salt));
	x = _mm_aesenc_si128(x, k[1]);
	x = _mm_aesenc_si128(x, k[0]);
	x = _mm_aesenc_si128(x, k[3]);
	return (uint64_t)_mm_cvtsi128_si64(x);
}
