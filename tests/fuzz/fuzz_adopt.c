/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any bytes as a frame, for the engine's parser and cookies and for those of the program that
 * servers load, by BPF_PROG_TEST_RUN: whatever the engine reads, the program reads the same; it
 * takes for a proof what the engine takes for one, and nothing else; and what the engine does not
 * take for a whole segment is none there, but for what the kernel itself refuses behind it.
 *
 * Input: what is put right first (1), profile of the cookie (1), the frame. Its tags are taken off,
 * as the kernel does before the program sees it, and it is sent to this machine.
 *
 * Needs a kernel that can have the program, and root: else it ends with the status of a test that
 * is skipped.
 */
#include "fuzz.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "adopt.skel.h"
#include "complete.h"
#include "cookie.h"
#include "loaded.h"
#include "parsed.h"
#include "segment.h"

#include "parse.skel.h"

#define NOW_S 1800000010u
/* The kernel runs no program on a frame with less than a header of IP. */
#define LEN_LEAST 54u
#define LEN_MOST 2048u

/* What is put right, as bits. */
enum right {
	RIGHT_CHECKSUM = 0x01, /* IPv4's */
	RIGHT_PORT = 0x02,     /* the one that is listened to */
	RIGHT_COOKIE = 0x04,
	RIGHT_PROBE = 0x08, /* a cookie as a probe brings it, one below */
};

static struct program program;
static struct parse *parser;
static struct secret_ring ring;

static void
begin(void)
{
	static bool has_begun;
	uint8_t secret[MASTER_SECRET_SIZE];

	if (has_begun)
		return;
	has_begun = true;
	loaded_begin(&program);
	loaded_set_time(&program, NOW_S, false);
	parser = parse__open_and_load();
	FUZZ_CHECK(parser != NULL);
	for (unsigned int i = 0; i < MASTER_SECRET_SIZE; i++)
		secret[i] = (uint8_t)i;
	secret_init(&ring, secret, NOW_S);
}

/* False if the kernel takes no such frame. */
static bool
run(const struct bpf_program *prog, const uint8_t *frame, uint32_t len)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = len);

	return bpf_prog_test_run_opts(bpf_program__fd(prog), &opts) == 0;
}

/* Length without tags, of which the kernel knows no number. */
static uint32_t
untag(uint8_t *frame, uint32_t len)
{
	while (len >= 18 && ((frame[12] == 0x81 && frame[13] == 0) ||
	                     (frame[12] == 0x88 && frame[13] == 0xa8))) {
		memmove(frame + 12, frame + 16, len - 16);
		len -= 4;
	}
	return len;
}

static void
put_right(uint8_t *frame, uint32_t len, uint8_t right, uint8_t profile)
{
	struct segment seg;

	if (right & RIGHT_CHECKSUM)
		complete_ipv4(frame, len);
	segment_parse(&seg, frame, len, len, SIDE_OUTSIDE);
	if (seg.class != SEGMENT_TCP)
		return;
	uint8_t *tcp = frame + seg.l4_off;
	if (right & RIGHT_PORT) {
		tcp[2] = 0;
		tcp[3] = 80;
		seg.flow.server_port_be = htons(80);
	}
	if (!(right & RIGHT_COOKIE))
		return;
	struct cookie_job job = { .flow = &seg.flow,
		                  .irs = right & RIGHT_PROBE ? seg.seq : seg.seq - 1,
		                  .profile = profile % COOKIE_PROFILES,
		                  .parity = NOW_S / EPOCH_S & 1,
		                  .is_v4 = seg.is_v4 };
	cookie_make(secret_current(&ring), &job, 1);
	uint32_t ack_be = htonl(job.iss + 1);
	memcpy(tcp + 8, &ack_be, sizeof(ack_be));
}

static void
check_fields(const struct segment *seg, const struct parsed *seen)
{
	bool has_ts = (seg->options & OPTION_TIMESTAMPS) != 0;

	FUZZ_CHECK(seen->kind == PARSED_TCP);
	FUZZ_CHECK(memcmp(seen->client_be, &seg->flow.client, 16) == 0);
	FUZZ_CHECK(memcmp(seen->server_be, &seg->flow.server, 16) == 0);
	FUZZ_CHECK(seen->client_port_be == seg->flow.client_port_be);
	FUZZ_CHECK(seen->server_port_be == seg->flow.server_port_be);
	FUZZ_CHECK(seen->seq == seg->seq && seen->ack == seg->ack && seen->flags == seg->flags);
	FUZZ_CHECK(seen->l4_off == seg->l4_off - seg->l3_off && seen->l4_len == seg->l4_len);
	FUZZ_CHECK(seen->payload_len == seg->payload_len && seen->is_v4 == seg->is_v4);
	FUZZ_CHECK(seen->has_ts == has_ts);
	FUZZ_CHECK(!has_ts || (seen->tsval == seg->tsval && seen->tsecr == seg->tsecr));
}

