/* SPDX-License-Identifier: BSD-3-Clause */
/* Reloads that are waited for, and health. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ctl_command.h"
#include "ctl_json.h"

#define RELOAD "/synfront/reload"
/* A million prefixes are read in a few seconds; a worker that stands still is not waited for. */
#define RELOAD_TIMEOUT_MS 60000u
#define POLL_MS 50u

/* What became of a ticket; NULL and an error if nothing does. */
static json_t *
wait_for(struct ctl_socket *s, json_int_t ticket)
{
	const struct timespec pause = { .tv_nsec = POLL_MS * 1000000L };
	char text[24];

	snprintf(text, sizeof(text), "%" JSON_INTEGER_FORMAT, ticket);
	for (unsigned int ms = 0; ms < RELOAD_TIMEOUT_MS; ms += POLL_MS) {
		json_t *answer = ctl_ask(s, RELOAD, text);
		if (answer == NULL || strcmp(ctl_text(answer, "result"), "pending") != 0)
			return answer;
		json_decref(answer);
		nanosleep(&pause, NULL);
	}
	snprintf(s->error, sizeof(s->error),
	         "the reload is not over after %u s: a worker may stand still (synfrontctl health)",
	         RELOAD_TIMEOUT_MS / 1000);
	return NULL;
}

/* Pieces become a text. */
static int
print_result(json_t *answer, const struct ctl_request *request)
{
	bool is_refused = strcmp(ctl_text(answer, "result"), "refused") == 0;
	char *text = ctl_join(json_object_get(answer, "text"));

	if (request->json) {
		json_object_del(answer, "ticket");
		json_object_set_new(answer, "text", json_string(text));
		ctl_print_json(json_incref(answer));
	} else if (is_refused) {
		fprintf(stderr, "synfrontctl: not reloaded, nothing has changed: %s\n",
		        text != NULL ? text : "");
	} else {
		puts(text != NULL ? text : "");
	}
	free(text);
	return is_refused ? EXIT_REFUSED : EXIT_OK;
}

/* The last reload, whoever wanted it. That it was refused is no failure of asking. */
static int
print_status(json_t *answer, const struct ctl_request *request)
{
	char *text = ctl_join(json_object_get(answer, "text"));

	json_object_set_new(answer, "text", json_string(text != NULL ? text : ""));
	if (request->json)
		ctl_print_json(json_incref(answer));
	else
		printf("reloads %" JSON_INTEGER_FORMAT ", refused %" JSON_INTEGER_FORMAT
		       "; the last one %s: %s%s%s\n",
		       json_integer_value(json_object_get(answer, "reloads")),
		       json_integer_value(json_object_get(answer, "refused")),
		       ctl_text(answer, "when"), ctl_text(answer, "result"),
		       *ctl_text(answer, "text") != '\0' ? ": " : "", ctl_text(answer, "text"));
	free(text);
	return EXIT_OK;
}

int
ctl_reload(struct ctl_socket *s, const struct ctl_request *request)
{
	bool asks = strcmp(request->parameter, "status") == 0;
	json_t *answer = ctl_ask(s, RELOAD, asks ? "" : "now");
	int rc = EXIT_ENGINE;

	if (answer != NULL && asks) {
		rc = print_status(answer, request);
	} else if (answer != NULL) {
		json_int_t ticket = json_integer_value(json_object_get(answer, "ticket"));
		json_decref(answer);
		answer = wait_for(s, ticket);
		if (answer != NULL)
			rc = print_result(answer, request);
	}
	json_decref(answer);
	return rc;
}

static int
health_status(const char *state)
{
	if (strcmp(state, "ready") == 0)
		return EXIT_OK;
	return strcmp(state, "degraded") == 0 ? EXIT_DEGRADED : EXIT_ENGINE;
}

/* Gives `answer` up. */
static int
print_health(json_t *answer, const struct ctl_request *request)
{
	int rc = health_status(ctl_text(answer, "state"));
	json_t *reason;
	size_t i;

	if (request->json) {
		ctl_print_json(answer);
		return rc;
	}
	puts(ctl_text(answer, "state"));
	json_array_foreach(json_object_get(answer, "reasons"), i, reason)
		printf("  %s\n", json_string_value(reason));
	json_decref(answer);
	return rc;
}

int
ctl_health(struct ctl_socket *s, const struct ctl_request *request)
{
	json_t *answer = ctl_ask(s, "/synfront/health", "");

	if (answer != NULL)
		return print_health(answer, request);
	int rc = ctl_health_failed(s->error, request);
	s->error[0] = '\0';
	return rc;
}

int
ctl_health_failed(const char *why, const struct ctl_request *request)
{
	json_t *answer = json_pack("{s:s, s:[s]}", "state", "failed", "reasons", why);

	return answer != NULL ? print_health(answer, request) : EXIT_ENGINE;
}
