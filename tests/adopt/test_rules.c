/* SPDX-License-Identifier: BSD-3-Clause */
/* Which rules of nftables are taken for deadly, from what `nft -j list ruleset` prints. */
#include "check.h"
#include "checks.h"

static struct findings findings;

static void
judge(const char *rules, bool loose)
{
	static char text[4096];

	memset(&findings, 0, sizeof(findings));
	snprintf(text, sizeof(text),
	         "{\"nftables\": [{\"metainfo\": {\"version\": \"1.0.6\"}},"
	         "{\"table\": {\"family\": \"inet\", \"name\": \"filter\", \"handle\": 1}}%s]}",
	         rules);
	checks_rules_text(&findings, text, loose);
}

#define RULE(expr)                                                                      \
	",{\"rule\": {\"family\": \"inet\", \"table\": \"filter\", \"chain\": \"in\", " \
	"\"handle\": 7, \"expr\": [" expr "]}}"
#define CT(op, states)               \
	"{\"match\": {\"op\": \"" op \
	"\", \"left\": {\"ct\": {\"key\": \"state\"}}, \"right\": " states "}}"
#define FLAGS_NOT_SYN                                                                            \
	"{\"match\": {\"op\": \"!=\", \"left\": {\"&\": [{\"payload\": {\"protocol\": \"tcp\", " \
	"\"field\": \"flags\"}}, [\"fin\", \"syn\", \"rst\", \"ack\"]]}, \"right\": \"syn\"}}"
#define DROP "{\"drop\": null}"
#define REJECT "{\"reject\": {\"type\": \"tcp reset\"}}"

static void
test_rules_drop_of_invalid_is_deadly_unless_loose(void)
{
	judge(RULE(CT("in", "\"invalid\"") "," DROP), true);
	CU_ASSERT_EQUAL(findings.n, 0);
	judge(RULE(CT("in", "\"invalid\"") "," DROP), false);
	CU_ASSERT_EQUAL(findings_errors(&findings), 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(findings.list[0].text, "table filter, chain in, handle 7"));
	CU_ASSERT_PTR_NOT_NULL(strstr(findings.list[0].text, "nf_conntrack_tcp_loose"));
	judge(RULE(CT("==", "{\"set\": [\"new\", \"invalid\"]}") "," REJECT), false);
	CU_ASSERT_EQUAL(findings_errors(&findings), 1);
	/* Counted only. */
	judge(RULE(CT("in", "\"invalid\"")), false);
	CU_ASSERT_EQUAL(findings.n, 0);
}

static void
test_rules_new_that_wants_syn_is_named(void)
{
	judge(RULE(FLAGS_NOT_SYN "," CT("in", "\"new\"") "," DROP), true);
	CU_ASSERT_EQUAL(findings.n, 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(findings.list[0].text, "`ct state new`"));
	judge(RULE(CT("in", "[\"established\", \"related\"]")), true);
	CU_ASSERT_EQUAL(findings.n, 0);
	judge(RULE(FLAGS_NOT_SYN "," DROP), true);
	CU_ASSERT_EQUAL(findings.n, 0);
}

static void
test_rules_notrack_cures(void)
{
	judge(RULE(CT("in", "\"invalid\"") "," DROP) RULE("{\"notrack\": null}"), false);
	CU_ASSERT_EQUAL(findings.n, 0);
}

static void
test_rules_that_cannot_be_read_are_named(void)
{
	judge(RULE("{\"xt\": {\"type\": \"match\", \"name\": \"conntrack\"}}"), true);
	CU_ASSERT_EQUAL(findings.n, 1);
	memset(&findings, 0, sizeof(findings));
	checks_rules_text(&findings, "no JSON", true);
	CU_ASSERT_EQUAL(findings.n, 1);
	CU_ASSERT_EQUAL(findings_errors(&findings), 0);
}

int
main(void)
{
	CU_TestInfo tests[] = {
		CHECK_TEST(test_rules_drop_of_invalid_is_deadly_unless_loose),
		CHECK_TEST(test_rules_new_that_wants_syn_is_named),
		CHECK_TEST(test_rules_notrack_cures),
		CHECK_TEST(test_rules_that_cannot_be_read_are_named),
		CU_TEST_INFO_NULL,
	};

	return check_run("adopt_rules", tests);
}
