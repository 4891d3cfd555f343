/* SPDX-License-Identifier: BSD-3-Clause */
/* From a file to a conf: read, applied by the tables, made consistent, compiled. */
#include <stdio.h>
#include <stdlib.h>

#include "apply.h"
#include "conf.h"
#include "consistency.h"
#include "document.h"
#include "places.h"

static int
build(struct conf_reader *r)
{
	struct conf_place root = { .node = yaml_document_get_root_node(r->doc) };

	if (root.node == NULL) {
		snprintf(r->err->text, sizeof(r->err->text),
		         "%.128s:1:1: found an empty file; expected a mapping with ports and "
		         "services",
		         r->name);
		return -1;
	}
	if (conf_apply(r, &root, &conf_root, r->conf) != 0 || conf_check(r, &root) != 0)
		return -1;
	return conf_note_places(r, &root);
}

static struct conf *
conf_new(const char *name)
{
	struct conf_arena *arena = conf_arena_new();
	struct conf *conf = arena != NULL ? conf_arena_alloc(arena, 1, sizeof(*conf)) : NULL;

	if (conf == NULL) {
		conf_arena_free(arena);
		return NULL;
	}
	conf->arena = arena;
	conf->source = conf_arena_copy(arena, name);
	if (conf->source == NULL) {
		conf_arena_free(arena);
		return NULL;
	}
	return conf;
}

struct conf *
conf_parse(const char *text, size_t len, const char *name, struct conf_error *err)
{
	struct conf_reader r = { .name = name, .conf = conf_new(name), .err = err };

	err->text[0] = '\0';
	if (r.conf == NULL) {
		conf_fail_memory(&r);
		return NULL;
	}
	r.arena = r.conf->arena;
	if (conf_document_read(&r, text, len, build) == 0)
		return r.conf;
	conf_free(r.conf);
	return NULL;
}

struct conf *
conf_load(const char *path, struct conf_error *err)
{
	size_t len;
	char *text = conf_document_text(path, &len, err);
	struct conf *conf = text != NULL ? conf_parse(text, len, path, err) : NULL;

	free(text);
	return conf;
}

void
conf_free(struct conf *conf)
{
	if (conf == NULL)
		return;
	policy_free_index(&conf->policy);
	conf_arena_free(conf->arena);
}
