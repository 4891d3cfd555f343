/* SPDX-License-Identifier: BSD-3-Clause */
/* The rows of the in-memory benchmark: which burst each sends to which engine. */
#ifndef SYNFRONT_BENCH_ROWS_H
#define SYNFRONT_BENCH_ROWS_H

#include "load.h"

#define BENCH_ROWS 25u

/* What a row needs of the tables. */
enum bench_tables {
	BENCH_EMPTY,
	BENCH_OPEN,       /* full of spliced connections */
	BENCH_HALF_OPEN,  /* full of half-open entries */
	BENCH_OPENS,      /* room for a connection of each frame */
	BENCH_HALF_OPENS, /* room for a half-open entry of each frame */
	BENCH_KNOWN,      /* none, but the flows are known to a shield */
};

/* What is zero is of a service in mode proxy, with cookies always, that resets. */
struct bench_row {
	const char *name;
	const char *what;
	void (*fill)(struct load *load);  /* make a burst */
	void (*after)(struct load *load); /* clean up after it, not measured; NULL */
	uint8_t mode;
	uint8_t unproven;
	uint8_t tables;  /* enum bench_tables */
	bool by_state;   /* SYNs are answered with state */
	bool last_keeps; /* those to the last service are */
	bool is_floor;
	uint32_t payload_len;
	uint32_t unknown_per_s; /* mode handoff: of its shield; 0: none */
	uint32_t n_services;    /* 0: as asked for */
};

extern const struct bench_row bench_rows[BENCH_ROWS];

#endif
