/* SPDX-License-Identifier: BSD-3-Clause */
/* Configurations as a whole: the samples, the reference page, reload, memory. */
#include <arpa/inet.h>
#include <stdio.h>

#include "check.h"
#include "conf_good.h"
#include "conf_table.h"
#include "conf_wrong.h"
#include "pending.h"
#include "value.h"

static struct conf *
load_sample(const char *name)
{
	char path[512];
	struct conf_error err;

	snprintf(path, sizeof(path), "%s/%s", CONF_SAMPLES, name);
	struct conf *conf = conf_load(path, &err);
	if (conf == NULL)
		printf("\n  %s\n", err.text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(conf);
	return conf;
}

static const struct service *
find(const struct conf *conf, const char *address, uint16_t port)
{
	const struct service *service = NULL;
	struct ip_addr addr;
	uint32_t v4_be;

	if (inet_pton(AF_INET, address, &v4_be) == 1)
		addr = ip_addr_v4(v4_be);
	else
		CU_ASSERT_EQUAL_FATAL(inet_pton(AF_INET6, address, addr.bytes), 1);
	return policy_find(&conf->policy, &addr, port, &service) == POLICY_SERVICE ? service : NULL;
}

static void
check_found(const struct conf *conf, const char *address, uint16_t port, const char *name)
{
	const struct service *s = find(conf, address, port);

	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT_STRING_EQUAL(s->name, name);
}

static void
test_sample_inline_pair_parses(void)
{
	struct conf *c = load_sample("inline-pair.yaml");

	CU_ASSERT_TRUE(c->has_inside);
	CU_ASSERT_EQUAL(c->workers.count, 4);
	CU_ASSERT_EQUAL(c->workers.n_lcores, 4);
	CU_ASSERT_EQUAL(c->workers.lcores[3], 8);
	CU_ASSERT_EQUAL(c->workers.numa, CONF_NUMA_STRICT);
	CU_ASSERT_EQUAL(c->log.target, CONF_LOG_STDERR);
	CU_ASSERT_EQUAL(c->drain_timeout_s, 50);
	check_found(c, "198.51.100.7", 8042, "web");
	check_found(c, "198.51.100.7", 22, "ssh");
	check_found(c, "2001:db8:10::77", 443, "web");
	check_found(c, "2001:db8:10:1::25", 587, "mail");
	check_found(c, "198.51.100.254", 179, "bgp");
	CU_ASSERT_PTR_NULL(find(c, "198.51.101.7", 80));
	CU_ASSERT_PTR_NULL(find(c, "198.51.100.130", 80));
	conf_free(c);
}

static void
test_sample_host_parses(void)
{
	struct conf *c = load_sample("host.yaml");

	CU_ASSERT_EQUAL(c->inside.mac_source, CONF_MAC_OUTSIDE);
	CU_ASSERT_EQUAL(c->policy.closed_port, REFUSE_PASS);
	CU_ASSERT_EQUAL(find(c, "192.0.2.10", 22)->mode, MODE_BYPASS);
	check_found(c, "2001:db8::10", 443, "web");
	conf_free(c);
}

static void
test_sample_demo_parses(void)
{
	struct conf *c = load_sample("demo.yaml");

	CU_ASSERT_STRING_EQUAL(c->outside.device, "net_tap0,iface=sf-outside");
	CU_ASSERT_STRING_EQUAL(c->inside.device, "net_tap1,iface=sf-inside");
	CU_ASSERT_EQUAL(c->workers.idle, CONF_IDLE_AUTO);
	CU_ASSERT_EQUAL(c->eal.hugepages, CONF_HUGEPAGES_OFF);
	check_found(c, "198.51.100.10", 80, "demo");
	check_found(c, "2001:db8:1::10", 443, "demo");
	conf_free(c);
}

static void
test_sample_handoff_parses(void)
{
	struct conf *c = load_sample("handoff.yaml");
	const struct service *s = find(c, "2001:db8:10::1", 443);

	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT_EQUAL(s->mode, MODE_HANDOFF);
	CU_ASSERT_STRING_EQUAL(s->group, "web");
	CU_ASSERT_EQUAL(s->group_id, 1);
	CU_ASSERT_EQUAL(s->calm_syn_per_s, 2000);
	CU_ASSERT_EQUAL(s->unknown_per_s, 200000);
	CU_ASSERT_EQUAL(s->promise.mss6, 1440);
	CU_ASSERT_TRUE(s->promise.window_scaling && s->promise.sack && s->promise.timestamps);
	CU_ASSERT_EQUAL(c->memory.known_flows, 4 << 20);
	conf_free(c);
}

static void
test_sample_responder_parses(void)
{
	struct conf *c = load_sample("responder.yaml");

	CU_ASSERT_FALSE(c->has_inside);
	CU_ASSERT_EQUAL(c->eal.n_args, 1);
	CU_ASSERT_STRING_EQUAL(c->eal.args[0], "--single-file-segments");
	CU_ASSERT_EQUAL(c->policy.sources.half_open_host, 0);
	check_found(c, "198.19.255.255", 65535, "discard");
	CU_ASSERT_EQUAL(find(c, "2001:2::1", 1)->cookies, COOKIES_ALWAYS);
	conf_free(c);
}

static void
test_reference_page_is_current(void)
{
	char *page = NULL;
	size_t size = 0, n = 0;
	FILE *out = open_memstream(&page, &size), *f = fopen(CONF_SAMPLES "/REFERENCE.md", "r");

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	CU_ASSERT_PTR_NOT_NULL_FATAL(out);
	conf_reference(out);
	fclose(out);
	/* Else: make the page anew with conf_reference(). */
	char *committed = calloc(1, size + 2);
	n = fread(committed, 1, size + 1, f);
	CU_ASSERT_EQUAL(n, size);
	CU_ASSERT_STRING_EQUAL(committed, page);
	fclose(f);
	free(committed);
	free(page);
}

static void
test_prefixes_keep_their_family_and_length(void)
{
	struct conf *c = parse(PORTS
	                       "services: [{name: a, addresses: [192.0.2.0/24, 2001:db8::/32], "
	                       "ports: all, mode: proxy, allow: 0.0.0.0/0, deny: [10.1.0.0/16, "
	                       "'2001:db8::5']}]\n");
	const struct service *s = &c->policy.services[0];
	char text[CONF_PREFIX_SIZE];

	CU_ASSERT_EQUAL(s->n_addresses, 2);
	CU_ASSERT_EQUAL(s->addresses[0].len, 120);
	CU_ASSERT_TRUE(ip_addr_is_v4(&s->addresses[0].addr));
	CU_ASSERT_EQUAL(s->addresses[1].len, 32);
	conf_format_prefix(&s->addresses[0], text);
	CU_ASSERT_STRING_EQUAL(text, "192.0.2.0/24");
	conf_format_prefix(&s->addresses[1], text);
	CU_ASSERT_STRING_EQUAL(text, "2001:db8::/32");
	CU_ASSERT_EQUAL(s->n_ports, 1);
	CU_ASSERT_EQUAL(s->ports[0].first, 1);
	CU_ASSERT_EQUAL(s->ports[0].last, 65535);
	CU_ASSERT_EQUAL(s->allow[0].len, 96);
	conf_format_prefix(&s->deny[1], text);
	CU_ASSERT_STRING_EQUAL(text, "2001:db8::5");

	struct ip_addr v6 = s->deny[1].addr, v4 = ip_addr_v4(htonl(0x0a020001));
	CU_ASSERT_FALSE(policy_admits(&c->policy, s, &v6));
	CU_ASSERT_TRUE(policy_admits(&c->policy, s, &v4));
	conf_free(c);
}

static void
test_live_keys_may_change(void)
{
	struct conf_error err;
	struct conf *running = parse(PORTS WEB);
	struct conf *fresh = parse(
		PORTS "services: [{name: b, addresses: 192.0.2.9, ports: 1, mode: bypass}]\n"
		      "limits: {reflection: {rst_per_s: 5}}\nhandshake: {syn_ack_retries: 1, "
		      "closed_port: drop}\ntimeouts: {idle: 20}\ndrain_timeout: 1\n"
		      "log: {level: debug}\n");

	CU_ASSERT_EQUAL(conf_compare(running, running, &err), 0);
	CU_ASSERT_EQUAL(conf_compare(running, fresh, &err), 0);
	conf_free(fresh);
	conf_free(running);
}

static void
test_fixed_keys_may_not_change(void)
{
	static const struct {
		const char *yaml, *error;
	} cases[] = {
		{ PORTS WEB "memory: {connections: 2M}\n",
		  "t:3:23: memory.connections: found 2M; expected 1M, as it "
		  "runs: a change needs a restart" },
		{ PORTS WEB "handshake: {hold_bytes: 8k}\n",
		  "t:3:25: handshake.hold_bytes: found 8k; expected 16k, as "
		  "it runs: a change needs a restart" },
		{ PORTS WEB "workers: {lcores: [3]}\n",
		  "t:3:19: workers.lcores: found [3]; expected [], as it runs: a "
		  "change needs a restart" },
		{ PORTS WEB "workers: {control_lcore: 3}\n",
		  "t:3:26: workers.control_lcore: found 3; expected nothing, "
		  "as it runs: a change needs a restart" },
		{ PORTS WEB "telemetry: no\n",
		  "t:3:12: telemetry: found false; expected true, as it runs: a change "
		  "needs a restart" },
		{ PORTS WEB "log: {target: syslog}\n",
		  "t:3:15: log.target: found syslog; expected stderr, as it runs: "
		  "a change needs a restart" },
		{ PORTS WEB "eal: {args: [-v]}\n",
		  "t:3:13: eal.args: found [-v]; expected [], as it runs: a change "
		  "needs a restart" },
		{ "ports: {outside: {device: other}, inside: {device: net_null1}}\n" WEB,
		  "t:1:27: "
		  "ports.outside.device: found other; expected net_null0, as it runs: a change "
		  "needs a restart" },
		{ "ports: {outside: {device: net_null0}, inside: {device: net_null1, mac: "
		  "\"02:00:00:00:00:01\"}}\n" WEB,
		  "t:1:72: ports.inside.mac: found 02:00:00:00:00:01; expected device, as it runs: "
		  "a "
		  "change needs "
		  "a restart" },
		{ "ports: {outside: {device: net_null0}}\nservices: [{name: web, addresses: "
		  "192.0.2.1, ports: 80, "
		  "mode: respond}]\n",
		  "t:1:8: ports.inside: found none; expected one, as it runs: a change needs a "
		  "restart" },
	};
	struct conf *running = parse(PORTS WEB);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct conf_error err = { "" };
		struct conf *fresh = parse(cases[i].yaml);
		CU_ASSERT_EQUAL(conf_compare(running, fresh, &err), -1);
		if (strcmp(err.text, cases[i].error) != 0)
			show(err.text, cases[i].error);
		CU_ASSERT_STRING_EQUAL(err.text, cases[i].error);
		conf_free(fresh);
	}
	conf_free(running);
}

