/* SPDX-License-Identifier: BSD-3-Clause */
/* Each way in which a configuration can be wrong, with the words and the place
 * of its error. */
#include "conf_wrong.h"

#define OUTSIDE "ports: {outside: {device: net_null0}}\n"
/* Line 2 begins the list; a test goes on from line 7. */
#define LIST                                                                                 \
	PORTS "services:\n- name: web\n  addresses: 192.0.2.1\n  ports: [80, 443]\n  mode: " \
	      "proxy\n"

static void
test_yaml_broken_is_refused(void)
{
	static const struct wrong cases[] = {
		{ "", "t:1:1: found an empty file; expected a mapping with ports and services" },
		{ "# nothing\n",
		  "t:1:1: found an empty file; expected a mapping with ports and services" },
		{ "ports: [\n",
		  "t:2:1: found bad YAML (while parsing a flow node, did not find expected node "
		  "content); expected a YAML mapping" },
		{ GOOD "---\n" GOOD, "t:4:1: found a second document; expected one" },
		{ "- ports\n", "t:1:1: found a list; expected a mapping" },
		{ "ports\n", "t:1:1: found \"ports\"; expected a mapping" },
		{ GOOD "? [a]\n: b\n", "t:3:3: found a list as a key; expected a name" },
		{ GOOD "instance: \"a\\0b\"\n",
		  "t:3:11: found a zero byte in a text; expected none" },
		{ GOOD "instance: \xff\n",
		  "t: byte 147: found invalid leading UTF-8 octet; expected UTF-8 text" },
	};
	CHECK_WRONG(cases);
}

static void
test_key_unknown_is_refused(void)
{
	static const struct wrong cases[] = {
		{ GOOD "worker: {count: 1}\n",
		  "t:3:1: worker: found an unknown key; expected \"workers\" (did "
		  "you mean that?)" },
		{ GOOD "timeouts:\n  idel: 5\n",
		  "t:4:3: timeouts.idel: found an unknown key; expected \"idle\" "
		  "(did you mean that?)" },
		{ LIST "  hlaf_open: {}\n",
		  "t:7:3: services[0].hlaf_open: found an unknown key; expected "
		  "\"half_open\" (did you mean that?)" },
		{ GOOD "eal:\n  zzzzzz: 5\n",
		  "t:4:3: eal.zzzzzz: found an unknown key; expected one of "
		  "hugepages, args" },
		{ GOOD "eal:\n  a_name_longer_than_every_key_there_is: 5\n",
		  "t:4:3: "
		  "eal.a_name_longer_than_every_key_there_is: found an unknown key; expected one "
		  "of hugepages, "
		  "args" },
	};
	CHECK_WRONG(cases);
}

static void
test_key_repeated_is_refused(void)
{
	static const struct wrong cases[] = {
		{ GOOD PORTS,
		  "t:3:1: ports: found the key again; expected it once (line 1 has it)" },
		{ LIST "  mode: respond\n",
		  "t:7:3: services[0].mode: found the key again; expected it once "
		  "(line 6 has it)" },
	};
	CHECK_WRONG(cases);
}

static void
test_key_missing_is_refused(void)
{
	static const struct wrong cases[] = {
		{ WEB, "t:1:1: ports: found nothing; expected this key, with a mapping" },
		{ PORTS, "t:1:1: services: found nothing; expected this key, with a list of "
		         "mappings, each "
		         "begun with \"- \"" },
		{ PORTS "services: []\n",
		  "t:2:11: services: found an empty list; expected a list of mappings, "
		  "each begun with \"- \"" },
		{ "ports:\n  inside: {device: a}\n" WEB,
		  "t:2:3: ports.outside: found nothing; expected this key, "
		  "with a mapping" },
		{ "ports:\n  outside: {queues: 1}\n" WEB,
		  "t:2:12: ports.outside.device: found nothing; expected "
		  "this key, with a text of at most 255 bytes without white space" },
		{ PORTS "services:\n- name: web\n",
		  "t:3:3: services[0].addresses: found nothing; expected this "
		  "key, with a list of unicast addresses and prefixes such as 192.0.2.1 or "
		  "2001:db8::/64" },
	};
	CHECK_WRONG(cases);
}

