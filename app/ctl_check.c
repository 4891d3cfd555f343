/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a reload of a file would change: the file is read here, as whoever asks may read it, and
 * compared value by value with what the engine says is in force. Both sides are lines of path
 * and value, sorted, so that the values of a path lie together.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf.h"
#include "ctl_command.h"
#include "ctl_json.h"

#define VALUES_SHOWN 4
#define WORDS_SIZE 1536

struct line {
	char *path;        /* owned, ended where the value begins */
	const char *value; /* in the same memory */
	bool is_live;      /* of the file's */
};

struct lines {
	struct line *list;
	size_t n, room;
	bool is_short; /* of memory */
};

struct checking {
	const struct conf *fresh;
	json_t *changes, *refusals; /* texts */
};

static void
lines_add(struct lines *lines, const char *path, const char *value, bool is_live)
{
	size_t size = strlen(path);

	if (lines->n == lines->room) {
		size_t room = lines->room != 0 ? 2 * lines->room : 1024;
		struct line *more = realloc(lines->list, room * sizeof(*more));
		lines->is_short |= more == NULL;
		if (more == NULL)
			return;
		lines->list = more;
		lines->room = room;
	}
	char *text = malloc(size + strlen(value) + 2);
	lines->is_short |= text == NULL;
	if (text == NULL)
		return;
	strcpy(text, path);
	strcpy(text + size + 1, value);
	lines->list[lines->n++] = (struct line){ text, text + size + 1, is_live };
}

static void
lines_free(struct lines *lines)
{
	for (size_t i = 0; i < lines->n; i++)
		free(lines->list[i].path);
	free(lines->list);
	*lines = (struct lines){ .n = 0 };
}

static int
compare_lines(const void *a, const void *b)
{
	const struct line *left = a, *right = b;
	int rc = strcmp(left->path, right->path);

	return rc != 0 ? rc : strcmp(left->value, right->value);
}

static void
lines_sort(struct lines *lines)
{
	if (lines->n != 0)
		qsort(lines->list, lines->n, sizeof(*lines->list), compare_lines);
}

static void
add_flat(void *arg, const struct conf_flat *flat)
{
	lines_add(arg, flat->path, flat->value, flat->live);
}

/* "PATH VALUE", which may be in several pieces: all but the first begin with a blank. */
static void
add_page(struct lines *lines, const json_t *page)
{
	char text[8192];
	size_t i = 0, n = json_array_size(page);

	while (i < n) {
		size_t at = (size_t)snprintf(text, sizeof(text), "%s",
		                             json_string_value(json_array_get(page, i++)));
		const char *piece;
		while (i < n && (piece = json_string_value(json_array_get(page, i))) != NULL &&
		       piece[0] == ' ' && at < sizeof(text)) {
			at += (size_t)snprintf(text + at, sizeof(text) - at, "%s", piece + 1);
			i++;
		}
		char *value = strchr(text, ' ');
		if (value != NULL) {
			*value++ = '\0';
			lines_add(lines, text, value, false);
		}
	}
}

/* What is in force. A reload between two pages begins it anew. 0, or -1 and an error. */
static int
read_running(struct ctl_socket *s, struct lines *lines)
{
	json_int_t next = 0, generation = 0;

	do {
		char start[24];
		snprintf(start, sizeof(start), "%" JSON_INTEGER_FORMAT, next);
		json_t *page = ctl_ask(s, "/synfront/config", start);
		if (page == NULL)
			return -1;
		json_int_t now = json_integer_value(json_object_get(page, "generation"));
		if (next != 0 && now != generation) {
			lines_free(lines);
			next = 0;
			json_decref(page);
			continue;
		}
		generation = now;
		add_page(lines, json_object_get(page, "lines"));
		next = json_integer_value(json_object_get(page, "next"));
		json_decref(page);
	} while (next != 0 || lines->n == 0);
	return 0;
}

/* The lines of one path. */
struct group {
	const struct line *list;
	size_t n;
};

static struct group
group_at(const struct lines *lines, size_t at)
{
	struct group g = { &lines->list[at], 0 };

	while (at + g.n < lines->n && strcmp(g.list[0].path, lines->list[at + g.n].path) == 0)
		g.n++;
	return g;
}

