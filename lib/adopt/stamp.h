/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How old the TSval is that a client echoes, and what the kernel is told of the round trip.
 *
 * The front end made it by its clock, the server reads it by its own, and the two may be
 * CLOCKS_APART_MS apart (cookies of an epoch are good that long before it begins). Compiled both
 * for BPF and by the C compiler, so that a unit test can look at it; layout of TSval: cookie.h.
 */
#ifndef SYNFRONT_STAMP_H
#define SYNFRONT_STAMP_H

#include <linux/types.h>

/* The upper 15 bits count units of 4 ms. */
#define TS_SHIFT 17u
#define TS_UNIT_SHIFT 2u

#define CLOCKS_APART_MS 2000

/*
 * Of a TSval from the future the round trip cannot be told, so it is taken for a long one. On a
 * path that is shorter that costs a slower first timeout, until the next sample; were it thought
 * shorter than it is, congestion control that goes by the least round trip would send too little
 * until it forgets that sample: BBR then needs 16 s for what else takes 2 s.
 */
#define ROUND_TRIP_UNKNOWN_MS 250
/*
 * The most that is told. A server whose clock is ahead finds each sample too long by as much, and
 * a client whose ACK was lost may send its first data long after the SYN-ACK, which is no round
 * trip at all. The kernel's first timeout is three times its first sample (RFC 6298, 2.2), 6.75 s
 * for this one: longer than any path, so a path that is longer than this is served, too.
 */
#define ROUND_TRIP_MAX_MS (CLOCKS_APART_MS + ROUND_TRIP_UNKNOWN_MS)

/* Milliseconds since the TSval was made, by this clock, in steps of 4 and modulo 131072: from
 * -65536, negative if it is from the future, to 65532. A cookie lives for 60000. */
static inline __attribute__((always_inline)) __s32
stamp_age_ms(__u32 tsval, __u64 wall_ms)
{
	__u32 units = ((__u32)(wall_ms >> TS_UNIT_SHIFT) << TS_SHIFT) -
	              (tsval & ~((1u << TS_SHIFT) - 1));

	/* The shift keeps the sign: more than half of all units is from the future. */
	return ((__s32)units >> TS_SHIFT) * (1 << TS_UNIT_SHIFT);
}

/* The kernel's first sample of the round trip. */
static inline __attribute__((always_inline)) __u32
stamp_round_trip_ms(__s32 age_ms)
{
	if (age_ms < 0)
		return ROUND_TRIP_UNKNOWN_MS;
	return age_ms < ROUND_TRIP_MAX_MS ? (__u32)age_ms : ROUND_TRIP_MAX_MS;
}

/* Is it of the last `fresh_ms`, as far as clocks are in step? */
static inline __attribute__((always_inline)) int
stamp_is_fresh(__s32 age_ms, __u32 fresh_ms)
{
	return age_ms >= -CLOCKS_APART_MS && age_ms <= (__s32)fresh_ms;
}

#endif