static void
test_type_wrong_is_refused(void)
{
	static const struct wrong cases[] = {
		{ GOOD "workers: 5\n", "t:3:10: workers: found \"5\"; expected a mapping" },
		{ GOOD "workers:\n", "t:3:9: workers: found nothing; expected a mapping" },
		{ GOOD "workers: {count: [1]}\n",
		  "t:3:18: workers.count: found a list; expected a number from 1 "
		  "to 64" },
		{ GOOD "workers: {count: 010}\n",
		  "t:3:18: workers.count: found \"010\"; expected a number from 1 "
		  "to 64" },
		{ GOOD "workers: {idle: sleep}\n",
		  "t:3:17: workers.idle: found \"sleep\"; expected one of auto, poll" },
		{ GOOD "workers: {count: 1k}\n",
		  "t:3:18: workers.count: found \"1k\"; expected a number from 1 to "
		  "64" },
		{ GOOD "workers: {count: -1}\n",
		  "t:3:18: workers.count: found \"-1\"; expected a number from 1 to "
		  "64" },
		{ GOOD "memory: {half_open: 99999999999999999999}\n",
		  "t:3:21: memory.half_open: found "
		  "\"99999999999999999999\"; expected a count from 64 to 16M (k, M, G: powers of "
		  "1024)" },
		{ GOOD "memory: {half_open: 4G}\n",
		  "t:3:21: memory.half_open: found \"4G\"; expected a count "
		  "from 64 to 16M (k, M, G: powers of 1024)" },
		{ GOOD "timeouts: {idle: 5 minutes}\n",
		  "t:3:18: timeouts.idle: found \"5 minutes\"; expected a "
		  "duration from 10s to 8h (s, m, h, d; alone: seconds)" },
		{ GOOD "telemetry: {}\n",
		  "t:3:12: telemetry: found a mapping; expected true or false" },
		{ GOOD "telemetry: maybe\n",
		  "t:3:12: telemetry: found \"maybe\"; expected true or false" },
		{ GOOD "log: {level: loud}\n",
		  "t:3:14: log.level: found \"loud\"; expected one of error, warning, "
		  "notice, info, debug" },
		{ GOOD "instance: a/b\n",
		  "t:3:11: instance: found \"a/b\"; expected a name of at most 63 letters, "
		  "digits, dots, underscores and (not first) hyphens" },
		{ GOOD "eal: {args: [\"a b\"]}\n",
		  "t:3:14: eal.args[0]: found \"a b\"; expected a list of texts "
		  "without white space" },
		{ GOOD "eal: {args: [{}]}\n",
		  "t:3:14: eal.args[0]: found a mapping; expected a list of texts "
		  "without white space" },
		{ PORTS "services: web\n",
		  "t:2:11: services: found \"web\"; expected a list of mappings, each "
		  "begun with \"- \"" },
		{ PORTS "services: [web]\n",
		  "t:2:12: services[0]: found \"web\"; expected a mapping" },
	};
	CHECK_WRONG(cases);
}

#define ADDRESSES(text) \
	PORTS "services: [{name: web, addresses: [" text "], ports: 1, mode: proxy}]\n"
#define ADDRESS_LIST "a list of unicast addresses and prefixes such as 192.0.2.1 or 2001:db8::/64"
#define SERVED(text) \
	PORTS "services: [{name: web, addresses: 192.0.2.1, mode: proxy, ports: [" text "]}]\n"
#define PORT_LIST "all, or a list of ports from 1 to 65535 and ranges such as 8000-8100"

