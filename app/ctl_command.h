/* SPDX-License-Identifier: BSD-3-Clause */
/* Commands of synfrontctl that are more than one question and a table. */
#ifndef SYNFRONT_CTL_COMMAND_H
#define SYNFRONT_CTL_COMMAND_H

#include <stdbool.h>

#include "ctl_socket.h"

/* Exit codes. */
enum {
	EXIT_OK = 0,
	EXIT_ENGINE = 1, /* not running, does not answer, or failed; or the CPU is not fit */
	EXIT_USAGE = 2,
	EXIT_REFUSED = 3,  /* the file, or the reload */
	EXIT_DEGRADED = 4, /* what health says */
};

struct ctl_request {
	const char *parameter; /* "" for none */
	bool json;
};

/* Each asks the engine, prints, and returns an exit code; what failed on the socket is in its
 * error, and printed by the caller if it is not empty. */
int ctl_reload(struct ctl_socket *s, const struct ctl_request *request);
int ctl_check(struct ctl_socket *s, const struct ctl_request *request);
int ctl_health(struct ctl_socket *s, const struct ctl_request *request);
int ctl_metrics(struct ctl_socket *s, const struct ctl_request *request);
int ctl_scrape(struct ctl_socket *s, const struct ctl_request *request);
/* The same for an engine that cannot be reached: `why`. */
int ctl_health_failed(const char *why, const struct ctl_request *request);
int ctl_scrape_failed(const char *why, const struct ctl_request *request);

/* One document on standard output; gives `json` up. */
void ctl_print_json(json_t *json);
/* The pieces of a text, put together. NULL if memory is short; the caller frees it. */
char *ctl_join(const json_t *pieces);

#endif
