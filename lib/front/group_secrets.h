/* SPDX-License-Identifier: BSD-3-Clause */
/* The secrets of a policy's groups. */
#ifndef SYNFRONT_GROUP_SECRETS_H
#define SYNFRONT_GROUP_SECRETS_H

#include "policy.h"
#include "secret.h"

_Static_assert(SERVICE_GROUPS_MAX == SECRET_GROUPS_MAX &&
                       SERVICE_NAME_MAX == SECRET_GROUP_NAME_SIZE,
               "a set for each group");

/* Before the policy is published. Whoever publishes it waits until each worker has ended its
 * burst, see secret_set_groups(). */
void group_secrets_of(struct secret_ring *ring, const struct policy *policy);

#endif
