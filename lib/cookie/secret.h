/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The secrets behind SYN cookies.
 *
 * Time is cut into epochs of EPOCH_S seconds of wall clock, so that a restart
 * and other nodes with the same master secret agree on the key without talking.
 * Each epoch's keys are derived from the master secret; one bit of a cookie
 * tells an even epoch from an odd one. A set holds the keys that are good at
 * one moment: those of the current epoch and of the other parity, which is the
 * epoch before, or in the last EPOCH_LEAD_S seconds of an epoch the next one
 * (another node's clock may be ahead). A cookie therefore lives between
 * EPOCH_S - EPOCH_LEAD_S and 2 * EPOCH_S - EPOCH_LEAD_S seconds on one clock; a
 * node that checks it with a clock ahead or behind by up to the lead takes or
 * adds as much.
 *
 * Servers that take over connections themselves must check cookies, and must not
 * hold the master secret: they hold that of a group of services, which is derived from
 * it and from the group's name (secret_group_derive()) and is used just as a master
 * is. A published row has one set for the master and one for each group.
 *
 * Ownership: the control thread writes sets and publishes them in a ring; each
 * worker reads the published one once a burst. Two sets are published an epoch
 * (at its start and at its lead), and one by secret_set_groups(), whose caller then waits
 * until each worker has ended its burst; so one that was replaced is rewritten about an
 * epoch later at the earliest, far longer than any burst lasts.
 */
#ifndef SYNFRONT_SECRET_H
#define SYNFRONT_SECRET_H

#include <stdbool.h>
#include <stdint.h>

#define EPOCH_S 30u
#define EPOCH_LEAD_S 2u
#define COOKIE_LIFE_MIN_S (EPOCH_S - EPOCH_LEAD_S)
#define COOKIE_LIFE_MAX_S (2u * EPOCH_S)
#define MASTER_SECRET_SIZE 32u
#define SECRET_GROUPS_MAX 15u
#define SECRET_SETS (1u + SECRET_GROUPS_MAX) /* [0] is of the master secret */
#define SECRET_GROUP_NAME_SIZE 32u           /* with its ending zero */

/* Expanded AES-128 encryption key, 11 round keys (FIPS-197, 5.2). */
struct aes_key {
	uint8_t round[11][16];
} __attribute__((aligned(64)));

/* Keys of one epoch. */
struct epoch_keys {
	struct aes_key v4;
	struct aes_key v6;
	/* XORed into the (last) block: binds the profile at no extra block. */
	uint8_t profile_mask[32][16];
};

/* Read-only once published. */
struct secret_set {
	uint32_t epoch;              /* the current one: wall seconds / EPOCH_S */
	struct epoch_keys parity[2]; /* [epoch & 1] is the current one */
};

#define SECRET_RING 4u

struct secret_ring {
	uint8_t secrets[SECRET_SETS][MASTER_SECRET_SIZE]; /* [0] the master, then of groups */
	char groups[SECRET_SETS][SECRET_GROUP_NAME_SIZE]; /* [1..]; "": none */
	struct secret_set sets[SECRET_RING][SECRET_SETS];
	const struct secret_set *current; /* a row; release by control, acquire by workers */
	uint64_t published;               /* sets made so far; control only */
	uint64_t last_wall_s;             /* control only: of the last step */
	uint64_t ahead_half_s;            /* control only: our time less the wall's, in 0.5 s */
	bool lead;                        /* control only: current holds the next epoch */
	bool is_shared; /* set after secret_init(): other nodes have the master secret, too */
};

/* Start from a master secret. `wall_s`: seconds since 1970. Publishes the first set. */
void secret_init(struct secret_ring *ring, const uint8_t master[MASTER_SECRET_SIZE],
                 uint64_t wall_s);

/*
 * Publish what `wall_s` asks for; call at least once a second. Time never steps
 * back: after the wall clock did, the epochs go on at half its pace until it has
 * caught up. (Were they to stand still, a cookie would live as long as the step
 * was wide; so it lives at most twice as long as else.) A step forward is
 * followed at once, and the cookies that are out may die of it. So is one
 * back by more than SECRET_BACK_MAX_S where other nodes have the secret: they would
 * refuse ours for twice its width. For that those of the time that was left, if
 * somebody has kept them, are good once more when it comes.
 */
#define SECRET_BACK_MAX_S (2u * COOKIE_LIFE_MAX_S)
void secret_step(struct secret_ring *ring, uint64_t wall_s);

/*
 * From now on groups[i], unless NULL or "", is the group whose set stands at place i of a row,
 * 1 <= i <= SECRET_GROUPS_MAX; groups[0] is ignored. Names are shorter than
 * SECRET_GROUP_NAME_SIZE. A place may get another name only when no worker uses it.
 */
void secret_set_groups(struct secret_ring *ring, const char *const groups[SECRET_SETS]);

/*
 * The secret of a group: two halves, h = 0 and 1,
 *   AES-CMAC(F(label 4, index h, epoch 0), name without its ending zero)    (RFC 4493)
 * where F is that of secret.c with the master's two halves as keys. Who has it learns nothing
 * about the master or another group's. The caller overwrites it after use.
 */
void secret_group_derive(const uint8_t master[MASTER_SECRET_SIZE], const char *name,
                         uint8_t secret[MASTER_SECRET_SIZE]);

/* All keys of one epoch, of a master's or a group's secret. The caller overwrites them. */
void secret_epoch_keys(struct epoch_keys *keys, const uint8_t secret[MASTER_SECRET_SIZE],
                       uint32_t epoch);

/* Overwrite all key material. */
void secret_fini(struct secret_ring *ring);

/* The row of sets to use for one burst: [0] is the master's, [i] that of group i. */
static inline const struct secret_set *
secret_current(const struct secret_ring *ring)
{
	return __atomic_load_n(&ring->current, __ATOMIC_ACQUIRE);
}

/* AES-128 key expansion (FIPS-197, 5.2) and one-block encryption, for key
 * derivation and tests; the burst variants are in cookie.h. */
void aes_expand(struct aes_key *key, const uint8_t raw[16]);
void aes_encrypt(const struct aes_key *key, const uint8_t in[16], uint8_t out[16]);

#endif
