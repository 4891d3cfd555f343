/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The configuration: YAML text -> an immutable, checked `struct conf`.
 *
 * A conf is made whole or not at all: conf_parse() and conf_load() return NULL
 * and one error that names file, line, column and key. Every key, with its type,
 * range, default and help text, stands in one table (conf_table.h), from which
 * the parser, the defaults, the error messages and config/REFERENCE.md come.
 *
 * Ownership: the control thread makes and frees confs. Nobody writes one after
 * it has been made, except conf_adopt_ids(), which a reload calls before it
 * publishes the new policy, and conf_observe_all(). All that a conf points to lives as long as it
 * does.
 */
#ifndef SYNFRONT_CONF_H
#define SYNFRONT_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "policy.h"
#include "secret.h"

/* "FILE:LINE:COLUMN: KEY: found X; expected Y" */
struct conf_error {
	char text[512];
};

enum conf_mac {
	CONF_MAC_DEVICE,  /* the port's own */
	CONF_MAC_GIVEN,   /* port_conf.mac */
	CONF_MAC_OUTSIDE, /* that of the outside port (inside port only) */
};

enum conf_offload {
	CONF_OFFLOAD_AUTO, /* use it where the port has it */
	CONF_OFFLOAD_OFF,
};

struct port_conf {
	const char *device; /* PCI address, or vdev with its arguments ("net_tap0,iface=sf-out") */
	uint32_t queues;    /* receive queues; 0: one per worker */
	uint32_t rx_descriptors;
	uint32_t tx_descriptors;
	uint32_t mtu;       /* 0: leave the port's */
	uint8_t checksum;   /* enum conf_offload */
	uint8_t syn_queues; /* the same; of the outside port */
	uint8_t mac_source; /* enum conf_mac */
	uint8_t mac[6];     /* CONF_MAC_GIVEN */
	bool promiscuous;
};

enum conf_idle {
	CONF_IDLE_AUTO, /* rest: until an interrupt comes, or for pauses that grow */
	CONF_IDLE_POLL, /* never leave the CPU */
};

enum conf_numa {
	CONF_NUMA_WARN,   /* say so when a worker polls a port of another node */
	CONF_NUMA_STRICT, /* ... and refuse to start */
};

#define CONF_WORKERS_MAX 64u
#define CONF_LCORE_ANY UINT32_MAX

struct workers_conf {
	uint32_t count;         /* 1..CONF_WORKERS_MAX */
	uint32_t control_lcore; /* of the control thread; CONF_LCORE_ANY: not pinned */
	uint32_t n_lcores;      /* 0: chosen at start; else == count */
	const uint32_t *lcores;
	uint32_t buffers; /* of each; 0: what rings and bursts can hold at most */
	uint8_t idle;     /* enum conf_idle */
	uint8_t numa;     /* enum conf_numa */
};

/* Entries for the whole engine; a worker takes its share. */
struct memory_conf {
	uint32_t connections;
	uint32_t half_open;
	uint32_t backends;
	uint32_t paths;
	uint32_t sources;
	uint32_t held_connections; /* connections that hold early client data at one time */
	uint32_t known_flows;      /* of all workers together: known.h */
};

enum conf_log_level {
	CONF_LOG_ERROR,
	CONF_LOG_WARNING,
	CONF_LOG_NOTICE,
	CONF_LOG_INFO,
	CONF_LOG_DEBUG,
};

/* The level of that name, as in the file; -1: there is none. */
int conf_log_level_of(const char *name);

enum conf_log_target {
	CONF_LOG_STDERR,
	CONF_LOG_SYSLOG,
};

struct log_conf {
	uint8_t level;    /* enum conf_log_level */
	uint8_t target;   /* enum conf_log_target */
	uint8_t facility; /* LOG_DAEMON ... of <syslog.h>, for openlog() */
};

/* Where events go beside the log. All of it is live. */
struct events_conf {
	const char *file;        /* a line of JSON each; NULL: none */
	const char *socket;      /* Unix datagrams, "@NAME" in the abstract namespace; NULL: none */
	uint32_t n_hook;         /* 0: none */
	const char *const *hook; /* a program, by its whole path, and its arguments */
	uint32_t hook_timeout_s;
	uint32_t hook_per_minute;
};

enum conf_hugepages {
	CONF_HUGEPAGES_AUTO, /* used when the machine has free ones */
	CONF_HUGEPAGES_ON,   /* required */
	CONF_HUGEPAGES_OFF,  /* EAL's --no-huge */
};

struct eal_conf {
	uint8_t hugepages; /* enum conf_hugepages */
	uint32_t n_args;
	const char *const *args; /* appended to EAL's command line as they stand */
};

struct conf_arena;
struct conf_places;

struct conf {
	const char *source; /* name of the file, for messages */
	bool has_inside;    /* false: responder, one port */
	struct port_conf outside;
	struct port_conf inside; /* only with has_inside */
	struct workers_conf workers;
	struct memory_conf memory;
	const char *secret_file; /* NULL: random at start */
	bool secret_shared;      /* other nodes may have sent cookies under it; only with a file */
	uint32_t drain_timeout_s;
	struct log_conf log;
	struct events_conf events;
	const char *lists_file; /* NULL: live lists are kept in memory alone */
	bool telemetry;
	const char *instance; /* EAL's --file-prefix, syslog ident, telemetry path */
	const char *user;     /* whom to become when the ports are up; NULL: nobody else */
	struct eal_conf eal;
	struct policy policy; /* compiled; ids 0..n_services-1, generation 1 */

