/* SPDX-License-Identifier: BSD-3-Clause */
/* What is in an engine's answers, and printing them as they are. */
#ifndef SYNFRONT_CTL_JSON_H
#define SYNFRONT_CTL_JSON_H

#include <jansson.h>

/* The text, or the number, of a key; "" or 0 where there is none. */
const char *ctl_text(const json_t *object, const char *key);
json_int_t ctl_number(const json_t *object, const char *key);

/* The pieces of a text, put together. NULL if memory is short; the caller frees it. */
char *ctl_join(const json_t *pieces);

/* One document on standard output; gives `json` up. */
void ctl_print_json(json_t *json);

#endif
