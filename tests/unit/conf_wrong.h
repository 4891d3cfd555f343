/* SPDX-License-Identifier: BSD-3-Clause */
/* Configurations that are refused, with the words and the place of their error. */
#ifndef SYNFRONT_CONF_WRONG_H
#define SYNFRONT_CONF_WRONG_H

#include "check.h"
#include "conf.h"

/* What a key is added to. */
#define PORTS "ports: {outside: {device: net_null0}, inside: {device: net_null1}}\n"
#define WEB "services: [{name: web, addresses: 192.0.2.1, ports: 80, mode: proxy}]\n"
#define GOOD PORTS WEB

struct wrong {
	const char *yaml;
	const char *error;
};

static inline void
show(const char *got, const char *want)
{
	fputs("\n  got:  ", stdout);
	fputs(got, stdout);
	fputs("\n  want: ", stdout);
	puts(want);
}

static inline void
check_wrong(const struct wrong *cases, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct conf_error err;
		struct conf *conf = conf_parse(cases[i].yaml, strlen(cases[i].yaml), "t", &err);

		CU_ASSERT_PTR_NULL(conf);
		if (conf == NULL && strcmp(err.text, cases[i].error) != 0)
			show(err.text, cases[i].error);
		CU_ASSERT_STRING_EQUAL(conf == NULL ? err.text : "", cases[i].error);
		conf_free(conf);
	}
}

#define CHECK_WRONG(cases) check_wrong(cases, sizeof(cases) / sizeof((cases)[0]))

#endif
