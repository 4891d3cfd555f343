/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of keys of synfront-adopt, and what a table cannot say. */
#include "agent_conf.h"

#include <stdlib.h>
#include <string.h>

#include "apply.h"
#include "document.h"

#define AT(type, field) .offset = offsetof(struct type, field)
#define COUNTED(type, field, n) AT(type, field), .count_offset = offsetof(struct type, n)
#define KEYS(keys) keys, sizeof(keys) / sizeof((keys)[0])
#define PATH_SIZE_MAX 255u

static const struct conf_key service_keys[] = {
	{ "name", CONF_LABEL, CONF_REQUIRED, AT(agent_service, name), .max = SERVICE_NAME_MAX - 1,
	  .help = "Its name in messages." },
	{ "addresses", CONF_ADDRESSES, 0, COUNTED(agent_service, addresses, n_addresses), .min = 1,
	  .max = 1024, .derived = "every address of this machine",
	  .help = "Addresses and prefixes of either family, as the front end's service has them. "
	          "Of "
	          "these, too, what this machine forwards to a guest or a pod passes." },
	{ "ports", CONF_PORTS, CONF_REQUIRED, COUNTED(agent_service, ports, n_ports), .min = 1,
	  .max = 1024, .help = "Ports; each belongs to one service." },
};
static const struct conf_mapping service_mapping = { "Service", KEYS(service_keys),
	                                             sizeof(struct agent_service) };

static const struct conf_key secret_keys[] = {
	{ "file", CONF_TEXT, CONF_REQUIRED, AT(agent_conf, secret_file), .max = PATH_SIZE_MAX,
	  .help = "The secret of the service group, as `synfront --group-secret` wrote it: 64 hex "
	          "digits, with no access for group and others." },
	{ "next", CONF_TEXT, 0, AT(agent_conf, secret_next), .max = PATH_SIZE_MAX,
	  .derived = "there is one secret",
	  .help = "While the front ends change their master secret: the group's secret under the "
	          "other one, a file as `file`. Cookies made with either are honoured." },
};
static const struct conf_mapping secret_mapping = { "Secret", KEYS(secret_keys), 0 };

static const struct conf_key root_keys[] = {
	{ "interfaces", CONF_TEXTS, CONF_REQUIRED, COUNTED(agent_conf, interfaces, n_interfaces),
	  .min = 1, .max = AGENT_INTERFACES_MAX,
	  .help = "Where clients' packets come in. One that is not there yet is awaited. Of a "
	          "bond, "
	          "bridge or VLAN name that itself, not what is below it." },
	{ "services", CONF_SEQUENCE, CONF_REQUIRED, COUNTED(agent_conf, services, n_services),
	  .min = 1, .max = AGENT_SERVICES_MAX, .mapping = &service_mapping,
	  .help = "What the front end hands over. All else passes untouched." },
	{ "secret", CONF_MAPPING, CONF_REQUIRED, .offset = 0, .mapping = &secret_mapping,
	  .help = "What cookies are checked with." },
	{ "promise", CONF_TEXT, 0, AT(agent_conf, promise_file), .max = PATH_SIZE_MAX,
	  .derived = "none is written",
	  .help = "A file that is written at the start, and when it changes, with what this kernel "
	          "grants to clients, for `promise.files` of the front end." },
	{ "metrics", CONF_TEXT, 0, AT(agent_conf, metrics_file), .max = PATH_SIZE_MAX,
	  .derived = "none is written",
	  .help = "A file that is written every ten seconds, readable by all, in the text format "
	          "that "
	          "the textfile collector of Prometheus' node exporter reads." },
	{ "spent", CONF_ENTRIES, 0, AT(agent_conf, spent), .min = 1024, .max = 1u << 24,
	  .preset = "64k", .entry_size = 104,
	  .help = "Cookies that are remembered, so that none opens two connections: as many as "
	          "clients come by cookie in 60 s." },
	{ "instance", CONF_NAME, 0, AT(agent_conf, instance), .max = 63, .preset = "synfront-adopt",
	  .help = "Name of this process among others on the machine: its socket, and a folder "
	          "below "
	          "`pins`." },
	{ "pins", CONF_TEXT, 0, AT(agent_conf, pins), .max = 63, .preset = "/sys/fs/bpf",
	  .help = "With `--linger`: where what lingers is pinned; a BPF file system." },
};
const struct conf_mapping agent_conf_root = { "The file", KEYS(root_keys),
	                                      sizeof(struct agent_conf) };

