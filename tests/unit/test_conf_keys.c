/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The table of keys, row by row: each default and each bound is what the parser
 * does, and an error gives place, key and what it takes. A row that is added is
 * tested with no change here, unless another key must agree with it.
 */
#include <stdio.h>

#include "check.h"
#include "conf.h"
#include "conf_table.h"
#include "value.h"

#define PORTS "ports: {outside: {device: net_null0}, inside: {device: net_null1}}\n"
/* Rings that the fewest buffers suffice for. */
#define SMALL_RINGS                                                                       \
	"ports: {outside: {device: net_null0, rx_descriptors: 64, tx_descriptors: 64}}\n" \
	"services: [{name: web, addresses: 192.0.2.1, ports: 80, mode: respond}]\n"
#define WEB "services: [{name: web, addresses: 192.0.2.1, ports: 80, mode: proxy}]\n"
#define LIST PORTS "services:\n- name: web\n  addresses: 192.0.2.1\n  ports: 80\n  mode: proxy\n"

#define HANDOFF_LIST \
	PORTS "services:\n- name: web\n  addresses: 192.0.2.1\n  ports: 80\n  mode: handoff\n"

/* What stands before a mapping's keys. */
struct scaffold {
	const char *path; /* as in error messages */
	const char *text;
	const char *without; /* the same with no such mapping */
	unsigned int indent;
};

static const struct scaffold scaffolds[] = {
	{ "", PORTS WEB, PORTS WEB, 0 },
	{ "ports.outside", WEB "ports:\n  inside: {device: a}\n  outside:\n    device: b\n",
	  PORTS WEB, 4 },
	{ "ports.inside", WEB "ports:\n  outside: {device: a}\n  inside:\n    device: b\n",
	  PORTS WEB, 4 },
	{ "services[0]", LIST, LIST, 2 },
	{ "services[0].half_open", "memory: {half_open: 16M}\n" LIST "  half_open:\n",
	  "memory: {half_open: 16M}\n" LIST, 4 },
	{ "services[0].promise", HANDOFF_LIST "  promise:\n", LIST, 4 },
	{ "workers", SMALL_RINGS "workers:\n", SMALL_RINGS, 2 },
	{ "memory", PORTS WEB "memory:\n", PORTS WEB, 2 },
	{ "handshake", PORTS WEB "handshake:\n", PORTS WEB, 2 },
	{ "limits", PORTS WEB "limits:\n", PORTS WEB, 2 },
	{ "limits.sources", PORTS WEB "limits:\n  sources:\n", PORTS WEB, 4 },
	{ "limits.reflection", PORTS WEB "limits:\n  reflection:\n", PORTS WEB, 4 },
	{ "timeouts", PORTS WEB "timeouts:\n", PORTS WEB, 2 },
	{ "secret", PORTS WEB "secret:\n", PORTS WEB, 2 },
	{ "log", PORTS WEB "log:\n", PORTS WEB, 2 },
	{ "events", PORTS WEB "events:\n", PORTS WEB, 2 },
	{ "lists", PORTS WEB "lists:\n", PORTS WEB, 2 },
	{ "eal", PORTS WEB "eal:\n", PORTS WEB, 2 },
};

/* Keys that a value at the edge of its range needs beside it. */
static const struct {
	const char *path, *key, *beside;
} companions[] = {
	{ "services[0].half_open", "high", "low: 1" },
	{ "services[0].half_open", "low", "high: 16M" },
	{ "limits.sources", "half_open_host", "half_open_net: 0" },
	{ "limits.sources", "half_open_net", "half_open_host: 0" },
	{ "limits.sources", "syn_per_s_host", "syn_per_s_net: 0" },
	{ "limits.sources", "syn_per_s_net", "syn_per_s_host: 0" },
};

static const char *
companion(const char *path, const char *key)
{
	for (size_t i = 0; i < sizeof(companions) / sizeof(companions[0]); i++)
		if (strcmp(companions[i].path, path) == 0 && strcmp(companions[i].key, key) == 0)
			return companions[i].beside;
	return NULL;
}

/* Keys of a service that only mode handoff has. */
static bool
is_of_handoff(const char *path, const char *key)
{
	static const char *const keys[] = { "calm_syn_per_s", "unknown_per_s", "group" };

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (strcmp(path, "services[0]") == 0 && strcmp(key, keys[i]) == 0)
			return true;
	return false;
}

