/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The configuration of synfront-adopt: YAML, read by the same parser as the engine's, from a
 * table of keys of its own. All that a conf points to lives as long as it does.
 */
#ifndef SYNFRONT_AGENT_CONF_H
#define SYNFRONT_AGENT_CONF_H

#include "conf.h"
#include "conf_table.h"
#include "page.h"

/* One number of a port's byte in the map means "nobody's", one "every address". */
#define AGENT_SERVICES_MAX 254u
#define AGENT_INTERFACES_MAX 32u

struct agent_service {
	char name[SERVICE_NAME_MAX];
	struct prefix *addresses; /* none: every address of this machine */
	uint32_t n_addresses;
	struct port_range *ports;
	uint32_t n_ports;
};

struct agent_conf {
	const char *source; /* name of the file, for messages */
	const char *instance;
	const char *pins; /* where a BPF file system is mounted */
	const char *const *interfaces;
	uint32_t n_interfaces;
	const char *secret_file;
	const char *secret_next;  /* NULL: there is one secret */
	const char *promise_file; /* NULL: none is written */
	const char *metrics_file; /* NULL: none is written */
	uint32_t spent;           /* cookies that are remembered */
	struct agent_service *services;
	uint32_t n_services;
	struct conf_arena *arena;
};

/* The whole file; fills a struct agent_conf. */
extern const struct conf_mapping agent_conf_root;
/* ... and as a page. */
extern const struct conf_subject agent_conf_subject;

/* NULL and *err on any error: unreadable, bad YAML, a key that is wrong, two services with
 * the same port, one file for both secrets. Does not read the secrets. */
struct agent_conf *agent_conf_load(const char *path, struct conf_error *err);
struct agent_conf *agent_conf_parse(const char *text, size_t len, const char *name,
                                    struct conf_error *err);

/* NULL is allowed. */
void agent_conf_free(struct agent_conf *conf);

#endif
