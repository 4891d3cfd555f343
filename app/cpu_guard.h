/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Before anything else of a program runs: does this CPU have all that the compiler was told it
 * has (meson.build: x86-64-v2 and AES)? If not, the program names what is missing and ends, where
 * it would be killed by an illegal instruction, perhaps only under load.
 *
 * The guard is the program's .preinit_array, which ld.so calls before the constructors of shared
 * libraries (System V gABI, "Initialization and Termination Functions"), those of DPDK among them.
 * It is compiled for the first x86-64. A program that links it defines cpu_guard_status.
 */
#ifndef SYNFRONT_CPU_GUARD_H
#define SYNFRONT_CPU_GUARD_H

#include <stddef.h>
#include <stdint.h>

/* What CPUID says of features: ECX of these leaves (Intel SDM, volume 2, CPUID). */
struct cpu_words {
	uint32_t leaf_1;
	uint32_t leaf_80000001;
};

/* The exit status of a program whose CPU lacks something. */
extern const int cpu_guard_status;

/* The complaint of `program` about a CPU that says `words`, as one line cut at `size` bytes of
 * `text`, the features by their names in /proc/cpuinfo. The length without the final zero; 0 when
 * nothing is missing. */
size_t cpu_guard_complaint(const struct cpu_words *words, const char *program, char *text,
                           size_t size);

#endif
