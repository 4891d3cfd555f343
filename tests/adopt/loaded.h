/* SPDX-License-Identifier: BSD-3-Clause */
/* The program, loaded into the kernel of this machine, for tests by BPF_PROG_TEST_RUN: no
 * interface has it. */
#ifndef SYNFRONT_ADOPT_LOADED_H
#define SYNFRONT_ADOPT_LOADED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "program.h"

/* meson's word for a test that cannot run here. */
#define LOADED_SKIP 77

/* Enter a network namespace of our own, where port 80 is listened to in both families, and load
 * the program with a service on all ports. Ends the process, with the reason on standard error,
 * if this kernel or this user cannot have it. */
void loaded_begin(struct program *program);

/* The bytes of secret[i] are this and those that follow. */
#define LOADED_SECRET(i) ((uint8_t)(64 * (i)))

/* Keys of epochs around a wall time, under the secret 00 01 .. 1f and, with `two`, under
 * 40 41 .. 5f, and that time for clock. */
void loaded_set_time(struct program *program, uint64_t wall_s, bool two);

/* That time alone: it goes on from there. */
void loaded_set_clock(struct program *program, uint64_t wall_s);

/* The frame as one to this machine: the kernel runs it as received by the loopback interface, whose
 * address is of zeros. `here`: `len` bytes, at least 14; may be `frame`. */
void loaded_address(uint8_t *here, const uint8_t *frame, size_t len);

/* Run it on a frame to this machine. The counter that this ends in, but for those that count besides;
 * ADOPT_COUNTERS: in more than one; -1: in none, so it is not for a service. Ends the process if
 * the kernel takes no such frame. */
int loaded_run(struct program *program, const uint8_t *frame, size_t len);
/* The same to whichever station it names. */
int loaded_run_as_it_is(struct program *program, const uint8_t *frame, size_t len);

/* Unload. */
void loaded_end(struct program *program);

#endif