#define NAMED(name, port) "- {name: " name ", addresses: 192.0.2.1, ports: " port ", mode: proxy}\n"

static void
test_ids_stay_with_names(void)
{
	struct conf_ids ids = { { 0 } };
	struct conf_error err;
	struct conf *first = parse(PORTS "services:\n" NAMED("a", "1") NAMED("b", "2")
	                                   NAMED("c", "3"));
	struct conf *second = parse(PORTS "services:\n" NAMED("d", "4") NAMED("c", "3")
	                                    NAMED("a", "1"));
	struct conf *third = parse(PORTS "services:\n" NAMED("b", "2") NAMED("d", "4"));

	conf_mark_ids(&ids, &first->policy);
	CU_ASSERT_EQUAL(ids.used[0], 7);

	CU_ASSERT_EQUAL(conf_adopt_ids(&first->policy, second, &ids, &err), 0);
	CU_ASSERT_EQUAL(second->policy.generation, 2);
	CU_ASSERT_EQUAL(second->policy.services[0].id, 3); /* d: new; 1 is still b's */
	CU_ASSERT_EQUAL(second->policy.services[1].id, 2);
	CU_ASSERT_EQUAL(second->policy.services[2].id, 0);
	CU_ASSERT_EQUAL(ids.used[0], 15);

	/* Once nobody holds entries of the old b and c, their ids are free. */
	ids.used[0] &= ~(UINT64_C(1) << 1);
	CU_ASSERT_EQUAL(conf_adopt_ids(&second->policy, third, &ids, &err), 0);
	CU_ASSERT_EQUAL(third->policy.generation, 3);
	CU_ASSERT_EQUAL(third->policy.services[0].id, 1);
	CU_ASSERT_EQUAL(third->policy.services[1].id, 3);

	/* What a segment finds has the id. */
	CU_ASSERT_EQUAL(find(third, "192.0.2.1", 4)->id, 3);
	conf_free(first);
	conf_free(second);
	conf_free(third);
}

