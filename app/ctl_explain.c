/* SPDX-License-Identifier: BSD-3-Clause */
/* What a client has of a service and what it would get, in words. */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "ctl_command.h"
#include "ctl_json.h"

#define EXPLAIN "/synfront/explain"

int
ctl_explain_options(int argc, char **argv, struct ctl_request *request)
{
	static const struct option known[] = {
		{ "instance", required_argument, NULL, 'i' },
		{ "json", no_argument, NULL, 'j' },
		{ 0 },
	};
	int which;

	optind = 0; /* from the first one on, as glibc takes it */
	while ((which = getopt_long(argc, argv, "i:j", known, NULL)) != -1) {
		if (which == 'i')
			request->instance = optarg;
		else if (which == 'j')
			request->json = true;
		else
			return -1;
	}
	if (argc - optind != 2)
		return -1;
	request->client = argv[optind];
	request->service = argv[optind + 1];
	return strchr(request->client, ',') == NULL && strchr(request->service, ',') == NULL ? 0
	                                                                                     : -1;
}

/* "192.0.2.7", "192.0.2.7:40000", "2001:db8::7", "[2001:db8::7]:40000". */
static void
question_of(const struct ctl_request *request, char *text, size_t size)
{
	char client[80];
	const char *port = NULL;

	snprintf(client, sizeof(client), "%s", request->client);
	char *end = client[0] == '[' ? strchr(client, ']') : strchr(client, ':');
	bool has_port = end != NULL && (client[0] == '[' || strchr(end + 1, ':') == NULL);
	if (has_port) {
		*end = '\0';
		port = client[0] == '[' ? (end[1] == ':' ? end + 2 : NULL) : end + 1;
	}
	snprintf(text, size, "client=%s%s%s,service=%s", client + (client[0] == '['),
	         port != NULL ? ",port=" : "", port != NULL ? port : "", request->service);
}

static json_int_t
number_named(const json_t *answer, const char *before, const char *of, const char *what)
{
	char key[64];

	snprintf(key, sizeof(key), "%s%s_%s", before, of, what);
	return ctl_number(answer, key);
}

/* The flat keys of one segment as an object of its own; null if it was not asked. */
static json_t *
verdict_of(json_t *answer, const char *of)
{
	static const char *const parts[] = { "outcome", "row", "reason", "sends", "why" };
	json_t *object = json_object();
	char key[64];

	for (unsigned int i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		snprintf(key, sizeof(key), "%s_%s", of, parts[i]);
		json_t *part = json_object_get(answer, key);
		if (json_is_array(part)) {
			char *text = ctl_join(part);
			json_object_set_new(object, parts[i], json_string(text));
			free(text);
		} else if (part != NULL) {
			json_object_set(object, parts[i], part);
		}
		json_object_del(answer, key);
	}
	if (json_object_size(object) != 0)
		return object;
	json_decref(object);
	return json_null();
}

static void
print_source(const json_t *answer, const char *of, const char *title)
{
	static const struct {
		const char *key, *words;
	} parts[] = { { "connections", "connections" },
		      { "half_open", "half-open" },
		      { "new_per_s", "new/s" },
		      { "syn_per_s", "SYN/s" } };

	printf("%-11s", title);
	for (unsigned int i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		json_int_t limit = number_named(answer, "limit_", of, parts[i].key);
		printf("%s%s %" JSON_INTEGER_FORMAT, i > 0 ? ", " : "", parts[i].words,
		       number_named(answer, "", of, parts[i].key));
		if (limit != 0)
			printf(" of %" JSON_INTEGER_FORMAT, limit);
	}
	putchar('\n');
}

static void
print_verdict(const json_t *answer, const char *of, const char *title, const char *if_none)
{
	const json_t *v = json_object_get(answer, of);

	if (json_is_null(v)) {
		printf("%-11s%s\n", title, if_none);
		return;
	}
	printf("%-11s%s", title, ctl_text(v, "outcome"));
	if (*ctl_text(v, "reason") != '\0' &&
	    strcmp(ctl_text(v, "reason"), ctl_text(v, "outcome")) != 0)
		printf(", %s", ctl_text(v, "reason"));
	if (*ctl_text(v, "row") != '\0')
		printf(" (row %s)", ctl_text(v, "row"));
	printf(": %s", ctl_text(v, "why"));
	if (*ctl_text(v, "sends") != '\0')
		printf("; a %s", ctl_text(v, "sends"));
	putchar('\n');
}

