/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The table of keys: all that may stand in a configuration, as data.
 *
 * A mapping is a list of keys and belongs to one C struct; a key says where its
 * value goes in it. The parser walks the table, so a key exists exactly if it has a
 * row here, and a default is text that goes through the same parser as a
 * file's.
 */
#ifndef SYNFRONT_CONF_TABLE_H
#define SYNFRONT_CONF_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a key's value is, and the field that it fills. */
enum conf_type {
	CONF_NUMBER,   /* uint32_t; plain digits */
	CONF_ENTRIES,  /* uint32_t; k, M, G multiply by 1024 */
	CONF_RATE,     /* uint32_t; k, M, G multiply by 1000 */
	CONF_DURATION, /* uint32_t, seconds; s, m, h, d */
	CONF_BOOL,     /* bool */
	CONF_CHOICE,   /* uint8_t, one of `choices` */
	CONF_TEXT,     /* const char *, no white space; absent: NULL */
	CONF_NAME,     /* const char *, of [A-Za-z0-9_.-], at most `max` bytes */
	CONF_LABEL,    /* the same, as char[max + 1] */
	CONF_MAC,      /* enum conf_mac as uint8_t; the address itself at count_offset */
	/* lists: a pointer, and at count_offset a uint32_t; one scalar is a list of one */
	CONF_TEXTS,     /* const char * */
	CONF_ARGUMENTS, /* the same, blanks within them allowed: what a program is called with */
	CONF_LCORES,    /* uint32_t; "2-5" are four */
	CONF_PORTS,     /* struct port_range; "all" */
	CONF_PREFIXES,  /* struct prefix */
	CONF_ADDRESSES, /* struct prefix, of unicast destinations that do not overlap */
	/* nested */
	CONF_MAPPING,  /* `mapping`, at offset; with CONF_OPTIONAL a bool at count_offset */
	CONF_SEQUENCE, /* a list of `mapping`: pointer and count */
};

enum conf_key_flags {
	CONF_REQUIRED = 1,
	CONF_OPTIONAL = 2, /* a mapping whose absence is not the same as all its defaults */
	CONF_LIVE = 4,     /* a reload may change it, and all below it */
};

struct conf_choice {
	const char *name; /* NULL ends the list */
	uint8_t value;
};

struct conf_mapping;

struct conf_key {
	const char *name;
	enum conf_type type;
	uint8_t flags;
	uint32_t offset;
	uint32_t count_offset;
	uint32_t min, max;   /* of numbers, in the field's unit; of lists, members */
	const char *zero;    /* what 0 means, if it is allowed though below min */
	const char *preset;  /* default as a file would say it, or NULL */
	const char *derived; /* with no preset: where the default comes from */
	uint32_t absent;     /* with no preset: the number that says "not given" */
	const char *unit;
	uint32_t entry_size; /* memory tables: bytes an entry takes */
	const struct conf_choice *choices;
	const struct conf_mapping *mapping;
	const char *help;
};

struct conf_mapping {
	const char *title; /* for the reference page */
	const struct conf_key *keys;
	uint32_t n_keys;
	uint32_t size; /* of the struct, for sequences */
};

/* The whole file; fills a struct conf. */
extern const struct conf_mapping conf_root;

/* A file of what servers grant; fills a struct service_promise. */
extern const struct conf_mapping conf_granted;

static inline bool
conf_type_is_number(enum conf_type type)
{
	return type <= CONF_DURATION;
}

static inline bool
conf_type_is_list(enum conf_type type)
{
	return type >= CONF_TEXTS && type <= CONF_ADDRESSES;
}

#endif
