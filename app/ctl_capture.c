/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A capture: the engine is asked for the next part of the file until there is enough of it. What
 * happens to the file (a disk that is full, a pipe that nobody reads any more, this program's
 * end) is no matter of the engine's.
 */
#include "ctl_capture.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "ctl_command.h"
#include "ctl_json.h"

#define CAPTURE "/synfront/capture"
#define PAUSE_MS 20
#define KEEP_MS 1000 /* how often the engine hears of a reader whose output is stuck */
#define BLOCK_PACKET 6u
#define DATA_MAX 16384u

struct writing {
	struct ctl_socket *s;
	const struct ctl_capture_options *options;
	json_int_t id, n_lost;
	uint64_t n_written;
	int fd;
	int error; /* errno of the output */
	double end_s;
	bool is_stopping;
};

static volatile sig_atomic_t is_told_to_end;

static void
end(int number)
{
	(void)number;
	is_told_to_end = 1;
}

/* ---- options ----------------------------------------------------------- */

static int
want(struct ctl_capture_options *o, const char *key, const char *value)
{
	size_t at = strlen(o->wanted);

	if (*value == '\0' || strchr(value, ',') != NULL)
		return -1;
	int n = snprintf(o->wanted + at, sizeof(o->wanted) - at, ",%s=%s", key, value);
	return n > 0 && (size_t)n < sizeof(o->wanted) - at ? 0 : -1;
}

/* "drop_denied,answered_rst" or one at a time. */
static int
want_outcomes(struct ctl_capture_options *o, char *names)
{
	char *name;

	while ((name = strsep(&names, ",")) != NULL)
		if (want(o, "outcome", name) != 0)
			return -1;
	return 0;
}

static int
read_number(const char *text, double least, double *number)
{
	char *rest;

	*number = strtod(text, &rest);
	return *text != '\0' && *rest == '\0' && *number >= least && *number < 1e15 ? 0 : -1;
}

static int
read_option(int which, char *value, struct ctl_request *request)
{
	struct ctl_capture_options *o = request->capture;
	double number;

	switch (which) {
	case 's':
		return want(o, "service", value);
	case 'c':
		return want(o, "client", value);
	case 'o':
		return want_outcomes(o, value);
	case 'n':
		if (read_number(value, 1, &number) != 0)
			return -1;
		o->n_frames = (uint64_t)number;
		return 0;
	case 't':
		return read_number(value, 0.001, &o->seconds);
	case 'w':
		o->file = value;
		return 0;
	case 'i':
		request->instance = value;
		return 0;
	case 'j':
		request->json = true;
		return 0;
	default:
		return -1;
	}
}

int
ctl_capture_options(int argc, char **argv, struct ctl_request *request)
{
	static const struct option known[] = {
		{ "service", required_argument, NULL, 's' },
		{ "client", required_argument, NULL, 'c' },
		{ "outcome", required_argument, NULL, 'o' },
		{ "count", required_argument, NULL, 'n' },
		{ "seconds", required_argument, NULL, 't' },
		{ "write", required_argument, NULL, 'w' },
		{ "instance", required_argument, NULL, 'i' },
		{ "json", no_argument, NULL, 'j' },
		{ 0 },
	};
	static struct ctl_capture_options options;
	int which;

	request->capture = &options;
	optind = 0; /* from the first one on, as glibc takes it */
	while ((which = getopt_long(argc, argv, "w:i:j", known, NULL)) != -1)
		if (read_option(which, optarg, request) != 0)
			return -1;
	return optind == argc && options.file != NULL ? 0 : -1;
}

/* ---- output ------------------------------------------------------------ */

static json_t *
ask(struct writing *w, const char *what)
{
	char text[64];

	snprintf(text, sizeof(text), "%s,%" JSON_INTEGER_FORMAT, what, w->id);
	return ctl_ask(w->s, CAPTURE, text);
}