static void
test_ids_used_up_are_refused(void)
{
	struct conf_ids ids;
	struct conf_error err;
	struct conf *running = parse(PORTS "services:\n" NAMED("a", "1"));
	struct conf *fresh = parse(PORTS "services:\n" NAMED("a", "1") NAMED("b", "2")
	                                   NAMED("c", "3"));

	memset(&ids, 0xff, sizeof(ids));
	ids.used[CONF_ID_WORDS - 1] = UINT64_MAX >> 1;
	CU_ASSERT_EQUAL(conf_adopt_ids(&running->policy, fresh, &ids, &err), -1);
	CU_ASSERT_STRING_EQUAL(
		err.text, "t:3:1: services: found 2 new ones; expected at most 1, since the ids "
			  "of removed ones are still in use");
	CU_ASSERT_EQUAL(fresh->policy.generation, 1);
	CU_ASSERT_EQUAL(ids.used[CONF_ID_WORDS - 1], UINT64_MAX >> 1);

	ids.used[0] &= ~UINT64_C(2);
	CU_ASSERT_EQUAL(conf_adopt_ids(&running->policy, fresh, &ids, &err), 0);
	CU_ASSERT_EQUAL(fresh->policy.services[1].id, 1);
	CU_ASSERT_EQUAL(fresh->policy.services[2].id, SERVICES_MAX - 1);
	conf_free(running);
	conf_free(fresh);
}

