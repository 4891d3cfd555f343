/* SPDX-License-Identifier: BSD-3-Clause */
/* Rules that span keys, in the order of the sections that they are about. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "consistency.h"
#include "promise_file.h"
#include "secret_file.h"

#define PATH_STEPS 4
/* Were all in rings, a driver that frees what it has sent when it sends again would
 * never get anything to send. */
#define BUFFERS_BESIDE 32u

/* A path below a place, each step with its node if the file has it. */
struct path_below {
	struct conf_place steps[PATH_STEPS];
};

static const struct conf_place *
below(const struct conf_reader *r, struct path_below *path, const struct conf_place *top,
      const char *const keys[PATH_STEPS])
{
	const struct conf_place *up = top;
	const yaml_node_t *node = top->node;

	for (int i = 0; i < PATH_STEPS && keys[i] != NULL; i++) {
		node = conf_child(r, node, keys[i]);
		path->steps[i] = (struct conf_place){ up, keys[i], 0, node };
		up = &path->steps[i];
	}
	return up;
}

#define BELOW(r, path, top, ...) below(r, path, top, (const char *const[PATH_STEPS]){ __VA_ARGS__ })

static int
check_ports(struct conf_reader *r, const struct conf_place *root)
{
	const struct conf *c = r->conf;
	struct path_below path;

	if (c->outside.mac_source == CONF_MAC_OUTSIDE)
		return conf_fail(
			r, BELOW(r, &path, root, "ports", "outside", "mac"),
			"found \"outside\"; expected device or an address (only the inside port "
			"can take the other's)");
	if (!c->has_inside)
		return 0;

	size_t outside = strcspn(c->outside.device, ","), inside = strcspn(c->inside.device, ",");
	if (outside == inside && memcmp(c->outside.device, c->inside.device, inside) == 0)
		return conf_fail(
			r, BELOW(r, &path, root, "ports", "inside", "device"),
			"found \"%.*s\", which is the outside port; expected another device",
			(int)inside, c->inside.device);
	return 0;
}

static int
check_workers(struct conf_reader *r, const struct conf_place *root)
{
	const struct conf *c = r->conf;
	struct workers_conf *w = &r->conf->workers;
	struct path_below path;

	if (w->count == 0)
		w->count = w->n_lcores > 0 ? w->n_lcores : 1;
	if (w->n_lcores > 0 && w->n_lcores != w->count)
		return conf_fail(r, BELOW(r, &path, root, "workers", "count"),
		                 "found %u; expected %u, the number of lcores, or no such key",
		                 w->count, w->n_lcores);
	uint32_t rings = c->outside.rx_descriptors + c->outside.tx_descriptors;
	if (c->has_inside)
		rings += c->inside.rx_descriptors + c->inside.tx_descriptors;
	if (w->buffers != 0 && w->buffers < rings + BUFFERS_BESIDE)
		return conf_fail(r, BELOW(r, &path, root, "workers", "buffers"),
		                 "found %u; expected at least %u: what the rings of the ports may "
		                 "keep, and %u to work with",
		                 w->buffers, rings + BUFFERS_BESIDE, BUFFERS_BESIDE);
	for (uint32_t i = 0; i < w->n_lcores; i++)
		if (w->lcores[i] == w->control_lcore)
			return conf_fail(r, BELOW(r, &path, root, "workers", "control_lcore"),
			                 "found %u, which is a worker's; expected a CPU that "
			                 "lcores does not list",
			                 w->control_lcore);
	return 0;
}

