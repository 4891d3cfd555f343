/* SPDX-License-Identifier: BSD-3-Clause */
/* Which lcore is whose: 0 is control's. */
#ifndef SYNFRONT_LCORE_H
#define SYNFRONT_LCORE_H

/* lcore of worker i. */
static inline unsigned int
lcore_of_worker(unsigned int i)
{
	return i + 1;
}

#endif