static void
test_memory_is_the_sum_of_its_rows(void)
{
	struct conf *c = parse(PORTS WEB "memory: {connections: 16M}\n");
	struct conf_memory_size size = conf_memory_size(c);
	struct conf_error err;
	char want[256];
	uint64_t sum = 0;

	for (int i = 0; i < CONF_MEMORY_ROWS; i++) {
		CU_ASSERT_EQUAL(size.rows[i].size, size.rows[i].entries * size.rows[i].entry_size);
		sum += size.rows[i].size;
	}
	CU_ASSERT_EQUAL(size.size, sum);
	CU_ASSERT_STRING_EQUAL(size.rows[0].key, "memory.connections");
	CU_ASSERT_EQUAL(size.rows[0].entries, 16777216);
	CU_ASSERT_TRUE(size.rows[0].size <= UINT64_C(3) << 29); /* 16 million in 1.5 GiB */
	CU_ASSERT_EQUAL(size.rows[5].entry_size, PENDING_ENTRY_SIZE);

	CU_ASSERT_EQUAL(conf_check_memory(c, sum, &err), 0);
	CU_ASSERT_EQUAL(conf_check_memory(c, sum - 1, &err), -1);
	snprintf(want, sizeof(want),
	         "t: memory.connections: found 16777216 entries of %llu bytes, %.1f MiB",
	         (unsigned long long)size.rows[0].entry_size, (double)size.rows[0].size / 1048576);
	CU_ASSERT_EQUAL(strncmp(err.text, want, strlen(want)), 0);
	uint64_t available = conf_memory_available(c, CONF_MEMINFO);
	CU_ASSERT_TRUE(available > 0 && available < UINT64_MAX);
	CU_ASSERT_EQUAL(conf_memory_available(c, "/no/such/meminfo"), UINT64_MAX);
	conf_free(c);
}

/* https://yaml.org/type/bool.html */
static const char *const words_true[] = { "y",    "Y",    "yes", "Yes", "YES", "true",
	                                  "True", "TRUE", "on",  "On",  "ON" };