/* A port belongs to one service. */
static int
check_ports(struct conf_reader *r, const struct conf_place *root, const struct agent_conf *conf)
{
	static uint16_t owner[65536]; /* 1 + the service */
	struct conf_place list = { root, "services", 0, conf_child(r, root->node, "services") };

	memset(owner, 0, sizeof(owner));
	for (uint32_t i = 0; i < conf->n_services; i++) {
		const struct agent_service *s = &conf->services[i];
		struct conf_place member = {
			&list, NULL, i,
			yaml_document_get_node(r->doc, list.node->data.sequence.items.start[i])
		};
		struct conf_place ports = { &member, "ports", 0,
			                    conf_child(r, member.node, "ports") };
		for (uint32_t j = 0; j < s->n_ports; j++) {
			for (uint32_t p = s->ports[j].first; p <= s->ports[j].last; p++) {
				if (owner[p] != 0)
					return conf_fail(r, &ports,
					                 "found port %u, which service \"%s\" has; "
					                 "expected each port in one service",
					                 p, conf->services[owner[p] - 1].name);
				owner[p] = (uint16_t)(i + 1);
			}
		}
	}
	return 0;
}

/* Changing a secret takes two. That their contents differ is seen when they are read. */
static int
check_secrets(struct conf_reader *r, const struct conf_place *root, const struct agent_conf *conf)
{
	struct conf_place secret = { root, "secret", 0, conf_child(r, root->node, "secret") };
	struct conf_place next = { &secret, "next", 0, conf_child(r, secret.node, "next") };

	if (conf->secret_next == NULL || strcmp(conf->secret_next, conf->secret_file) != 0)
		return 0;
	return conf_fail(r, &next, "found the same as file; expected the file of another secret");
}

/* What document.h's build() has no argument for. */
struct building {
	struct conf_reader reader;
	struct agent_conf *conf;
};

static int
build(struct conf_reader *r)
{
	struct building *building = (struct building *)r;
	struct conf_place root = { .node = yaml_document_get_root_node(r->doc) };

	if (root.node == NULL) {
		snprintf(r->err->text, sizeof(r->err->text),
		         "%.128s:1:1: found an empty file; expected a mapping with interfaces, "
		         "services and secret",
		         r->name);
		return -1;
	}
	if (conf_apply(r, &root, &agent_conf_root, building->conf) != 0)
		return -1;
	if (check_ports(r, &root, building->conf) != 0)
		return -1;
	return check_secrets(r, &root, building->conf);
}

struct agent_conf *
agent_conf_parse(const char *text, size_t len, const char *name, struct conf_error *err)
{
	struct conf_arena *arena = conf_arena_new();
	struct agent_conf *conf = arena != NULL ? conf_arena_alloc(arena, 1, sizeof(*conf)) : NULL;

	err->text[0] = '\0';
	if (conf == NULL || (conf->source = conf_arena_copy(arena, name)) == NULL) {
		snprintf(err->text, sizeof(err->text), "%.128s: found too little memory to read it",
		         name);
		conf_arena_free(arena);
		return NULL;
	}
	conf->arena = arena;
	struct building building = { { NULL, name, NULL, arena, err }, conf };
	if (conf_document_read(&building.reader, text, len, build) == 0)
		return conf;
	conf_arena_free(arena);
	return NULL;
}

struct agent_conf *
agent_conf_load(const char *path, struct conf_error *err)
{
	size_t len;
	char *text = conf_document_text(path, &len, err);
	struct agent_conf *conf = text != NULL ? agent_conf_parse(text, len, path, err) : NULL;

	free(text);
	return conf;
}

void
agent_conf_free(struct agent_conf *conf)
{
	if (conf != NULL)
		conf_arena_free(conf->arena);
}
