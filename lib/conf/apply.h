/* SPDX-License-Identifier: BSD-3-Clause */
/* Fill a struct from a node by the table of its mapping. */
#ifndef SYNFRONT_CONF_APPLY_H
#define SYNFRONT_CONF_APPLY_H

#include "conf_table.h"
#include "reader.h"

/* place->node is the mapping node, or NULL: all defaults. `base`: the struct, zeroed. */
int conf_apply(struct conf_reader *r, const struct conf_place *place,
               const struct conf_mapping *mapping, void *base);

#endif