/* Until the output takes something. The engine is told meanwhile that its reader lives. */
static bool
wait_for_output(struct writing *w)
{
	struct pollfd p = { .fd = w->fd, .events = POLLOUT };

	while (!is_told_to_end && !(w->end_s != 0 && clock_s(CLOCK_MONOTONIC) >= w->end_s)) {
		int n = poll(&p, 1, KEEP_MS);
		if (n > 0)
			return true;
		if (n == 0)
			json_decref(ask(w, "keep"));
	}
	return false;
}

/* What no pipe refuses is written at a time, so that this never waits. */
static void
write_all(struct writing *w, const uint8_t *bytes, size_t size)
{
	while (size > 0 && w->error == 0) {
		if (!wait_for_output(w)) {
			w->error = EINTR;
			return;
		}
		ssize_t n = write(w->fd, bytes, size < PIPE_BUF ? size : PIPE_BUF);
		if (n < 0 && errno != EINTR)
			w->error = errno;
		if (n > 0) {
			bytes += n;
			size -= (size_t)n;
		}
	}
}

static int
digit_of(char c)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = strchr(digits, c);

	return c != '\0' && at != NULL ? (int)(at - digits) : -1;
}

/* Base64 (RFC 4648, 4), as far as it is that; how many bytes. */
static size_t
decode(const char *text, uint8_t *bytes, size_t room)
{
	size_t n = 0;

	while (text[0] != '\0' && text[1] != '\0' && n + 3 <= room) {
		int a = digit_of(text[0]), b = digit_of(text[1]);
		int c = text[2] != '\0' ? digit_of(text[2]) : -1;
		int d = c >= 0 && text[3] != '\0' ? digit_of(text[3]) : -1;
		if (a < 0 || b < 0)
			return n;
		bytes[n++] = (uint8_t)(a << 2 | b >> 4);
		if (c >= 0)
			bytes[n++] = (uint8_t)(b << 4 | c >> 2);
		if (d < 0)
			return n;
		bytes[n++] = (uint8_t)(c << 6 | d);
		text += 4;
	}
	return n;
}

static uint32_t
word_at(const uint8_t *bytes)
{
	uint32_t word;

	memcpy(&word, bytes, sizeof(word));
	return word;
}

/* Whole blocks: those of packets up to the number that is wanted, and all others. */
static void
write_blocks(struct writing *w, const uint8_t *data, size_t size)
{
	uint64_t most = w->options->n_frames;

	for (size_t at = 0, len; at + 12 <= size; at += len) {
		bool is_packet = word_at(data + at) == BLOCK_PACKET;
		len = word_at(data + at + 4);
		if (len < 12 || len > size - at)
			return;
		if (is_packet && most != 0 && w->n_written == most)
			continue;
		write_all(w, data + at, len);
		w->n_written += is_packet && w->error == 0;
	}
}

/* One answer. Its state; NULL and an error if it is none. */
static const char *
take(struct writing *w, json_t *answer, size_t *size)
{
	static uint8_t data[DATA_MAX];
	const char *state = json_string_value(json_object_get(answer, "state"));
	const json_t *piece;
	size_t i;

	*size = 0;
	if (answer == NULL)
		return NULL;
	if (state == NULL) {
		char *why = ctl_join(json_object_get(answer, "error"));
		snprintf(w->s->error, sizeof(w->s->error), "%s",
		         why != NULL ? why : "the engine gives no answer");
		free(why);
		return NULL;
	}
	w->n_lost = json_integer_value(json_object_get(answer, "lost"));
	json_array_foreach(json_object_get(answer, "data"), i, piece)
	{
		const char *text = json_string_value(piece);
		if (text != NULL)
			*size += decode(text, data + *size, sizeof(data) - *size);
	}
	if (w->error == 0)
		write_blocks(w, data, *size);
	return strcmp(state, "over") == 0 ? "over" : "on";
}

