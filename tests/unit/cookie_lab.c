/* SPDX-License-Identifier: BSD-3-Clause */
#include "cookie_lab.h"

#include "check.h"

const char *const lab_variants[LAB_VARIANTS] = { "aesni", "vaes256", "vaes512" };

void
lab_ring_start(struct secret_ring *ring, uint64_t wall_s)
{
	uint8_t master[MASTER_SECRET_SIZE];

	for (unsigned int i = 0; i < MASTER_SECRET_SIZE; i++)
		master[i] = (uint8_t)i;
	secret_init(ring, master, wall_s);
}

static struct ip_addr
addr_random(uint64_t *state, bool is_v4)
{
	struct ip_addr addr = { .quads_be = { check_random(state), check_random(state) } };

	return is_v4 ? ip_addr_v4(addr.words_be[1]) : addr;
}

void
lab_jobs_random(struct cookie_job *jobs, struct flow *flows, unsigned int n, enum lab_mix mix,
                uint64_t *state)
{
	for (unsigned int i = 0; i < n; i++) {
		bool is_v4 = mix == LAB_ALL ? check_random(state) >> 40 & 1 : mix == LAB_V4;

		memset(&flows[i], 0, sizeof(flows[i]));
		flows[i].client = addr_random(state, is_v4);
		flows[i].server = addr_random(state, is_v4);
		flows[i].client_port_be = (uint16_t)check_random(state);
		flows[i].server_port_be = (uint16_t)check_random(state);
		jobs[i] = (struct cookie_job){
			.flow = &flows[i],
			.irs = (uint32_t)check_random(state),
			.profile = check_random(state) >> 30 & 31,
			.parity = mix == LAB_ALL ? check_random(state) >> 33 & 1 : 0,
			.is_v4 = is_v4,
		};
	}
}

uint32_t
lab_model(const struct secret_set *set, const struct cookie_job *job)
{
	const struct epoch_keys *keys = &set->parity[job->parity];
	const struct flow *flow = job->flow;
	uint8_t block[16] = { 0 };
	uint32_t word;

	if (job->is_v4) {
		memcpy(block, &flow->client.bytes[12], 4);
		memcpy(block + 4, &job->irs, 4);
		memcpy(block + 8, &flow->server.bytes[12], 4);
		memcpy(block + 12, &flow->client_port_be, 2);
		memcpy(block + 14, &flow->server_port_be, 2);
	} else {
		uint8_t last[16] = { 0 };

		memcpy(last, &flow->client_port_be, 2);
		memcpy(last + 2, &flow->server_port_be, 2);
		memcpy(last + 4, &job->irs, 4);
		aes_encrypt(&keys->v6, flow->client.bytes, block);
		for (unsigned int i = 0; i < 16; i++)
			block[i] ^= flow->server.bytes[i];
		aes_encrypt(&keys->v6, block, block);
		for (unsigned int i = 0; i < 16; i++)
			block[i] ^= last[i];
	}
	for (unsigned int i = 0; i < 16; i++)
		block[i] ^= keys->profile_mask[job->profile][i];
	aes_encrypt(job->is_v4 ? &keys->v4 : &keys->v6, block, block);
	memcpy(&word, block, sizeof(word));

	uint32_t low = 0, mac = word >> 6;
	for (unsigned int bit = 0; bit < 6; bit++) {
		uint32_t both = mac ^ mac >> 13;
		low |= ((both >> bit ^ both >> (bit + 6)) & 1) << bit;
	}
	return mac << 6 | (low ^ ((unsigned int)job->parity << 5 | job->profile));
}
