/* SPDX-License-Identifier: BSD-3-Clause */
#include "log.h"

#include <rte_log.h>
#include <stdarg.h>
#include <string.h>
#include <syslog.h>

static struct {
	int level; /* relaxed atomic: a reload may change it */
	bool is_syslog;
} log_state = { .level = CONF_LOG_NOTICE };

void
log_open(const struct log_conf *conf, const char *ident)
{
	log_set_level((enum conf_log_level)conf->level);
	log_state.is_syslog = conf->target == CONF_LOG_SYSLOG;
	if (log_state.is_syslog)
		openlog(ident, LOG_PID, conf->facility);
}

void
log_set_level(enum conf_log_level level)
{
	__atomic_store_n(&log_state.level, (int)level, __ATOMIC_RELAXED);
}

void
log_message(enum conf_log_level level, const char *format, ...)
{
	static const int priorities[] = {
		[CONF_LOG_ERROR] = LOG_ERR,     [CONF_LOG_WARNING] = LOG_WARNING,
		[CONF_LOG_NOTICE] = LOG_NOTICE, [CONF_LOG_INFO] = LOG_INFO,
		[CONF_LOG_DEBUG] = LOG_DEBUG,
	};
	static const char *const names[] = {
		[CONF_LOG_ERROR] = "error: ", [CONF_LOG_WARNING] = "warning: ",
		[CONF_LOG_NOTICE] = "",       [CONF_LOG_INFO] = "",
		[CONF_LOG_DEBUG] = "debug: ",
	};
	char text[1024];
	va_list args;

	if ((int)level > __atomic_load_n(&log_state.level, __ATOMIC_RELAXED))
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (log_state.is_syslog)
		syslog(priorities[level], "%s", text);
	else
		fprintf(stderr, "synfront: %s%s\n", names[level], text);
}

/* Drivers complain about what they can do without, and of what we cannot do without we say
 * so ourselves: their messages are for who wants to know more. */
static enum conf_log_level
stream_level(void)
{
	int level = rte_log_cur_msg_loglevel();

	return level >= 0 && level <= (int)RTE_LOG_WARNING ? CONF_LOG_INFO : CONF_LOG_DEBUG;
}

static ssize_t
stream_write(void *cookie, const char *data, size_t size)
{
	size_t len = size;

	(void)cookie;
	while (len != 0 && data[len - 1] == '\n')
		len--;
	if (len != 0)
		log_message(stream_level(), "%.*s", (int)len, data);
	return (ssize_t)size;
}

FILE *
log_stream(void)
{
	FILE *stream = fopencookie(NULL, "w", (cookie_io_functions_t){ .write = stream_write });

	if (stream != NULL)
		setvbuf(stream, NULL, _IOLBF, BUFSIZ);
	return stream;
}