static const char *const words_false[] = { "n",     "N",     "no",  "No",  "NO", "false",
	                                   "False", "FALSE", "off", "Off", "OFF" };

/* The configuration with this value for a key of the top level; NULL if it is refused. */
static struct conf *
with(const char *key, const char *value)
{
	struct conf_error err;
	char yaml[512];
	int n = snprintf(yaml, sizeof(yaml), PORTS WEB "%s: %s\n", key, value);

	return conf_parse(yaml, (size_t)n, "t", &err);
}

static void
test_booleans_of_yaml_are_all_taken(void)
{
	for (unsigned int i = 0; i < 11; i++) {
		struct conf *on = with("telemetry", words_true[i]);
		struct conf *off = with("telemetry", words_false[i]);

		CU_ASSERT(on != NULL && on->telemetry);
		CU_ASSERT(off != NULL && !off->telemetry);
		conf_free(on);
		conf_free(off);
	}
}

static void
test_booleans_of_no_language_are_refused(void)
{
	static const char *const words[] = { "tRUE", "yES",   "oN",   "TRue",   "TrUE", "fALSE",
		                             "nO",   "OFf",   "t",    "f",      "1",    "0",
		                             "tru",  "truee", "yess", "enable", "\"\"" };

	for (unsigned int i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		struct conf *conf = with("telemetry", words[i]);

		CU_ASSERT_PTR_NULL(conf);
		conf_free(conf);
	}
}

/* A choice that has on and off takes each boolean; one that lacks them takes none. */
static void
test_booleans_choose_on_and_off(void)
{
	char yaml[64];

	for (unsigned int i = 0; i < 11; i++) {
		snprintf(yaml, sizeof(yaml), "{hugepages: %s}", words_true[i]);
		struct conf *on = with("eal", yaml);
		snprintf(yaml, sizeof(yaml), "{hugepages: %s}", words_false[i]);
		struct conf *off = with("eal", yaml);

		CU_ASSERT(on != NULL && on->eal.hugepages == CONF_HUGEPAGES_ON);
		CU_ASSERT(off != NULL && off->eal.hugepages == CONF_HUGEPAGES_OFF);
		conf_free(on);
		conf_free(off);
		snprintf(yaml, sizeof(yaml), "{idle: %s}", words_true[i]);
		CU_ASSERT_PTR_NULL(with("workers", yaml));
		snprintf(yaml, sizeof(yaml), "{level: %s}", words_false[i]);
		CU_ASSERT_PTR_NULL(with("log", yaml));
	}
}

/* https://yaml.org/type/null.html: no name, as any other text would be. */
static void
test_nulls_of_yaml_are_all_nothing(void)
{
	static const char *const words[] = { "", "~", "null", "Null", "NULL" };

	for (unsigned int i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		CU_ASSERT_PTR_NULL(with("instance", words[i]));
	struct conf *conf = with("instance", "nULL");
	CU_ASSERT_PTR_NOT_NULL(conf);
	conf_free(conf);
}

static CU_TestInfo tests[] = {
	CHECK_TEST(test_sample_inline_pair_parses),
	CHECK_TEST(test_sample_host_parses),
	CHECK_TEST(test_sample_demo_parses),
	CHECK_TEST(test_sample_handoff_parses),
	CHECK_TEST(test_sample_responder_parses),
	CHECK_TEST(test_reference_page_is_current),
	CHECK_TEST(test_prefixes_keep_their_family_and_length),
	CHECK_TEST(test_live_keys_may_change),
	CHECK_TEST(test_fixed_keys_may_not_change),
	CHECK_TEST(test_ids_stay_with_names),
	CHECK_TEST(test_ids_used_up_are_refused),
	CHECK_TEST(test_memory_is_the_sum_of_its_rows),
	CHECK_TEST(test_booleans_of_yaml_are_all_taken),
	CHECK_TEST(test_booleans_of_no_language_are_refused),
	CHECK_TEST(test_booleans_choose_on_and_off),
	CHECK_TEST(test_nulls_of_yaml_are_all_nothing),
	CU_TEST_INFO_NULL,
};

int
main(void)
{
	return check_run("conf", tests);
}
