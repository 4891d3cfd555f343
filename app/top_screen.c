/* SPDX-License-Identifier: BSD-3-Clause */
#include "top_screen.h"

#include <curses.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "ctl_json.h"

#define TALKERS_LEAST 3 /* lines that services leave to them, if there are that many */
#define KEY_ESCAPE 27
#define BARS_AT 80  /* behind the figures: narrower windows have no room for bars */
#define BAR_LEAST 7 /* as long as its title */
#define HELP "q quit   up, down: choose a service   Tab: sort by   p pause"

struct view {
	struct top_source *source;
	struct top_tables tables;
	double interval_s;
	enum top_order order;
	bool is_paused, is_there, wants_to_end;
	char service[64]; /* chosen; "": all */
};

static volatile sig_atomic_t is_stopped;

static void
stop(int number)
{
	(void)number;
	is_stopped = 1;
}

/* Ncurses would end with a status that says failure; it leaves alone what is caught already. */
static void
catch_signals(void)
{
	struct sigaction action = { .sa_handler = stop }; /* no SA_RESTART: a wait ends */

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
}

static const char *
name_of(const struct view *v, size_t i)
{
	return ctl_text(json_array_get(v->tables.services, i), "name");
}

/* Where the chosen service stands, or -1. */
static int
chosen(const struct view *v)
{
	for (size_t i = 0; i < json_array_size(v->tables.services) && v->service[0] != '\0'; i++)
		if (strcmp(name_of(v, i), v->service) == 0)
			return (int)i;
	return -1;
}

static void
choose(struct view *v, int step)
{
	int n = (int)json_array_size(v->tables.services), i = chosen(v) + step;

	i = i < n ? i : n - 1;
	snprintf(v->service, sizeof(v->service), "%s", i >= 0 ? name_of(v, (size_t)i) : "");
}

/* A line, cut where the screen ends. */
static void
put(int y, int look, const char *text)
{
	if (y < 0 || y >= LINES)
		return;
	attron(look);
	if (look & A_REVERSE)
		mvhline(y, 0, ' ', COLS);
	mvaddnstr(y, 0, text, COLS);
	attroff(look);
}

/* A table's title and at most `height` of its rows, from row `first` on; gives `text` up. */
static void
put_table(int y, int height, char *text, int first, int marked)
{
	char *rest = text, *line = strsep(&rest, "\n");

	put(y, A_BOLD, line != NULL ? line : "");
	for (int i = 0; (line = strsep(&rest, "\n")) != NULL && i < first + height; i++)
		if (i >= first)
			put(y + 1 + i - first, i == marked ? A_REVERSE : A_NORMAL, line);
	free(text);
}

/* Four bars in the rest of each line of a service, all to one scale, so that what comes and what is
 * answered can be compared at sight. */
static void
put_bars(int y, int height, const struct top_tables *tables, int first, int marked)
{
	int step = (COLS - BARS_AT) / (int)TOP_BARS, width = step - 2;
	int n = (int)json_array_size(tables->services);

	if (width < BAR_LEAST)
		return;
	for (int i = -1; i < height && first + i < n && y + 1 + i < LINES; i++) {
		int look = i < 0 ? A_BOLD : first + i == marked ? A_REVERSE : A_NORMAL;
		attron(look);
		for (unsigned int bar = 0; bar < TOP_BARS; bar++) {
			int x = BARS_AT + 2 + (int)bar * step;
			if (i < 0)
				mvaddnstr(y, x, top_bar_names[bar], width);
			else
				mvhline(y + 1 + i, x, '#',
				        (int)top_bar(tables, (size_t)(first + i), bar,
				                     (unsigned int)width));
		}
		attroff(look);
	}
}

static char *
text_by(void (*print)(FILE *out, const struct top_tables *tables), const struct top_tables *tables)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	if (out == NULL)
		return NULL;
	print(out, tables);
	fclose(out);
	return text;
}

