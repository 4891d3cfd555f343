/* SPDX-License-Identifier: BSD-3-Clause */
#include "fragment.h"

#define FRAGMENT_LIFE_MS 2000u
#define FRAGMENTS_PER_DATAGRAM 45u /* 64 KiB in fragments of 1,480 bytes */

static struct fragment *
fragment_of(struct core *core, const struct segment *seg, uint64_t *hash)
{
	struct flow whole = seg->flow;

	/* Each end counts its IDs for itself (RFC 791, 3.2). */
	whole.client_port_be = seg->side;
	whole.server_port_be = 0;
	*hash = flow_hash(&core->hash_key, &whole, seg->tags ^ seg->fragment_id) | 1u;
	return &core->fragments[(*hash >> 8) & (FRAGMENTS_TRACKED - 1)];
}

static bool
is_alive(const struct fragment *f, uint32_t now_ms)
{
	return (int32_t)(f->until_ms - now_ms) >= 0;
}

void
fragment_note(struct core *core, const struct step *step, bool is_served)
{
	uint32_t now_ms = (uint32_t)step->now->now_ms;
	uint64_t hash;
	struct fragment *f = fragment_of(core, step->seg, &hash);

	if (is_served || !f->is_served || !is_alive(f, now_ms))
		*f = (struct fragment){ hash, now_ms + FRAGMENT_LIFE_MS, FRAGMENTS_PER_DATAGRAM,
			                is_served };
}

bool
fragment_follows(struct core *core, const struct step *step)
{
	uint64_t hash;
	struct fragment *f = fragment_of(core, step->seg, &hash);

	if (f->hash != hash || f->left == 0 || !is_alive(f, (uint32_t)step->now->now_ms))
		return false;
	f->left--;
	return true;
}
