/* SPDX-License-Identifier: BSD-3-Clause */
/* Messages of synfront-adopt: to standard error, which is the journal under systemd. */
#include <stdarg.h>

#include "log.h"

void
log_message(enum conf_log_level level, const char *format, ...)
{
	char text[600];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	fprintf(stderr, "synfront-adopt: %s%s\n",
	        level == CONF_LOG_ERROR     ? "error: "
	        : level == CONF_LOG_WARNING ? "warning: "
	                                    : "",
	        text);
}
