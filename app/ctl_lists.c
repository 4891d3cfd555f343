/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The live lists: deny and allow, add, del, list and load.
 *
 * A file to load is read here, as whoever asks may read it, and wholly checked before the first
 * word of it is sent; then it goes over the socket in parts, and comes into force all together.
 */
#include <errno.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>

#include "ctl_command.h"
#include "ctl_json.h"
#include "ctl_table.h"
#include "list_line.h"
#include "prefix_text.h"
#include "value.h"

#define PART_SIZE 900u /* of one question: DPDK reads 1 KiB */
#define PART_PREFIXES 100u

static const struct ctl_column list_columns[] = {
	{ "prefix", "PREFIX" },     { "service", "SERVICE" }, { "expires_s", "EXPIRES/s" },
	{ "in_force", "IN-FORCE" }, { "why", "WHY" },
};

/* Words that are wrong: "synfrontctl: " and what would be right. */
static int __attribute__((format(printf, 1, 2)))
usage_error(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("synfrontctl: ", stderr);
	vfprintf(stderr, format, args);
	putc('\n', stderr);
	va_end(args);
	return EXIT_USAGE;
}

/* What the options say, as words for the engine; 0 or an exit code. */
static int
options_words(const struct ctl_request *r, bool with_end, const char *why, char words[256])
{
	uint32_t for_s = 0;
	const char *fault;

	words[0] = '\0';
	if (r->service != NULL && (fault = list_service_fault(r->service)) != NULL)
		return usage_error("--service \"%s\": %s", r->service, fault);
	if (r->for_how_long != NULL && (!conf_number(CONF_DURATION, r->for_how_long, &for_s) ||
	                                for_s == 0 || for_s > 366u * 86400))
		return usage_error("--for \"%s\": expected a duration from 1s to 366d, such as "
		                   "30s, 10m, 2h or 7d",
		                   r->for_how_long);
	if ((fault = list_why_fault(why)) != NULL)
		return usage_error("--why \"%s\": %s", why, fault);
	size_t at = 0;
	if (r->service != NULL)
		at += (size_t)snprintf(words, 256, " service=%s", r->service);
	if (with_end && for_s != 0)
		at += (size_t)snprintf(words + at, 256 - at, " for=%u", for_s);
	if (with_end && *why != '\0')
		snprintf(words + at, 256 - at, " why=%s", why);
	return EXIT_OK;
}

/* Ask, and take the text out of the answer's pieces. NULL: the socket failed. */
static json_t *
ask(struct ctl_socket *s, const struct ctl_request *r, const char *words)
{
	char command[32];

	snprintf(command, sizeof(command), "/synfront/%s", r->command);
	json_t *answer = ctl_ask(s, command, words);
	if (answer == NULL)
		return NULL;
	char *text = ctl_join(json_object_get(answer, "text"));
	json_object_set_new(answer, "text", json_string(text != NULL ? text : ""));
	free(text);
	return answer;
}

static bool
is_refused(const json_t *answer)
{
	return json_integer_value(json_object_get(answer, "refused")) != 0;
}

/* Print what the engine says, and give it up. */
static int
report(json_t *answer, const struct ctl_request *r)
{
	int rc = is_refused(answer) ? EXIT_REFUSED : EXIT_OK;
	const char *text = json_string_value(json_object_get(answer, "text"));

	if (r->json) {
		json_object_set_new(answer, "refused", json_boolean(rc != EXIT_OK));
		json_object_del(answer, "ticket");
		ctl_print_json(answer);
		return rc;
	}
	if (rc == EXIT_OK)
		puts(text);
	else
		fprintf(stderr, "synfrontctl: %s\n", text);
	json_decref(answer);
	return rc;
}

static int
change(struct ctl_socket *s, const struct ctl_request *r, const char *text, bool is_add)
{
	char words[256], problem[LIST_PROBLEM_SIZE], prefix[CONF_PREFIX_SIZE], all[512];
	struct prefix p;

	if (!list_prefix(text, &p, problem))
		return usage_error("%s", problem);
	int rc = options_words(r, is_add, r->why != NULL ? r->why : "", words);
	if (rc != EXIT_OK)
		return rc;
	conf_format_prefix(&p, prefix);
	snprintf(all, sizeof(all), "%s %s%s", is_add ? "add" : "del", prefix, words);
	json_t *answer = ask(s, r, all);
	return answer != NULL ? report(answer, r) : EXIT_ENGINE;
}

/* ---- list -------------------------------------------------------------- */

static int
list(struct ctl_socket *s, const struct ctl_request *r)
{
	char command[32];

	snprintf(command, sizeof(command), "/synfront/%s", r->command);
	json_t *rows = ctl_ask_all(s, command);
	if (rows == NULL)
		return EXIT_ENGINE;
	for (size_t i = json_array_size(rows); i-- > 0;) {
		json_t *row = json_array_get(rows, i);
		const char *service = json_string_value(json_object_get(row, "service"));
		if (r->service != NULL && service != NULL && strcmp(service, r->service) != 0)
			json_array_remove(rows, i);
	}
	if (r->json) {
		ctl_print_json(rows);
		return EXIT_OK;
	}
	ctl_print_list(stdout, rows, list_columns, sizeof(list_columns) / sizeof(list_columns[0]));
	json_decref(rows);
	return EXIT_OK;
}

/* ---- load -------------------------------------------------------------- */

