/* SPDX-License-Identifier: BSD-3-Clause */
/* The tables that the program in the kernel encrypts by; see aes.bpf.h. */
#ifndef SYNFRONT_ADOPT_AES_TABLES_H
#define SYNFRONT_ADOPT_AES_TABLES_H

#include <stdint.h>

void aes_tables_fill(uint32_t table[4][256], uint8_t sbox[256]);

#endif
