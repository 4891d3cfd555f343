/* SPDX-License-Identifier: BSD-3-Clause */
/* From a file to a YAML document: one, whole, and of texts that hide nothing. */
#include "document.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_SIZE_MAX (64u << 20)

/* libyaml's own complaint. */
static void
yaml_failed(const yaml_parser_t *parser, const char *name, struct conf_error *err)
{
	const char *problem = parser->problem != NULL ? parser->problem : "too little memory";

	if (parser->error == YAML_READER_ERROR)
		snprintf(err->text, sizeof(err->text),
		         "%.128s: byte %zu: found %s; expected UTF-8 text", name,
		         parser->problem_offset, problem);
	else
		snprintf(err->text, sizeof(err->text),
		         "%.128s:%zu:%zu: found bad YAML (%s%s%s); expected "
		         "a YAML mapping",
		         name, parser->problem_mark.line + 1, parser->problem_mark.column + 1,
		         parser->context != NULL ? parser->context : "",
		         parser->context != NULL ? ", " : "", problem);
}

/* Anything after the first document would be ignored: refuse it. */
static int
check_end(yaml_parser_t *parser, const char *name, struct conf_error *err)
{
	yaml_document_t rest;

	if (!yaml_parser_load(parser, &rest)) {
		yaml_failed(parser, name, err);
		return -1;
	}
	const yaml_node_t *node = yaml_document_get_root_node(&rest);
	if (node != NULL)
		snprintf(err->text, sizeof(err->text),
		         "%.128s:%zu:%zu: found a second document; expected one", name,
		         node->start_mark.line + 1, node->start_mark.column + 1);
	yaml_document_delete(&rest);
	return node != NULL ? -1 : 0;
}

/* No text of ours holds a zero byte, and one would hide what follows it. */
static int
check_nodes(struct conf_reader *r)
{
	for (const yaml_node_t *n = r->doc->nodes.start; n < r->doc->nodes.top; n++) {
		if (n->type == YAML_SCALAR_NODE &&
		    strlen((const char *)n->data.scalar.value) != n->data.scalar.length) {
			struct conf_place place = { .node = n };
			return conf_fail(r, &place, "found a zero byte in a text; expected none");
		}
	}
	return 0;
}

int
conf_document_read(struct conf_reader *r, const char *text, size_t len,
                   int (*build)(struct conf_reader *r))
{
	yaml_parser_t parser;
	yaml_document_t doc;
	int rc = -1;

	if (!yaml_parser_initialize(&parser))
		return conf_fail_memory(r);
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
	if (!yaml_parser_load(&parser, &doc)) {
		yaml_failed(&parser, r->name, r->err);
	} else {
		r->doc = &doc;
		rc = check_nodes(r) != 0 ? -1 : build(r);
		/* After the end of the stream there is no more to load. */
		if (rc == 0)
			rc = check_end(&parser, r->name, r->err);
		yaml_document_delete(&doc);
		r->doc = NULL;
	}
	yaml_parser_delete(&parser);
	return rc;
}

char *
conf_document_text(const char *path, size_t *len, struct conf_error *err)
{
	FILE *f = fopen(path, "re");
	size_t capacity = 0;
	char *text = NULL;

	*len = 0;
	errno = f == NULL ? errno : 0;
	while (f != NULL && !feof(f) && !ferror(f) && *len < FILE_SIZE_MAX) {
		if (*len == capacity) {
			capacity = capacity == 0 ? 65536 : 2 * capacity;
			char *more = realloc(text, capacity);
			if (more == NULL)
				break;
			text = more;
		}
		*len += fread(text + *len, 1, capacity - *len, f);
	}
	if (f == NULL || !feof(f)) {
		snprintf(err->text, sizeof(err->text),
		         "%.128s: found %s; expected a file that can be read", path,
		         errno != 0 ? strerror(errno) : "more than 64 MiB");
		free(text);
		text = NULL;
	}
	if (f != NULL)
		fclose(f);
	return text;
}
