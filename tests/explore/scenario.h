/* SPDX-License-Identifier: BSD-3-Clause */
/* What is explored, one configuration each. */
#ifndef SYNFRONT_EXPLORE_SCENARIO_H
#define SYNFRONT_EXPLORE_SCENARIO_H

#include "world.h"

/* What a client may do besides opening its connection; bits by enum client_step. */
enum client_step {
	CLIENT_OPEN,
	CLIENT_SYN_AGAIN,
	CLIENT_SYN_BARE, /* again, with an MSS alone, as systems do on their last tries */
	CLIENT_DATA,     /* the next byte */
	CLIENT_AGAIN,    /* all that is not acknowledged, or its last ACK */
	CLIENT_FIN,
	CLIENT_CRASH,     /* it knows nothing any more */
	CLIENT_ABORT,     /* the same, and it says so: RST */
	CLIENT_KEEPALIVE, /* SEQ one below, no byte */
	CLIENT_KEEPALIVE_BYTE,
	CLIENT_STEPS
};

/* What somebody may send who sees nothing of what others send. */
enum forgery {
	FORGE_SYN,        /* of nobody's address */
	FORGE_SYN_BARE,   /* the same ports and number, an MSS alone */
	FORGE_ACK,        /* ... */
	FORGE_DATA,       /* ... */
	FORGE_CLIENT_SYN, /* in the first client's name, from here on */
	FORGE_CLIENT_SYN_ACK,
	FORGE_CLIENT_ACK,
	FORGE_CLIENT_RST,
	FORGE_CLIENT_RST_NEAR, /* in its window */
	FORGERIES
};

enum reload {
	RELOAD_NONE,
	RELOAD_COOKIES, /* cookies: always and back */
	RELOAD_OBSERVE, /* observe ends, and begins again */
	RELOAD_REMOVED, /* the service goes, and comes back */
};

#define BIT(n) (1u << (n))
#define CLIENT_PLAIN (BIT(CLIENT_OPEN) | BIT(CLIENT_DATA) | BIT(CLIENT_FIN))
#define CLIENT_REPEATS (BIT(CLIENT_SYN_AGAIN) | BIT(CLIENT_AGAIN))

struct scenario {
	const char *name;
	const char *about;
	uint8_t mode, cookies, calm; /* of the service */
	bool wait_for_data;
	bool observe;
	bool single_syn;         /* not repeat_syn */
	uint32_t high, low;      /* 0: out of reach */
	uint32_t calm_syn_per_s; /* mode handoff */
	uint8_t client_options;  /* that their SYNs offer */
	uint8_t server_options;  /* that the server can do */
	uint16_t client_mss;     /* 0: 1460 */
	uint8_t n_workers;       /* 0: 1 */
	uint32_t connections;    /* 0: enough */
	uint32_t half_open;      /* 0: enough */
	uint32_t held;           /* 0: enough */
	uint32_t max_of_net;     /* connections of one source net, 0: any */
	uint16_t client_steps;   /* bits, enum client_step */
	uint16_t forgeries;      /* bits, enum forgery */
	uint8_t reload;          /* enum reload */
	bool restarts, copies, losses, server_repeats, server_stops;
	bool server_greets; /* it speaks first */
	bool server_calls;  /* its host connects from its port to that of client A */
	uint8_t n_clients;  /* that take part; 0: both */
	uint8_t n_mischief; /* most of what is none of CLIENT_PLAIN and no delivery */
	uint8_t n_segments; /* most that the engine receives; 0: 12 */
	/* What has happened before. */
	void (*prelude)(struct world *w);
};

extern const struct scenario scenarios[];
extern const unsigned int n_scenarios;

#endif
