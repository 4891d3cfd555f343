/* SPDX-License-Identifier: BSD-3-Clause */
/* Unaligned loads and stores of fields in network byte order. get/put convert
 * to and from host order; the _be forms leave the bytes as they are. */
#ifndef SYNFRONT_BYTES_H
#define SYNFRONT_BYTES_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

static inline uint16_t
bytes_get_u16_be(const uint8_t *p)
{
	uint16_t v;
	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint32_t
bytes_get_u32_be(const uint8_t *p)
{
	uint32_t v;
	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint16_t
bytes_get_u16(const uint8_t *p)
{
	return be16toh(bytes_get_u16_be(p));
}

static inline uint32_t
bytes_get_u32(const uint8_t *p)
{
	return be32toh(bytes_get_u32_be(p));
}

static inline void
bytes_put_u16_be(uint8_t *p, uint16_t v)
{
	memcpy(p, &v, sizeof(v));
}

static inline void
bytes_put_u32_be(uint8_t *p, uint32_t v)
{
	memcpy(p, &v, sizeof(v));
}

static inline void
bytes_put_u16(uint8_t *p, uint16_t v)
{
	bytes_put_u16_be(p, htobe16(v));
}

#endif
