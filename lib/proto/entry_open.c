/* SPDX-License-Identifier: BSD-3-Clause */
/* What is not compiled into whoever opens a connection: one by rarer ways. */
#include "entry_open.h"

struct conn *
conn_open(struct core *core, struct step *step, uint32_t lifetime_s)
{
	return conn_open_as(core, step, lifetime_s, WSCALE_NONE,
	                    CONN_REST(.client_wscale = WSCALE_NONE, .server_wscale = WSCALE_NONE));
}
