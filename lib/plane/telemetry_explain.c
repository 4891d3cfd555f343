/* SPDX-License-Identifier: BSD-3-Clause */
#include "telemetry_explain.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dpdk_versions.h"
#include "explain.h"
#include "mailbox.h"
#include "prefix_text.h"
#include "telemetry_control.h"
#include "verdict.h"

#define FLOWS_MAX 16u
#define LOOK_MAX 16384u /* entries for one mail: bounds the pause of a worker */
#define PORT_DEFAULT 40000u
#define PARAMS_MAX 256u
#define ERROR_MAX 192u
#define END_TEXT (INET6_ADDRSTRLEN + 10)

struct question {
	const struct service *service;
	struct flow flow;
	uint32_t tags;
	uint16_t port; /* of the client, host order; 0: any */
	unsigned int worker;

	/* Flows of the client. */
	struct explain_flow flows[FLOWS_MAX];
	uint32_t n_flows; /* as far as they are in `flows` */
	bool is_found;    /* the flow is one of these */
};

/* For one worker. */
struct errand {
	const struct question *question;
	uint64_t at;
	struct explain_flow flows[FLOWS_MAX];
	uint32_t n, max;
	struct explain_facts facts;
	struct core **trials;
	struct instant now;
};

static const char *
end_text(const struct ip_addr *a, uint16_t port_be, char text[END_TEXT])
{
	char address[INET6_ADDRSTRLEN];

	if (ip_addr_is_v4(a)) {
		inet_ntop(AF_INET, &a->words_be[3], address, sizeof(address));
		snprintf(text, END_TEXT, "%s:%u", address, be16toh(port_be));
	} else {
		inet_ntop(AF_INET6, a, address, sizeof(address));
		snprintf(text, END_TEXT, "[%s]:%u", address, be16toh(port_be));
	}
	return text;
}

/* ---- the question ------------------------------------------------------ */

static bool
read_word(struct question *q, const struct policy *policy, const char *word, char error[ERROR_MAX])
{
	struct prefix prefix;
	char hint[CONF_PREFIX_HINT_SIZE] = "";

	if (strncmp(word, "client=", 7) == 0) {
		if (conf_parse_prefix(word + 7, &prefix, hint) && prefix.len == 128) {
			q->flow.client = prefix.addr;
			return true;
		}
		snprintf(error, ERROR_MAX, "client \"%.64s\": expected an address", word + 7);
		return false;
	}
	if (strncmp(word, "port=", 5) == 0) {
		char *end;
		unsigned long port = strtoul(word + 5, &end, 10);
		q->port = (uint16_t)port;
		if (port != 0 && port <= UINT16_MAX && *end == '\0')
			return true;
		snprintf(error, ERROR_MAX, "port \"%.16s\": expected 1 to 65535", word + 5);
		return false;
	}
	for (uint32_t i = 0; strncmp(word, "service=", 8) == 0 && i < policy->n_services; i++)
		if (strcmp(policy->services[i].name, word + 8) == 0)
			q->service = &policy->services[i];
	if (q->service == NULL)
		snprintf(error, ERROR_MAX, "there is no service \"%.64s\"",
		         strncmp(word, "service=", 8) == 0 ? word + 8 : word);
	return q->service != NULL;
}

/* The address of the service that is of the client's family, and neither that of a whole net
 * nor, if there is another, the client's own. */
static bool
choose_server(struct question *q)
{
	const struct service *s = q->service;

	for (uint32_t i = 0; i < s->n_addresses; i++) {
		const struct prefix *p = &s->addresses[i];
		if (ip_addr_is_v4(&p->addr) != ip_addr_is_v4(&q->flow.client))
			continue;
		q->flow.server = p->addr;
		if (p->len < 128)
			q->flow.server.bytes[15] |= 1;
		if (p->len < 128 && ip_addr_equal(&q->flow.server, &q->flow.client))
			q->flow.server.bytes[15] ^= p->len < 127 ? 3 : 1;
		q->flow.server_port_be = htobe16(s->ports[0].first);
		return true;
	}
	return false;
}