/* A mapping of the table with its scaffold, and where its struct is. */
struct subject {
	const struct scaffold *scaffold;
	const struct conf_mapping *mapping;
	bool in_service;
	size_t offset;
};

static const char *
subject_base(const struct subject *s, const struct conf *conf)
{
	return (s->in_service ? (const char *)conf->policy.services : (const char *)conf) +
	       s->offset;
}

/* The scaffold, the companion and "key: value"; gives line and column of the value. */
static struct conf *
parse_value(const struct subject *s, const struct conf_key *key, const char *value,
            struct conf_error *err, unsigned int *line, unsigned int *column)
{
	const char *beside = companion(s->scaffold->path, key->name);
	char yaml[1024];
	int at = snprintf(yaml, sizeof(yaml), "%s",
	                  is_of_handoff(s->scaffold->path, key->name) ? HANDOFF_LIST
	                                                              : s->scaffold->text);

	if (beside != NULL)
		at += snprintf(yaml + at, sizeof(yaml) - (size_t)at, "%*s%s\n",
		               (int)s->scaffold->indent, "", beside);
	*line = 1;
	for (const char *p = yaml; *p != '\0'; p++)
		*line += *p == '\n';
	*column = s->scaffold->indent + (unsigned int)strlen(key->name) + 3;
	at += snprintf(yaml + at, sizeof(yaml) - (size_t)at, "%*s%s: %s\n",
	               (int)s->scaffold->indent, "", key->name, value);
	return conf_parse(yaml, (size_t)at, "t", err);
}

static void
check_accepted(const struct subject *s, const struct conf_key *key, const char *value,
               const char *stored)
{
	struct conf_error err;
	unsigned int line, column;
	struct conf *conf = parse_value(s, key, value, &err, &line, &column);

	if (conf == NULL)
		printf("\n  %s.%s: %s: %s\n", s->scaffold->path, key->name, value, err.text);
	CU_ASSERT_PTR_NOT_NULL(conf);
	if (conf != NULL) {
		char text[64];
		conf_format_value(key, subject_base(s, conf), text, sizeof(text));
		CU_ASSERT_STRING_EQUAL(text, stored);
	}
	conf_free(conf);
}

static void
check_refused(const struct subject *s, const struct conf_key *key, const char *value)
{
	struct conf_error err;
	unsigned int line, column;
	char expected[CONF_EXPECTED_SIZE], want[sizeof(err.text)];
	struct conf *conf = parse_value(s, key, value, &err, &line, &column);

	conf_expected(key, expected);
	snprintf(want, sizeof(want), "t:%u:%u: %s%s%s: found \"%s\"; expected %s", line, column,
	         s->scaffold->path, s->scaffold->path[0] != '\0' ? "." : "", key->name, value,
	         expected);
	CU_ASSERT_PTR_NULL(conf);
	if (conf == NULL && strcmp(err.text, want) != 0)
		printf("\n  got:  %s\n  want: %s\n", err.text, want);
	CU_ASSERT_STRING_EQUAL(conf == NULL ? err.text : "", want);
	conf_free(conf);
}

/* Numbers are tried as plain digits: 0 suffixes, every type takes them. */
static void
check_number(const struct subject *s, const struct conf_key *key)
{
	uint64_t tries[] = { key->min, key->max, (uint64_t)key->max + 1, key->min - 1u, 0 };
	char value[24], stored[24];

	for (size_t i = 0; i < 5; i++) {
		if (i == 3 && key->min == 0)
			continue;
		bool ok = (tries[i] >= key->min && tries[i] <= key->max) ||
		          (tries[i] == 0 && key->zero != NULL);
		snprintf(value, sizeof(value), "%llu", (unsigned long long)tries[i]);
		conf_format_number(key->type, (uint32_t)tries[i], stored, sizeof(stored));
		if (ok)
			check_accepted(s, key, value, stored);
		else
			check_refused(s, key, value);
	}
	check_refused(s, key, "many");
	check_refused(s, key, "1x");
}

