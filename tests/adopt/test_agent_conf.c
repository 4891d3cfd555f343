/* SPDX-License-Identifier: BSD-3-Clause */
/* The configuration of synfront-adopt: what it becomes, and what is said of wrong ones. */
#include "agent_conf.h"
#include "check.h"
#include "document.h"

static struct agent_conf *
parse(const char *text, struct conf_error *err)
{
	return agent_conf_parse(text, strlen(text), "a.yaml", err);
}

static void
test_conf_whole_is_read(void)
{
	struct conf_error err;
	struct agent_conf *conf = parse("interfaces: [eth0, bond0.7]\n"
	                                "services:\n"
	                                "  - {name: web, addresses: [192.0.2.1, 2001:db8::/64], "
	                                "ports: [80, 8000-8100]}\n"
	                                "  - {name: ssh, ports: 22}\n"
	                                "secret: {file: /etc/secret, next: /etc/other}\n"
	                                "spent: 1M\n",
	                                &err);

	CU_ASSERT_PTR_NOT_NULL_FATAL(conf);
	CU_ASSERT_EQUAL(conf->n_interfaces, 2);
	CU_ASSERT_STRING_EQUAL(conf->interfaces[1], "bond0.7");
	CU_ASSERT_EQUAL(conf->n_services, 2);
	CU_ASSERT_EQUAL(conf->services[0].n_addresses, 2);
	CU_ASSERT_EQUAL(conf->services[0].addresses[1].len, 64);
	CU_ASSERT_EQUAL(conf->services[0].ports[1].last, 8100);
	CU_ASSERT_EQUAL(conf->services[1].n_addresses, 0);
	CU_ASSERT_EQUAL(conf->spent, 1u << 20);
	CU_ASSERT_STRING_EQUAL(conf->secret_file, "/etc/secret");
	CU_ASSERT_STRING_EQUAL(conf->secret_next, "/etc/other");
	CU_ASSERT_STRING_EQUAL(conf->instance, "synfront-adopt");
	CU_ASSERT_PTR_NULL(conf->promise_file);
	agent_conf_free(conf);
}

static void
test_conf_errors_name_the_place(void)
{
	static const struct {
		const char *text, *error;
	} wrong[] = {
		{ "", "a.yaml:1:1: found an empty file" },
		{ "interfaces: eth0\nservices: [{name: a, ports: 80}]\n",
		  "a.yaml:1:1: secret: found nothing; expected this key" },
		{ "interfaces: eth0\nservices: [{name: a, ports: 80}]\nsecret: {fiel: x}\n",
		  "a.yaml:3:10: secret.fiel: found an unknown key; expected \"file\"" },
		{ "interfaces: eth0\nservices: [{name: a, ports: 80}]\n"
		  "secret: {file: x, next: x}\n",
		  "a.yaml:3:25: secret.next: found the same as file; expected the file of another "
		  "secret" },
		{ "interfaces: eth0\nservices: [{name: a, ports: 80}]\nsecret: {next: x}\n",
		  "a.yaml:3:9: secret.file: found nothing; expected this key" },
		{ "interfaces: eth0\nservices:\n  - {name: a, ports: 80}\n"
		  "  - {name: b, ports: [443, 70-90]}\nsecret: {file: x}\n",
		  "a.yaml:4:22: services[1].ports: found port 80, which service \"a\" has; "
		  "expected "
		  "each port in one service" },
		{ "interfaces: []\nservices: [{name: a, ports: 80}]\nsecret: {file: x}\n",
		  "a.yaml:1:13: interfaces: found an empty list" },
		{ "interfaces: eth0\nservices: [{name: a, ports: 80}]\nsecret: {file: x}\n"
		  "spent: 10\n",
		  "a.yaml:4:8: spent: found \"10\"; expected a count from 1k to 16M" },
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct conf_error err;

		CU_ASSERT_PTR_NULL(parse(wrong[i].text, &err));
		if (strncmp(err.text, wrong[i].error, strlen(wrong[i].error)) != 0)
			printf("found: %s\n", err.text);
		CU_ASSERT_EQUAL(strncmp(err.text, wrong[i].error, strlen(wrong[i].error)), 0);
	}
}

static void
test_reference_is_what_the_table_says(void)
{
	char *text = NULL, *written = NULL;
	struct conf_error err;
	size_t size = 0, written_size = 0;
	FILE *out = open_memstream(&text, &size);

	conf_page_markdown(out, &agent_conf_subject);
	fclose(out);
	written = conf_document_text(CONF_SAMPLES "/adopt/REFERENCE.md", &written_size, &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(written);
	CU_ASSERT_EQUAL(size, written_size);
	CU_ASSERT(size == written_size && memcmp(text, written, size) == 0);
	free(text);
	free(written);
}

static void
test_sample_is_good(void)
{
	struct conf_error err;
	struct agent_conf *conf = agent_conf_load(CONF_SAMPLES "/adopt/synfront-adopt.yaml", &err);

	CU_ASSERT_PTR_NOT_NULL_FATAL(conf);
	CU_ASSERT_PTR_NULL(conf->secret_next);
	agent_conf_free(conf);
}

int
main(void)
{
	CU_TestInfo tests[] = {
		CHECK_TEST(test_conf_whole_is_read),
		CHECK_TEST(test_conf_errors_name_the_place),
		CHECK_TEST(test_reference_is_what_the_table_says),
		CHECK_TEST(test_sample_is_good),
		CU_TEST_INFO_NULL,
	};

	return check_run("adopt_agent_conf", tests);
}