static bool
read_question(struct question *q, const struct policy *policy, const char *params,
              char error[ERROR_MAX])
{
	char text[PARAMS_MAX], *rest = text, *word;

	*q = (struct question){ .service = NULL };
	snprintf(error, ERROR_MAX, "a client and a service are wanted");
	snprintf(text, sizeof(text), "%s", params != NULL ? params : "");
	while ((word = strsep(&rest, ",")) != NULL)
		if (!read_word(q, policy, word, error))
			return false;
	if (q->service == NULL || (q->flow.client.quads_be[0] | q->flow.client.quads_be[1]) == 0)
		return false;
	if (!choose_server(q)) {
		snprintf(error, ERROR_MAX, "service %s has no address of the client's family",
		         q->service->name);
		return false;
	}
	q->flow.client_port_be = htobe16(q->port != 0 ? q->port : PORT_DEFAULT);
	return true;
}

/* ---- workers ----------------------------------------------------------- */

static void
list_flows(struct worker *w, void *arg)
{
	struct errand *e = arg;

	e->n = explain_flows(w->core, &e->question->flow.client, &e->at, LOOK_MAX, e->flows,
	                     e->max);
}

static void
copy_flow(struct worker *w, void *arg)
{
	struct errand *e = arg;

	e->now = w->now;
	explain_copy(w->core, &e->question->flow, e->question->tags, &w->now, &e->facts, e->trials);
}

static bool
ask_worker(struct plane *plane, unsigned int worker, struct errand *errand,
           void (*run)(struct worker *w, void *arg))
{
	struct mail mail = { .run = run, .arg = errand };

	return mailbox_ask(plane->workers[worker], &mail);
}

/* Is it the one that is asked for? */
static bool
is_meant(const struct question *q, const struct explain_flow *flow)
{
	return flow->service == q->service->id &&
	       (q->port == 0 || flow->flow.client_port_be == htobe16(q->port));
}

/* The one that is asked for comes first, whatever number of others there is. If it has none, it is
 * taken to ask the server that its others ask. */
static void
add_flow(struct question *q, const struct explain_flow *flow, unsigned int worker)
{
	bool is_first = !q->is_found && is_meant(q, flow);
	uint32_t at = q->n_flows;

	if (is_first) {
		q->is_found = true;
		q->flow = flow->flow;
		q->tags = flow->tags;
		q->worker = worker;
		at = at < FLOWS_MAX ? at : FLOWS_MAX - 1;
		q->flows[at] = q->flows[0];
		q->flows[0] = *flow;
	} else if (at < FLOWS_MAX) {
		q->flows[at] = *flow;
	}
	if (!q->is_found && flow->service == q->service->id) {
		q->flow.server = flow->flow.server;
		q->flow.server_port_be = flow->flow.server_port_be;
	}
	q->n_flows = at < FLOWS_MAX ? at + 1 : FLOWS_MAX;
}

static bool
find_flows(struct plane *plane, struct question *q)
{
	for (unsigned int id = 0; id < plane->n_workers; id++) {
		struct errand e = { .question = q, .max = FLOWS_MAX };
		do {
			if (q->is_found && q->n_flows == FLOWS_MAX)
				return true;
			if (!ask_worker(plane, id, &e, list_flows))
				return false;
			for (uint32_t i = 0; i < e.n; i++)
				add_flow(q, &e.flows[i], id);
		} while (e.at != 0);
	}
	return true;
}

static void
add_source(struct explain_source *sum, const struct explain_source *one)
{
	sum->connections += one->connections;
	sum->half_open += one->half_open;
	sum->new_per_s += one->new_per_s;
	sum->syn_per_s += one->syn_per_s;
}

/* The facts of the flow's worker, with what all have of its source. */
static bool
gather(struct plane *plane, const struct question *q, struct core **trials,
       struct explain_facts *facts, struct instant *now)
{
	struct explain_facts sum = { 0 };

	for (unsigned int id = 0; id < plane->n_workers; id++) {
		struct errand e = { .question = q, .trials = id == q->worker ? trials : NULL };
		if (!ask_worker(plane, id, &e, copy_flow))
			return false;
		add_source(&sum.host, &e.facts.host);
		add_source(&sum.net, &e.facts.net);
		sum.answers_per_s += e.facts.answers_per_s;
		if (id == q->worker) {
			*facts = e.facts;
			*now = e.now;
		}
	}
	facts->host = sum.host;
	facts->net = sum.net;
	facts->answers_per_s = sum.answers_per_s;
	return true;
}

