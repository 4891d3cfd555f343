/* SPDX-License-Identifier: BSD-3-Clause */
#include "syn_kind_lab.h"

#define ALL_OPTIONS (OPTION_MSS | BACKEND_OPTIONS)
#define MARK 0x12345678u

struct kind_lab lab;
static const uint8_t modes[SERVICES] = { MODE_PROXY, MODE_RESPOND, MODE_HANDOFF, MODE_BYPASS };
static struct port_range ports[SERVICES][2];
static struct prefix protected[2];
static const struct secret_set secrets[SECRET_SETS];

void
kind_lab_begin(void)
{
	struct core_params params = { .connections = 64,
		                      .half_open = 64,
		                      .backends = 64,
		                      .paths = 64,
		                      .sources = 256,
		                      .held = 8,
		                      .hold_bytes = 4096,
		                      .n_workers = 1,
		                      .has_inside = true };
	uint32_t a, b;

	protected[0] = (struct prefix){ ip_addr_v4(htobe32(0xc6120000)), 112 };
	protected[1] = (struct prefix){ { .quads_be = { htobe64(0x20010db800000000) } }, 32 };
	for (unsigned int i = 0; i < SERVICES; i++) {
		ports[i][0] = (struct port_range){ (uint16_t)PORT_OF(i), (uint16_t)PORT_OF(i) };
		ports[i][1] = (struct port_range){ PORTS_OF_RESPOND, UINT16_MAX };
		lab.services[i] = (struct service){ .id = (uint16_t)i,
			                            .mode = modes[i],
			                            .group_id = modes[i] == MODE_HANDOFF,
			                            .promise = { .mss = 1460, .mss6 = 1440 },
			                            .addresses = protected,
			                            .n_addresses = 2,
			                            .ports = ports[i],
			                            .n_ports = i == RESPOND ? 2 : 1 };
	}
	lab.policy = (struct policy){ .generation = 1,
		                      .services = lab.services,
		                      .n_services = SERVICES };
	CU_ASSERT_PTR_NULL_FATAL(policy_compile(&lab.policy, &a, &b));
	lab.n_strangers = 0;
	lab.now = (struct instant){ 5000000, 1700000000000, secrets };
	void *memory = aligned_alloc(64, (core_size(&params) + 63) & ~(size_t)63);
	CU_ASSERT_PTR_NOT_NULL_FATAL(memory);
	lab.core = core_init(memory, &params, &lab.policy, &lab.now);
	lab.core->sources.now_s = instant_s(&lab.now);
}

void
kind_lab_end(void)
{
	policy_free_index(&lab.policy);
	free(lab.core);
}

struct segment
kind_lab_syn(bool is_v4, unsigned int port)
{
	struct segment seg = {
		.flow = { .client = ip_addr_v4(htobe32(0x0a000001)),
		          .server = ip_addr_v4(htobe32(0xc6120101)),
		          .client_port_be = htobe16(40000),
		          .server_port_be = htobe16((uint16_t)port) },
		.seq = 1000,
		.flags = TCP_SYN,
		.is_v4 = is_v4,
		.options = ALL_OPTIONS,
		.mss = 1400,
		.wscale = 7,
		.ts_off = 24,
		.shape = is_v4 ? SHAPE_SYN_V4 : SHAPE_SYN_V6,
		.tsval = 77,
		.side = SIDE_OUTSIDE,
	};

	if (!is_v4) {
		seg.flow.client.quads_be[0] = htobe64(0x20010db900000000);
		seg.flow.server.quads_be[0] = htobe64(0x20010db800000000);
	}
	return seg;
}

const struct syn_kind *
kind_lab_meet_in(struct syn_kinds *kinds, const struct segment *seg)
{
	bool has_shape = seg->shape == SHAPE_SYN_V4 || seg->shape == SHAPE_SYN_V6;

	return syn_kind_of(lab.core, seg, &lab.now, kinds, has_shape, seg->is_v4);
}

const struct syn_kind *
kind_lab_meet(const struct segment *seg)
{
	struct syn_kinds kinds;

	syn_kinds_begin(lab.core, &kinds, &lab.now);
	return kind_lab_meet_in(&kinds, seg);
}

struct syn_base *
kind_lab_base(const struct segment *seg)
{
	uint64_t mixed = syn_kind_mixed(seg, syn_plan_base(seg));

	return &lab.core->bases[mixed >> (64 - SYN_BASES_BITS)];
}

/* What was found out before is marked. */
enum kind_lab_how
kind_lab_how_in(struct syn_kinds *kinds, const struct segment *seg)
{
	struct syn_kind *place = syn_kind_place(lab.core, seg);
	struct syn_base *base = kind_lab_base(seg);
	uint32_t was = place->found[0], base_was = base->kind.found[0];

	place->found[0] = base->kind.found[0] = MARK;
	const struct syn_kind *kind = kind_lab_meet_in(kinds, seg);
	struct syn_kind *mine = &lab.core->kinds[kind - lab.core->kinds];
	bool is_old = mine->found[0] == MARK;
	if (is_old)
		mine->found[0] = FLOW_NONE;
	if (place->found[0] == MARK)
		place->found[0] = was;
	if (base->kind.found[0] == MARK)
		base->kind.found[0] = base_was;
	if (kind == place)
		return is_old ? REMEMBERED : FOUND_OUT;
	return is_old ? DERIVED : DERIVED_ANEW;
}

