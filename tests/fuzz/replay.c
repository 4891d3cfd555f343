/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A driver for compilers without a fuzzing engine: every file of the corpus,
 * then -runs=N inputs made from them by small random changes, the same ones each
 * time. What fails aborts; with -save=FILE the input at hand is kept there then.
 *
 *   fuzz_NAME [-runs=N] [-seed=N] [-save=FILE] FILE|DIRECTORY...
 */
#include <dirent.h>
#include <signal.h>
#include <sys/stat.h>

#include "fuzz.h"

#define SIZE_MAX_INPUT 4096u
#define INPUTS_MAX 8192u

struct input {
	uint8_t *bytes;
	size_t size;
};

static struct input inputs[INPUTS_MAX], at_hand;
static unsigned int n_inputs;
static const char *save_path;

static uint32_t
random_below(uint64_t *state, uint32_t bound)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return (uint32_t)((*state >> 32) % bound);
}

static void
read_file(const char *path)
{
	FILE *file = fopen(path, "rb");

	if (file == NULL || n_inputs == INPUTS_MAX) {
		fprintf(stderr, "%s: cannot be read\n", path);
		exit(EXIT_FAILURE);
	}
	struct input *in = &inputs[n_inputs++];
	in->bytes = malloc(SIZE_MAX_INPUT);
	if (in->bytes == NULL)
		abort();
	in->size = fread(in->bytes, 1, SIZE_MAX_INPUT, file);
	fclose(file);
}

static int
by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static void
read_path(const char *path)
{
	struct dirent **names;
	struct stat status;

	if (stat(path, &status) != 0 || !S_ISDIR(status.st_mode)) {
		read_file(path);
		return;
	}
	int n = scandir(path, &names, NULL, by_name);
	for (int i = 0; i < n; i++) {
		char file[4096];
		snprintf(file, sizeof(file), "%s/%s", path, names[i]->d_name);
		if (stat(file, &status) == 0 && S_ISREG(status.st_mode))
			read_file(file);
		free(names[i]);
	}
	if (n >= 0)
		free(names);
}

/* Nothing comes after it but the end, whatever state the library is in. */
static void
save(int number)
{
	FILE *file = fopen(save_path, "wb");

	if (file != NULL) {
		fwrite(at_hand.bytes, 1, at_hand.size, file);
		fclose(file);
	}
	signal(number, SIG_DFL);
	raise(number);
}

static void
run(const uint8_t *bytes, size_t size)
{
	at_hand = (struct input){ fuzz_copy(bytes, size, size), size };
	LLVMFuzzerTestOneInput(at_hand.bytes, size);
	free(at_hand.bytes);
}

/* One to four changes: a byte, a bit, a stretch of another input, a cut. */
static size_t
mutate(uint64_t *random, uint8_t *bytes, size_t size)
{
	for (uint32_t i = 1 + random_below(random, 4); i > 0; i--) {
		const struct input *other = &inputs[random_below(random, n_inputs)];
		uint32_t at = random_below(random, (uint32_t)size + 1);

		switch (random_below(random, 8)) {
		case 0:
			size = at;
			break;
		case 1:
		case 2: {
			uint32_t from = random_below(random, (uint32_t)other->size + 1) & ~7u;
			size_t n = random_below(random, 64);
			if (n > other->size - from)
				n = other->size - from;
			if (n > SIZE_MAX_INPUT - at)
				n = SIZE_MAX_INPUT - at;
			memcpy(bytes + at, other->bytes + from, n);
			size = at + n > size ? at + n : size;
			break;
		}
		case 3:
		case 4:
			if (at < size)
				bytes[at] ^= (uint8_t)(1u << random_below(random, 8));
			break;
		default:
			if (at < size)
				bytes[at] = (uint8_t)random_below(random, 256);
		}
	}
	return size;
}

int
main(int argc, char **argv)
{
	static uint8_t bytes[SIZE_MAX_INPUT];
	unsigned long n_runs = 0;
	uint64_t random = 0x9e3779b97f4a7c15u;

	for (int i = 1; i < argc; i++) {
		if (strncmp(argv[i], "-runs=", 6) == 0)
			n_runs = strtoul(argv[i] + 6, NULL, 10);
		else if (strncmp(argv[i], "-seed=", 6) == 0)
			random ^= strtoull(argv[i] + 6, NULL, 10);
		else if (strncmp(argv[i], "-save=", 6) == 0)
			save_path = argv[i] + 6;
		else if (argv[i][0] != '-') /* other options are libFuzzer's */
			read_path(argv[i]);
	}
	if (save_path != NULL) {
		signal(SIGABRT, save);
		signal(SIGSEGV, save);
	}
	for (unsigned int i = 0; i < n_inputs; i++)
		run(inputs[i].bytes, inputs[i].size);
	for (unsigned long i = 0; i < n_runs && n_inputs > 0; i++) {
		const struct input *in = &inputs[random_below(&random, n_inputs)];
		memcpy(bytes, in->bytes, in->size);
		run(bytes, mutate(&random, bytes, in->size));
	}
	printf("%u inputs of the corpus and %lu made of them: no finding\n", n_inputs,
	       n_inputs > 0 ? n_runs : 0);
	for (unsigned int i = 0; i < n_inputs; i++)
		free(inputs[i].bytes);
	return n_inputs > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