/* Two trial cores and the flows that these know, in one piece of memory. NULL: none is left. */
static void *
make_trials(const struct plane *plane, const struct policy *policy, const struct question *q,
            struct known *known, struct core *trials[2])
{
	const struct core_params *params = core_params(plane->workers[q->worker]->core);
	size_t size = RTE_ALIGN(explain_size(params), 64), n_known = RTE_ALIGN(known_size(16), 64);
	uint8_t *memory = aligned_alloc(64, 2 * size + n_known);
	struct instant now = { .now_ms = 0, .secrets = secret_current(plane->secrets) };
	uint8_t key[64] = { 0 };

	if (memory == NULL)
		return NULL;
	known_init(known, memory + 2 * size, 16, key);
	for (unsigned int i = 0; i < 2; i++)
		trials[i] = explain_init(memory + i * size, params, policy,
		                         params->known != NULL ? known : NULL, &now);
	return memory;
}

/* ---- the answer -------------------------------------------------------- */

static const char *
state_text(const struct explain_facts *f)
{
	static const char *const states[] = {
		[CONN_FREE] = "none",       [CONN_CONNECTING] = "CONNECTING",
		[CONN_TRACKED] = "TRACKED", [CONN_SPLICED] = "SPLICED",
		[CONN_CLOSING] = "CLOSING", [CONN_RESPONDING] = "RESPONDING",
		[CONN_SPENT] = "SPENT",
	};

	if (f->is_half_open)
		return "SYN-RECEIVED";
	return f->state < RTE_DIM(states) ? states[f->state] : "?";
}

static void
add_named(struct rte_tel_data *d, const char *of, const char *what, uint64_t value)
{
	char name[64];

	snprintf(name, sizeof(name), "%s_%s", of, what);
	rte_tel_data_add_dict_uint(d, name, value);
}

static void
add_facts(struct rte_tel_data *d, const struct explain_facts *f, const struct policy *policy)
{
	const struct source_limits *limits = &policy->sources;
	const struct {
		const char *name;
		uint64_t value;
	} flags[] = {
		{ "observed", f->is_observed },
		{ "admitted", f->is_admitted },
		{ "draining", f->is_draining },
		{ "cookie_mode", f->cookie_mode },
		{ "net_proven", f->is_proven },
		{ "known", f->is_known },
		{ "half_open_full", f->is_full },
		{ "sent", f->n_sent },
		{ "held_bytes", f->held },
		{ "server_known", f->backend_known },
		{ "server_down", f->backend_down },
		{ "net_answers_per_s", f->answers_per_s },
		{ "limit_net_answers_per_s", policy->reflection.per_net_per_s },
	};
	const struct {
		const char *name;
		const struct explain_source *source;
		uint32_t connections, half_open, new_per_s, syn_per_s;
	} sources[] = {
		{ "host", &f->host, limits->connections_host, limits->half_open_host,
		  limits->new_per_s_host, limits->syn_per_s_host },
		{ "net", &f->net, limits->connections_net, limits->half_open_net,
		  limits->new_per_s_net, limits->syn_per_s_net },
	};

	rte_tel_data_add_dict_string(d, "state", state_text(f));
	for (unsigned int i = 0; i < RTE_DIM(flags); i++)
		rte_tel_data_add_dict_uint(d, flags[i].name, flags[i].value);
	for (unsigned int i = 0; i < RTE_DIM(sources); i++) {
		const char *name = sources[i].name;
		const struct explain_source *s = sources[i].source;
		char limit[32];
		snprintf(limit, sizeof(limit), "limit_%s", name);
		add_named(d, name, "connections", s->connections);
		add_named(d, limit, "connections", sources[i].connections);
		add_named(d, name, "half_open", s->half_open);
		add_named(d, limit, "half_open", sources[i].half_open);
		add_named(d, name, "new_per_s", s->new_per_s);
		add_named(d, limit, "new_per_s", sources[i].new_per_s);
		add_named(d, name, "syn_per_s", s->syn_per_s);
		add_named(d, limit, "syn_per_s", sources[i].syn_per_s);
	}
}