	const uint32_t *service_lines;    /* [n_services] where each begins, for messages */
	const struct conf_places *places; /* where keys stand, for messages */
	struct conf_arena *arena;         /* all memory of this conf */
};

/* Parse `len` bytes of YAML. `name` stands for the file in messages. NULL and
 * *err on any error. Also checks that a named secret file can be used. */
struct conf *conf_parse(const char *text, size_t len, const char *name, struct conf_error *err);

/* The same for a file. */
struct conf *conf_load(const char *path, struct conf_error *err);

/* As if the file said `observe: true`, before anything is made of it. 0, or -1 and *err. */
int conf_observe_all(struct conf *conf, struct conf_error *err);

/* NULL is allowed. */
void conf_free(struct conf *conf);

/* The master secret of conf->secret_file, which must be set: a regular file
 * that neither group nor others can read, with 64 hex digits (and at most one
 * newline), or at least 32 raw bytes, of which the first 32 are taken. The
 * caller overwrites it after use. 0, or -1 and *err. */
int conf_read_secret(const struct conf *conf, uint8_t master[MASTER_SECRET_SIZE],
                     struct conf_error *err);

/* What the tables of a conf take, all workers together. */
#define CONF_MEMORY_ROWS 7

struct conf_memory_row {
	const char *key; /* "memory.connections" */
	uint64_t entries;
	uint64_t entry_size; /* with its share of the index */
	uint64_t size;
};

struct conf_memory_size {
	struct conf_memory_row rows[CONF_MEMORY_ROWS];
	uint64_t size; /* sum */
};

struct conf_memory_size conf_memory_size(const struct conf *conf);

/* Does it fit in `available` bytes? 0, or -1 and *err, which names the key that
 * takes most, its figures, the sum and what there is. */
int conf_check_memory(const struct conf *conf, uint64_t available, struct conf_error *err);

#define CONF_MEMINFO "/proc/meminfo"

/* Bytes the machine can give now: MemAvailable of the file `path` (CONF_MEMINFO), plus its free
 * hugepages unless `hugepages` is off. UINT64_MAX when there is no such file, as below a root
 * without /proc: what is not known refuses nothing. */
uint64_t conf_memory_available(const struct conf *conf, const char *path);

/*
 * May `fresh` replace `running` without a restart? Services, limits,
 * handshake (but hold_bytes, which sizes a pool), timeouts, drain_timeout, events and the
 * log level change live; for anything else -1, and *err names the key, the old and the new value.
 */
int conf_compare(const struct conf *running, const struct conf *fresh, struct conf_error *err);

/* The same message for one key: `path` as "memory.connections". */
void conf_refuse_change(const struct conf *fresh, const char *path, const char *was,
                        const char *now, struct conf_error *err);

/* Line and column of a key, both from 1, or of the mapping that it would stand in. Of services
 * and what else is live only where it begins. */
void conf_position(const struct conf *conf, const char *path, uint32_t *line, uint32_t *column);

/*
 * What is in force, one value after the other, defaults too: "ports.outside.device" with
 * "net_tap0", "services[web].half_open.high" with "512". Of a list each member; of an empty one
 * what it stands for, as "(everybody)". Equal configurations have the same values, in the same
 * order if their services stand in the same.
 */
struct conf_flat {
	const char *path;
	const char *value;
	bool live; /* a reload may change it */
};

/* Values from number `start` on to each(), at most `max`; where to go on, 0 at the end. What
 * each() is given holds until it returns. */
uint64_t conf_flatten(const struct conf *conf, uint64_t start, uint64_t max,
                      void (*each)(void *arg, const struct conf_flat *flat), void *arg);

/* Service ids in use now or kept since they were: bit id & 63 of word id / 64. */
#define CONF_ID_WORDS (SERVICES_MAX / 64)

struct conf_ids {
	uint64_t used[CONF_ID_WORDS];
};

/* Mark the ids of a first policy. Start from a zeroed set. */
void conf_mark_ids(struct conf_ids *ids, const struct policy *policy);

/*
 * Give the services of `fresh` their ids, before it is published: a service
 * whose name is in `running` keeps its id, others get the lowest free one, which
 * is then marked in `ids`. The id of a removed service stays marked, since
 * workers may still hold entries that name it, until the caller clears its bit.
 * fresh->policy.generation becomes that of `running` + 1.
 * 0, or -1 and *err when no id is free; `fresh` is then unchanged.
 */
int conf_adopt_ids(const struct policy *running, struct conf *fresh, struct conf_ids *ids,
                   struct conf_error *err);

/* All keys as a page of Markdown: config/REFERENCE.md. */
void conf_reference(FILE *out);

/* The same as the manual page synfront.yaml(5), in mdoc(7) macros. `date` as `.Dd` takes it:
 * "November 26, 2026". */
void conf_manual(FILE *out, const char *version, const char *date);

#endif
