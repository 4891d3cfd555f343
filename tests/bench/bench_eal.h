/* SPDX-License-Identifier: BSD-3-Clause */
/* EAL under a bench that has all it measures in itself: no devices, no huge pages, and a name that
 * no other process has. */
#ifndef SYNFRONT_BENCH_EAL_H
#define SYNFRONT_BENCH_EAL_H

/* `lcores`: as --lcores takes them, "LCORE@CPU,..."; memory in MiB. 0, or -1. */
int bench_eal_start(const char *lcores, unsigned int megabytes);

/* Nothing is left of it in the file system. */
void bench_eal_stop(void);

#endif