struct prefixes {
	struct prefix *list;
	size_t n, room;
};

static bool
append(struct prefixes *all, const struct prefix *prefix)
{
	if (all->n == all->room) {
		size_t room = all->room > 0 ? 2 * all->room : 4096;
		struct prefix *list = realloc(all->list, room * sizeof(*list));
		if (list == NULL)
			return false;
		all->list = list;
		all->room = room;
	}
	all->list[all->n++] = *prefix;
	return true;
}

static int
read_file(FILE *in, const char *name, struct prefixes *all)
{
	char text[LIST_LINE_SIZE];
	struct list_line line;

	for (unsigned int number = 1; fgets(text, sizeof(text), in) != NULL; number++) {
		bool is_cut = strchr(text, '\n') == NULL && strlen(text) == sizeof(text) - 1;
		enum list_line_kind kind = list_line_plain(text, &line);
		/* What is behind a prefix is a comment of any length. */
		for (int c = 0; is_cut && c != '\n' && c != EOF;)
			c = getc(in);
		if (kind == LIST_LINE_BLANK)
			continue;
		if (kind == LIST_LINE_WRONG) {
			fprintf(stderr, "synfrontctl: %s:%u:%u: %s\n", name, number, line.column,
			        line.problem);
			return EXIT_REFUSED;
		}
		if (!append(all, &line.prefix)) {
			fputs("synfrontctl: not enough memory\n", stderr);
			return EXIT_ENGINE;
		}
	}
	if (!ferror(in))
		return EXIT_OK;
	fprintf(stderr, "synfrontctl: %s: %s\n", name, strerror(errno));
	return EXIT_REFUSED;
}

/* One part: as many as fit. */
static size_t
part(char *words, size_t at, const struct prefixes *all, size_t i)
{
	for (size_t n = 0; i < all->n && n < PART_PREFIXES && at + CONF_PREFIX_SIZE < PART_SIZE;
	     i++, n++) {
		char prefix[CONF_PREFIX_SIZE];
		conf_format_prefix(&all->list[i], prefix);
		at += (size_t)snprintf(words + at, PART_SIZE - at, " %s", prefix);
	}
	return i;
}

static int
send_all(struct ctl_socket *s, const struct ctl_request *r, const char *begin,
         const struct prefixes *all)
{
	char words[PART_SIZE];
	json_t *answer = ask(s, r, begin);

	if (answer == NULL || is_refused(answer))
		return answer != NULL ? report(answer, r) : EXIT_ENGINE;
	json_int_t ticket = json_integer_value(json_object_get(answer, "ticket"));
	json_decref(answer);
	int n = snprintf(words, sizeof(words), "load %" JSON_INTEGER_FORMAT, ticket);
	for (size_t i = 0; i < all->n;) {
		i = part(words, (size_t)n, all, i);
		answer = ask(s, r, words);
		if (answer == NULL || is_refused(answer))
			return answer != NULL ? report(answer, r) : EXIT_ENGINE;
		json_decref(answer);
	}
	snprintf(words + n, sizeof(words) - (size_t)n, " commit");
	answer = ask(s, r, words);
	return answer != NULL ? report(answer, r) : EXIT_ENGINE;
}

static int
load(struct ctl_socket *s, const struct ctl_request *r, const char *path)
{
	bool is_stdin = strcmp(path, "-") == 0;
	const char *name = is_stdin ? "(standard input)" : path;
	FILE *in = is_stdin ? stdin : fopen(path, "re");
	char words[256], begin[512], copy[512];
	struct prefixes all = { .n = 0 };

	if (in == NULL) {
		fprintf(stderr, "synfrontctl: %s: %s\n", path, strerror(errno));
		return EXIT_REFUSED;
	}
	snprintf(copy, sizeof(copy), "%s", path);
	const char *why = r->why != NULL ? r->why : is_stdin ? "standard input" : basename(copy);
	int rc = options_words(r, true, why, words);
	if (rc == EXIT_OK)
		rc = read_file(in, name, &all);
	if (!is_stdin)
		fclose(in);
	snprintf(begin, sizeof(begin), "load begin%s", words);
	if (rc == EXIT_OK)
		rc = send_all(s, r, begin, &all);
	free(all.list);
	return rc;
}

int
ctl_lists(struct ctl_socket *s, const struct ctl_request *r)
{
	const char *action = r->n_words > 0 ? r->words[0] : "";
	const char *what = r->n_words > 1 ? r->words[1] : NULL;

	if (strcmp(action, "list") == 0 && what == NULL && r->why == NULL &&
	    r->for_how_long == NULL)
		return list(s, r);
	if (strcmp(action, "add") == 0 && what != NULL && r->n_words == 2)
		return change(s, r, what, true);
	if (strcmp(action, "del") == 0 && what != NULL && r->n_words == 2 && r->why == NULL &&
	    r->for_how_long == NULL)
		return change(s, r, what, false);
	if (strcmp(action, "load") == 0 && what != NULL && r->n_words == 2)
		return load(s, r, what);
	return usage_error("usage: %s add PREFIX [--service NAME] [--for DURATION] [--why TEXT]\n"
	                   "                   %s del PREFIX [--service NAME]\n"
	                   "                   %s list [--service NAME]\n"
	                   "                   %s load FILE [--service NAME] [--for DURATION] "
	                   "[--why TEXT]",
	                   r->command, r->command, r->command, r->command);
}
