/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A laboratory for the core: one core, one protected server, any clients, a clock
 * that stands still until it is moved. Segments go in as real frames and come
 * out as real frames; what must hold after every step is checked at every step:
 *
 *   - each received frame counts in exactly one outcome; half-open entries and
 *     connections add up (account.h);
 *   - each frame that leaves parses, keeps the flow, MAC pair and tags, and has
 *     right checksums (unless it was edited and came in with a wrong one);
 *   - each SYN-ACK of the engine carries a valid cookie, and one that counts as
 *     made without state has left none;
 *   - no cookie opens a second connection.
 *
 * It also notes which rows of the decision table were taken: a test says with
 * COVERS() which ones it is about, and fails if it did not reach them.
 */
#ifndef SYNFRONT_CORE_LAB_H
#define SYNFRONT_CORE_LAB_H

#include "check.h"
#include "core.h"
#include "cookie.h"
#include "frame.h"
#include "seq.h"

#define LAB_OUT_MAX 512
#define LAB_SERVICES 4
#define LAB_BURST 8
#define LAB_HOLD_BYTES 4096u
#define LAB_KNOWN 64u
#define LAB_SACK_MAX 3

/* Ports of the services; anything else on the server's address is closed. */
enum lab_port {
	LAB_WEB = 80, /* proxy, the default */
	LAB_RESPOND = 81,
	LAB_HANDOFF = 82,
	LAB_BYPASS = 83,
	LAB_CLOSED = 99,
};

/* Options that a SYN of the client offers; the server can do all of them. */
#define LAB_ALL (OPTION_MSS | OPTION_WSCALE | OPTION_SACK_PERMITTED | OPTION_TIMESTAMPS)

/* What is varied for every test. */
struct lab_variant {
	const char *name;
	bool is_v6;
	unsigned int n_tags;
	uint8_t options;     /* enum segment_option: offered by the client */
	uint8_t wscale;      /* of the client */
	uint32_t irs;        /* the client's ISS */
	uint32_t server_iss; /* the server's */
};

/* A segment that goes in. What is zero is absent. */
struct lab_seg {
	enum side side;
	uint8_t flags;
	uint32_t seq, ack;
	uint16_t window; /* 0: 1000 */
	bool zero_window;
	uint8_t options; /* besides timestamps, which go in by themselves once agreed */
	bool no_timestamps;
	bool odd_options; /* one NOP in front: everything at odd offsets */
	uint16_t mss;
	uint8_t wscale;
	uint32_t tsval, tsecr; /* 0: as the end's clock and its peer's last TSval say */
	unsigned int n_sack;
	uint32_t sack[LAB_SACK_MAX][2];
	size_t payload_len; /* lab_byte(seq + i) */
	uint16_t urgent;
	uint8_t reserved;
	uint16_t bad_checksum;
	uint16_t client_port; /* 0: lab->client_port */
	uint16_t server_port; /* 0: lab->server_port */
	uint32_t client;      /* added to the net of the client's address (/24, /48) */
	uint32_t host;        /* ... and to its host */
};

/* A frame that came out. */
struct lab_out {
	enum side side;
	uint8_t kind; /* enum action_kind */
	uint8_t *frame;
	size_t len;
	struct segment seg;
	uint32_t sack[4][2];
};

struct lab {
	const struct lab_variant *variant;
	bool is_started;

	/* For a test to change before lab_start(). */
	struct core_params params;
	struct policy policy;
	struct service services[LAB_SERVICES]; /* web, respond, handoff, bypass */
	uint16_t client_port, server_port;
	uint16_t server_mss;
	uint8_t server_wscale;
	uint8_t server_options; /* that the server can do */
	/* Not 0: frames from there have a tag more, in front of the others, of this TCI. */
	uint16_t tci[SIDE_COUNT];
	struct {
		uint8_t tos, ttl; /* ttl 0: as frame.c has it */
		uint32_t flow_label;
	} way[SIDE_COUNT]; /* of all that goes in by this side */

	struct core *core;
	void *memory;
	struct secret_ring secrets;
	struct known known; /* of LAB_KNOWN flows */
	uint32_t known_words[LAB_KNOWN] __attribute__((aligned(64)));
	uint64_t now_ms, wall_ms;
	struct prefix addresses[2];
	struct port_range ports[LAB_SERVICES];

	struct actions actions;
	bool is_noted; /* by core_decide_noted() */
	struct core_note notes[LAB_BURST];
	struct emit_memo memo;
	struct lab_out out[LAB_OUT_MAX];
	unsigned int n_out;
	uint64_t n_received;
	struct counters before; /* as of the last step's beginning */

