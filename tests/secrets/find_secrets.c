/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Looks for key material in files: core dumps, logs, what telemetry has said.
 *
 *   find_secrets MASTER_HEX FIRST_EPOCH LAST_EPOCH FILE...
 *
 * What is looked for, at any offset: the master secret, as bytes and as hex digits; the
 * round keys of its two halves; and of each epoch all round keys of both families and the
 * profiles' masks. Each find is a line "FILE: OFFSET: WHAT". Exit status 0: nothing was
 * found; 1: something; 2: it did not look.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "secret.h"

#define NEEDLE_SIZE 16u
#define NEEDLES_MAX 4096u
#define FINDS_MAX 64u

struct needle {
	uint8_t bytes[NEEDLE_SIZE];
	char what[48];
};

static struct needle needles[NEEDLES_MAX];
static unsigned int n_needles;
static uint8_t begins[65536 / 8]; /* of what two bytes some needle begins with */

static void
add(const uint8_t *bytes, const char *what, unsigned int number)
{
	struct needle *n = &needles[n_needles];
	unsigned int begin = (unsigned int)bytes[0] << 8 | bytes[1];

	if (n_needles == NEEDLES_MAX)
		return;
	memcpy(n->bytes, bytes, NEEDLE_SIZE);
	snprintf(n->what, sizeof(n->what), "%s %u", what, number);
	begins[begin / 8] |= (uint8_t)(1u << begin % 8);
	n_needles++;
}

static void
add_key(const struct aes_key *key, const char *what)
{
	for (unsigned int i = 0; i < 11; i++)
		add(key->round[i], what, i);
}

static void
add_epoch(const uint8_t master[MASTER_SECRET_SIZE], uint32_t epoch)
{
	struct secret_ring ring;

	secret_init(&ring, master, (uint64_t)epoch * EPOCH_S);
	const struct epoch_keys *keys = &ring.current->parity[epoch & 1];
	add_key(&keys->v4, "IPv4 round key");
	add_key(&keys->v6, "IPv6 round key");
	for (unsigned int i = 0; i < 32; i++)
		add(keys->profile_mask[i], "profile mask", i);
}

static void
add_master(const uint8_t master[MASTER_SECRET_SIZE])
{
	char hex[2 * MASTER_SECRET_SIZE + 1];
	struct aes_key key = { 0 };

	for (unsigned int half = 0; half < 2; half++) {
		aes_expand(&key, master + 16 * half);
		add_key(&key, half == 0 ? "first half of the master, round" : "second half, round");
	}
	for (unsigned int upper = 0; upper < 2; upper++) {
		for (unsigned int i = 0; i < MASTER_SECRET_SIZE; i++)
			snprintf(hex + 2 * i, 3, upper ? "%02X" : "%02x", master[i]);
		for (unsigned int i = 0; i < 4; i++)
			add((const uint8_t *)hex + NEEDLE_SIZE * i, "master in hex, part", i);
	}
}

static unsigned int
look(const char *name, const uint8_t *bytes, size_t size)
{
	unsigned int n_found = 0;

	for (size_t at = 0; at + NEEDLE_SIZE <= size; at++) {
		unsigned int begin = (unsigned int)bytes[at] << 8 | bytes[at + 1];
		if ((begins[begin / 8] >> begin % 8 & 1) == 0)
			continue;
		for (unsigned int i = 0; i < n_needles; i++) {
			if (memcmp(bytes + at, needles[i].bytes, NEEDLE_SIZE) != 0)
				continue;
			if (n_found++ < FINDS_MAX)
				printf("%s: %zu: %s\n", name, at, needles[i].what);
		}
	}
	return n_found;
}

/* How much was found, or -1. */
static int
look_in(const char *name)
{
	int fd = open(name, O_RDONLY | O_CLOEXEC), n_found = -1;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) != 0 || st.st_size == 0) {
		fprintf(stderr, "find_secrets: %s: %s\n", name, fd < 0 ? strerror(errno) : "empty");
	} else {
		void *bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
		if (bytes != MAP_FAILED) {
			n_found = (int)look(name, bytes, (size_t)st.st_size);
			munmap(bytes, (size_t)st.st_size);
		}
	}
	if (fd >= 0)
		close(fd);
	return n_found;
}

int
main(int argc, char **argv)
{
	uint8_t master[MASTER_SECRET_SIZE];
	int n_found = 0;

	if (argc < 5 || strlen(argv[1]) != 2 * MASTER_SECRET_SIZE) {
		fputs("usage: find_secrets MASTER_HEX FIRST_EPOCH LAST_EPOCH FILE...\n", stderr);
		return 2;
	}
	for (unsigned int i = 0; i < MASTER_SECRET_SIZE; i++)
		if (sscanf(argv[1] + 2 * i, "%2hhx", &master[i]) != 1)
			return 2;
	add_master(master);
	for (uint32_t e = (uint32_t)atoi(argv[2]); e <= (uint32_t)atoi(argv[3]); e++)
		add_epoch(master, e);
	for (int i = 4; i < argc; i++) {
		int found = look_in(argv[i]);
		if (found < 0)
			return 2;
		n_found += found;
	}
	return n_found != 0;
}