static void
test_list_member_wrong_is_refused(void)
{
	static const struct wrong cases[] = {
		{ ADDRESSES("192.0.2"),
		  "t:2:36: services[0].addresses[0]: found \"192.0.2\"; expected " ADDRESS_LIST },
		{ ADDRESSES("192.0.2.1, 192.0.3.0/33"),
		  "t:2:47: services[0].addresses[1]: found "
		  "\"192.0.3.0/33\"; expected " ADDRESS_LIST },
		{ ADDRESSES("192.0.2.1/24"),
		  "t:2:36: services[0].addresses[0]: found \"192.0.2.1/24\"; expected " ADDRESS_LIST
		  " (bits past the length must be zero: 192.0.2.0/24)" },
		{ ADDRESSES("'2001:db8::1/32'"),
		  "t:2:36: services[0].addresses[0]: found \"2001:db8::1/32\"; "
		  "expected " ADDRESS_LIST " (bits past the length must be zero: 2001:db8::/32)" },
		{ ADDRESSES("'::/0'"),
		  "t:2:36: services[0].addresses[0]: found \"::/0\"; expected " ADDRESS_LIST
		  " (an IPv6 prefix must not contain ::ffff:0:0/96; for all global IPv6 write "
		  "2000::/3)" },
		{ ADDRESSES("'::ffff:192.0.2.1'"), "t:2:36: services[0].addresses[0]: found "
		                                   "\"::ffff:192.0.2.1\"; expected " ADDRESS_LIST
		                                   " (write the IPv4 address itself)" },
		{ ADDRESSES("224.0.0.0/4"),
		  "t:2:36: services[0].addresses[0]: found \"224.0.0.0/4\"; expected " ADDRESS_LIST
		  " (TCP knows no multicast)" },
		{ ADDRESSES("'ff02::1'"),
		  "t:2:36: services[0].addresses[0]: found \"ff02::1\"; expected " ADDRESS_LIST
		  " (TCP knows no multicast)" },
		{ ADDRESSES("192.0.2.0/24, 192.0.2.7"),
		  "t:2:50: services[0].addresses[1]: found \"192.0.2.7\"; "
		  "expected " ADDRESS_LIST " (overlaps 192.0.2.0/24 of the same list)" },
		{ ADDRESSES(""),
		  "t:2:35: services[0].addresses: found an empty list; expected " ADDRESS_LIST },
		{ SERVED("0"), "t:2:67: services[0].ports[0]: found \"0\"; expected " PORT_LIST },
		{ SERVED("65536"),
		  "t:2:67: services[0].ports[0]: found \"65536\"; expected " PORT_LIST },
		{ SERVED("90-80"),
		  "t:2:67: services[0].ports[0]: found \"90-80\"; expected " PORT_LIST },
		{ SERVED("80, http"),
		  "t:2:71: services[0].ports[1]: found \"http\"; expected " PORT_LIST },
		{ SERVED("80-90, 85"),
		  "t:2:74: services[0].ports[1]: found \"85\"; expected " PORT_LIST
		  " (overlaps 80-90 of the same list)" },
		{ GOOD "workers: {lcores: [1-3, 2]}\n",
		  "t:3:25: workers.lcores[1]: found \"2\"; expected a list "
		  "of distinct CPU numbers and ranges such as 2-5 (2 is listed twice)" },
		{ GOOD "workers: {lcores: 0-64}\n",
		  "t:3:19: workers.lcores: found \"0-64\"; expected a list of "
		  "distinct CPU numbers and ranges such as 2-5 (at most 64)" },
		{ LIST "  deny: [10.0.0.0/8, 300.0.0.0]\n",
		  "t:7:22: services[0].deny[1]: found \"300.0.0.0\"; "
		  "expected a list of addresses and prefixes such as 192.0.2.0/24 or "
		  "2001:db8::/32" },
	};
	CHECK_WRONG(cases);
}

