/* SPDX-License-Identifier: BSD-3-Clause */
/* A file is a YAML mapping of the keys of `promise` but `files`: read by the same table. */
#include "promise_file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "apply.h"

#define FILE_SIZE_MAX 4096u

static uint32_t
least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* The text of a file in `text`; NULL, or why not. */
static const char *
read_text(const char *path, char text[FILE_SIZE_MAX], size_t *len)
{
	FILE *f = fopen(path, "re");

	if (f == NULL)
		return strerror(errno);
	errno = 0;
	*len = fread(text, 1, FILE_SIZE_MAX, f);
	const char *problem = ferror(f)               ? strerror(errno)
	                      : *len == FILE_SIZE_MAX ? "4 KiB or more"
	                                              : NULL;
	fclose(f);
	return problem;
}

static int
apply_text(struct conf_reader *r, const char *path, const char *text, size_t len,
           struct service_promise *granted)
{
	yaml_parser_t parser;
	yaml_document_t doc;
	int rc = -1;

	if (!yaml_parser_initialize(&parser))
		return conf_fail_memory(r);
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
	if (yaml_parser_load(&parser, &doc)) {
		struct conf_reader own = { &doc, path, r->conf, r->arena, r->err };
		struct conf_place root = { .node = yaml_document_get_root_node(&doc) };

		rc = conf_apply(&own, &root, &conf_granted, granted);
		yaml_document_delete(&doc);
	} else {
		snprintf(r->err->text, sizeof(r->err->text),
		         "%.128s:%zu:%zu: found bad YAML (%s); expected a YAML mapping", path,
		         parser.problem_mark.line + 1, parser.problem_mark.column + 1,
		         parser.problem != NULL ? parser.problem : "too little memory");
	}
	yaml_parser_delete(&parser);
	return rc;
}

int
conf_promise_files(struct conf_reader *r, const struct conf_place *service,
                   struct service_promise *promise)
{
	char text[FILE_SIZE_MAX];
	size_t len = 0;

	for (uint32_t i = 0; i < promise->n_files; i++) {
		struct service_promise granted = { 0 };
		const char *problem = read_text(promise->files[i], text, &len);

		if (problem != NULL) {
			struct conf_place map = { service, "promise", 0,
				                  conf_child(r, service->node, "promise") };
			struct conf_place at = { &map, "files", 0,
				                 conf_child(r, map.node, "files") };
			return conf_fail(r, &at,
			                 "found \"%.100s\": %s; expected a file that says "
			                 "what servers grant",
			                 promise->files[i], problem);
		}
		if (apply_text(r, promise->files[i], text, len, &granted) != 0)
			return -1;
		promise->mss = least(promise->mss, granted.mss);
		promise->mss6 = least(promise->mss6, granted.mss6);
		promise->wscale = least(promise->wscale, granted.wscale);
		promise->window_scaling &= granted.window_scaling;
		promise->sack &= granted.sack;
		promise->timestamps &= granted.timestamps;
	}
	return 0;
}