static struct group
group_of(const struct lines *lines, const char *path)
{
	size_t from = 0, to = lines->n;

	while (from < to) {
		size_t middle = from + (to - from) / 2;
		if (strcmp(lines->list[middle].path, path) < 0)
			from = middle + 1;
		else
			to = middle;
	}
	if (from == lines->n || strcmp(lines->list[from].path, path) != 0)
		return (struct group){ NULL, 0 };
	return group_at(lines, from);
}

/* "a, b, c and 7 more" */
static void
list_values(const char *const *values, size_t n, char *text, size_t size)
{
	size_t at = 0, shown = n <= VALUES_SHOWN ? n : VALUES_SHOWN - 1;

	text[0] = '\0';
	for (size_t i = 0; i < shown && at < size; i++)
		at += (size_t)snprintf(text + at, size - at, "%s%.100s", i > 0 ? ", " : "",
		                       values[i]);
	if (shown < n && at < size)
		snprintf(text + at, size - at, " and %zu more", n - shown);
}

static void
list_group(const struct group *g, char *text, size_t size)
{
	const char *values[VALUES_SHOWN] = { NULL };

	for (size_t i = 0; i < g->n && i < VALUES_SHOWN; i++)
		values[i] = g->list[i].value;
	list_values(values, g->n, text, size);
}

/* What is in `a` and not in `b`: how many, and the first of them. */
static size_t
missing(const struct group *a, const struct group *b, const char *values[VALUES_SHOWN])
{
	size_t n = 0, k = 0;

	for (size_t i = 0; i < a->n; i++) {
		while (k < b->n && strcmp(b->list[k].value, a->list[i].value) < 0)
			k++;
		if (k < b->n && strcmp(b->list[k].value, a->list[i].value) == 0)
			continue;
		if (n < VALUES_SHOWN)
			values[n] = a->list[i].value;
		n++;
	}
	return n;
}

/* "service web: deny" of "services[web].deny"; others as they are. */
static void
say_path(const char *path, char *text, size_t size)
{
	const char *name = path + strlen("services["), *end = strchr(path, ']');

	if (strncmp(path, "services[", 9) == 0 && end != NULL && end[1] == '.')
		snprintf(text, size, "service %.*s: %.100s", (int)(end - name), name, end + 2);
	else
		snprintf(text, size, "%.128s", path);
}

static void
compare_values(struct checking *c, const struct group *was, const struct group *is)
{
	const char *gone[VALUES_SHOWN], *come[VALUES_SHOWN];
	size_t n_gone = missing(was, is, gone), n_come = missing(is, was, come);
	char path[192], left[480], right[480], words[WORDS_SIZE];

	if (n_gone == 0 && n_come == 0)
		return;
	if (!is->list[0].is_live) {
		struct conf_error err;
		list_group(was, left, sizeof(left));
		list_group(is, right, sizeof(right));
		conf_refuse_change(c->fresh, is->list[0].path, left, right, &err);
		json_array_append_new(c->refusals, json_string(err.text));
		return;
	}
	say_path(is->list[0].path, path, sizeof(path));
	list_values(gone, n_gone, left, sizeof(left));
	list_values(come, n_come, right, sizeof(right));
	if (n_gone == 1 && n_come == 1)
		snprintf(words, sizeof(words), "%s becomes %s (was %s)", path, right, left);
	else if (n_gone == 0)
		snprintf(words, sizeof(words), "%s has %zu more: %s", path, n_come, right);
	else if (n_come == 0)
		snprintf(words, sizeof(words), "%s has %zu fewer: without %s", path, n_gone, left);
	else
		snprintf(words, sizeof(words), "%s has %zu more: %s; and %zu fewer: without %s",
		         path, n_come, right, n_gone, left);
	json_array_append_new(c->changes, json_string(words));
}

/* The part of "services[NAME].name" up to the dot, if the path is one. */
static bool
is_service_name(const char *path, char service[64])
{
	size_t n = strlen(path);

	if (strncmp(path, "services[", 9) != 0 || n < 6 || strcmp(path + n - 6, "].name") != 0)
		return false;
	snprintf(service, 64, "%.*s", (int)(n - 5), path);
	return true;
}

static void
say_new_service(struct checking *c, const struct lines *fresh, const char *service,
                const char *name)
{
	static const char *const keys[] = { "mode", "addresses", "ports" };
	char path[96], said[3][480], words[WORDS_SIZE];

	for (unsigned int i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s.%s", service, keys[i]);
		struct group g = group_of(fresh, path);
		list_group(&g, said[i], sizeof(said[i]));
	}
	snprintf(words, sizeof(words), "service %.64s is new: %.32s, %.400s, ports %.400s", name,
	         said[0], said[1], said[2]);
	json_array_append_new(c->changes, json_string(words));
}