/* A net holds hosts: a lower limit for it would make the hosts' meaningless. */
static int
check_sources(struct conf_reader *r, const struct conf_place *root)
{
	const struct source_limits *s = &r->conf->policy.sources;
	const struct {
		const char *host_key, *net_key;
		uint32_t host, net;
	} pairs[] = {
		{ "half_open_host", "half_open_net", s->half_open_host, s->half_open_net },
		{ "syn_per_s_host", "syn_per_s_net", s->syn_per_s_host, s->syn_per_s_net },
		{ "connections_host", "connections_net", s->connections_host, s->connections_net },
		{ "new_per_s_host", "new_per_s_net", s->new_per_s_host, s->new_per_s_net },
	};
	struct path_below path;

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		if (pairs[i].net != 0 && pairs[i].net < pairs[i].host)
			return conf_fail(
				r, BELOW(r, &path, root, "limits", "sources", pairs[i].net_key),
				"found %u; expected 0 or at least %s, which is %u", pairs[i].net,
				pairs[i].host_key, pairs[i].host);
	return 0;
}

static int
check_mode(struct conf_reader *r, const struct conf_place *place, const struct service *s)
{
	struct path_below path;

	if (!r->conf->has_inside && s->mode != MODE_RESPOND)
		return conf_fail(r, BELOW(r, &path, place, "mode"),
		                 "found \"%s\" without ports.inside; "
		                 "expected respond, or an inside port",
		                 s->mode == MODE_PROXY     ? "proxy"
		                 : s->mode == MODE_HANDOFF ? "handoff"
		                                           : "bypass");
	if (s->calm == CALM_TRANSPARENT && s->mode != MODE_PROXY && s->mode != MODE_HANDOFF)
		return conf_fail(r, BELOW(r, &path, place, "calm"),
		                 "found \"transparent\" with a mode "
		                 "other than proxy and handoff; expected intercept");
	if (s->wait_for_data && s->mode != MODE_PROXY)
		return conf_fail(r, BELOW(r, &path, place, "wait_for_data"),
		                 "found \"true\" with a mode other than proxy; expected false");
	return 0;
}

/* What crosses as it is must have somewhere to go, and what does so anyway needs no telling. */
static int
check_observe(struct conf_reader *r, const struct conf_place *root, const struct conf_place *place,
              struct service *s)
{
	struct policy *policy = &r->conf->policy;
	struct path_below path;

	if (s->observe && s->mode == MODE_RESPOND)
		return conf_fail(r, BELOW(r, &path, place, "observe"),
		                 "found \"true\" with mode respond, which has no server that "
		                 "frames could cross to; expected false");
	if (s->observe && s->mode == MODE_BYPASS)
		return conf_fail(r, BELOW(r, &path, place, "observe"),
		                 "found \"true\" with mode bypass, where every frame crosses as it "
		                 "is; expected false");
	if (policy->observe && s->mode == MODE_RESPOND)
		return conf_fail(
			r, BELOW(r, &path, root, "observe"),
			"found \"true\" with a service of mode respond, \"%s\", which has "
			"no server that frames could cross to; expected false, or observe: "
			"true for other services",
			s->name);
	s->observe |= policy->observe && s->mode != MODE_BYPASS;
	policy->observes |= s->observe || policy->observe;
	policy->may_observe = policy->observes;
	return 0;
}

int
conf_observe_all(struct conf *conf, struct conf_error *err)
{
	/* Nobody has this conf yet. */
	struct service *services = (struct service *)conf->policy.services;

	for (uint32_t i = 0; i < conf->policy.n_services; i++) {
		if (services[i].mode == MODE_RESPOND) {
			snprintf(
				err->text, sizeof(err->text),
				"%.128s:%u: services[%u].mode: found respond; expected a mode with "
				"a server, whose frames can be observed",
				conf->source, conf->service_lines[i], i);
			return -1;
		}
		services[i].observe = services[i].mode != MODE_BYPASS;
	}
	conf->policy.observe = conf->policy.observes = conf->policy.may_observe = true;
	return 0;
}

static bool
is_given(const struct conf_reader *r, const struct conf_place *place, const char *key)
{
	return conf_child(r, place->node, key) != NULL;
}

