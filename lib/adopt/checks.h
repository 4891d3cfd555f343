/* SPDX-License-Identifier: BSD-3-Clause */
/* All that keeps a server from taking clients over, as far as it can be seen from here. */
#ifndef SYNFRONT_ADOPT_CHECKS_H
#define SYNFRONT_ADOPT_CHECKS_H

#include "agent_conf.h"
#include "findings.h"

#define CHECKS_BTF "/sys/kernel/btf/vmlinux"

/* Without these nothing can be loaded: the kernel's own types in the file `btf`, the function
 * that makes a connection, capabilities. */
void checks_kernel(struct findings *f, const char *btf);

/* Interfaces, settings, listeners. */
void checks_traps(struct findings *f, const struct agent_conf *conf);
void checks_listeners(struct findings *f, const struct agent_conf *conf);

/* Rules of nftables; starts nft(8). */
void checks_rules(struct findings *f);
/* What `nft -j list ruleset` says, judged: `loose` is nf_conntrack_tcp_loose. */
void checks_rules_text(struct findings *f, const char *json, bool loose);

#endif
