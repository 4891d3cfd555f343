/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of keys as a page for people, in any markup. Texts of the table and those given to
 * a format have `backquotes` around what is typed as it stands. */
#ifndef SYNFRONT_CONF_PAGE_H
#define SYNFRONT_CONF_PAGE_H

#include <stdbool.h>
#include <stdio.h>

#include "conf_table.h"

/* A word and what is said of it. */
struct conf_note {
	const char *term, *text;
};

/* Whose keys a page has, and what is said of all of them. */
struct conf_subject {
	const struct conf_mapping *root;
	const char *source;  /* the file with the table */
	const char *heading; /* of the page in Markdown */
	const char *name;    /* of the file that has the keys, as of its manual page: "x.yaml" */
	const char *purpose; /* "configuration of x" */
	const char *about;   /* a paragraph */
	const struct conf_note *notes;
	unsigned int n_notes;
	bool may_reload;
	const char *see_also; /* in the macros of mdoc(7) */
};

struct conf_page {
	const struct conf_subject *subject;
	FILE *out;
	const struct conf_page_format *format;
	/* What only this page's head says; NULL where the format has no place for it. */
	const char *version, *date;
};

struct conf_page_format {
	/* What stands above all. */
	void (*begin)(const struct conf_page *page);
	/* Keys of one mapping follow; `below` names where it stands, "" for the file itself. */
	void (*begin_mapping)(const struct conf_page *page, const char *title, const char *below);
	/* `expected`: what the key takes; `preset`: what holds without it; `live`: whether a
	 * reload may change it. */
	void (*key)(const struct conf_page *page, const struct conf_key *key, const char *expected,
	            const char *preset, bool live);
	void (*end_mapping)(const struct conf_page *page);
	void (*end)(const struct conf_page *page);
};

/* Write the whole page. */
void conf_page_print(const struct conf_page *page);

/* Write one in Markdown, or for man(1). */
void conf_page_markdown(FILE *out, const struct conf_subject *subject);
void conf_page_mdoc(FILE *out, const struct conf_subject *subject, const char *version,
                    const char *date);

/* The engine's keys. */
extern const struct conf_subject conf_subject_engine;

#endif
