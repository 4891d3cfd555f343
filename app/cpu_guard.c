/* SPDX-License-Identifier: BSD-3-Clause */
/* Asking CPUID. Nothing is called here but write() and _exit(): no library is ready yet. */
#include "cpu_guard.h"

#include <cpuid.h>
#include <unistd.h>

static const struct feature {
	const char *name;
	uint32_t in_leaf_1, in_leaf_80000001; /* a bit of either */
} features[] = {
	/* x86-64-v2 (x86-64 psABI, "Micro-Architecture Levels") */
	{ "pni", bit_SSE3, 0 },
	{ "ssse3", bit_SSSE3, 0 },
	{ "cx16", bit_CMPXCHG16B, 0 },
	{ "sse4_1", bit_SSE4_1, 0 },
	{ "sse4_2", bit_SSE4_2, 0 },
	{ "popcnt", bit_POPCNT, 0 },
	{ "lahf_lm", 0, bit_LAHF_LM },
	/* The cookie's cipher */
	{ "aes", bit_AES, 0 },
};

/* A line that grows to `size` bytes with its zero, and no further. */
struct line {
	char *text;
	size_t len, size;
};

static void
append(struct line *line, const char *text)
{
	for (; *text != '\0' && line->len + 1 < line->size; text++)
		line->text[line->len++] = *text;
	line->text[line->len] = '\0';
}

size_t
cpu_guard_complaint(const struct cpu_words *words, const char *program, char *text, size_t size)
{
	struct line line = { text, 0, size };

	for (size_t i = 0; i < sizeof(features) / sizeof(features[0]); i++) {
		const struct feature *f = &features[i];
		if ((words->leaf_1 & f->in_leaf_1) != 0 ||
		    (words->leaf_80000001 & f->in_leaf_80000001) != 0)
			continue;
		if (line.len == 0) {
			append(&line, program);
			append(&line, ": this CPU lacks");
		}
		append(&line, " ");
		append(&line, f->name);
	}
	if (line.len != 0)
		append(&line, " (named as in /proc/cpuinfo). In a virtual machine, give it the "
		              "host's CPU model.\n");
	return line.len;
}

static const char *
base_name(const char *path)
{
	const char *name = path;

	for (; *path != '\0'; path++)
		if (*path == '/')
			name = path + 1;
	return name;
}

static void
guard(int argc, char **argv, char **environment)
{
	struct cpu_words words = { 0 };
	unsigned int eax, ebx, edx;
	char text[256];

	(void)environment;
	/* Without such a leaf they write nothing. */
	(void)__get_cpuid(1, &eax, &ebx, &words.leaf_1, &edx);
	(void)__get_cpuid(0x80000001, &eax, &ebx, &words.leaf_80000001, &edx);
	size_t len = cpu_guard_complaint(&words, argc > 0 ? base_name(argv[0]) : "synfront", text,
	                                 sizeof(text));
	if (len == 0)
		return;
	ssize_t written = write(STDERR_FILENO, text, len);
	(void)written;
	_exit(cpu_guard_status);
}

__attribute__((section(".preinit_array"), used)) static void (*const first)(int, char **,
                                                                            char **) = guard;
