/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Cookies as lib/cookie makes them: see cookie.h there for the layout of a cookie, of its
 * blocks and of TSval. One table of test vectors holds both against each other.
 */
#ifndef SYNFRONT_COOKIE_BPF_H
#define SYNFRONT_COOKIE_BPF_H

#include "aes.bpf.h"
#include "maps.bpf.h"
#include "packet.bpf.h"
#include "stamp.h"

#define EPOCH_S 30u
#define EPOCH_LEAD_S 2u
#define NS_PER_S 1000000000ull
#define NS_PER_MS 1000000ull
#define WSCALE_NONE 15u

struct cookie_query {
	struct adopt_spent_key flow; /* its `iss` is not read */
	__u32 irs;
	__u32 low; /* parity << 5 | profile */
	__u32 is_v4;
};

static __always_inline __u32
cookie_fold(__u32 mac)
{
	__u32 folded = mac ^ mac >> 13;

	return (folded ^ folded >> 6) & 63u;
}

static __always_inline __u32
cookie_low(__u32 iss)
{
	return (iss ^ cookie_fold(iss >> 6)) & 63u;
}

/* The cookie. */
__attribute__((noinline)) int
adopt_cookie(struct cookie_query *q, struct adopt_epoch *keys)
{
	struct aes_block block;

	if (q == NULL || keys == NULL)
		return 0;
	__u32 ports = (__u32)q->flow.server_port_be << 16 | q->flow.client_port_be;
	__u32 *mask = keys->mask[q->low & 31];
	if (q->is_v4) {
		block.w[0] = q->flow.client_be[3] ^ mask[0];
		block.w[1] = q->irs ^ mask[1];
		block.w[2] = q->flow.server_be[3] ^ mask[2];
		block.w[3] = ports ^ mask[3];
		adopt_aes_encrypt(&keys->v4, &block);
	} else {
		__builtin_memcpy(&block, q->flow.client_be, 16);
		adopt_aes_encrypt(&keys->v6, &block);
		for (int i = 0; i < 4; i++)
			block.w[i] ^= q->flow.server_be[i];
		adopt_aes_encrypt(&keys->v6, &block);
		block.w[0] ^= ports ^ mask[0];
		block.w[1] ^= q->irs ^ mask[1];
		block.w[2] ^= mask[2];
		block.w[3] ^= mask[3];
		adopt_aes_encrypt(&keys->v6, &block);
	}
	__u32 word = block.w[0];
	return (int)((word & ~63u) | ((q->low & 63u) ^ cookie_fold(word >> 6)));
}

static __always_inline __u64
wall_ns(void)
{
	__u32 zero = 0;
	struct adopt_clock *clock = bpf_map_lookup_elem(&clock_map, &zero);

	return bpf_ktime_get_boot_ns() + (clock != NULL ? clock->wall_less_boot_ns : 0);
}

/* The epoch whose key a cookie of this parity was made with, if it is good at `now_s`. */
static __always_inline __u32
epoch_of(__u64 now_s, __u32 parity)
{
	__u32 epoch = (__u32)(now_s / EPOCH_S);

	if ((epoch & 1) == parity)
		return epoch;
	return now_s % EPOCH_S >= EPOCH_S - EPOCH_LEAD_S ? epoch + 1 : epoch - 1;
}

static __always_inline struct adopt_epoch *
epoch_keys(__u32 epoch, __u32 which)
{
	__u32 at = ADOPT_EPOCH_AT(epoch, which);
	struct adopt_epoch *keys = bpf_map_lookup_elem(&epochs_map, &at);

	return keys != NULL && keys->epoch == epoch ? keys : NULL;
}

enum proof {
	PROOF_NONE,
	PROOF_EXACT, /* SEG.SEQ - 1 is the client's ISS */
	PROOF_PROBE, /* SEG.SEQ is: a keep-alive or window probe one below */
	PROOF_NO_KEYS,
};

/* By the keys of the epoch under one secret. */
static __always_inline int
prove_by(const struct packet *p, __u32 epoch, __u32 which)
{
	struct cookie_query q = { .flow = p->flow, .is_v4 = p->is_v4 };

	q.low = cookie_low(p->flow.iss);
	struct adopt_epoch *keys = epoch_keys(epoch, which);
	if (keys == NULL)
		return PROOF_NO_KEYS;
	q.irs = p->seq - 1;
	if ((__u32)adopt_cookie(&q, keys) == p->flow.iss)
		return PROOF_EXACT;
	if (p->payload_len > 1 || (p->flags & FLAG_FIN) != 0)
		return PROOF_NONE;
	q.irs = p->seq;
	return (__u32)adopt_cookie(&q, keys) == p->flow.iss ? PROOF_PROBE : PROOF_NONE;
}

