/* SPDX-License-Identifier: BSD-3-Clause */
/* Messages to standard error or to syslog, by level. Any thread. */
#ifndef SYNFRONT_LOG_H
#define SYNFRONT_LOG_H

#include <stdio.h>

#include "conf.h"

/* Until then: notices and worse, to standard error. */
void log_open(const struct log_conf *conf, const char *ident);
void log_set_level(enum conf_log_level level);
/* Where EAL and the drivers shall write: lines in it come out as our messages.
 * NULL if that cannot be had. */
FILE *log_stream(void);

void log_message(enum conf_log_level level, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* A message that has fields for the journal, as journal_send() takes them, where the log goes
 * there. Elsewhere it is a line as any other. */
void log_fields(enum conf_log_level level, const char *text, const char *fields, size_t size);

#define log_error(...) log_message(CONF_LOG_ERROR, __VA_ARGS__)
#define log_warning(...) log_message(CONF_LOG_WARNING, __VA_ARGS__)
#define log_notice(...) log_message(CONF_LOG_NOTICE, __VA_ARGS__)
#define log_info(...) log_message(CONF_LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_message(CONF_LOG_DEBUG, __VA_ARGS__)

#endif
