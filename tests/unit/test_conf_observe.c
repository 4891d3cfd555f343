/* SPDX-License-Identifier: BSD-3-Clause */
/* Observe: where it makes sense, what it takes, and what a reload may change. */
#include "check.h"
#include "conf_good.h"

#define PORTS "ports: {outside: {device: net_null0}, inside: {device: net_null1}}\n"
#define SERVICE(name, port, rest) \
	"- {name: " name ", addresses: 192.0.2.1, ports: " port ", " rest "}\n"
#define LIST PORTS "services:\n"

static void
test_observe_of_services_and_of_all(void)
{
	struct conf *conf = parse(LIST SERVICE("a", "1", "mode: proxy, observe: true")
	                                  SERVICE("b", "2", "mode: proxy"));

	CU_ASSERT_TRUE(conf->policy.services[0].observe);
	CU_ASSERT_FALSE(conf->policy.services[1].observe);
	CU_ASSERT_TRUE(conf->policy.observes && conf->policy.may_observe);
	CU_ASSERT_FALSE(conf->policy.observe);
	conf_free(conf);
	conf = parse(LIST SERVICE("a", "1", "mode: proxy") SERVICE("b", "2", "mode: handoff")
	                     SERVICE("c", "3", "mode: bypass") "observe: true\n");
	CU_ASSERT_TRUE(conf->policy.services[0].observe && conf->policy.services[1].observe);
	CU_ASSERT_FALSE(conf->policy.services[2].observe);
	CU_ASSERT_TRUE(conf->policy.observe && conf->policy.observes && conf->policy.may_observe);
	conf_free(conf);
	conf = parse(LIST SERVICE("a", "1", "mode: proxy"));
	CU_ASSERT_FALSE(conf->policy.observes || conf->policy.may_observe);
	conf_free(conf);
}

static void
test_observe_without_a_server_is_refused(void)
{
	static const struct {
		const char *yaml, *error;
	} cases[] = {
		{ LIST SERVICE("a", "1", "mode: respond, observe: true"),
		  "t:3:69: services[0].observe: found \"true\" with mode respond, which has no "
		  "server that frames could cross to; expected false" },
		{ LIST SERVICE("a", "1", "mode: bypass, observe: true"),
		  "t:3:68: services[0].observe: found \"true\" with mode bypass, where every frame "
		  "crosses as it is; expected false" },
		{ LIST SERVICE("a", "1", "mode: respond") "observe: true\n",
		  "t:4:10: observe: found \"true\" with a service of mode respond, \"a\", which "
		  "has "
		  "no server that frames could cross to; expected false, or observe: true for "
		  "other services" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct conf_error err = { "" };
		struct conf *conf = conf_parse(cases[i].yaml, strlen(cases[i].yaml), "t", &err);
		CU_ASSERT_PTR_NULL(conf);
		if (strcmp(err.text, cases[i].error) != 0)
			printf("\n  got:  %s\n  want: %s\n", err.text, cases[i].error);
		CU_ASSERT_STRING_EQUAL(err.text, cases[i].error);
		conf_free(conf);
	}
}

/* What it keeps is made at the start; once it is there, observe may come and go. */
static void
test_observe_by_reload_if_there_was_room_at_the_start(void)
{
	struct conf_ids ids = { { 0 } };
	struct conf_error err = { "" };
	struct conf *without = parse(LIST SERVICE("a", "1", "mode: proxy"));
	struct conf *one = parse(LIST SERVICE("b", "2", "mode: proxy")
	                                 SERVICE("a", "1", "mode: proxy, observe: true"));
	struct conf *all = parse(LIST SERVICE("a", "1", "mode: proxy") "observe: true\n");

	CU_ASSERT_EQUAL(conf_compare(without, one, &err), -1);
	CU_ASSERT_STRING_EQUAL(err.text, "t:3:1: services[1].observe: found true; expected false, "
	                                 "as it runs: a change needs a restart");
	CU_ASSERT_EQUAL(conf_compare(without, all, &err), -1);
	CU_ASSERT_STRING_EQUAL(err.text, "t:4:10: observe: found true; expected false, as it runs: "
	                                 "a change needs a restart");
	conf_mark_ids(&ids, &all->policy);
	CU_ASSERT_EQUAL(conf_compare(all, without, &err), 0);
	CU_ASSERT_EQUAL(conf_adopt_ids(&all->policy, without, &ids, &err), 0);
	CU_ASSERT_EQUAL(conf_compare(without, one, &err), 0);
	conf_free(all);
	conf_free(one);
	conf_free(without);
}

static void
test_observe_takes_the_tables_twice(void)
{
	struct conf *conf = parse(LIST SERVICE("a", "1", "mode: proxy"));
	uint64_t size = conf_memory_size(conf).size;

	conf_free(conf);
	conf = parse(LIST SERVICE("a", "1", "mode: proxy, observe: true"));
	CU_ASSERT_EQUAL(conf_memory_size(conf).size, 2 * size);
	conf_free(conf);
}

static void
test_observe_all_as_if_it_were_in_the_file(void)
{
	struct conf_error err = { "" };
	struct conf *conf = parse(LIST SERVICE("a", "1", "mode: proxy")
	                                  SERVICE("c", "3", "mode: bypass"));

	CU_ASSERT_EQUAL(conf_observe_all(conf, &err), 0);
	CU_ASSERT_TRUE(conf->policy.services[0].observe && conf->policy.observes);
	CU_ASSERT_FALSE(conf->policy.services[1].observe);
	conf_free(conf);
	conf = parse(LIST SERVICE("a", "1", "mode: proxy") SERVICE("b", "2", "mode: respond"));
	CU_ASSERT_EQUAL(conf_observe_all(conf, &err), -1);
	CU_ASSERT_STRING_EQUAL(err.text,
	                       "t:4: services[1].mode: found respond; expected a mode with a "
	                       "server, whose frames can be observed");
	conf_free(conf);
}

int
main(void)
{
	CU_TestInfo tests[] = {
		CHECK_TEST(test_observe_of_services_and_of_all),
		CHECK_TEST(test_observe_without_a_server_is_refused),
		CHECK_TEST(test_observe_by_reload_if_there_was_room_at_the_start),
		CHECK_TEST(test_observe_takes_the_tables_twice),
		CHECK_TEST(test_observe_all_as_if_it_were_in_the_file),
		CU_TEST_INFO_NULL,
	};

	return check_run("conf_observe", tests);
}
