/* SPDX-License-Identifier: BSD-3-Clause */
#include "splice_model.h"

#include "fuzz.h"
#include "seq.h"

#define MODEL_SENT_MAX (1u << 28) /* more than any run sends in order */
#define MODEL_MSS_LEAST 48u
#define MODEL_REACH (1u << 30) /* how far apart numbers of one connection can be */

static uint32_t
get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

void
model_in(struct splice_model *m, struct segment *seg)
{
	if (!m->is_opened)
		return;
	if (seg->side == SIDE_OUTSIDE) {
		m->is_wild |= seg->seq - m->irs > MODEL_SENT_MAX &&
		              !(seg->flags & (TCP_SYN | TCP_RST));
		return;
	}
	if (!(seg->flags & TCP_ACK))
		return;
	/* What acknowledges another SYN, is broken, or sent to a group says nothing. */
	if ((seg->flags & TCP_SYN) && !m->is_joined && seg->ack == m->irs + 1 &&
	    !(seg->frame[0] & 1) && segment_checksum_ok(seg)) {
		m->server_mss = seg->mss != 0 ? seg->mss : seg->is_v4 ? 536 : 1220;
		m->answer_seq = seg->seq;
		m->answer_tsval = seg->tsval;
		m->answer_window = seg->window;
		m->answer_options = seg->options;
		m->answer_wscale = seg->wscale;
	}
	/* Whatever the server says that it has. A server that says what it cannot have
	 * leaves nothing to be checked. */
	if (!seq_before(m->acked, seg->ack))
		return;
	m->is_wild |= seg->ack - m->acked > MODEL_SENT_MAX;
	m->acked = seg->ack;
}

void
model_answered(struct splice_model *m, const struct packet *p)
{
	m->answers[m->n_answers++ % MODEL_ANSWERS] = (struct model_answer){ p->ack - 1, p->seq,
		                                                            p->tsval, p->options,
		                                                            p->wscale };
}

static const struct model_answer *
answer_find(const struct splice_model *m, uint32_t irs, uint32_t iss, const uint32_t *tsval)
{
	for (unsigned int i = 0; i < MODEL_ANSWERS && i < m->n_answers; i++) {
		const struct model_answer *a = &m->answers[i];
		if (a->irs == irs && a->iss == iss &&
		    (tsval == NULL || !(a->options & OPTION_TIMESTAMPS) || a->tsval == *tsval))
			return a;
	}
	return NULL;
}

bool
model_has_answered(const struct splice_model *m, uint32_t irs, uint32_t iss)
{
	return answer_find(m, irs, iss, NULL) != NULL;
}

void
model_opened(struct splice_model *m, const struct segment *seg, const struct packet *p)
{
	const struct model_answer *a = answer_find(m, p->seq, seg->ack - 1, &seg->tsecr);

	FUZZ_CHECK(p->flags == TCP_SYN && p->payload_len == 0 && p->ack == 0);
	FUZZ_CHECK(p->seq == seg->seq - 1 || p->seq == seg->seq);
	m->number++;
	m->is_opened = true;
	m->is_joined = false;
	m->is_wild = false;
	m->irs = p->seq;
	m->iss = seg->ack - 1;
	m->acked = m->irs + 1;
	m->offered = p->options;
	m->client_wscale = p->options & OPTION_WSCALE ? p->wscale : 0;
	m->is_honest = a != NULL &&
	               !!(a->options & OPTION_TIMESTAMPS) == !!(seg->options & OPTION_TIMESTAMPS);
	if (!m->is_honest)
		return;
	m->promised_wscale = a->options & OPTION_WSCALE ? a->wscale : 0;
	/* Nothing is offered to the server that was not agreed with the client. */
	FUZZ_CHECK(!(p->options & ~(a->options | OPTION_MSS) &
	             (OPTION_WSCALE | OPTION_SACK_PERMITTED | OPTION_TIMESTAMPS)));
}

void
model_ended(struct splice_model *m)
{
	m->is_opened = m->is_joined = false;
}

void
model_joined(struct splice_model *m, const struct packet *p)
{
	FUZZ_CHECK(m->is_opened && !m->is_joined);
	FUZZ_CHECK(p->seq == m->iss + 1 && p->ack == m->irs + 1);
	FUZZ_CHECK(p->window != 0 || m->answer_window == 0);
	FUZZ_CHECK(!(p->options & OPTION_TIMESTAMPS) == !(m->offered & OPTION_TIMESTAMPS));
	m->is_joined = m->is_silent = true;
	m->server_iss = m->answer_seq;
	m->server_scales = (m->offered & OPTION_WSCALE) && (m->answer_options & OPTION_WSCALE);
	m->server_wscale = m->server_scales ? m->answer_wscale : 0;
	m->strips_sack = (m->offered & OPTION_SACK_PERMITTED) &&
	                 !(m->answer_options & OPTION_SACK_PERMITTED);
	m->ts_delta = p->options & OPTION_TIMESTAMPS ? p->tsval - m->answer_tsval : 0;
}

