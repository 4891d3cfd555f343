/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A naive model of one connection through the splice: two sequence spaces side by
 * side, and what each end has been told. It is fed with every segment that goes
 * in and every packet that comes out, knows nothing of the engine's tables, and
 * stops the run when the two disagree.
 */
#ifndef SYNFRONT_SPLICE_MODEL_H
#define SYNFRONT_SPLICE_MODEL_H

#include "actions.h"

#define MODEL_ANSWERS 8u

/* A SYN-ACK that the client has been sent. */
struct model_answer {
	uint32_t irs, iss, tsval;
	uint8_t options, wscale;
};

struct splice_model {
	struct model_answer answers[MODEL_ANSWERS];
	unsigned int n_answers;
	uint32_t number; /* of the connection: grows with each */
	bool is_opened;  /* the engine has asked the server */
	bool is_joined;  /* ... and the server has answered */
	bool is_honest;  /* the client echoed what it had been sent, so its scales are known */
	uint32_t irs, iss, server_iss;
	uint32_t acked; /* of the client's sequence space, by the server */
	uint32_t ts_delta;
	uint16_t server_mss;
	uint32_t answer_seq, answer_tsval; /* of the server's last SYN-ACK before the join */
	uint16_t answer_window;
	uint8_t answer_options, answer_wscale;
	uint8_t offered; /* options in the SYN to the server */
	uint8_t client_wscale;
	uint8_t promised_wscale; /* shift; to the client */
	uint8_t server_wscale;   /* shift */
	bool server_scales;
	bool is_silent;   /* of the server only its SYN-ACK has crossed */
	uint32_t ts_echo; /* TSecr of the last ACK that the engine sent the server */
	bool strips_sack;
	bool is_wild; /* the client has sent what no window can have allowed */
};

/* The byte that stands at a sequence number of its sender. */
static inline uint8_t
model_byte(uint32_t seq)
{
	return (uint8_t)(seq * 31 + (seq >> 8) * 7 + 5);
}

/* A segment goes in: what its sender says is known from now on. To be called in the order in
 * which the engine decides, before what it makes of the segment. */
void model_in(struct splice_model *m, struct segment *seg);
/* A SYN-ACK goes to the client. */
void model_answered(struct splice_model *m, const struct packet *p);
/* Has this SYN-ACK been sent before? */
bool model_has_answered(const struct splice_model *m, uint32_t irs, uint32_t iss);
/* The engine has reset it. */
void model_ended(struct splice_model *m);
/* The client's segment became a SYN to the server. */
void model_opened(struct splice_model *m, const struct segment *seg, const struct packet *p);
/* The client is told of the server by this ACK. */
void model_joined(struct splice_model *m, const struct packet *p);
/* Some packet of the engine's own leaves on `out`; `bytes_known`: payloads hold model_byte(). */
void model_sent(struct splice_model *m, enum side out, const struct packet *p, bool bytes_known);
/* A segment `in` has been rewritten to `out`. */
void model_edited(struct splice_model *m, const struct segment *in, const struct segment *out);

#endif
