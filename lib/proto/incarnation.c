/* SPDX-License-Identifier: BSD-3-Clause */
/* Which ISS may open on ports that others have opened on lately. */
#include "incarnation.h"

#include "seq.h"

/* The block of 128 Ki that an ISS lies in; never 0. */
static uint16_t
block_of(uint32_t irs)
{
	return (uint16_t)(irs >> 16 | 1);
}

static bool
block_before(uint16_t a, uint16_t b)
{
	return (int16_t)(a - b) < 0;
}

/* Is it beyond each ISS that has opened? Those before the last one are no bar to what lies
 * beyond that, and such are all in the same block as the last one. */
static bool
is_newest(const struct conn *conn, const struct conn_side *side, uint32_t irs)
{
	if (!seq_before(conn->irs, irs))
		return false;
	for (unsigned int i = 0; i < 2; i++) {
		uint16_t before = side->before[i];

		if (before != 0 && block_before(block_of(conn->irs), before) &&
		    !block_before(before, block_of(irs)))
			return false;
	}
	return true;
}

bool
incarnation_admits(const struct conn *conn, const struct conn_side *side, uint32_t irs)
{
	uint16_t block = block_of(irs);

	if (is_newest(conn, side, irs))
		return true;
	if (irs == 0 || irs != side->readmitted || irs == conn->irs)
		return false;
	if (side->before[0] == 0)
		return true;
	/* When both places are taken another may have had to give way. */
	return side->before[1] == 0 && block != side->before[0] && block != block_of(conn->irs);
}

void
incarnation_syn(const struct conn *conn, struct conn_side *side, uint32_t irs)
{
	if (!is_newest(conn, side, irs))
		side->readmitted = irs;
}

void
incarnation_follow(const struct conn *conn, const struct conn_side *side, uint32_t seq,
                   struct conn_side *next)
{
	uint16_t block = block_of(conn->irs);

	/* Beyond the next one, though in the same block. */
	if (!seq_before(conn->irs, seq) && block_of(seq) == block)
		block += 2;
	next->before[1] = side->before[0];
	next->before[0] = block;
}
