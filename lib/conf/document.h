/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading one YAML document, whatever the table that it is applied by. */
#ifndef SYNFRONT_CONF_DOCUMENT_H
#define SYNFRONT_CONF_DOCUMENT_H

#include "reader.h"

/*
 * Parse `len` bytes and call build() while the document lives; r->doc is set for it, all
 * other fields of `r` are the caller's. 0, or -1 and *r->err: bad YAML, a zero byte in a
 * text, a second document, or what build() found.
 */
int conf_document_read(struct conf_reader *r, const char *text, size_t len,
                       int (*build)(struct conf_reader *r));

/* What a file holds, which the caller frees; NULL and *err if it cannot be read. */
char *conf_document_text(const char *path, size_t *len, struct conf_error *err);

#endif
