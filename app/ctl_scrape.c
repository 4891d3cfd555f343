/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `metrics`, and `scrape`: one HTTP request on standard input and its answer on standard output,
 * for a socket that systemd or another inetd has accepted (RFC 9112; RFC 9110 for the words).
 * Nothing of ours listens, and nobody's connection lasts.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "clock.h"
#include "ctl_command.h"
#include "ctl_metrics.h"

/* Prometheus sends some 500 bytes. */
#define REQUEST_SIZE 8192u
#define REQUEST_TIMEOUT_MS 5000u

#define TYPE_TEXT "text/plain; version=0.0.4; charset=utf-8"
#define TYPE_OPENMETRICS "application/openmetrics-text; version=1.0.0; charset=utf-8"

/* All figures as text, which the caller frees; NULL and an error. */
static char *
metrics_text(struct ctl_socket *s, bool is_strict, size_t *size)
{
	struct ctl_figures figures;
	char *text = NULL;

	if (ctl_figures_ask(&figures, s) == 0) {
		FILE *out = open_memstream(&text, size);
		if (out != NULL) {
			ctl_metrics_write(out, is_strict, &figures);
			fclose(out);
		}
		if (text == NULL)
			snprintf(s->error, sizeof(s->error), "not enough memory");
	}
	ctl_figures_free(&figures);
	return text;
}

int
ctl_metrics(struct ctl_socket *s, const struct ctl_request *request)
{
	size_t size;
	char *text = metrics_text(s, strcmp(request->parameter, "openmetrics") == 0, &size);

	if (text == NULL)
		return EXIT_ENGINE;
	fwrite(text, 1, size, stdout);
	free(text);
	return EXIT_OK;
}

/* The head of a request, up to its empty line. False if none comes in time, or it is too long. */
static bool
read_request(char text[REQUEST_SIZE])
{
	uint64_t end_ms = clock_ms(CLOCK_MONOTONIC) + REQUEST_TIMEOUT_MS, now_ms;
	struct pollfd fd = { .fd = STDIN_FILENO, .events = POLLIN };
	size_t n = 0;

	text[0] = '\0';
	while (n < REQUEST_SIZE - 1 && (now_ms = clock_ms(CLOCK_MONOTONIC)) < end_ms) {
		if (poll(&fd, 1, (int)(end_ms - now_ms)) <= 0)
			continue;
		ssize_t got = read(STDIN_FILENO, text + n, REQUEST_SIZE - 1 - n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		n += (size_t)got;
		text[n] = '\0';
		if (strstr(text, "\r\n\r\n") != NULL || strstr(text, "\n\n") != NULL)
			return true;
	}
	return false;
}

/* Whether a field `Accept:` of the head names OpenMetrics; fields' names have no case. */
static bool
accepts_openmetrics(const char *head)
{
	for (const char *line = strchr(head, '\n'); line != NULL; line = strchr(line, '\n')) {
		size_t size = strcspn(++line, "\r\n");
		if (size > 7 && strncasecmp(line, "accept:", 7) == 0 &&
		    memmem(line, size, "application/openmetrics-text", 28) != NULL)
			return true;
	}
	return false;
}

static void
answer(const char *status, const char *type, const char *body, size_t size, bool is_head)
{
	printf("HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
	       "Cache-Control: no-store\r\nConnection: close\r\n\r\n",
	       status, type, size);
	if (!is_head)
		fwrite(body, 1, size, stdout);
	fflush(stdout);
}

static void
answer_text(const char *status, const char *text, bool is_head)
{
	char body[512];
	int n = snprintf(body, sizeof(body), "%.500s\n", text);

	answer(status, "text/plain; charset=utf-8", body, (size_t)n, is_head);
}

/* `why`: of an engine that cannot be reached, or NULL. */
static int
serve(struct ctl_socket *s, const char *why)
{
	char head[REQUEST_SIZE], method[8] = "", target[64] = "";

	if (!read_request(head)) {
		answer_text("408 Request Timeout", "no request came", false);
		return EXIT_OK;
	}
	bool is_request = sscanf(head, "%7[A-Z] %63[^ \r\n] HTTP/1.", method, target) == 2;
	bool is_head = strcmp(method, "HEAD") == 0;
	target[strcspn(target, "?")] = '\0';
	if (!is_request) {
		answer_text("400 Bad Request", "not an HTTP request", false);
	} else if (strcmp(method, "GET") != 0 && !is_head) {
		answer_text("405 Method Not Allowed\r\nAllow: GET, HEAD", "GET or HEAD", false);
	} else if (strcmp(target, "/metrics") != 0) {
		answer_text("404 Not Found", "there is only /metrics", is_head);
	} else if (why != NULL) {
		answer_text("503 Service Unavailable", why, is_head);
	} else {
		bool is_strict = accepts_openmetrics(head);
		size_t size;
		char *text = metrics_text(s, is_strict, &size);
		if (text != NULL)
			answer("200 OK", is_strict ? TYPE_OPENMETRICS : TYPE_TEXT, text, size,
			       is_head);
		else
			answer_text("503 Service Unavailable", s->error, is_head);
		free(text);
	}
	return EXIT_OK;
}

int
ctl_scrape(struct ctl_socket *s, const struct ctl_request *request)
{
	(void)request;
	return serve(s, NULL);
}

int
ctl_scrape_failed(const char *why, const struct ctl_request *request)
{
	(void)request;
	return serve(NULL, why);
}
