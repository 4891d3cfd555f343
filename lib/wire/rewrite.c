/* SPDX-License-Identifier: BSD-3-Clause */
/* Each edit is a word added to a field and its difference to the checksum. */
#include "rewrite.h"

#include <smmintrin.h>
#include <stddef.h>

#include "bytes.h"
#include "checksum.h"
#include "protocols.h"
#include "tcp_options.h"

/* Add to the 32-bit field at `off` in the TCP header; return the sum with that. */
static inline uint64_t
add_field(uint64_t sum, uint8_t *tcp, unsigned int off, uint32_t add)
{
	uint32_t old_be = bytes_get_u32_be(tcp + off);
	uint32_t new_be = htobe32(be32toh(old_be) + add);

	bytes_put_u32_be(tcp + off, new_be);
	return off & 1 ? checksum_delta_u32_odd(sum, old_be, new_be)
	               : checksum_delta_u32(sum, old_be, new_be);
}

_Static_assert(TCP_ACK_OFF == TCP_SEQ_OFF + 4 &&
                       offsetof(struct rewrite, ack_add) == offsetof(struct rewrite, seq_add) + 4 &&
                       offsetof(struct rewrite, tsecr_add) ==
                               offsetof(struct rewrite, tsval_add) + 4,
               "SEQ and ACK, TSval and TSecr, are edited as pairs");

/* The same of two fields that lie side by side, and what is added to them: the second one only
 * with an ACK. As one word of 64 bits, whose sum folds to that of its halves (RFC 1071). */
static inline __attribute__((always_inline)) uint64_t
add_pair(uint64_t sum, uint8_t *at, const uint32_t *adds, bool has_ack, bool is_odd)
{
	const __m128i order = _mm_setr_epi8(3, 2, 1, 0, 7, 6, 5, 4, -1, -1, -1, -1, -1, -1, -1, -1);
	__m128i add = has_ack ? _mm_loadl_epi64((const __m128i *)(const void *)adds)
	                      : _mm_cvtsi32_si128((int)adds[0]);
	__m128i old_be = _mm_loadl_epi64((const __m128i *)at);
	__m128i new_be = _mm_shuffle_epi8(_mm_add_epi32(_mm_shuffle_epi8(old_be, order), add),
	                                  order);
	uint64_t old_word = (uint64_t)_mm_cvtsi128_si64(old_be),
		 new_word = (uint64_t)_mm_cvtsi128_si64(new_be);

	_mm_storel_epi64((__m128i *)at, new_be);
	if (is_odd) { /* as checksum_delta_u32_odd() */
		old_word = old_word << 8 | old_word >> 56;
		new_word = new_word << 8 | new_word >> 56;
	}
	return checksum_carry(checksum_carry(sum, ~old_word), new_word);
}

/* Turn every option of the kinds to strip into NOPs, repeated ones included,
 * as far as the header can be walked. */
static uint64_t
strip_options(uint64_t sum, uint8_t *tcp, unsigned int header_len, uint8_t edits)
{
	unsigned int off = TCP_HEADER_SIZE;
	uint8_t *options = tcp + TCP_HEADER_SIZE;
	unsigned int n_bytes = header_len - TCP_HEADER_SIZE;
	uint16_t old_sum = checksum_fold(checksum_add(0, options, n_bytes));

	while (off < header_len && tcp[off] != TCPOPT_EOL) {
		uint8_t kind = tcp[off];
		if (kind == TCPOPT_NOP) {
			off++;
			continue;
		}
		unsigned int len = header_len - off >= 2 ? tcp[off + 1] : 0;
		if (len < 2 || len > header_len - off)
			break;
		if ((edits & REWRITE_STRIP_SACK &&
		     (kind == TCPOPT_SACK || kind == TCPOPT_SACK_PERMITTED)) ||
		    (edits & REWRITE_STRIP_TS && kind == TCPOPT_TIMESTAMPS))
			memset(tcp + off, TCPOPT_NOP, len);
		off += len;
	}
	return checksum_delta_u16(sum, old_sum, checksum_fold(checksum_add(0, options, n_bytes)));
}

static inline uint64_t
add_sack(uint64_t sum, uint8_t *tcp, const struct segment *seg, uint32_t add)
{
	unsigned int off = seg->sack_off + 2u;

	for (unsigned int i = 0; i < 2u * seg->sack_count; i++, off += 4)
		sum = add_field(sum, tcp, off, add);
	return sum;
}

/* What few segments need. */
static __attribute__((noinline)) uint64_t
edit_rarely(uint64_t sum, uint8_t *tcp, const struct segment *seg, const struct rewrite *rw)
{
	if (rw->edits & REWRITE_WINDOW) {
		uint16_t window_be = htobe16(rw->window);
		sum = checksum_carry(sum, (uint16_t)~bytes_get_u16_be(tcp + TCP_WINDOW_OFF));
		sum = checksum_carry(sum, window_be);
		bytes_put_u16_be(tcp + TCP_WINDOW_OFF, window_be);
	}
	/* Small enough for what is added to it without a carry. */
	sum = checksum_fold(sum);
	if (seg->sack_count != 0 && rw->sack_add != 0 && !(rw->edits & REWRITE_STRIP_SACK))
		sum = add_sack(sum, tcp, seg, rw->sack_add);
	if (rw->edits & (REWRITE_STRIP_SACK | REWRITE_STRIP_TS) && seg->l4_len > TCP_HEADER_SIZE)
		sum = strip_options(sum, tcp, seg->l4_len, rw->edits);
	return sum;
}

void
rewrite_apply(uint8_t *frame, const struct segment *seg, const struct rewrite *rw)
{
	uint8_t *tcp = frame + seg->l4_off, *stamps = tcp + seg->ts_off + 2;
	uint64_t sum = checksum_delta_init(bytes_get_u16_be(tcp + TCP_CHECK_OFF));
	bool has_ack = seg->flags & TCP_ACK;

	sum = add_pair(sum, tcp + TCP_SEQ_OFF, &rw->seq_add, has_ack, false);
	if (seg->ts_off != 0 && !(rw->edits & REWRITE_STRIP_TS))
		sum = add_pair(sum, stamps, &rw->tsval_add, has_ack, seg->ts_off & 1);
	if (__builtin_expect(rw->edits | seg->sack_count, 0))
		sum = edit_rarely(sum, tcp, seg, rw);
	bytes_put_u16_be(tcp + TCP_CHECK_OFF, checksum_delta_finish(sum));
}