static void
check_key(const struct subject *s, const struct conf_key *key)
{
	CU_ASSERT_TRUE(key->help != NULL && key->help[strlen(key->help) - 1] == '.');

	if (conf_type_is_number(key->type)) {
		check_number(s, key);
	} else if (key->type == CONF_BOOL) {
		check_accepted(s, key, "true", "true");
		check_accepted(s, key, "off", "false");
		check_refused(s, key, "2");
	} else if (key->type == CONF_CHOICE && (key->flags & CONF_REQUIRED) == 0) {
		for (const struct conf_choice *c = key->choices; c->name != NULL; c++)
			check_accepted(s, key, c->name, c->name);
		check_refused(s, key, "neither");
	} else if (key->type == CONF_NAME) {
		check_accepted(s, key, "A-z_0.9", "A-z_0.9");
		check_refused(s, key, "-a");
		check_refused(s, key, "a/b");
	} else if (key->type == CONF_MAC) {
		check_accepted(s, key, "02:00:00:00:0A:ff", "02:00:00:00:0a:ff");
		check_refused(s, key, "03:00:00:00:00:01");
		check_refused(s, key, "00:00:00:00:00:00");
		check_refused(s, key, "02:00:00:00:01");
	}
}

/* A key that is not in the file has its preset, or says that nothing was given. */
static void
check_default(const struct subject *s, const struct conf *conf, const struct conf_key *key)
{
	char text[64];

	if (key->mapping != NULL || (key->flags & CONF_REQUIRED) != 0)
		return;
	CU_ASSERT_TRUE((key->preset != NULL) != (key->derived != NULL));
	if (key->preset == NULL)
		return;
	conf_format_value(key, subject_base(s, conf), text, sizeof(text));
	if (strcmp(text, key->preset) != 0)
		printf("\n  %s.%s: %s\n", s->scaffold->path, key->name, text);
	CU_ASSERT_STRING_EQUAL(text, key->preset);
}

static uint32_t n_scaffolds_used;

static void
check_mapping(const struct subject *s)
{
	bool ports = s->scaffold->path[0] == 'p';
	struct conf_error err;
	const char *without = ports ? s->scaffold->text : s->scaffold->without;
	struct conf *conf = conf_parse(without, strlen(without), "t", &err);

	CU_ASSERT_PTR_NOT_NULL_FATAL(conf);
	for (uint32_t i = 0; i < s->mapping->n_keys; i++) {
		check_default(s, conf, &s->mapping->keys[i]);
		check_key(s, &s->mapping->keys[i]);
	}
	conf_free(conf);
	n_scaffolds_used++;
}

static void
walk(const struct conf_mapping *mapping, const char *path, bool in_service, size_t offset)
{
	const struct scaffold *scaffold = NULL;

	for (size_t i = 0; i < sizeof(scaffolds) / sizeof(scaffolds[0]); i++)
		if (strcmp(scaffolds[i].path, path) == 0)
			scaffold = &scaffolds[i];
	/* `ports` holds mappings alone. */
	if (strcmp(path, "ports") != 0) {
		if (scaffold == NULL)
			printf("\n  no scaffold for %s\n", path);
		CU_ASSERT_PTR_NOT_NULL_FATAL(scaffold);
		const struct subject subject = { scaffold, mapping, in_service, offset };
		check_mapping(&subject);
	}
	for (uint32_t i = 0; i < mapping->n_keys; i++) {
		const struct conf_key *key = &mapping->keys[i];
		char below[64];

		if (key->mapping == NULL)
			continue;
		bool sequence = key->type == CONF_SEQUENCE;
		snprintf(below, sizeof(below), "%s%s%s%s", path, path[0] != '\0' ? "." : "",
		         key->name, sequence ? "[0]" : "");
		walk(key->mapping, below, in_service || sequence,
		     sequence ? 0 : offset + key->offset);
	}
}

static void
test_every_key_keeps_to_its_row(void)
{
	n_scaffolds_used = 0;
	walk(&conf_root, "", false, 0);
	CU_ASSERT_EQUAL(n_scaffolds_used, sizeof(scaffolds) / sizeof(scaffolds[0]));
}