/* Keys that say something about what such a service does not keep, and keys of its own. */
static int
check_handoff(struct conf_reader *r, const struct conf_place *place, struct service *s)
{
	static const char *const others[] = { "half_open", "max_connections", "max_new_per_s",
		                              "max_connecting" };
	static const char *const own[] = { "calm_syn_per_s", "unknown_per_s", "group", "promise" };
	struct path_below path;

	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		if (s->mode != MODE_HANDOFF && is_given(r, place, own[i]))
			return conf_fail(r, BELOW(r, &path, place, own[i]),
			                 "found the key with a mode other than handoff; expected "
			                 "no such key");
	if (s->mode != MODE_HANDOFF)
		return 0;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (is_given(r, place, others[i]))
			return conf_fail(r, BELOW(r, &path, place, others[i]),
			                 "found the key with mode handoff, which counts no "
			                 "connections; expected no such key");
	if (s->cookies == COOKIES_NEVER)
		return conf_fail(
			r, BELOW(r, &path, place, "cookies"),
			"found \"never\" with mode handoff, which keeps no state; expected "
			"auto or always");
	return conf_promise_files(r, place, &s->promise);
}

/* Groups are numbered as they come. */
static int
number_group(struct conf_reader *r, const struct conf_place *place, struct service *services,
             uint32_t i)
{
	struct path_below path;
	uint32_t most = 0;

	if (services[i].mode != MODE_HANDOFF)
		return 0;
	for (uint32_t j = 0; j < i; j++) {
		if (services[j].group_id > most)
			most = services[j].group_id;
		if (services[j].group_id != 0 && strcmp(services[j].group, services[i].group) == 0)
			services[i].group_id = services[j].group_id;
	}
	if (services[i].group_id == 0)
		services[i].group_id = (uint8_t)(most + 1);
	if (services[i].group_id > SERVICE_GROUPS_MAX)
		return conf_fail(r, BELOW(r, &path, place, "group"),
		                 "found a group more; expected at most %u", SERVICE_GROUPS_MAX);
	return 0;
}

static int
check_watermarks(struct conf_reader *r, const struct conf_place *place, struct service *s)
{
	uint32_t table = r->conf->memory.half_open;
	struct path_below path;

	if (s->high == 0)
		s->high = (uint32_t)((uint64_t)table * 3 / 8);
	if (s->low == 0)
		s->low = s->high / 2;
	if (s->high > table)
		return conf_fail(r, BELOW(r, &path, place, "half_open", "high"),
		                 "found %u; expected at most memory.half_open, which is %u",
		                 s->high, table);
	if (s->low >= s->high)
		return conf_fail(r, BELOW(r, &path, place, "half_open", "low"),
		                 "found %u; expected less than high, which is %u", s->low, s->high);
	return 0;
}

static int
check_services(struct conf_reader *r, const struct conf_place *root)
{
	struct conf *c = r->conf;
	/* The array is the arena's, and this conf's alone until it is returned. */
	struct service *services = (struct service *)c->policy.services;
	uint32_t *lines = conf_arena_alloc(r->arena, c->policy.n_services, sizeof(*lines));
	struct path_below path;
	const struct conf_place *list = BELOW(r, &path, root, "services");

	if (lines == NULL)
		return conf_fail_memory(r);
	c->service_lines = lines;
	for (uint32_t i = 0; i < c->policy.n_services; i++) {
		struct service *s = &services[i];
		struct conf_place place = conf_member(r, list, i);

		s->id = (uint16_t)i;
		lines[i] = (uint32_t)place.node->start_mark.line + 1;
		for (uint32_t j = 0; j < i; j++) {
			struct path_below name;
			if (strcmp(services[j].name, s->name) == 0)
				return conf_fail(r, BELOW(r, &name, &place, "name"),
				                 "found \"%s\", the name of the "
				                 "service in line %u; expected another",
				                 s->name, lines[j]);
		}
		if (check_mode(r, &place, s) != 0 || check_observe(r, root, &place, s) != 0 ||
		    check_handoff(r, &place, s) != 0 || number_group(r, &place, services, i) != 0 ||
		    check_watermarks(r, &place, s) != 0)
			return -1;
	}
	return 0;
}

