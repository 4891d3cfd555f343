/* SPDX-License-Identifier: BSD-3-Clause */
/* Positions of keys in the file that a conf was made from. */
#ifndef SYNFRONT_CONF_PLACES_H
#define SYNFRONT_CONF_PLACES_H

#include "reader.h"

/* Note those of the document. 0, or -1 and the error. */
int conf_note_places(struct conf_reader *r, const struct conf_place *root);

#endif
