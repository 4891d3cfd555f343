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
	EXIT_REFUSED = 3,  /* the file, the reload, or the capture */
	EXIT_DEGRADED = 4, /* what health says */
	EXIT_OUTPUT = 5,   /* a capture cannot be written */
};

struct ctl_capture_options;

struct ctl_request {
	const char *parameter; /* "" for none */
	bool json;
	const char *command; /* its name */
	char *const *words;  /* what stands behind it */
	unsigned int n_words;
	const char *service, *for_how_long, *why; /* options, or explain's word; NULL: not given */
	const char *instance;
	struct ctl_capture_options *capture;
	const char *client; /* of explain */
	double watch_s;     /* of top; 0: not given */
};

/* Each asks the engine, prints, and returns an exit code; what failed on the socket is in its
 * error, and printed by the caller if it is not empty. */
int ctl_reload(struct ctl_socket *s, const struct ctl_request *request);
int ctl_check(struct ctl_socket *s, const struct ctl_request *request);
int ctl_health(struct ctl_socket *s, const struct ctl_request *request);
int ctl_metrics(struct ctl_socket *s, const struct ctl_request *request);
int ctl_scrape(struct ctl_socket *s, const struct ctl_request *request);
int ctl_talkers(struct ctl_socket *s, const struct ctl_request *request);
int ctl_lists(struct ctl_socket *s, const struct ctl_request *request);
int ctl_capture(struct ctl_socket *s, const struct ctl_request *request);
int ctl_explain(struct ctl_socket *s, const struct ctl_request *request);
/* Connects by itself, again and again. */
int ctl_top(const struct ctl_request *request);
/* Read the words behind such a command, which is argv[0]. -1: usage. */
int ctl_capture_options(int argc, char **argv, struct ctl_request *request);
int ctl_explain_options(int argc, char **argv, struct ctl_request *request);
/* The same for an engine that cannot be reached: `why`. */
int ctl_health_failed(const char *why, const struct ctl_request *request);
int ctl_scrape_failed(const char *why, const struct ctl_request *request);

#endif