static void
test_ports_that_disagree_are_refused(void)
{
	static const struct wrong cases[] = {
		{ "ports: {outside: {device: a, mac: outside}, inside: {device: b}}\n" WEB,
		  "t:1:35: "
		  "ports.outside.mac: found \"outside\"; expected device or an address (only the "
		  "inside port can "
		  "take the other's)" },
		{ "ports: {outside: {device: a, mac: \"01:00:5e:00:00:01\"}, inside: {device: "
		  "b}}\n" WEB,
		  "t:1:35: ports.outside.mac: found \"01:00:5e:00:00:01\"; expected device, "
		  "outside (inside port "
		  "only), or a unicast address such as 02:00:00:00:00:01" },
		{ "ports: {outside: {device: 'a,x=1'}, inside: {device: 'a,x=2'}}\n" WEB,
		  "t:1:54: "
		  "ports.inside.device: found \"a\", which is the outside port; expected another "
		  "device" },
		{ OUTSIDE WEB, "t:2:63: services[0].mode: found \"proxy\" without ports.inside; "
		               "expected respond, "
		               "or an inside port" },
		{ OUTSIDE "services: [{name: a, addresses: 192.0.2.1, ports: 80, mode: bypass}]\n",
		  "t:2:61: "
		  "services[0].mode: found \"bypass\" without ports.inside; expected respond, or "
		  "an inside port" },
	};
	CHECK_WRONG(cases);
}

static void
test_workers_that_disagree_are_refused(void)
{
	static const struct wrong cases[] = {
		{ GOOD "workers: {buffers: 4127}\n",
		  "t:3:20: workers.buffers: found 4127; expected at least 4128: what the rings of "
		  "the ports may keep, and 32 to work with" },
		{ GOOD "workers:\n  count: 3\n  lcores: [1, 2]\n",
		  "t:4:10: workers.count: found 3; expected 2, "
		  "the number of lcores, or no such key" },
		{ GOOD "workers:\n  lcores: [1, 2]\n  control_lcore: 2\n",
		  "t:5:18: workers.control_lcore: found "
		  "2, which is a worker's; expected a CPU that lcores does not list" },
	};
	CHECK_WRONG(cases);
}

static void
test_limits_that_disagree_are_refused(void)
{
	static const struct wrong cases[] = {
		{ GOOD "limits:\n  sources:\n    half_open_net: 10\n",
		  "t:5:20: limits.sources.half_open_net: found "
		  "10; expected 0 or at least half_open_host, which is 64" },
		/* The key at fault is a default: the place is the nearest that the file has. */
		{ GOOD "limits:\n  sources:\n    syn_per_s_host: 3k\n",
		  "t:5:5: limits.sources.syn_per_s_net: "
		  "found 2000; expected 0 or at least syn_per_s_host, which is 3000" },
	};
	CHECK_WRONG(cases);
}

