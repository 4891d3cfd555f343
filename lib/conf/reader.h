/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The state of one parse, and how its errors are worded.
 *
 * Functions that can fail return 0, or -1 after they have filled the reader's
 * conf_error; nothing goes on after the first error.
 */
#ifndef SYNFRONT_CONF_READER_H
#define SYNFRONT_CONF_READER_H

#include <stdarg.h>
#include <stddef.h>
#include <yaml.h>

#include "arena.h"
#include "conf.h"
#include "conf_table.h"

/* Where in the file we are: a key, or (key NULL) a member of a list. */
struct conf_place {
	const struct conf_place *up;
	const char *key;
	uint32_t index;
	const yaml_node_t *node; /* whose mark an error gives; NULL: the upper place's */
};

struct conf_reader {
	yaml_document_t *doc;
	const char *name; /* of the file */
	struct conf *conf;
	struct conf_arena *arena;
	struct conf_error *err;
};

/* The place of a member of the list, a sequence, that stands at `list`. */
struct conf_place conf_member(const struct conf_reader *r, const struct conf_place *list,
                              uint32_t index);

#define CONF_PATH_SIZE 160

/* "services[2].half_open.high" */
void conf_place_path(const struct conf_place *place, char path[CONF_PATH_SIZE]);

/* What a node is, for "found ...": its text in quotes, "a list", "nothing" ... */
#define CONF_FOUND_SIZE 96
void conf_describe(const yaml_node_t *node, char found[CONF_FOUND_SIZE]);

/* "FILE:LINE:COLUMN: KEY: " and the message. Returns -1. */
int conf_fail(struct conf_reader *r, const struct conf_place *place, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* "... found (what stands there); expected (what the key takes)". Returns -1. */
int conf_fail_value(struct conf_reader *r, const struct conf_place *place,
                    const struct conf_key *key);

int conf_fail_memory(struct conf_reader *r);

/* The value of `name` in a mapping node; NULL when it is not there, or `map` is
 * NULL or no mapping. */
const yaml_node_t *conf_child(const struct conf_reader *r, const yaml_node_t *map,
                              const char *name);

/* The text of a scalar node; NULL of other nodes and of a plain null. */
const char *conf_scalar(const yaml_node_t *node);

#endif
