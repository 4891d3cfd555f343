/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Trying the cipher before it is used: a CPU or an emulator whose wide AES instructions are
 * wrong would answer a flood with cookies that no worker, node or later run finds good. The
 * plain variant is held against FIPS-197, the others against the plain one. Inside lib/cookie
 * only.
 */
#ifndef SYNFRONT_COOKIE_TRIAL_H
#define SYNFRONT_COOKIE_TRIAL_H

#include "cookie_lane.h"

struct cookie_variant {
	const char *name;
	cookie_encrypt_fn *encrypt;
	bool (*is_supported)(void); /* by the CPU and the system */
};

/* Does key expansion with this variant give what FIPS-197 does, at each place of a row and in
 * rows of many sizes, and leave the rest of the row alone? */
bool cookie_trial_plain(cookie_encrypt_fn *encrypt);

/* Does this variant make the same cookies of both families as `plain`, in rows of many sizes? */
bool cookie_trial_like(cookie_encrypt_fn *encrypt, cookie_encrypt_fn *plain);

/*
 * The last of `n` variants that has this name ("auto": any), is supported and passes its
 * trial; variants[0] is the plain one. NULL if there is none, or if the plain one is wrong:
 * there is nothing then to hold another against. `faults` gets those that were wrong.
 */
const struct cookie_variant *cookie_choose(const struct cookie_variant *variants, unsigned int n,
                                           const char *name, struct cookie_faults *faults);

#endif