static void
check_bytes(const struct packet *p)
{
	for (uint32_t i = 0; i < p->payload_len; i++)
		FUZZ_CHECK(p->payload[i] == model_byte(p->seq + i));
}

void
model_sent(struct splice_model *m, enum side out, const struct packet *p, bool bytes_known)
{
	if (out == SIDE_INSIDE) {
		if (!m->is_opened || (p->flags & TCP_RST))
			return;
		/* The stream that the server sees is the client's own. */
		if (bytes_known)
			check_bytes(p);
		FUZZ_CHECK(p->seq - m->irs < MODEL_REACH);
		/* In segments that it takes, if any can. */
		unsigned int size = p->payload_len + (p->options & OPTION_TIMESTAMPS ? 12u : 0u);
		FUZZ_CHECK(p->payload_len == 0 ||
		           size <= (m->server_mss > MODEL_MSS_LEAST ? m->server_mss
		                                                    : MODEL_MSS_LEAST));
		FUZZ_CHECK(!(p->flags & TCP_SYN) || p->seq == m->irs);
		if ((p->flags & TCP_ACK) && (p->options & OPTION_TIMESTAMPS))
			m->ts_echo = p->tsecr;
		return;
	}
	FUZZ_CHECK(p->payload_len == 0);
	if (!m->is_opened || (p->flags & (TCP_RST | TCP_SYN)) || !(p->flags & TCP_ACK))
		return;
	/* Nothing of the client's is acknowledged before the server has it; a SYN
	 * always may be. */
	for (unsigned int i = 0; i < MODEL_ANSWERS && i < m->n_answers; i++) {
		const struct model_answer *a = &m->answers[i];
		/* Or it is of a later connection, in mode respond: the engine speaks for
		 * itself there, at the number of its SYN-ACK and, after its FIN, the next. */
		if (p->ack == a->irs + 1 || (a->iss != m->iss && p->seq - (a->iss + 1) <= 1))
			return;
	}
	FUZZ_CHECK(m->is_wild || seq_before_eq(p->ack, m->acked));
}

static uint16_t
scaled(uint32_t window, uint16_t was)
{
	if (window > UINT16_MAX)
		return UINT16_MAX;
	return (uint16_t)(window == 0 && was != 0 ? 1 : window);
}

static uint16_t
expected_window(const struct splice_model *m, const struct segment *in)
{
	uint32_t was = in->window;

	if (in->side == SIDE_INSIDE)
		return scaled((was << m->server_wscale) >> m->promised_wscale, in->window);
	if (!(m->offered & OPTION_WSCALE) || m->server_scales)
		return in->window;
	return scaled(was << m->client_wscale, in->window);
}

static void
check_sack(const struct splice_model *m, const struct segment *in, const uint8_t *was,
           const struct segment *out)
{
	uint32_t add = in->side == SIDE_OUTSIDE ? m->server_iss - m->iss : 0;

	if (in->side == SIDE_OUTSIDE && m->strips_sack) {
		FUZZ_CHECK(out->sack_count == 0);
		return;
	}
	FUZZ_CHECK(out->sack_count == in->sack_count);
	const uint8_t *now = out->frame + out->l4_off + out->sack_off + 2;
	for (unsigned int i = 0; i < 2u * in->sack_count; i++)
		FUZZ_CHECK(get32(now + 4 * i) == get32(was + 4 * i) + add);
}

void
model_edited(struct splice_model *m, const struct segment *in, const struct segment *out)
{
	bool has_ack = in->flags & TCP_ACK;
	uint32_t delta = m->iss - m->server_iss;

	FUZZ_CHECK(m->is_joined);
	FUZZ_CHECK(out->flags == in->flags && out->payload_len == in->payload_len);
	if (in->side == SIDE_OUTSIDE) {
		FUZZ_CHECK(out->seq == in->seq);
		FUZZ_CHECK(out->ack == in->ack - (has_ack ? delta : 0));
		FUZZ_CHECK(out->tsval == in->tsval);
		FUZZ_CHECK(in->ts_off == 0 ||
		           out->tsecr == in->tsecr - (has_ack ? m->ts_delta : 0) ||
		           (m->is_silent && out->tsecr == m->ts_echo));
	} else {
		FUZZ_CHECK(out->seq == in->seq + delta);
		FUZZ_CHECK(out->ack == in->ack);
		FUZZ_CHECK(in->ts_off == 0 || out->tsval == in->tsval + m->ts_delta);
		FUZZ_CHECK(out->tsecr == in->tsecr);
		if (in->ack != m->irs + 1 || segment_seq_len(in) != 0)
			m->is_silent = false;
	}
	FUZZ_CHECK((out->window == 0) == (in->window == 0));
	FUZZ_CHECK(!m->is_honest || out->window == expected_window(m, in));
	FUZZ_CHECK(memcmp(segment_payload(out), segment_payload(in), in->payload_len) == 0);
	check_sack(m, in, in->frame + in->l4_off + in->sack_off + 2, out);
}
