/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Epoch keys out of the master secret.
 *
 * The master secret is two AES-128 keys A and B. Sixteen bytes of key material
 * number x are F(x) = AES(A, x) ^ AES(B, x), where the block x holds a fixed
 * text, a label, an index and the epoch (struct derive_input), so that no two
 * uses share an input. That is sound because:
 *   - F, the sum of two independent permutations, cannot be told from a random
 *     function (Dai, Hoang, Tessaro, CRYPTO 2017) as long as AES-128 cannot be
 *     told from a random permutation; so all outputs are independent and uniform;
 *   - hence who learns one epoch's keys learns nothing about another epoch's or
 *     about the master;
 *   - A and B are used for nothing else.
 *
 * A group's secret is made of two such outputs, each the key of an AES-CMAC (RFC 4493) over
 * the group's name, which may be longer than a block.
 */
#include <immintrin.h>
#include <string.h>

#include "secret.h"
#include "wipe.h"

#define TARGET_AES __attribute__((target("aes,sse4.1")))

enum label {
	LABEL_V4 = 1,
	LABEL_V6 = 2,
	LABEL_PROFILE = 3, /* index: the profile */
	LABEL_GROUP = 4,   /* index: the half; epoch 0 */
};

/* The block x of F. */
struct derive_input {
	char text[8];
	uint8_t label;
	uint8_t index;
	uint8_t zero[2];
	uint32_t epoch_be;
};
_Static_assert(sizeof(struct derive_input) == 16, "one AES block");

_Static_assert(EPOCH_LEAD_S < EPOCH_S, "the lead is a part of the epoch");

static TARGET_AES __m128i
expand_step(__m128i key, __m128i assist)
{
	key = _mm_xor_si128(key, _mm_slli_si128(key, 4));
	key = _mm_xor_si128(key, _mm_slli_si128(key, 8));
	return _mm_xor_si128(key, _mm_shuffle_epi32(assist, 0xff));
}

TARGET_AES void
aes_expand(struct aes_key *key, const uint8_t raw[16])
{
	__m128i *out = (__m128i *)key->round;
	__m128i k = _mm_loadu_si128((const __m128i *)raw);

	_mm_store_si128(&out[0], k);
	/* The round constant is part of the instruction, hence no loop. */
#define ROUND(i, constant)                                          \
	k = expand_step(k, _mm_aeskeygenassist_si128(k, constant)); \
	_mm_store_si128(&out[i], k)
	ROUND(1, 0x01);
	ROUND(2, 0x02);
	ROUND(3, 0x04);
	ROUND(4, 0x08);
	ROUND(5, 0x10);
	ROUND(6, 0x20);
	ROUND(7, 0x40);
	ROUND(8, 0x80);
	ROUND(9, 0x1b);
	ROUND(10, 0x36);
#undef ROUND
}

TARGET_AES void
aes_encrypt(const struct aes_key *key, const uint8_t in[16], uint8_t out[16])
{
	const __m128i *k = (const __m128i *)key->round;
	__m128i x = _mm_xor_si128(_mm_loadu_si128((const __m128i *)in), k[0]);

	for (unsigned int i = 1; i < 10; i++)
		x = _mm_aesenc_si128(x, k[i]);
	_mm_storeu_si128((__m128i *)out, _mm_aesenclast_si128(x, k[10]));
	wipe_xmm();
}

/* F of the head comment. */
static void
derive(const struct aes_key master[2], enum label label, uint8_t index, uint32_t epoch,
       uint8_t out[16])
{
	struct derive_input input = {
		.text = { 's', 'y', 'n', 'f', 'r', 'o', 'n', 't' },
		.label = (uint8_t)label,
		.index = index,
		.epoch_be = __builtin_bswap32(epoch),
	};
	uint8_t block[16], b[16];

	memcpy(block, &input, sizeof(block));
	aes_encrypt(&master[0], block, out);
	aes_encrypt(&master[1], block, b);
	for (unsigned int i = 0; i < 16; i++)
		out[i] ^= b[i];
	explicit_bzero(b, sizeof(b));
}

static void
epoch_keys_derive(struct epoch_keys *keys, const struct aes_key master[2], uint32_t epoch)
{
	uint8_t raw[16];

	derive(master, LABEL_V4, 0, epoch, raw);
	aes_expand(&keys->v4, raw);
	derive(master, LABEL_V6, 0, epoch, raw);
	aes_expand(&keys->v6, raw);
	for (unsigned int i = 0; i < 32; i++)
		derive(master, LABEL_PROFILE, (uint8_t)i, epoch, keys->profile_mask[i]);
	explicit_bzero(raw, sizeof(raw));
}

static void
halves_expand(struct aes_key key[2], const uint8_t secret[MASTER_SECRET_SIZE])
{
	aes_expand(&key[0], secret);
	aes_expand(&key[1], secret + MASTER_SECRET_SIZE / 2);
}

void
secret_epoch_keys(struct epoch_keys *keys, const uint8_t secret[MASTER_SECRET_SIZE], uint32_t epoch)
{
	struct aes_key halves[2];

	halves_expand(halves, secret);
	epoch_keys_derive(keys, halves, epoch);
	explicit_bzero(halves, sizeof(halves));
	wipe_xmm();
}