/* By either secret, if there are two. */
static __always_inline int
cookie_prove(const struct packet *p, __u64 now_ns)
{
	__u32 epoch = epoch_of(now_ns / NS_PER_S, cookie_low(p->flow.iss) >> 5);
	int proof = prove_by(p, epoch, 0);

	if (proof != PROOF_NONE)
		return proof;
	proof = prove_by(p, epoch, 1);
	return proof != PROOF_NO_KEYS ? proof : PROOF_NONE;
}

/* May the kernel answer it with a RST? What has neither data nor FIN is not worth one, since its
 * client will send more; and RSTs are limited in rate. */
static __always_inline int
may_reset(const struct packet *p)
{
	__u32 zero = 0;
	struct adopt_settings *settings = bpf_map_lookup_elem(&settings_map, &zero);

	return (p->payload_len != 0 || (p->flags & FLAG_FIN) != 0) && settings != NULL &&
	       take_token(BUCKET_DEAD, settings->dead_a_second);
}

/*
 * Was it good once? Data of a client whose ACK was lost, and who asks for the first time when its
 * cookie has died, or whose segments were lost until then. It will never get in, and if nobody
 * told it, it would go on sending for a quarter of an hour.
 *
 * Data is rare among what proves nothing, and looking is limited in rate: a flood pays for no
 * more AES than before.
 */
static __always_inline int
cookie_has_died(const struct packet *p, __u64 now_ns)
{
	__u32 epoch = epoch_of(now_ns / NS_PER_S, cookie_low(p->flow.iss) >> 5);

	if (!may_reset(p))
		return 0;
	for (__u32 i = 0; i < ADOPT_EPOCHS_DEAD / 2; i++) {
		epoch -= 2;
		if (prove_by(p, epoch, 0) == PROOF_EXACT || prove_by(p, epoch, 1) == PROOF_EXACT)
			return 1;
	}
	return 0;
}

/* TSval of a SYN-ACK: fields as in cookie.h. */
#define TS_PROMISED_SHIFT 13u
#define TS_SCALE_SHIFT 10u
#define TS_MSS_MAX 1023u
#define TS_MSS_EXACT 924u
#define TS_MSS_STEP 822u

/* What the client offered and was promised, into what the kernel wants to know. */
static __always_inline void
offer_read(struct bpf_tcp_req_attrs *attrs, const struct packet *p, const struct adopt_profile *row,
           __u32 promised, __u64 now_ns)
{
	__u32 mss = row->mss, scale = row->wscale;

	attrs->sack_ok = row->sack != 0;
	if (p->has_ts) {
		__u32 code = p->tsecr & TS_MSS_MAX;

		mss += code < TS_MSS_EXACT ? code
		                           : TS_MSS_EXACT + (code - TS_MSS_EXACT) * TS_MSS_STEP;
		if (scale != WSCALE_NONE) {
			scale += p->tsecr >> TS_SCALE_SHIFT & 7u;
			scale = scale < 14 ? scale : 14;
		}
		promised = p->tsecr >> TS_PROMISED_SHIFT & 15u;
		attrs->tstamp_ok = 1;
		attrs->rcv_tsval = p->tsval;
		/* The kernel takes what it is given for its own time of now, and the segment's
		 * TSecr for the time when it sent the SYN-ACK: so its first sample of the round
		 * trip is what has passed, as far as that can be. */
		attrs->rcv_tsecr = p->tsecr +
		                   stamp_round_trip_ms(stamp_age_ms(p->tsecr, now_ns / NS_PER_MS));
	}
	attrs->mss = mss < 65535 ? (__u16)mss : 65535;
	/* 15: none; 14 is the most that RFC 7323 (2.3) knows. */
	if (scale != WSCALE_NONE && promised <= 14) {
		attrs->wscale_ok = 1;
		attrs->snd_wscale = (__u8)scale;
		attrs->rcv_wscale = (__u8)promised;
	}
}

#endif
