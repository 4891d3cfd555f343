/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SYN cookies.
 *
 * Every ISS that the engine sends is a cookie, whether it keeps state or not:
 *
 *    31            6   5   4            0
 *   +-----------------+---+--------------+
 *   |   MAC (26 bits) | P | profile^pad  |
 *   +-----------------+---+--------------+
 *
 *   MAC      26 bits of AES-128 over the flow and the client's ISS
 *   P        parity of the epoch whose key was used
 *   profile  index of a row of options (below)
 *
 * The six low bits are stored XORed with a fold of the MAC. That hides nothing
 * (the MAC is in sight) but leaves no bit of an ISS constant over flows.
 *
 * IPv4: one block: client address, client ISS (little endian), server address,
 * ports (client's first) = 16 bytes.
 * IPv6: fixed-length CBC-MAC of three blocks under its own key: client address;
 * server address; ports, client ISS, zeros (40 bytes, zero padded).
 * The profile's secret mask is XORed into the (last) block, so that the profile
 * is under the MAC.
 *
 * A profile is what survives without timestamps (a client that sends none, as
 * Windows): one of 32 sets of MSS, window scale of the client and SACK-permitted,
 * chosen by what clients send (the table stands in cookie.c). The client's offer is
 * rounded down to the best set that it covers. No set has a larger MSS than the client
 * said; to a client whose MSS is below every set with its scale or with SACK, neither
 * of the two is granted.
 *
 * With timestamps the exact values travel in TSval, see cookie_ts_make().
 *
 * The threat: blind ACKs. Each is tried once, at 2^-26; one that could be a
 * window probe twice (PROOF_PROBE). At 14.88 Mpps, 10 Gbit/s of smallest frames,
 * that is 0.22 forged handshakes a second, or 0.44 if every ACK gets both tries;
 * at 148.8 Mpps 2.22, or 4.43. A cookie is good for 28 to 58 s, or 26 to 60 s
 * between nodes whose clocks are 2 s apart. (scripts/cookie-figures)
 */
#ifndef SYNFRONT_COOKIE_H
#define SYNFRONT_COOKIE_H

#include "secret.h"
#include "tcp_options.h"

#define COOKIE_MAC_BITS 26u
#define COOKIE_PROFILES 32u

/* The least MSS that anybody is told: what stacks take a smaller one for (Linux:
 * tcp_min_snd_mss), since 40 bytes of options leave 8 for data. */
#define COOKIE_MSS_LEAST 48u

/* The best profile that the offer covers: an MSS and a scale no larger than offered, and
 * SACK only if offered. `is_v4` picks the table. The offer's MSS is COOKIE_MSS_LEAST or
 * more. */
unsigned int cookie_profile_of(const struct tcp_offer *offer, bool is_v4);

/* What a profile stands for (timestamps false). */
struct tcp_offer cookie_profile_offer(unsigned int profile, bool is_v4);

/*
 * TSval of a SYN-ACK:
 *
 *    31           17   16   13   12   10   9        0
 *   +---------------+----------+-------+-------------+
 *   |     time      | promised | scale |     MSS     |
 *   +---------------+----------+-------+-------------+
 *
 *   time      wall clock in units of 4 ms
 *   promised  the scale that the engine promised, 15: none
 *   scale     what the client's scale has above the profile's
 *   MSS       what the client's MSS has above the profile's: exact up to 923, beyond
 *             in steps of 822, rounded down (an offer of 8960 or, for IPv6, 8940 is exact)
 *
 * The echo brings back the client's offer, and, since both ends of the interval are
 * the engine's own clock, the time that has passed since the SYN-ACK.
 *
 * Only SYN-ACKs carry such values: from one to the next of the same flow they grow
 * faster than RFC 7323 (5.4) has it, at most one a millisecond, while a client compares
 * TSvals only from the SYN-ACK on that it has taken (4.3). What is sent on the connection
 * after it counts milliseconds up from there, see cookie_ts_elapsed(). For one set of
 * options values never go back (modulo 2^32) while wall_ms does not.
 */
#define COOKIE_TS_SHIFT 17u
#define COOKIE_TS_UNIT_SHIFT 2u /* 4 ms */
#define COOKIE_TS_MASK ((1u << COOKIE_TS_SHIFT) - 1)
uint32_t cookie_ts_make(const struct tcp_offer *client, unsigned int profile, bool is_v4,
                        unsigned int promised_wscale, uint64_t wall_ms);

/* The same options at a later time: for a SYN-ACK that is sent again. */
static inline uint32_t
cookie_ts_again(uint32_t tsval, uint64_t wall_ms)
{
	return (uint32_t)(wall_ms >> COOKIE_TS_UNIT_SHIFT) << COOKIE_TS_SHIFT |
	       (tsval & COOKIE_TS_MASK);
}

/* Milliseconds since this TSval was made, 0 to 3 too many; whatever a forged one says, at
 * most the life of a cookie. */
static inline uint32_t
cookie_ts_elapsed(uint32_t tsval, uint64_t wall_ms)
{
	uint32_t units = (uint32_t)(wall_ms >> COOKIE_TS_UNIT_SHIFT) << COOKIE_TS_SHIFT;
	uint32_t ms = (units - (tsval & ~COOKIE_TS_MASK)) >> COOKIE_TS_SHIFT
	                                                             << COOKIE_TS_UNIT_SHIFT;

	return ms < COOKIE_LIFE_MAX_S * 1000u ? ms : COOKIE_LIFE_MAX_S * 1000u;
}

/* Read the echo of such a TSval. Nothing authenticates it: whatever the client
 * echoes is a valid offer, and its own loss. */
void cookie_ts_read(uint32_t tsecr, unsigned int profile, bool is_v4, struct tcp_offer *client,
                    unsigned int *promised_wscale);

/* One cookie to compute: in and out of a batch. */
struct cookie_job {
	const struct flow *flow;
	uint32_t irs;    /* the client's ISS, host order */
	uint8_t profile; /* 0..31 */
	uint8_t parity;  /* which of the set's keys */
	bool is_v4;
	uint32_t iss; /* out: the cookie, host order */
};

/* Compute n cookies (any mix of families; any n). All variants give the same
 * bits. */
void cookie_make(const struct secret_set *set, struct cookie_job *jobs, unsigned int n);

enum cookie_proof {
	PROOF_NONE,  /* not a cookie of ours, or too old */
	PROOF_EXACT, /* SEG.SEQ - 1 is the client's ISS */
	PROOF_PROBE, /* SEG.SEQ is: a keep-alive or window probe one below */
};

/*
 * Check n ACKs. jobs[i].iss holds SEG.ACK - 1, jobs[i].irs SEG.SEQ - 1; profile
 * and parity are read out of iss. proof[i] becomes PROOF_EXACT or PROOF_NONE.
 * One MAC each. (For PROOF_PROBE the caller makes a second call with SEG.SEQ.)
 */
void cookie_check(const struct secret_set *set, struct cookie_job *jobs, unsigned int n,
                  uint8_t *proof);

#define COOKIE_VARIANTS 3u

/* Variants of the cipher that the CPU says it has and that encrypt wrong. */
struct cookie_faults {
	unsigned int n;
	const char *names[COOKIE_VARIANTS];
};

/*
 * Choose the variant: "auto" (the widest that the CPU has), "aesni", "vaes256", "vaes512".
 * Each is tried first, and passed over if it is wrong: `faults`, unless NULL, gets those.
 * Returns the chosen one's name, or NULL if this CPU or name cannot be served; with a fault
 * "aesni" its AES instructions are wrong altogether. Call once before the workers start.
 */
const char *cookie_select(const char *name, struct cookie_faults *faults);

#endif