static int
compile(struct conf_reader *r, const struct conf_place *root)
{
	struct conf *c = r->conf;
	uint32_t a = UINT32_MAX, b = UINT32_MAX;
	const char *message = policy_compile(&c->policy, &a, &b);

	if (message == NULL)
		return 0;

	struct path_below path;
	const struct conf_place *list = BELOW(r, &path, root, "services");
	if (a == b || a >= c->policy.n_services || b >= c->policy.n_services)
		return conf_fail(r, list, "found %s; expected services that can be indexed",
		                 message);

	/* Point at the later one. */
	uint32_t first = a < b ? a : b, second = a < b ? b : a;
	struct conf_place place = conf_member(r, list, second);
	return conf_fail(r, &place,
	                 "found \"%s\", which shares an address and port with \"%s\" of "
	                 "line %u; expected each address and port in one service",
	                 c->policy.services[second].name, c->policy.services[first].name,
	                 c->service_lines[first]);
}

static int
check_secret(struct conf_reader *r, const struct conf_place *root)
{
	char problem[CONF_SECRET_PROBLEM_SIZE];
	uint8_t master[MASTER_SECRET_SIZE];
	struct path_below path;

	if (r->conf->secret_file == NULL)
		return 0;
	int rc = conf_secret_file_read(r->conf->secret_file, master, problem);
	explicit_bzero(master, sizeof(master));
	if (rc == 0)
		return 0;
	return conf_fail(r, BELOW(r, &path, root, "secret", "file"), "%s", problem);
}

/* Whether a program could be run from there; who runs it later may be another user. */
static int
check_hook(struct conf_reader *r, const struct conf_place *root)
{
	const struct events_conf *e = &r->conf->events;
	struct path_below path;
	struct stat status;

	if (e->n_hook == 0)
		return 0;
	const struct conf_place *place = BELOW(r, &path, root, "events", "hook");
	if (e->hook[0][0] != '/')
		return conf_fail(r, place,
		                 "found \"%.128s\"; expected the whole path of a program, "
		                 "beginning with /",
		                 e->hook[0]);
	if (stat(e->hook[0], &status) != 0)
		return conf_fail(r, place, "found \"%.128s\": %s; expected the path of a program",
		                 e->hook[0], strerror(errno));
	if (!S_ISREG(status.st_mode) || (status.st_mode & 0111) == 0)
		return conf_fail(r, place,
		                 "found \"%.128s\", which cannot be executed; expected the path "
		                 "of a program",
		                 e->hook[0]);
	return 0;
}

static int
check_events(struct conf_reader *r, const struct conf_place *root)
{
	const struct events_conf *e = &r->conf->events;
	struct path_below path;
	struct stat status;

	if (e->socket != NULL && e->socket[0] != '/' && (e->socket[0] != '@' || !e->socket[1]))
		return conf_fail(r, BELOW(r, &path, root, "events", "socket"),
		                 "found \"%s\"; expected a path that begins with /, or @ and a "
		                 "name",
		                 e->socket);
	if (e->file != NULL) {
		/* The folder that it lies in: the file itself may be yet to be made. */
		char folder[4096];
		size_t n = strlen(e->file);
		while (n > 0 && e->file[n - 1] != '/')
			n--;
		snprintf(folder, sizeof(folder), "%.*s.", (int)n, e->file);
		if (e->file[n] == '\0' || stat(folder, &status) != 0)
			return conf_fail(r, BELOW(r, &path, root, "events", "file"),
			                 "found \"%.128s\"%s%s; expected a file in a folder that "
			                 "exists",
			                 e->file, e->file[n] != '\0' ? ": " : "",
			                 e->file[n] != '\0' ? strerror(errno) : "");
	}
	return check_hook(r, root);
}

int
conf_check(struct conf_reader *r, const struct conf_place *root)
{
	r->conf->policy.generation = 1;
	if (check_ports(r, root) != 0 || check_workers(r, root) != 0 ||
	    check_sources(r, root) != 0 || check_services(r, root) != 0 ||
	    check_secret(r, root) != 0 || check_events(r, root) != 0)
		return -1;
	return compile(r, root);
}
