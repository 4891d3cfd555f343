/* SPDX-License-Identifier: BSD-3-Clause */
/* How the tests of explain ask, and hold what was said against what comes. */
#ifndef SYNFRONT_EXPLAIN_LAB_H
#define SYNFRONT_EXPLAIN_LAB_H

#include "core_lab.h"
#include "explain.h"

struct explained {
	struct explain_facts facts;
	struct explain_answer answer;
};

/* The flow of such a segment. */
struct segment explained_flow(struct lab *lab, const struct lab_seg *spec);

/* What is said of its next segments, or of those of the lab's client; the core is held against what
 * it was before. */
struct explained explained_of(struct lab *lab, const struct lab_seg *spec);
struct explained explained(struct lab *lab);

/* What a trial makes of a segment that is not among those that are asked for. */
enum counter explained_outcome(struct lab *lab, const struct lab_seg *spec);

/* The last step's outcome, as the verdict foretold it. */
void explained_came_true(struct lab *lab, const struct explain_verdict *v);
/* Was it decided by this row of the decision table? */
bool explained_row_is(const struct explain_verdict *v, const char *name);

#endif