enum kind_lab_how
kind_lab_how(const struct segment *seg)
{
	struct syn_kinds kinds;

	syn_kinds_begin(lab.core, &kinds, &lab.now);
	return kind_lab_how_in(&kinds, seg);
}

void
kind_lab_pass(unsigned int n_bursts)
{
	struct syn_kinds kinds;

	for (unsigned int i = 0; i < n_bursts; i++)
		syn_kinds_begin(lab.core, &kinds, &lab.now);
}

/* None of them has an MSS below the one that counts where none is said. */
struct segment
kind_lab_stranger(const struct segment *seg)
{
	struct segment stranger = *seg;

	stranger.mss = (uint16_t)(3000 + lab.n_strangers++);
	return stranger;
}

void
kind_lab_turn(void)
{
	lab.now.wall_ms += 1u << COOKIE_TS_UNIT_SHIFT;
}

struct segment
kind_lab_of_same_place(const struct segment *seg, unsigned int number)
{
	struct segment other = *seg;

	/* A few ports for each place, so that another MSS must do for more. */
	for (unsigned int port = PORTS_OF_RESPOND; other.mss != 0; port++) {
		if (port > UINT16_MAX) {
			port = PORTS_OF_RESPOND;
			other.mss++;
		}
		other.flow.server_port_be = htobe16((uint16_t)port);
		if (other.flow.server_port_be != seg->flow.server_port_be &&
		    syn_kind_place(lab.core, &other) == syn_kind_place(lab.core, seg) &&
		    number-- == 0)
			return other;
	}
	CU_FAIL_FATAL("no such SYN");
	return other;
}

void
kind_lab_check(const struct syn_kind *kind, const struct segment *seg)
{
	CU_ASSERT_TRUE(syn_kind_is(kind, seg, seg->is_v4));
	CU_ASSERT_PTR_EQUAL(syn_kind_at(lab.core, kind->found[1]), kind);
	CU_ASSERT_TRUE(kind == syn_kind_place(lab.core, seg) ? kind->burst == lab.core->n_bursts
	                                                     : kind >= &lab.core->kinds[SYN_KINDS]);
	CU_ASSERT_EQUAL(kind->is_v4, seg->is_v4);
}

struct segment_found
kind_lab_found_by(const struct syn_kind *kind)
{
	struct segment_found found;

	memcpy(&found.entry, kind->found, sizeof(kind->found));
	return found;
}

static void
check_found(const struct segment *seg, uint8_t way, uint16_t service, uint8_t lane)
{
	const struct syn_kind *kind = kind_lab_meet(seg);
	const struct segment_found found = kind_lab_found_by(kind);

	kind_lab_check(kind, seg);
	CU_ASSERT_EQUAL(kind->way, way);
	CU_ASSERT_EQUAL(found.entry, FLOW_NONE);
	CU_ASSERT_EQUAL(found.service, service);
	CU_ASSERT_EQUAL(found.lane, lane);
	CU_ASSERT_EQUAL(found.proof, PROOF_UNCHECKED);
	CU_ASSERT_EQUAL(found.profile, kind->profile);
	if (way == LOCATE_NOTHING) {
		CU_ASSERT_EQUAL(kind->profile, PROFILE_UNMADE);
		return;
	}
	CU_ASSERT_EQUAL(found.plain, UINT8_MAX); /* it is answered, or decided on by the table */
	CU_ASSERT_PTR_EQUAL(kind->state, &lab.core->services[service]);
	CU_ASSERT_EQUAL(kind->profile, kind->plan->profile);
	const struct epoch_keys *keys = lab.now.secrets->parity;
	CU_ASSERT_PTR_EQUAL((const uint8_t *)keys + kind->mask_at,
	                    keys->profile_mask[kind->profile]);
}

/* The last but one is found out in its place, if it was not before. */
void
kind_lab_check_found(const struct segment *seg, uint8_t way, uint16_t service, uint8_t lane)
{
	check_found(seg, way, service, lane);
	kind_lab_turn();
	for (unsigned int i = 0; i < 3; i++)
		check_found(seg, way, service, lane);
	CU_ASSERT_PTR_EQUAL(kind_lab_meet(seg), syn_kind_place(lab.core, seg));
}

struct backend *
kind_lab_server(const struct segment *seg)
{
	uint32_t number = backend_find(&lab.core->backends, &seg->flow.server,
	                               seg->flow.server_port_be, true, lab.core->sources.now_s);
	struct backend *b = backend_at(&lab.core->backends, number);

	b->known = b->sack = b->timestamps = true;
	b->settled = BACKEND_OPTIONS;
	b->mss = 1300;
	b->wscale = 9;
	return b;
}
