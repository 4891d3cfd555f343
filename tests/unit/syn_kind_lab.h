/* SPDX-License-Identifier: BSD-3-Clause */
/* A core with a service of each mode, and single SYNs that it meets. */
#ifndef SYNFRONT_SYN_KIND_LAB_H
#define SYNFRONT_SYN_KIND_LAB_H

#include "check.h"
#include "core.h"
#include "syn_kind.h"

enum {
	PROXY,
	RESPOND,
	HANDOFF,
	BYPASS,
	SERVICES
};
#define PORT_OF(service) (100u + (service))
#define PORTS_OF_RESPOND 1000u /* and all above */

extern struct kind_lab {
	struct core *core;
	struct service services[SERVICES];
	struct policy policy;
	struct instant now;
} lab;

void kind_lab_begin(void);
void kind_lab_end(void);

/* A SYN to this port, with all options. */
struct segment kind_lab_syn(bool is_v4, unsigned int port);
/* The `number`-th one to another port, of those with the same place as `seg`. */
struct segment kind_lab_of_same_place(const struct segment *seg, unsigned int number);

/* Its kind: as one of a burst, or alone in its own. */
const struct syn_kind *kind_lab_meet_in(struct syn_kinds *kinds, const struct segment *seg);
const struct syn_kind *kind_lab_meet(const struct segment *seg);
/* The same: is what stands in its place taken for its kind as it is? */
bool kind_lab_remembers_in(struct syn_kinds *kinds, const struct segment *seg);
bool kind_lab_remembers(const struct segment *seg);

/* It is found out once, when it comes next, and is remembered from then on. */
#define FOUND_ANEW(seg)                                   \
	do {                                              \
		CU_ASSERT_FALSE(kind_lab_remembers(seg)); \
		CU_ASSERT_TRUE(kind_lab_remembers(seg));  \
	} while (0)

/* Its server, with all options known. */
struct backend *kind_lab_server(const struct segment *seg);

/* Is it that of this SYN, met in the last burst? */
void kind_lab_check(const struct syn_kind *kind, const struct segment *seg);
struct segment_found kind_lab_found_by(const struct syn_kind *kind);
/* Meet it: what is found out by its service? */
void kind_lab_check_found(const struct segment *seg, uint8_t way, uint16_t service, uint8_t lane);

extern CU_TestInfo syn_kind_turns_tests[];

#endif
