/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What no two engines may have: an instance's name, and the kernel's interface behind
 * a port. EAL's own lock comes with shared hugepage files only, which we do not make;
 * a TAP is opened by as many processes as like to, each of which gets a part of its flows; and
 * on AF_PACKET each gets a copy of every frame.
 *
 * A claim is a listening socket in the abstract namespace, which is the network
 * namespace's as the interface's name is. The kernel ends it with the process, however
 * that ends, and tells a later one whose it is.
 */
#ifndef SYNFRONT_CLAIM_H
#define SYNFRONT_CLAIM_H

/* 0, or -1 with the reason logged: another engine of this name answers. */
int claim_instance(const char *instance);

/* Claim what is behind a port, if it needs that, until this process ends. 0, or -1 with the
 * reason logged. `name`: outside or inside. */
int claim_port(const char *name, const char *device);

#endif