static void
test_services_that_disagree_are_refused(void)
{
	static const struct wrong cases[] = {
		{ PORTS "services: [{name: a, addresses: 192.0.2.1, ports: 80, mode: handoff, "
		        "cookies: never}]\n",
		  "t:2:79: services[0].cookies: found \"never\" with mode handoff, which keeps no "
		  "state; expected auto or always" },
		{ PORTS "services: [{name: a, addresses: 192.0.2.1, ports: 80, mode: handoff, "
		        "max_connections: 5}]\n",
		  "t:2:87: services[0].max_connections: found the key with mode handoff, which "
		  "counts no connections; expected no such key" },
		{ PORTS "services: [{name: a, addresses: 192.0.2.1, ports: 80, mode: handoff, "
		        "max_connecting: 5}]\n",
		  "t:2:86: services[0].max_connecting: found the key with mode handoff, which "
		  "counts no connections; expected no such key" },
		{ PORTS
		  "services: [{name: a, addresses: 192.0.2.1, ports: 80, mode: proxy, group: b}]\n",
		  "t:2:75: services[0].group: found the key with a mode other than handoff; "
		  "expected no such key" },
		{ PORTS "services: [{name: a, addresses: 192.0.2.1, ports: 80, mode: respond, "
		        "calm: transparent}]\n",
		  "t:2:76: services[0].calm: found \"transparent\" with a mode other than proxy "
		  "and handoff; expected intercept" },
		{ PORTS "services: [{name: a, addresses: 192.0.2.1, ports: 80, mode: bypass, "
		        "wait_for_data: yes}]\n",
		  "t:2:84: services[0].wait_for_data: found \"true\" with a mode other than proxy; "
		  "expected false" },
		{ LIST "  half_open: {high: 64, low: 64}\n",
		  "t:7:30: services[0].half_open.low: found 64; expected "
		  "less than high, which is 64" },
		{ LIST "  half_open: {high: 65537}\n",
		  "t:7:21: services[0].half_open.high: found 65537; expected at "
		  "most memory.half_open, which is 65536" },
		{ LIST "- name: web\n  addresses: 192.0.2.2\n  ports: 80\n  mode: proxy\n",
		  "t:7:9: "
		  "services[1].name: found \"web\", the name of the service in line 3; expected "
		  "another" },
		{ LIST "- name: wide\n  addresses: 192.0.0.0/16\n  ports: 440-450\n  mode: proxy\n",
		  "t:7:3: "
		  "services[1]: found \"wide\", which shares an address and port with \"web\" of "
		  "line 3; expected "
		  "each address and port in one service" },
		{ LIST "- name: other\n  addresses: 192.0.2.2\n  ports: 80\n  mode: proxy\n"
		       "- name: same\n  addresses: [192.0.2.3, 192.0.2.1]\n  ports: all\n  mode: "
		       "bypass\n",
		  "t:11:3: "
		  "services[2]: found \"same\", which shares an address and port with \"web\" of "
		  "line 3; expected "
		  "each address and port in one service" },
	};
	CHECK_WRONG(cases);
}

static void
test_file_unreadable_is_refused(void)
{
	struct conf_error err;

	CU_ASSERT_PTR_NULL(conf_load("/nonexistent/conf.yaml", &err));
	CU_ASSERT_STRING_EQUAL(err.text,
	                       "/nonexistent/conf.yaml: found No such file or directory; expected "
	                       "a file that can be read");
	CU_ASSERT_PTR_NULL(conf_load("/", &err));
	CU_ASSERT_STRING_EQUAL(err.text,
	                       "/: found Is a directory; expected a file that can be read");
}

/* Every prefix of a good text is refused or parsed, in bounds and with an error. */
static void
test_text_cut_anywhere_is_survived(void)
{
	static const char text[] = LIST
		"  half_open: {high: 64, low: 32}\nworkers: {lcores: [1-2, 4]}\n";

	for (size_t len = 0; len < sizeof(text); len++) {
		char *copy = (char *)check_copy(text, len);
		struct conf_error err;
		struct conf *conf = conf_parse(copy, len, "t", &err);
		CU_ASSERT(conf != NULL || strncmp(err.text, "t:", 2) == 0);
		conf_free(conf);
		free(copy);
	}
}

static CU_TestInfo tests[] = {
	CHECK_TEST(test_yaml_broken_is_refused),
	CHECK_TEST(test_key_unknown_is_refused),
	CHECK_TEST(test_key_repeated_is_refused),
	CHECK_TEST(test_key_missing_is_refused),
	CHECK_TEST(test_type_wrong_is_refused),
	CHECK_TEST(test_list_member_wrong_is_refused),
	CHECK_TEST(test_ports_that_disagree_are_refused),
	CHECK_TEST(test_workers_that_disagree_are_refused),
	CHECK_TEST(test_limits_that_disagree_are_refused),
	CHECK_TEST(test_services_that_disagree_are_refused),
	CHECK_TEST(test_file_unreadable_is_refused),
	CHECK_TEST(test_text_cut_anywhere_is_survived),
	CU_TEST_INFO_NULL,
};

int
main(void)
{
	return check_run("conf_errors", tests);
}
