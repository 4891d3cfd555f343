/* SPDX-License-Identifier: BSD-3-Clause */
/* How the rows of the table are written, and what its files have of each other. */
#ifndef SYNFRONT_CONF_TABLE_ROWS_H
#define SYNFRONT_CONF_TABLE_ROWS_H

#include "conf_table.h"

#define AT(type, member) .offset = offsetof(struct type, member)
#define COUNTED(type, member, count) AT(type, member), .count_offset = offsetof(struct type, count)
#define MAPPING(m) .mapping = &(m)
#define KEYS(k) .keys = (k), .n_keys = sizeof(k) / sizeof((k)[0])

/* Parts of the table. */
extern const struct conf_mapping conf_service;
extern const struct conf_mapping conf_events;

/* enum refusal. */
extern const struct conf_choice conf_refusals[];

#endif