static void
add_verdict(struct rte_tel_data *d, const char *of, const struct explain_verdict *v)
{
	const char *row = core_row_name(v->note.row);
	char name[32];

	if (!v->is_asked)
		return;
	snprintf(name, sizeof(name), "%s_outcome", of);
	rte_tel_data_add_dict_string(d, name, counter_infos[v->outcome].name);
	snprintf(name, sizeof(name), "%s_row", of);
	rte_tel_data_add_dict_string(d, name, row != NULL ? row : "");
	snprintf(name, sizeof(name), "%s_reason", of);
	rte_tel_data_add_dict_string(d, name,
	                             v->note.reason != 0 ? counter_infos[v->note.reason].name : "");
	snprintf(name, sizeof(name), "%s_sends", of);
	rte_tel_data_add_dict_string(d, name,
	                             v->has_syn_ack   ? "SYN-ACK to the client"
	                             : v->asks_server ? "SYN to the server"
	                                              : "");
	snprintf(name, sizeof(name), "%s_why", of);
	telemetry_add_text(d, name, verdict_why(v->outcome, v->note.reason));
}

static void
add_flows(struct rte_tel_data *d, const struct question *q)
{
	struct rte_tel_data *list = rte_tel_data_alloc();
	char client[END_TEXT], server[END_TEXT], line[RTE_TEL_MAX_STRING_LEN];

	if (list == NULL)
		return;
	rte_tel_data_start_array(list, RTE_TEL_STRING_VAL);
	for (uint32_t i = 0; i < q->n_flows; i++) {
		const struct explain_flow *f = &q->flows[i];
		const struct explain_facts state = { .is_half_open = f->is_half_open,
			                             .state = f->state };
		snprintf(line, sizeof(line), "%s %s %s",
		         end_text(&f->flow.client, f->flow.client_port_be, client),
		         end_text(&f->flow.server, f->flow.server_port_be, server),
		         state_text(&state));
		rte_tel_data_add_array_string(list, line);
	}
	if (rte_tel_data_add_dict_container(d, "flows", list, 0) != 0)
		rte_tel_data_free(list);
}

static void
add_question(struct rte_tel_data *d, const struct question *q, const struct plane *plane)
{
	static const char *const modes[] = { [MODE_PROXY] = "proxy",
		                             [MODE_RESPOND] = "respond",
		                             [MODE_HANDOFF] = "handoff",
		                             [MODE_BYPASS] = "bypass" };
	char text[END_TEXT];

	rte_tel_data_add_dict_string(d, "service", q->service->name);
	rte_tel_data_add_dict_string(d, "mode", modes[q->service->mode]);
	rte_tel_data_add_dict_string(d, "client",
	                             end_text(&q->flow.client, q->flow.client_port_be, text));
	rte_tel_data_add_dict_string(d, "server",
	                             end_text(&q->flow.server, q->flow.server_port_be, text));
	rte_tel_data_add_dict_uint(d, "worker", q->worker);
	rte_tel_data_add_dict_uint(d, "workers", plane->n_workers);
}

int
telemetry_explain(struct plane *plane, const struct policy *policy, const char *params,
                  struct rte_tel_data *d)
{
	struct core *trials[2];
	struct explain_facts facts;
	struct explain_answer answer;
	struct instant now;
	struct question q;
	struct known known;
	char error[ERROR_MAX];

	rte_tel_data_start_dict(d);
	if (!read_question(&q, policy, params, error)) {
		telemetry_add_text(d, "error", error);
		return 0;
	}
	if (!find_flows(plane, &q))
		return -1;
	if (!q.is_found)
		q.worker = owner_of_hash(&plane->owners, owner_hash(&plane->owners, &q.flow,
		                                                    ip_addr_is_v4(&q.flow.client)));
	void *memory = make_trials(plane, policy, &q, &known, trials);
	if (memory == NULL || !gather(plane, &q, trials, &facts, &now)) {
		free(memory);
		return -1;
	}
	explain_ask(trials, &q.flow, q.tags, &now, &answer);
	free(memory);
	add_question(d, &q, plane);
	add_facts(d, &facts, policy);
	add_flows(d, &q);
	add_verdict(d, "syn", &answer.syn);
	add_verdict(d, "proof", &answer.proof);
	add_verdict(d, "ack", &answer.ack);
	return 0;
}
