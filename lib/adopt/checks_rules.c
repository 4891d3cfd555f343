/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rules of nftables that drop clients who are taken over.
 *
 * The server's connection tracking sees no SYN of such a client: its first packet is an ACK.
 * With net.netfilter.nf_conntrack_tcp_loose=1 that is "new", with 0 it is "invalid". So what
 * drops the invalid is deadly with 0, and what takes for new only what has SYN is deadly with
 * either. `notrack` for the service, both ways, cures both.
 *
 * Whether a packet comes to a rule cannot be told from outside, so a rule that may be deadly
 * is named, and the operator judges.
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "checks.h"
#include "kernel_settings.h"

#define TEXT_SIZE_MAX (8u << 20)

/* What the matches and the verdict of one rule say. */
struct rule {
	bool of_invalid, of_new, not_new;
	bool of_flags; /* looks at TCP's flags */
	bool refuses;  /* drop or reject */
	bool is_xt;    /* of iptables, which nft does not read */
};

/* Does a value of a match (a word, or lists of words) have this word? */
static bool
has_word(const json_t *value, const char *word)
{
	const char *key;
	json_t *member;
	size_t i;

	if (json_is_string(value))
		return strcmp(json_string_value(value), word) == 0;
	if (json_is_array(value))
		json_array_foreach(value, i, member) if (has_word(member, word)) return true;
	if (json_is_object(value))
		json_object_foreach((json_t *)value, key,
		                    member) if (has_word(member, word)) return true;
	return false;
}

/* Is the left side of a match ct's `state`, or TCP's flags, whatever is done with it? */
static bool
is_about(const json_t *left, const char *what, const char *name, const char *value)
{
	const json_t *about = json_object_get(left, what);

	if (about != NULL)
		return has_word(json_object_get(about, name), value);
	const json_t *masked = json_object_get(left, "&");
	return masked != NULL && is_about(json_array_get(masked, 0), what, name, value);
}

static void
read_match(struct rule *rule, const json_t *match)
{
	const json_t *left = json_object_get(match, "left"),
		     *right = json_object_get(match, "right");
	const char *op = json_string_value(json_object_get(match, "op"));
	bool is_not = op != NULL && strcmp(op, "!=") == 0;

	if (is_about(left, "ct", "key", "state")) {
		rule->of_invalid |= !is_not && has_word(right, "invalid");
		rule->of_new |= !is_not && has_word(right, "new");
		rule->not_new |= is_not && has_word(right, "new");
	}
	rule->of_flags |= is_about(left, "payload", "field", "flags");
}

static struct rule
read_rule(const json_t *expressions)
{
	struct rule rule = { 0 };
	json_t *expression;
	size_t i;

	json_array_foreach(expressions, i, expression)
	{
		const json_t *match = json_object_get(expression, "match");
		if (match != NULL)
			read_match(&rule, match);
		rule.refuses |= json_object_get(expression, "drop") != NULL ||
		                json_object_get(expression, "reject") != NULL;
		rule.is_xt |= json_object_get(expression, "xt") != NULL;
	}
	return rule;
}

/* Some rule for services takes connection tracking's hands off. */
static bool
has_notrack(const json_t *objects)
{
	json_t *object, *expression;
	size_t i, j;

	json_array_foreach(objects, i, object)
	{
		const json_t *rule = json_object_get(object, "rule");
		json_array_foreach(json_object_get(rule, "expr"), j,
		                   expression) if (json_object_get(expression, "notrack") !=
		                                   NULL) return true;
	}
	return false;
}

static void
judge(struct findings *f, const json_t *object, bool loose)
{
	const struct rule rule = read_rule(json_object_get(object, "expr"));
	const char *table = json_string_value(json_object_get(object, "table"));
	const char *chain = json_string_value(json_object_get(object, "chain"));
	long long handle = json_integer_value(json_object_get(object, "handle"));

	if (table == NULL || chain == NULL)
		return;
	if (rule.of_invalid && rule.refuses && !loose)
		findings_add(f, FINDING_ERROR,
		             "nftables, table %.40s, chain %.40s, handle %lld: drops `ct state "
		             "invalid`, which with net.netfilter.nf_conntrack_tcp_loose=0 is each "
		             "client that is taken over; set that to 1, or `notrack` the services "
		             "both ways",
		             table, chain, handle);
	else if (rule.of_new && rule.of_flags)
		findings_add(
			f, FINDING_WARNING,
			"nftables, table %.40s, chain %.40s, handle %lld: looks for flags of "
			"`ct state new`; the first packet of a client that is taken over is "
			"new and has ACK, not SYN: let it pass, or `notrack` the services both "
			"ways",
			table, chain, handle);
	else if (rule.is_xt)
		findings_add(f, FINDING_WARNING,
		             "nftables, table %.40s, chain %.40s, handle %lld: is of iptables and "
		             "cannot be read; see that it refuses neither INVALID (with "
		             "nf_conntrack_tcp_loose=0) nor NEW without SYN",
		             table, chain, handle);
}

void
checks_rules_text(struct findings *f, const char *text, bool loose)
{
	json_t *root = json_loads(text, 0, NULL);
	const json_t *objects = json_object_get(root, "nftables");
	json_t *object;
	size_t i;

	if (!json_is_array(objects))
		findings_add(f, FINDING_WARNING,
		             "what nft says cannot be read; see with `nft list ruleset` that it "
		             "refuses neither `ct state invalid` nor new connections without SYN");
	else if (!has_notrack(objects))
		json_array_foreach(objects, i, object)
		{
			const json_t *rule = json_object_get(object, "rule");
			if (rule != NULL)
				judge(f, rule, loose);
		}
	json_decref(root);
}

/* What nft prints, which the caller frees; NULL if there is no nft or it fails. */
static char *
nft_output(void)
{
	FILE *pipe = popen("PATH=$PATH:/usr/sbin:/sbin; nft -j list ruleset 2>/dev/null", "re");
	size_t len = 0, capacity = 0;
	char *text = NULL;

	while (pipe != NULL && !feof(pipe) && !ferror(pipe) && len < TEXT_SIZE_MAX) {
		if (capacity - len < 2) {
			capacity = capacity == 0 ? 65536 : 2 * capacity;
			char *more = realloc(text, capacity);
			if (more == NULL)
				break;
			text = more;
		}
		len += fread(text + len, 1, capacity - len - 1, pipe);
	}
	bool is_good = pipe != NULL && feof(pipe);
	if (pipe == NULL || pclose(pipe) != 0 || !is_good || len == 0) {
		free(text);
		return NULL;
	}
	text[len] = '\0';
	return text;
}

void
checks_rules(struct findings *f)
{
	long loose = kernel_setting("netfilter/nf_conntrack_tcp_loose", 0);
	char *text;

	/* Where connections are not tracked, no rule can ask for their state. */
	if (loose < 0)
		return;
	text = nft_output();
	if (text != NULL)
		checks_rules_text(f, text, loose == 1);
	else if (access("/proc/net/nf_conntrack", F_OK) == 0)
		findings_add(f, FINDING_WARNING,
		             "connections are tracked, and nft cannot be asked for its rules; see "
		             "that none refuses `ct state invalid` (with "
		             "nf_conntrack_tcp_loose=0) or new connections without SYN");
	free(text);
}