/* A path that only one side has: of a service that is new or gone, or a port. */
static void
say_one_sided(struct checking *c, const struct lines *fresh, const struct group *g, bool is_new)
{
	char service[64], words[WORDS_SIZE];
	struct conf_error err;

	if (is_service_name(g->list[0].path, service)) {
		if (is_new) {
			say_new_service(c, fresh, service, g->list[0].value);
			return;
		}
		snprintf(words, sizeof(words),
		         "service %.64s goes; its connections live on to their end",
		         g->list[0].value);
		json_array_append_new(c->changes, json_string(words));
	} else if (strcmp(g->list[0].value, "none") == 0 && strchr(g->list[0].path, '[') == NULL) {
		conf_refuse_change(c->fresh, g->list[0].path, is_new ? "one" : "none",
		                   is_new ? "none" : "one", &err);
		json_array_append_new(c->refusals, json_string(err.text));
	}
}

static void
compare(struct checking *c, const struct lines *running, const struct lines *fresh)
{
	size_t i = 0, k = 0;

	while (i < running->n || k < fresh->n) {
		int order = i == running->n ? 1
		            : k == fresh->n ? -1
		                            : strcmp(running->list[i].path, fresh->list[k].path);
		struct group was = { NULL, 0 }, is = { NULL, 0 };
		if (order <= 0)
			was = group_at(running, i);
		if (order >= 0)
			is = group_at(fresh, k);
		if (order == 0)
			compare_values(c, &was, &is);
		else
			say_one_sided(c, fresh, order < 0 ? &was : &is, order > 0);
		i += was.n;
		k += is.n;
	}
}

/* Says it, and whether a reload would be refused. */
static int
print_check(const struct checking *c, const struct ctl_request *request)
{
	size_t n_refusals = json_array_size(c->refusals), i;
	json_t *text;

	if (request->json) {
		ctl_print_json(json_pack("{s:s, s:b, s:O, s:O}", "file", request->parameter,
		                         "refused", n_refusals != 0, "reasons", c->refusals,
		                         "changes", c->changes));
		return n_refusals != 0 ? EXIT_REFUSED : EXIT_OK;
	}
	json_array_foreach(c->refusals, i, text)
		fprintf(stderr, "synfrontctl: %s\n", json_string_value(text));
	if (n_refusals != 0)
		return EXIT_REFUSED;
	if (json_array_size(c->changes) == 0)
		printf("a reload of %s would change nothing\n", request->parameter);
	else
		printf("a reload of %s would change this:\n", request->parameter);
	json_array_foreach(c->changes, i, text) printf("  %s\n", json_string_value(text));
	return EXIT_OK;
}

/* The file cannot be used at all. */
static int
print_unusable(const struct conf_error *err, const struct ctl_request *request)
{
	if (request->json)
		ctl_print_json(json_pack("{s:s, s:b, s:[s], s:[]}", "file", request->parameter,
		                         "refused", true, "reasons", err->text, "changes"));
	else
		fprintf(stderr, "synfrontctl: %s\n", err->text);
	return EXIT_REFUSED;
}

int
ctl_check(struct ctl_socket *s, const struct ctl_request *request)
{
	struct lines running = { .n = 0 }, fresh = { .n = 0 };
	struct conf_error err;
	struct conf *conf = conf_load(request->parameter, &err);
	int rc = EXIT_ENGINE;

	if (conf == NULL)
		return print_unusable(&err, request);
	conf_flatten(conf, 0, UINT32_MAX, add_flat, &fresh);
	if (read_running(s, &running) == 0) {
		lines_sort(&running);
		lines_sort(&fresh);
		struct checking c = { conf, json_array(), json_array() };
		if (running.is_short || fresh.is_short)
			snprintf(s->error, sizeof(s->error), "not enough memory");
		else
			compare(&c, &running, &fresh);
		if (!running.is_short && !fresh.is_short)
			rc = print_check(&c, request);
		json_decref(c.changes);
		json_decref(c.refusals);
	}
	lines_free(&running);
	lines_free(&fresh);
	conf_free(conf);
	return rc;
}