/* As the kernel's own packets beyond 64 KiB do, which no wire carries. */
static bool
says_no_length(const struct segment *seg)
{
	const uint8_t *ip = seg->frame + seg->l3_off;

	return seg->is_v4 ? ip[2] == 0 && ip[3] == 0 : ip[4] == 0 && ip[5] == 0;
}

static void
check_parsed(const struct segment *seg, const struct parsed *seen)
{
	switch (seg->class) {
	case SEGMENT_TCP:
		check_fields(seg, seen);
		break;
	case SEGMENT_FRAGMENT_FIRST:
	case SEGMENT_FRAGMENT_LATER:
		FUZZ_CHECK(seen->kind == PARSED_FRAGMENT);
		break;
	case SEGMENT_MALFORMED:
		/* Lengths, checksums and addresses the kernel looks at itself, after it. */
		FUZZ_CHECK(seen->kind != PARSED_TCP || says_no_length(seg) ||
		           (seg->fault != FAULT_HEADER_CHAIN && seg->fault != FAULT_FRAGMENT));
		break;
	default:
		FUZZ_CHECK(seen->kind != PARSED_TCP);
	}
}

static enum cookie_proof
proof_of(const struct segment *seg)
{
	struct cookie_job job = {
		.flow = &seg->flow, .irs = seg->seq - 1, .is_v4 = seg->is_v4, .iss = seg->ack - 1
	};
	uint8_t proof;

	cookie_check(secret_current(&ring), &job, 1, &proof);
	if (proof == PROOF_EXACT || seg->payload_len > 1 || (seg->flags & TCP_FIN) != 0)
		return (enum cookie_proof)proof;
	job.irs = seg->seq;
	cookie_check(secret_current(&ring), &job, 1, &proof);
	return proof == PROOF_EXACT ? PROOF_PROBE : PROOF_NONE;
}

/* By how much a counter has grown since `before`. */
static unsigned int
grown(const struct adopt_counters *before, const struct adopt_counters *after, int which)
{
	return (unsigned int)(after->n[which] - before->n[which]);
}

static void
check_verdict(const struct segment *seg, const struct adopt_counters *before,
              const struct adopt_counters *after)
{
	unsigned int n_taken = grown(before, after, ADOPT_ASSIGNED) +
	                       grown(before, after, ADOPT_REFUSED);
	int wanted = ADOPT_UNPROVEN;

	if (seg->class != SEGMENT_TCP) {
		FUZZ_CHECK(seg->class == SEGMENT_MALFORMED || n_taken == 0);
		return;
	}
	uint8_t flags = seg->flags & (TCP_SYN | TCP_RST | TCP_ACK);
	if (flags == (TCP_SYN | TCP_ACK) && seg->flow.server_port_be == htons(80))
		wanted = ADOPT_SYN_ACK;
	else if (flags != TCP_ACK)
		wanted = ADOPT_HANDSHAKE;
	else if (seg->flow.server_port_be != htons(80))
		wanted = ADOPT_CLOSED;
	else if (proof_of(seg) != PROOF_NONE) {
		FUZZ_CHECK(n_taken == 1);
		FUZZ_CHECK(grown(before, after, ADOPT_PROBE) <= (proof_of(seg) == PROOF_PROBE));
		return;
	}
	FUZZ_CHECK(n_taken == 0 && grown(before, after, wanted) == 1);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, data + size };
	struct adopt_counters before, after;
	struct segment seg;

	begin();
	uint8_t right = fuzz_u8(&in), profile = fuzz_u8(&in);
	uint32_t len = (uint32_t)(in.end - in.at);
	if (len > LEN_MOST)
		return 0;
	uint8_t *frame = fuzz_copy(in.at, len, len);
	len = untag(frame, len);
	put_right(frame, len, right, profile);
	if (len >= LEN_LEAST)
		loaded_address(frame, frame, len);
	segment_parse(&seg, frame, len, len, SIDE_OUTSIDE);
	loaded_set_clock(&program, NOW_S);
	program_counters(&program, &before);
	if (len >= LEN_LEAST && run(parser->progs.parse, frame, len)) {
		FUZZ_CHECK(run(program.skeleton->progs.synfront_adopt, frame, len));
		program_counters(&program, &after);
		check_parsed(&seg, &parser->bss->seen);
		check_verdict(&seg, &before, &after);
	}
	free(frame);
	return 0;
}
