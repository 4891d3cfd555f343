/* SPDX-License-Identifier: BSD-3-Clause */
/* One line, one write; what a reader is too slow for is counted, and said later. */
#include "log.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <rte_log.h>
#include <stdarg.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "journal.h"

/* How long a reader of our standard error may be behind before lines are lost. */
#define PATIENCE_MS 100

static struct {
	int level; /* relaxed atomic: a reload may change it */
	bool is_syslog;
	pthread_mutex_t lock; /* of what follows, and of standard error */
	uint64_t n_lost;      /* lines since the last that was written */
	int why;              /* errno of the first of them */
	bool is_torn;         /* the last one stands there in part */
} log_state = { .level = CONF_LOG_NOTICE, .lock = PTHREAD_MUTEX_INITIALIZER };

void
log_open(const struct log_conf *conf, const char *ident)
{
	log_set_level((enum conf_log_level)conf->level);
	log_state.is_syslog = conf->target == CONF_LOG_SYSLOG;
	if (log_state.is_syslog)
		openlog(ident, LOG_PID, conf->facility);
	else
		journal_open(JOURNAL_SOCKET);
}

void
log_set_level(enum conf_log_level level)
{
	__atomic_store_n(&log_state.level, (int)level, __ATOMIC_RELAXED);
}

/* Write all of it, without waiting long: a full disk or a reader that hangs must not
 * stop who logs. 0, or the errno. */
static int
write_line(const char *text, size_t size)
{
	struct pollfd fd = { .fd = STDERR_FILENO, .events = POLLOUT };

	int timeout_ms = log_state.n_lost == 0 ? PATIENCE_MS : 0, rc;

	/* A TAP signals its frames to this process. */
	while ((rc = poll(&fd, 1, timeout_ms)) < 0 && errno == EINTR)
		timeout_ms = 0;
	if (rc == 0)
		return EAGAIN;
	ssize_t n = write(STDERR_FILENO, text, size);
	log_state.is_torn |= n > 0 && (size_t)n < size;
	if (n < 0)
		return errno;
	return (size_t)n == size ? 0 : ENOSPC;
}

/* A line, or if that cannot be written, one more to speak of later. */
static void
put_line(const char *text, size_t size)
{
	char report[256];
	int rc = 0;

	pthread_mutex_lock(&log_state.lock);
	if (log_state.n_lost != 0) {
		int n = snprintf(report, sizeof(report),
		                 "%ssynfront: warning: %" PRIu64
		                 " log lines before this one could not be written: %s\n",
		                 log_state.is_torn ? "\n" : "", log_state.n_lost,
		                 strerror(log_state.why));
		rc = write_line(report, (size_t)n);
		if (rc == 0) {
			log_state.n_lost = 0;
			log_state.is_torn = false;
		}
	}
	if (rc == 0)
		rc = write_line(text, size);
	if (rc != 0 && log_state.n_lost++ == 0)
		log_state.why = rc;
	pthread_mutex_unlock(&log_state.lock);
}

static const int priorities[] = {
	[CONF_LOG_ERROR] = LOG_ERR,     [CONF_LOG_WARNING] = LOG_WARNING,
	[CONF_LOG_NOTICE] = LOG_NOTICE, [CONF_LOG_INFO] = LOG_INFO,
	[CONF_LOG_DEBUG] = LOG_DEBUG,
};

void
log_message(enum conf_log_level level, const char *format, ...)
{
	static const char *const names[] = {
		[CONF_LOG_ERROR] = "error: ", [CONF_LOG_WARNING] = "warning: ",
		[CONF_LOG_NOTICE] = "",       [CONF_LOG_INFO] = "",
		[CONF_LOG_DEBUG] = "debug: ",
	};
	char text[1024], line[1100];
	va_list args;

	if ((int)level > __atomic_load_n(&log_state.level, __ATOMIC_RELAXED))
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (log_state.is_syslog) {
		syslog(priorities[level], "%s", text);
		return;
	}
	int n = snprintf(line, sizeof(line), "synfront: %s%s\n", names[level], text);
	put_line(line, (size_t)n);
}

void
log_fields(enum conf_log_level level, const char *text, const char *fields, size_t size)
{
	if ((int)level > __atomic_load_n(&log_state.level, __ATOMIC_RELAXED))
		return;
	if (log_state.is_syslog || !journal_send(priorities[level], text, fields, size))
		log_message(level, "%s", text);
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