/* One bit to the left in GF(2^128) (RFC 4493, 2.3). */
static void
cmac_double(uint8_t block[16])
{
	uint8_t carry = block[0] >> 7;

	for (unsigned int i = 0; i < 15; i++)
		block[i] = (uint8_t)(block[i] << 1 | block[i + 1] >> 7);
	block[15] = (uint8_t)(block[15] << 1 ^ (carry ? 0x87 : 0));
}

/* AES-CMAC (RFC 4493, 2.4). */
static void
cmac(const struct aes_key *key, const uint8_t *message, size_t len, uint8_t mac[16])
{
	uint8_t subkey[16] = { 0 }, last[16] = { 0 };
	size_t n_before = len == 0 ? 0 : (len - 1) / 16;
	size_t rest = len - 16 * n_before;

	aes_encrypt(key, subkey, subkey);
	cmac_double(subkey); /* K1 */
	memcpy(last, message + 16 * n_before, rest);
	if (rest != 16) {
		last[rest] = 0x80;
		cmac_double(subkey); /* K2 */
	}
	memset(mac, 0, 16);
	for (size_t block = 0; block < n_before; block++) {
		for (unsigned int i = 0; i < 16; i++)
			mac[i] ^= message[16 * block + i];
		aes_encrypt(key, mac, mac);
	}
	for (unsigned int i = 0; i < 16; i++)
		mac[i] ^= last[i] ^ subkey[i];
	aes_encrypt(key, mac, mac);
	explicit_bzero(subkey, sizeof(subkey));
}

void
secret_group_derive(const uint8_t master[MASTER_SECRET_SIZE], const char *name,
                    uint8_t secret[MASTER_SECRET_SIZE])
{
	struct aes_key halves[2], key;
	uint8_t raw[16];

	halves_expand(halves, master);
	for (uint8_t half = 0; half < 2; half++) {
		derive(halves, LABEL_GROUP, half, 0, raw);
		aes_expand(&key, raw);
		cmac(&key, (const uint8_t *)name, strlen(name), secret + 16 * half);
	}
	explicit_bzero(halves, sizeof(halves));
	explicit_bzero(&key, sizeof(key));
	explicit_bzero(raw, sizeof(raw));
	wipe_xmm();
}

static void
set_fill(struct secret_set *set, const uint8_t secret[MASTER_SECRET_SIZE], uint32_t epoch,
         uint32_t other)
{
	set->epoch = epoch;
	secret_epoch_keys(&set->parity[epoch & 1], secret, epoch);
	secret_epoch_keys(&set->parity[other & 1], secret, other);
}

static void
publish(struct secret_ring *ring, uint32_t epoch, bool lead)
{
	struct secret_set *row = ring->sets[ring->published % SECRET_RING];
	uint32_t other = lead ? epoch + 1 : epoch - 1;

	for (unsigned int i = 0; i < SECRET_SETS; i++)
		if (i == 0 || ring->groups[i][0] != '\0')
			set_fill(&row[i], ring->secrets[i], epoch, other);

	ring->lead = lead;
	ring->published++;
	/* Release: a worker that sees the pointer sees the keys. */
	__atomic_store_n(&ring->current, row, __ATOMIC_RELEASE);
}

void
secret_init(struct secret_ring *ring, const uint8_t master[MASTER_SECRET_SIZE], uint64_t wall_s)
{
	memset(ring, 0, sizeof(*ring));
	memcpy(ring->secrets[0], master, MASTER_SECRET_SIZE);
	ring->last_wall_s = wall_s;
	publish(ring, (uint32_t)(wall_s / EPOCH_S), wall_s % EPOCH_S >= EPOCH_S - EPOCH_LEAD_S);
}

void
secret_step(struct secret_ring *ring, uint64_t wall_s)
{
	const struct secret_set *set = ring->current;

	if (wall_s < ring->last_wall_s) {
		/* Time stands still over the step itself. */
		ring->ahead_half_s += 2 * (ring->last_wall_s - wall_s);
	} else {
		uint64_t elapsed = wall_s - ring->last_wall_s;

		ring->ahead_half_s -= ring->ahead_half_s < elapsed ? ring->ahead_half_s : elapsed;
	}
	ring->last_wall_s = wall_s;
	if (ring->is_shared && ring->ahead_half_s > 2 * SECRET_BACK_MAX_S)
		ring->ahead_half_s = 0;

	uint64_t now_s = wall_s + ring->ahead_half_s / 2;
	uint32_t epoch = (uint32_t)(now_s / EPOCH_S);
	bool lead = now_s % EPOCH_S >= EPOCH_S - EPOCH_LEAD_S;

	if (epoch != set->epoch || lead != ring->lead)
		publish(ring, epoch, lead);
}

void
secret_set_groups(struct secret_ring *ring, const char *const groups[SECRET_SETS])
{
	bool is_changed = false;

	for (unsigned int i = 1; i < SECRET_SETS; i++) {
		const char *name = groups[i] != NULL ? groups[i] : "";
		size_t len = strlen(name);

		if (len >= SECRET_GROUP_NAME_SIZE || strcmp(ring->groups[i], name) == 0)
			continue;
		memcpy(ring->groups[i], name, len + 1);
		secret_group_derive(ring->secrets[0], name, ring->secrets[i]);
		is_changed = true;
	}
	if (is_changed)
		publish(ring, ring->current->epoch, ring->lead);
}

void
secret_fini(struct secret_ring *ring)
{
	explicit_bzero(ring, sizeof(*ring));
}
