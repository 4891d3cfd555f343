/* SPDX-License-Identifier: BSD-3-Clause */
/* Configurations that are taken. */
#ifndef SYNFRONT_CONF_GOOD_H
#define SYNFRONT_CONF_GOOD_H

#include "check.h"
#include "conf.h"

/* It has to be; the caller frees it. */
static inline struct conf *
parse(const char *yaml)
{
	struct conf_error err;
	struct conf *conf = conf_parse(yaml, strlen(yaml), "t", &err);

	if (conf == NULL)
		printf("\n  %s\n", err.text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(conf);
	return conf;
}

#endif
