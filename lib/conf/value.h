/* SPDX-License-Identifier: BSD-3-Clause */
/* Between the text of one value and the field that holds it. */
#ifndef SYNFRONT_CONF_VALUE_H
#define SYNFRONT_CONF_VALUE_H

#include "arena.h"
#include "conf_table.h"
#include "prefix_text.h"
#include "reader.h"

enum conf_set {
	CONF_SET_OK,
	CONF_SET_REFUSED, /* not what the key takes */
	CONF_SET_NO_MEMORY,
};

/* Set the field of a scalar key in the struct at `base` from text. */
enum conf_set conf_set_text(struct conf_arena *arena, const struct conf_key *key, void *base,
                            const char *text);

/* Whether `text` is the small `word` in one of the ways in which YAML 1.1 writes its own words:
 * all small, all capital, or the first letter alone a capital. */
bool conf_word_is(const char *text, const char *word);

/* A number with the key's suffixes, not checked against its range. False if
 * it is none or does not fit 32 bits. */
bool conf_number(enum conf_type type, const char *text, uint32_t *number);

/* What the key takes, for "expected ...". */
#define CONF_EXPECTED_SIZE 224
void conf_expected(const struct conf_key *key, char expected[CONF_EXPECTED_SIZE]);

/* A number as people write it: "64k", "5m", "255". */
void conf_format_number(enum conf_type type, uint32_t number, char *text, size_t size);

/* The field's value as a file would say it; `size` at least 16. */
void conf_format_value(const struct conf_key *key, const void *base, char *text, size_t size);

/* Is the field the same in both structs? Not for mappings and sequences, nor for lists of ports and
 * prefixes, which a reload may change. */
bool conf_value_equal(const struct conf_key *key, const void *a, const void *b);

/* Fill a list key from its node: a sequence, or one scalar. */
int conf_read_list(struct conf_reader *r, const struct conf_place *place,
                   const struct conf_key *key, void *base);

#endif
