/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What this process may do, once it has what it needs: no capability that its ports' drivers
 * can do without, no root if a user is named, and never more than it has. What it makes
 * is for nobody else.
 */
#ifndef SYNFRONT_PRIVILEGE_H
#define SYNFRONT_PRIVILEGE_H

#include "plane.h"

/* Before anything is made and any thread begins: no file for others, no new privileges. */
void privilege_begin(void);

/* Give up what is left over, in all threads. `user`: to become, NULL: nobody else. `path`: the
 * configuration, which a reload will want to read. 0, or -1 with the reason logged. */
int privilege_drop(const struct plane *plane, const char *user, const char *path);

#endif