/* A few rows said once more, so that a slip of the table is seen. */
static void
test_defaults_are_the_intended(void)
{
	struct conf_error err;
	struct conf *c = conf_parse(PORTS WEB, strlen(PORTS WEB), "t", &err);

	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	CU_ASSERT_EQUAL(c->outside.rx_descriptors, 1024);
	CU_ASSERT_EQUAL(c->outside.queues, 0);
	CU_ASSERT_TRUE(c->outside.promiscuous);
	CU_ASSERT_EQUAL(c->workers.count, 1);
	CU_ASSERT_EQUAL(c->workers.control_lcore, CONF_LCORE_ANY);
	CU_ASSERT_EQUAL(c->workers.buffers, 0);
	CU_ASSERT_EQUAL(c->memory.connections, 1048576);
	CU_ASSERT_EQUAL(c->memory.half_open, 65536);
	CU_ASSERT_EQUAL(c->memory.backends, 4096);
	CU_ASSERT_EQUAL(c->memory.sources, 65536);
	CU_ASSERT_EQUAL(c->memory.held_connections, 4096);
	CU_ASSERT_PTR_NULL(c->secret_file);
	CU_ASSERT_EQUAL(c->drain_timeout_s, 30);
	CU_ASSERT_STRING_EQUAL(c->instance, "synfront");
	CU_ASSERT_PTR_NULL(c->user);

	const struct policy *p = &c->policy;
	CU_ASSERT_EQUAL(p->generation, 1);
	CU_ASSERT_EQUAL(p->syn_ack_retries, 3);
	CU_ASSERT_EQUAL(p->hold_bytes, 16384);
	CU_ASSERT_EQUAL(p->closed_port, REFUSE_RESET);
	CU_ASSERT_EQUAL(p->sources.half_open_net, 1024);
	CU_ASSERT_EQUAL(p->sources.syn_per_s_net, 2000);
	CU_ASSERT_EQUAL(p->sources.connections_host, 0);
	CU_ASSERT_EQUAL(p->reflection.per_net_per_s, 10000);
	CU_ASSERT_EQUAL(p->reflection.challenge_per_s, 1000);
	CU_ASSERT_EQUAL(p->timeouts.connecting, 10);
	CU_ASSERT_EQUAL(p->timeouts.idle, 7500);
	CU_ASSERT_EQUAL(p->timeouts.half_closed, 120);
	CU_ASSERT_EQUAL(p->timeouts.adopt, 60);
	CU_ASSERT_EQUAL(p->services[0].high, 24576);
	CU_ASSERT_EQUAL(p->services[0].low, 12288);
	CU_ASSERT_EQUAL(p->services[0].overload, REFUSE_DROP);
	CU_ASSERT_EQUAL(p->services[0].signed_syn, REFUSE_PASS);
	CU_ASSERT_EQUAL(p->services[0].unproven, REFUSE_RESET);
	conf_free(c);
}

static void
test_suffixes_multiply(void)
{
	static const struct {
		enum conf_type type;
		const char *text;
		uint32_t number;
	} good[] = {
		{ CONF_ENTRIES, "64k", 65536 }, { CONF_ENTRIES, "3G", 3221225472u },
		{ CONF_RATE, "64k", 64000 },    { CONF_RATE, "2M", 2000000 },
		{ CONF_DURATION, "90", 90 },    { CONF_DURATION, "90s", 90 },
		{ CONF_DURATION, "5m", 300 },   { CONF_DURATION, "2h", 7200 },
		{ CONF_DURATION, "1d", 86400 }, { CONF_NUMBER, "4294967295", UINT32_MAX },
	};
	static const char *const bad[] = { "",   "k",    "01", "1kk",       "1 k",
		                           "+1", "0x10", "4G", "4294967296" };
	uint32_t n;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		CU_ASSERT_TRUE(conf_number(good[i].type, good[i].text, &n));
		CU_ASSERT_EQUAL(n, good[i].number);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CU_ASSERT_FALSE(conf_number(CONF_ENTRIES, bad[i], &n));
}

static CU_TestInfo tests[] = {
	CHECK_TEST(test_every_key_keeps_to_its_row),
	CHECK_TEST(test_defaults_are_the_intended),
	CHECK_TEST(test_suffixes_multiply),
	CU_TEST_INFO_NULL,
};

int
main(void)
{
	return check_run("conf_keys", tests);
}