static void
print_entry(const json_t *answer)
{
	const char *state = ctl_text(answer, "state");
	json_int_t sent = ctl_number(answer, "sent"), held = ctl_number(answer, "held_bytes");

	printf("%-11s%s", "entry", state);
	if (sent != 0)
		printf(", %" JSON_INTEGER_FORMAT " %s sent", sent,
		       strcmp(state, "CONNECTING") == 0 ? "SYNs to the server" : "SYN-ACKs");
	if (held != 0)
		printf(", %" JSON_INTEGER_FORMAT " bytes held", held);
	putchar('\n');
}

static void
print_flows(const json_t *answer)
{
	const json_t *flows = json_object_get(answer, "flows"), *flow;
	size_t i;

	printf("%-11s%zu\n", "flows", json_array_size(flows));
	json_array_foreach(flows, i, flow) printf("           %s\n", json_string_value(flow));
}

static void
print_words(const json_t *answer)
{
	json_int_t cap = ctl_number(answer, "limit_net_answers_per_s");

	printf("%s to service %s (%s, mode %s), worker %" JSON_INTEGER_FORMAT
	       " of %" JSON_INTEGER_FORMAT "\n",
	       ctl_text(answer, "client"), ctl_text(answer, "service"), ctl_text(answer, "server"),
	       ctl_text(answer, "mode"), ctl_number(answer, "worker"),
	       ctl_number(answer, "workers"));
	if (ctl_number(answer, "observed"))
		puts("observe    all of it crosses; what follows is what would be");
	if (ctl_number(answer, "draining"))
		puts("drain      no new splices are made");
	printf("%-11s%s\n", "lists",
	       ctl_number(answer, "admitted") ? "admit it" : "refuse it: in deny, or not in allow");
	print_entry(answer);
	print_flows(answer);
	print_source(answer, "host", "host");
	print_source(answer, "net", "net");
	printf("%-11s%" JSON_INTEGER_FORMAT "/s", "answers",
	       ctl_number(answer, "net_answers_per_s"));
	if (cap != 0)
		printf(" of %" JSON_INTEGER_FORMAT, cap);
	fputs(" to its net", stdout);
	puts(ctl_number(answer, "net_proven") ? ", which has completed a connection lately" : "");
	printf("%-11s%s%s\n", "service",
	       ctl_number(answer, "cookie_mode") ? "in cookie mode" : "not in cookie mode",
	       ctl_number(answer, "half_open_full") ? ", no half-open entry is left" : "");
	if (strcmp(ctl_text(answer, "mode"), "handoff") == 0)
		printf("%-11s%s\n", "shield",
		       ctl_number(answer, "known") ? "knows the flow" : "does not know the flow");
	printf("%-11s%s\n", "server",
	       ctl_number(answer, "server_down")    ? "is taken for down"
	       : ctl_number(answer, "server_known") ? "is known"
	                                            : "is not known yet");
	print_verdict(answer, "syn", "a SYN", "");
	print_verdict(answer, "proof", "its ACK", "there is no SYN-ACK of the engine's to answer");
	print_verdict(answer, "ack", "an ACK now", "");
}

int
ctl_explain(struct ctl_socket *s, const struct ctl_request *request)
{
	static const char *const segments[] = { "syn", "proof", "ack" };
	char text[256];

	question_of(request, text, sizeof(text));
	json_t *answer = ctl_ask(s, EXPLAIN, text);
	if (answer == NULL)
		return EXIT_ENGINE;
	const json_t *pieces = json_object_get(answer, "error");
	if (pieces != NULL) {
		char *why = ctl_join(pieces);
		fprintf(stderr, "synfrontctl: %s\n", why != NULL ? why : "refused");
		free(why);
		json_decref(answer);
		return EXIT_REFUSED;
	}
	for (unsigned int i = 0; i < sizeof(segments) / sizeof(segments[0]); i++)
		json_object_set_new(answer, segments[i], verdict_of(answer, segments[i]));
	if (request->json)
		ctl_print_json(json_incref(answer));
	else
		print_words(answer);
	json_decref(answer);
	return EXIT_OK;
}