static bool
is_enough(const struct writing *w)
{
	return is_told_to_end || w->error != 0 ||
	       (w->options->n_frames != 0 && w->n_written >= w->options->n_frames) ||
	       (w->end_s != 0 && clock_s(CLOCK_MONOTONIC) >= w->end_s);
}

/* For a while, or until nobody reads the pipe any more, though there is nothing to write. */
static void
pause_writing(struct writing *w)
{
	struct pollfd p = { .fd = w->fd };

	if (poll(&p, 1, PAUSE_MS) > 0 && (p.revents & POLLERR) && w->error == 0)
		w->error = EPIPE;
}

/* 0 when all is there, -1 and an error when the engine has failed. */
static int
run(struct writing *w)
{
	for (;;) {
		bool stops = !w->is_stopping && is_enough(w);
		size_t size;
		json_t *answer = ask(w, stops ? "stop" : "read");
		const char *state = take(w, answer, &size);
		w->is_stopping |= stops;
		json_decref(answer);
		if (state == NULL)
			return -1;
		if (strcmp(state, "over") == 0)
			return 0;
		if (size == 0 && !w->is_stopping)
			pause_writing(w);
	}
}

static void
catch_signals(void)
{
	struct sigaction action = { .sa_handler = end };

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static void
report(const struct writing *w, const struct ctl_request *request)
{
	bool is_stdout = strcmp(w->options->file, "-") == 0;
	FILE *out = is_stdout || !request->json ? stderr : stdout;

	if (request->json) {
		json_t *said = json_pack("{s:s, s:I, s:I}", "file", w->options->file, "written",
		                         (json_int_t)w->n_written, "lost", w->n_lost);
		json_dumpf(said, out, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
		fputc('\n', out);
		json_decref(said);
		return;
	}
	fprintf(out, "synfrontctl: %llu frames written, %" JSON_INTEGER_FORMAT " lost\n",
	        (unsigned long long)w->n_written, w->n_lost);
}

/* The capture has begun: it is given back whatever happens. */
static int
write_capture(struct writing *w, const struct ctl_request *request)
{
	const char *file = w->options->file;
	int rc;

	w->fd = strcmp(file, "-") == 0 ? STDOUT_FILENO
	                               : open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (w->fd < 0)
		w->error = errno;
	if (w->options->seconds != 0)
		w->end_s = clock_s(CLOCK_MONOTONIC) + w->options->seconds;
	rc = run(w);
	if (w->fd > STDERR_FILENO && close(w->fd) != 0 && w->error == 0)
		w->error = errno;
	/* Who has closed the pipe has seen enough; a signal is how this is ended. */
	if (w->error != 0 && w->error != EPIPE && w->error != EINTR) {
		fprintf(stderr, "synfrontctl: %s: %s\n", file, strerror(w->error));
		return EXIT_OUTPUT;
	}
	report(w, request);
	return rc == 0 ? EXIT_OK : EXIT_ENGINE;
}

int
ctl_capture(struct ctl_socket *s, const struct ctl_request *request)
{
	struct writing w = { .s = s, .options = request->capture };
	char text[sizeof(request->capture->wanted) + 8];

	if (strcmp(w.options->file, "-") == 0 && isatty(STDOUT_FILENO)) {
		fputs("synfrontctl: a capture is not for a terminal: -w FILE, or a pipe\n", stderr);
		return EXIT_USAGE;
	}
	catch_signals();
	snprintf(text, sizeof(text), "start%s", w.options->wanted);
	json_t *answer = ctl_ask(s, CAPTURE, text);
	if (answer == NULL)
		return EXIT_ENGINE;
	char *error = ctl_join(json_object_get(answer, "error"));
	w.id = json_integer_value(json_object_get(answer, "id"));
	json_decref(answer);
	if (w.id == 0) {
		fprintf(stderr, "synfrontctl: %s\n", error != NULL ? error : "refused");
		free(error);
		return EXIT_REFUSED;
	}
	free(error);
	return write_capture(&w, request);
}
