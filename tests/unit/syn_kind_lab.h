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
	uint16_t n_strangers;
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

/* How a SYN came by its kind. */
enum kind_lab_how {
	REMEMBERED,  /* it stood in its place */
	FOUND_OUT,   /* all anew, in its place */
	DERIVED,     /* for the burst, from a base that was at hand */
	DERIVED_ANEW /* for the burst, from a base that was found out for it */
};
enum kind_lab_how kind_lab_how_in(struct syn_kinds *kinds, const struct segment *seg);
enum kind_lab_how kind_lab_how(const struct segment *seg);
/* So many bursts without a SYN. */
void kind_lab_pass(unsigned int n_bursts);
/* Time goes on, as answers have it. */
void kind_lab_turn(void);
/* One that was never met, of the base that `seg` has. */
struct segment kind_lab_stranger(const struct segment *seg);

/* It comes that way. */
#define COMES(seg, how) CU_ASSERT_EQUAL(kind_lab_how(seg), how)
/* It does not stand in its place, and is derived. */
#define COMES_DERIVED(seg) CU_ASSERT_TRUE(kind_lab_how(seg) >= DERIVED)

/* One that is not at hand has its place when it comes for the second time. */
#define GETS_PLACE(seg)                 \
	do {                            \
		COMES_DERIVED(seg);     \
		COMES(seg, FOUND_OUT);  \
		COMES(seg, REMEMBERED); \
	} while (0)

/* Its base is found out once, when one comes that has no place, and is at hand from then on. */
#define BASE_FOUND_ANEW(seg)                                           \
	do {                                                           \
		const struct segment first_ = kind_lab_stranger(seg),  \
				     second_ = kind_lab_stranger(seg); \
		COMES(&first_, DERIVED_ANEW);                          \
		COMES(&second_, DERIVED);                              \
	} while (0)

/* As a turn begins: one that stands in its place is found out once, and so is its base. */
#define FOUND_ANEW(seg)                 \
	do {                            \
		COMES(seg, FOUND_OUT);  \
		COMES(seg, REMEMBERED); \
		BASE_FOUND_ANEW(seg);   \
	} while (0)

/* Neither is found out. */
#define NOT_FOUND_ANEW(seg)                                           \
	do {                                                          \
		const struct segment other_ = kind_lab_stranger(seg); \
		COMES(seg, REMEMBERED);                               \
		COMES(&other_, DERIVED);                              \
	} while (0)

/* Something has changed while a turn lasts: the base alone is found out with it, and until the turn
 * ends its kind is derived. */
#define FOUND_ANEW_IN_TURN(seg)           \
	do {                              \
		COMES(seg, DERIVED_ANEW); \
		COMES(seg, DERIVED);      \
		COMES(seg, DERIVED);      \
		kind_lab_turn();          \
		FOUND_ANEW(seg);          \
	} while (0)

/* Where its base would stand. */
struct syn_base *kind_lab_base(const struct segment *seg);
/* Its server, with all options known. */
struct backend *kind_lab_server(const struct segment *seg);

/* Is it that of this SYN, good for the last burst? */
void kind_lab_check(const struct syn_kind *kind, const struct segment *seg);
struct segment_found kind_lab_found_by(const struct syn_kind *kind);
/* Meet it by each way: what is found out by its service? */
void kind_lab_check_found(const struct segment *seg, uint8_t way, uint16_t service, uint8_t lane);

extern CU_TestInfo syn_kind_turns_tests[];
extern CU_TestInfo syn_kind_base_tests[];

#endif