static void
put_tables(struct view *v)
{
	int n = (int)json_array_size(v->tables.services), at = chosen(v);
	int n_ports = (int)json_array_size(v->tables.ports), y = 1;
	/* Beside the rows of services and talkers: three titles, the workers, and five lines. */
	int left = LINES - n_ports - 9, height = left - TALKERS_LEAST;

	height = height > n ? n : height < 1 ? 1 : height;
	int first = at < height ? 0 : at - height + 1;
	put_table(y, height, text_by(top_print_services, &v->tables), first, at);
	put_bars(y, height, &v->tables, first, at);
	y += height + 2;
	put_table(y, n_ports, text_by(top_print_ports, &v->tables), 0, -1);
	y += n_ports + 1;
	put(y, A_NORMAL, v->tables.workers);
	y += 1 + ((int)strlen(v->tables.workers) > COLS) + 1;
	if (y < LINES - 2)
		put_table(y, LINES - 2 - y, text_by(top_print_talkers, &v->tables), 0, -1);
}

static void
draw(struct view *v)
{
	char line[256];

	erase();
	if (v->is_there) {
		put(0, A_REVERSE, v->tables.heading);
		put_tables(v);
	} else {
		snprintf(line, sizeof(line), "%.40s: there is no engine; waiting for it",
		         v->source->instance);
		put(0, A_REVERSE, line);
		mvaddnstr(2, 0, v->source->socket.error, -1);
	}
	snprintf(line, sizeof(line), "%s (%s)   %s", HELP, top_order_names[v->order],
	         v->is_paused ? "PAUSED" : "");
	put(LINES - 1, A_BOLD, line);
	refresh();
}

static void
make(struct view *v)
{
	top_tables_free(&v->tables);
	v->tables = (struct top_tables){ 0 };
	if (v->is_there)
		top_tables_make(&v->tables, v->source, v->order, v->service);
}

static void
take_key(struct view *v, int key)
{
	switch (key) {
	case 'q':
		v->wants_to_end = true;
		break;
	case 'p':
	case ' ':
		v->is_paused = !v->is_paused;
		break;
	case KEY_UP:
		choose(v, -1);
		break;
	case KEY_DOWN:
		choose(v, 1);
		break;
	case KEY_ESCAPE:
		v->service[0] = '\0';
		break;
	case '\t':
	case KEY_RIGHT:
		v->order = (v->order + 1) % TOP_ORDERS;
		break;
	case KEY_BTAB:
	case KEY_LEFT:
		v->order = (v->order + TOP_ORDERS - 1) % TOP_ORDERS;
		break;
	default: /* KEY_RESIZE: ncurses has the new size, and all is drawn again */
		break;
	}
}

/* Until a key, another size of the terminal, or the time. */
static void
wait_until(struct view *v, double at_s)
{
	struct pollfd in = { .fd = STDIN_FILENO, .events = POLLIN };
	double left_ms = 1000 * (at_s - clock_s(CLOCK_MONOTONIC));
	int n = poll(&in, 1, left_ms < 0 ? 0 : left_ms < 1e9 ? (int)left_ms + 1 : 1000000000);

	if ((n < 0 && errno != EINTR) || (n > 0 && (in.revents & ~POLLIN) != 0))
		v->wants_to_end = true; /* nobody is there any more */
	for (int key; (key = getch()) != ERR;)
		take_key(v, key);
}

static void
watch(struct view *v)
{
	double next_s = 0;

	while (!v->wants_to_end && !is_stopped) {
		if (clock_s(CLOCK_MONOTONIC) >= next_s) {
			next_s = clock_s(CLOCK_MONOTONIC) + v->interval_s;
			if (!v->is_paused)
				v->is_there = top_source_take(v->source) == 0;
		}
		make(v);
		draw(v);
		wait_until(v, next_s);
	}
}

int
top_screen(struct top_source *source, double interval_s)
{
	struct view view = { .source = source, .interval_s = interval_s };

	catch_signals();
	SCREEN *screen = newterm(NULL, stdout, stdin);
	if (screen == NULL)
		return -1;
	cbreak();
	noecho();
	curs_set(0);
	keypad(stdscr, TRUE);
	nodelay(stdscr, TRUE);
	set_escdelay(25);
	watch(&view);
	top_tables_free(&view.tables);
	endwin();
	delscreen(screen);
	return 0;
}