	/* The ends of the connection under test. */
	uint32_t irs, iss, server_iss;
	bool timestamps;       /* agreed: they go into every segment but RST */
	uint8_t client_wscale; /* agreed, WSCALE_NONE */
	uint8_t engine_wscale; /* promised to the client */
	uint16_t promised_mss;
	uint32_t ts_clock[SIDE_COUNT]; /* of the end on that side */
	uint32_t ts_seen[SIDE_COUNT];  /* last TSval that it has received */

	struct lab_opened {
		uint16_t port;
		uint32_t client, irs, iss;
	} *opened;
	unsigned int n_opened, opened_max;
};

extern const struct lab_variant lab_variants[];

/* Run `body` once for each variant, with a lab that is not started. */
void lab_each(void (*body)(struct lab *lab), const char *const *rows);
/* ... for the variant that has both families' simplest form. */
void lab_once(void (*body)(struct lab *lab), const char *const *rows);

/* A test over all variants: LAB_TEST(name, "ROW", ...) { body of `lab` } */
#define LAB_TEST_BY(run, name, ...)                                                    \
	static void name##_body(struct lab *lab);                                      \
	static void name(void)                                                         \
	{                                                                              \
		static const char *const rows[] = { __VA_ARGS__ __VA_OPT__(, ) NULL }; \
		run(name##_body, rows);                                                \
	}                                                                              \
	static void name##_body(struct lab *lab)
#define LAB_TEST(name, ...) LAB_TEST_BY(lab_each, name, __VA_ARGS__)
#define LAB_TEST_ONCE(name, ...) LAB_TEST_BY(lab_once, name, __VA_ARGS__)

/* An assertion that names the variant when it fails. */
bool lab_check(const struct lab *lab, bool ok, const char *text, const char *file, int line);
#define CHECK(cond) lab_check(lab, cond, #cond, __FILE__, __LINE__)
bool lab_equal(const struct lab *lab, uint64_t a, uint64_t b, const char *text, const char *file,
               int line);
#define EQUAL(a, b) lab_equal(lab, (uint64_t)(a), (uint64_t)(b), #a " == " #b, __FILE__, __LINE__)
/* The last step's only outcome. */
#define OUTCOME_IS(name) CHECK(lab_grew(lab, COUNTER_##name) == 1)
/* By how much a counter grew in the last step. */
uint64_t lab_grew(const struct lab *lab, enum counter which);
uint64_t lab_count(const struct lab *lab, enum counter which);
/* Name of the last step's outcome, for messages. */
const char *lab_outcome(const struct lab *lab);

/* Memory for lab->params, as the last lab left it, and its return. */
void lab_memory_take(struct lab *lab);
void lab_memory_leave(struct lab *lab);
/* What the lab's own files share: the time, and that what left is seen no more. */
struct instant lab_now(const struct lab *lab);
void lab_clear_out(struct lab *lab);
void lab_start(struct lab *lab);
/* Another one, not started, as this one is before lab_start(): a worker beside it, on the
 * same cookies. lab_leave() ends it. */
struct lab *lab_beside(const struct lab *lab);
void lab_leave(struct lab *lab);
/* Would this worker answer a SYN of another's flow itself? */
bool lab_answers_anywhere(struct lab *lab, const struct lab_seg *spec);
/* One frame in; returns how many came out, which are in lab->out. */
unsigned int lab_in(struct lab *lab, const struct lab_seg *spec);
/* The same for any frame; its class is the parser's to find. */
unsigned int lab_in_frame(struct lab *lab, enum side side, const uint8_t *frame, size_t len,
                          bool is_bad);
#define IN(...) lab_in(lab, &(struct lab_seg){ __VA_ARGS__ })
#define CLIENT(flags_, seq_, ack_, ...) \
	IN(.side = SIDE_OUTSIDE, .flags = (flags_), .seq = (seq_), .ack = (ack_), ##__VA_ARGS__)
#define SERVER(flags_, seq_, ack_, ...) \
	IN(.side = SIDE_INSIDE, .flags = (flags_), .seq = (seq_), .ack = (ack_), ##__VA_ARGS__)
/* Up to LAB_BURST of them, located together and decided in order. */
unsigned int lab_in_burst(struct lab *lab, const struct lab_seg *specs, unsigned int n);
/* Let time pass; what leaves meanwhile is in lab->out. */
unsigned int lab_tick(struct lab *lab, uint64_t ms);

/* The frame spec behind lab_in(), for tests that go on with it. */
struct frame_spec lab_frame(struct lab *lab, const struct lab_seg *spec, uint8_t *options,
                            uint8_t *payload);

/* The byte that stands at a sequence number in every payload. */
static inline uint8_t
lab_byte(uint32_t seq)
{
	return (uint8_t)(seq * 31 + (seq >> 8) * 7 + 5);
}

/* The only frame that left in the last step, on this side; checked. Never NULL. */
const struct lab_out *lab_only(struct lab *lab, enum side side, const char *file, int line);
#define ONLY(side) lab_only(lab, side, __FILE__, __LINE__)
/* The n-th of those that left by this side; checked. Never NULL. */
const struct lab_out *lab_nth(struct lab *lab, enum side side, unsigned int n, const char *file,
                              int line);
#define NTH(side, n) lab_nth(lab, side, n, __FILE__, __LINE__)
/* Does the payload hold the bytes of `seq` onwards, and is `len` long? */
bool lab_payload_is(const struct lab_out *out, uint32_t seq, size_t len);
/* Before lab_start(): one of several workers. Where they tell each other of their cookies, none out
 * yet. */
uint32_t *lab_share_cookies(struct lab *lab);

/* Steps of a connection, each checked on its way. */
/* A full handshake that passes, of another client, so that the server is known. */
void lab_teach(struct lab *lab);
/* The same from a net of the caller's choice, asked and answered with these options. */
void lab_teach_from(struct lab *lab, uint32_t client, uint8_t offered, uint8_t answered);
/* The client's SYN goes in; what comes of it is the caller's to look at. */
unsigned int lab_syn(struct lab *lab);
/* The same, and it is answered: lab->iss and what was agreed are set. */
void lab_syn_ack(struct lab *lab);
/* ... and the client's ACK becomes a SYN to the server. */
void lab_connecting(struct lab *lab);
/* The server's SYN-ACK goes in, with what was offered to it in `syn`. */
unsigned int lab_server_syn_ack(struct lab *lab, const struct lab_out *syn);
/* All of that. */
void lab_splice(struct lab *lab);
/* All of that, and both FINs, acknowledged; the client's first. */
void lab_close(struct lab *lab);
/* The same until the entry is SPENT. */
void lab_spend(struct lab *lab);
/* Many connections, each with a number: client port 1000 + i, ISS 1000 + i, from the net
 * `client`. The SYN, whose answer is in lab->out; then the proof; then all of it up to
 * the splice. The last two return the engine's ISS. */
void lab_syn_of(struct lab *lab, unsigned int i, uint32_t client);
uint32_t lab_open_of(struct lab *lab, unsigned int i, uint32_t client);
uint32_t lab_splice_of(struct lab *lab, unsigned int i, uint32_t client);

/* The last frame went out as it came in, by this side, as one of a TRACKED connection. */
void lab_check_passed(struct lab *lab, enum side side);

/* The first connection that has the lab's client and ports: the core's own entry, its state, and
 * what is shown of it. CONN_FREE: there is none. */
const struct conn *lab_entry(const struct lab *lab);
enum conn_state lab_state(const struct lab *lab);
struct connection_view lab_view(const struct lab *lab);

/* Rows of the decision table that a test claims: each of them must have been taken since
 * rows_forget(). */
void lab_rows_claim(const char *const *rows);
/* How many no test has claimed so far; each is printed. */
unsigned int lab_rows_unclaimed(void);

/* How many of a burst the straight lane of SYNs takes from number `first` on, if it is asked
 * there. */
unsigned int lab_n_taken(struct lab *lab, const struct lab_seg *specs, unsigned int n,
                         unsigned int first);

/* The suites. */
extern CU_TestInfo core_listen_tests[], core_listen_ack_tests[], core_received_tests[],
	core_restart_tests[], core_connecting_tests[], core_tracked_tests[], core_spliced_tests[],
	core_rewrite_tests[], core_closing_tests[], core_responding_tests[], core_spent_tests[],
	core_limits_tests[], core_evict_tests[], core_backend_tests[], core_foreign_tests[],
	core_cookie_tests[], core_random_tests[], core_delay_tests[], core_view_tests[],
	core_anywhere_tests[], core_corners_tests[], core_rare_tests[], core_learned_tests[],
	core_fragments_tests[], core_caps_tests[], core_orphans_tests[], core_waiting_tests[],
	core_adopted_tests[], core_handoff_tests[], core_shield_tests[], core_observe_tests[],
	core_observe_reload_tests[], core_lists_tests[], core_talkers_tests[], core_explain_tests[],
	core_syn_lane_tests[], core_syn_lane_books_tests[], core_lanes_changed_tests[],
	core_noted_tests[], core_silent_tests[], core_forged_tests[], core_passing_tests[],
	core_signed_tests[];

#endif
