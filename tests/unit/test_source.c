/* SPDX-License-Identifier: BSD-3-Clause */
/* Source prefixes against an array, under a good, an identity and a constant hash. */
#include "source.h"

#include "addr_hash_stub.h"

#define N_CLIENTS 600u

/* A prefix as the model tells it apart: the masked address and its length. */
struct model_prefix {
	struct prefix prefix;
	uint32_t n_conns, n_half_open, n_new, second;
};

struct model {
	struct trial trial;
	struct source_table table;
	void *memory;
	struct ip_addr clients[N_CLIENTS];
	unsigned int hosts[N_CLIENTS], nets[N_CLIENTS]; /* their prefixes */
	uint32_t conns[N_CLIENTS][2];                   /* open, counted in host and net */
	struct model_prefix prefixes[2 * N_CLIENTS];
	unsigned int n_prefixes;
};

static struct model model;

static struct ip_addr
client_addr(uint32_t i)
{
	struct ip_addr a = ip_addr_v4(__builtin_bswap32(0x0a000000u + (i / 4 % 50) * 256 + i % 5));

	switch (i % 4) {
	case 0:
		return a;
	case 1: /* an IPv6 host whose first 8 bytes are those of an IPv4 record */
		return (struct ip_addr){ .words_be = { a.words_be[3], 0, 0, i } };
	default: /* a few /64 in a few /48 */
		return (struct ip_addr){ .bytes = { 0x20, 1, 0xd, 0xb8, 0, (uint8_t)(i % 30), 0,
			                            (uint8_t)(i % 7), 1, (uint8_t)i } };
	}
}

static unsigned int
prefix_number(const struct ip_addr *client, uint8_t len)
{
	struct prefix p = { ip_addr_mask(client, len), len };
	unsigned int i = 0;

	for (; i < model.n_prefixes; i++)
		if (model.prefixes[i].prefix.len == len &&
		    ip_addr_equal(&model.prefixes[i].prefix.addr, &p.addr))
			return i;
	model.prefixes[i].prefix = p;
	return model.n_prefixes++;
}

static void
model_start(uint64_t seed, enum trial_hash kind, uint32_t capacity)
{
	static const struct flow_hash_key key;

	memset(&model, 0, sizeof(model));
	model.trial = trial_start(seed);
	addr_hash_kind = kind;
	model.memory = trial_memory(source_table_size(capacity));
	source_table_init(&model.table, model.memory, capacity, &key);
	model.table.now_s = 1000;
	for (uint32_t i = 0; i < N_CLIENTS; i++) {
		struct ip_addr a = client_addr(i);
		bool v4 = ip_addr_is_v4(&a);
		model.clients[i] = a;
		model.hosts[i] = prefix_number(&a, v4 ? 128 : 64);
		model.nets[i] = prefix_number(&a, v4 ? 120 : 48);
	}
}

static bool
agrees(const struct source *s, const struct model_prefix *p)
{
	uint32_t n_new = p->second == model.table.now_s ? p->n_new : 0;

	if (s == NULL) /* not counted, or nothing to count */
		return p->n_conns == 0 && p->n_half_open == 0 && n_new == 0;
	return s->n_conns == p->n_conns && s->n_half_open == p->n_half_open &&
	       source_new(&model.table, s) == n_new;
}

static void
count_open(struct source *s, struct model_prefix *p, uint32_t *counted)
{
	if (s == NULL)
		return;
	s->n_conns++;
	source_add_new(&model.table, s);
	p->n_new = p->second == model.table.now_s ? p->n_new + 1 : 1;
	p->second = model.table.now_s;
	p->n_conns++;
	++*counted;
}

static void
count_close(struct source *s, struct model_prefix *p, uint32_t *counted)
{
	if (*counted == 0)
		return;
	TRIAL_CHECK(&model.trial, s != NULL);
	s->n_conns--;
	p->n_conns--;
	--*counted;
}

static void
random_step(void)
{
	uint32_t i = trial_pick(&model.trial, N_CLIENTS);
	struct model_prefix *host = &model.prefixes[model.hosts[i]];
	struct model_prefix *net = &model.prefixes[model.nets[i]];
	bool open = trial_pick(&model.trial, 5) < 1 + model.trial.step / 8000 % 4;
	struct source_pair pair = source_find(&model.table, &model.clients[i], false);

	TRIAL_CHECK(&model.trial, agrees(pair.host, host) && agrees(pair.net, net));
	if (open) {
		pair = source_find(&model.table, &model.clients[i], true);
		TRIAL_CHECK(&model.trial, agrees(pair.host, host) && agrees(pair.net, net));
		count_open(pair.host, host, &model.conns[i][0]);
		count_open(pair.net, net, &model.conns[i][1]);
		return;
	}
	count_close(pair.host, host, &model.conns[i][0]);
	count_close(pair.net, net, &model.conns[i][1]);
	source_settle(&model.table, pair);
	if (trial_pick(&model.trial, 50) == 0)
		model.table.now_s++;
}

static uint32_t
records_used(void)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < 4 * (model.table.mask + 1); i++)
		n += model.table.sources[i].kind != SOURCE_FREE;
	return n;
}

static void
random_run(uint64_t seed, enum trial_hash kind, uint32_t capacity)
{
	model_start(seed, kind, capacity);
	for (; model.trial.step < 60000; model.trial.step++)
		random_step();
	TRIAL_CHECK(&model.trial, model.table.used == records_used());
	/* Close all; what proved a client this second stays, until its second is over. */
	for (uint32_t i = 0; i < N_CLIENTS; i++) {
		struct source_pair pair;
		while (model.conns[i][0] + model.conns[i][1] > 0) {
			pair = source_find(&model.table, &model.clients[i], false);
			count_close(pair.host, &model.prefixes[model.hosts[i]], &model.conns[i][0]);
			count_close(pair.net, &model.prefixes[model.nets[i]], &model.conns[i][1]);
		}
	}
	model.table.now_s++;
	for (uint32_t i = 0; i < N_CLIENTS; i++)
		source_settle(&model.table, source_find(&model.table, &model.clients[i], false));
	TRIAL_CHECK(&model.trial, model.table.used == 0 && records_used() == 0);
	free(model.memory);
}

static void
test_table_roomy_agrees_with_model(void)
{
	random_run(101, HASH_GOOD, 2 * N_CLIENTS);
}

static void
test_table_crowded_agrees_with_model(void)
{
	random_run(102, HASH_GOOD, 64);
	random_run(103, HASH_IDENTITY, 64);
	random_run(104, HASH_CONSTANT, 64);
}

static void
test_table_constant_hash_counts_one_set(void)
{
	uint32_t n = 0;

	model_start(105, HASH_CONSTANT, 1024);
	for (uint32_t i = 0; i < N_CLIENTS; i++) {
		struct source_pair pair = source_find(&model.table, &model.clients[i], true);
		if (pair.host != NULL && pair.host->n_conns++ == 0)
			n++;
		if (pair.net != NULL && pair.net->n_conns++ == 0)
			n++;
	}
	/* The two halves of this hash name two sets of four. */
	TRIAL_CHECK(&model.trial, n == 8 && model.table.used == n);
	free(model.memory);
}

static void
test_table_capacity_of_prefixes_all_counted(void)
{
	uint32_t n_refused = 0, capacity = 4096; /* a power of two: the fullest */

	model_start(106, HASH_GOOD, capacity);
	TRIAL_CHECK(&model.trial, model.table.mask + 1 == 2048);
	for (uint32_t i = 0; i < capacity / 2; i++) {
		struct ip_addr a = ip_addr_v4(__builtin_bswap32(0x0b000000u + i * 256));
		struct source_pair pair = source_find(&model.table, &a, true);
		n_refused += (pair.host == NULL) + (pair.net == NULL);
		if (pair.host != NULL)
			pair.host->n_half_open++;
		if (pair.net != NULL)
			pair.net->n_half_open++;
	}
	TRIAL_CHECK(&model.trial, n_refused == 0);
	TRIAL_CHECK(&model.trial, model.table.used == capacity);
	free(model.memory);
}

static void
test_kinds_of_same_bits_are_told_apart(void)
{
	struct ip_addr v4 = ip_addr_v4(__builtin_bswap32(0x0a000100u)); /* ends in 0: /32 and /24 */
	struct ip_addr v6 = { .words_be = { v4.words_be[3], 0, 0, 7 } };
	struct source_pair a, b;

	for (int kind = HASH_GOOD; kind <= HASH_CONSTANT; kind++) {
		model_start(107, (enum trial_hash)kind, 1024);
		a = source_find(&model.table, &v4, true);
		TRIAL_CHECK(&model.trial, a.host != NULL && a.net != NULL && a.host != a.net);
		a.host->n_conns = a.net->n_conns = 1;
		b = source_find(&model.table, &v6, true);
		TRIAL_CHECK(&model.trial, b.host == NULL || (b.host != a.host && b.host != a.net));
		TRIAL_CHECK(&model.trial, b.net == NULL || (b.net != a.host && b.net != a.net));
		TRIAL_CHECK(&model.trial, b.net == NULL || b.host != b.net);
		free(model.memory);
	}
	TRIAL_CHECK(&model.trial, source_host_hash(NULL, &v4) == source_net_hash(NULL, &v4));
	addr_hash_kind = HASH_GOOD;
	TRIAL_CHECK(&model.trial, source_host_hash(NULL, &v4) != source_net_hash(NULL, &v4));
}

static void
test_new_of_closed_client_lasts_its_second(void)
{
	struct source_pair pair;

	model_start(108, HASH_GOOD, 64);
	pair = source_find(&model.table, &model.clients[0], true);
	source_add_new(&model.table, pair.host);
	source_settle(&model.table, pair);
	pair = source_find(&model.table, &model.clients[0], false);
	TRIAL_CHECK(&model.trial, pair.net == NULL && pair.host != NULL);
	TRIAL_CHECK(&model.trial, source_new(&model.table, pair.host) == 1);
	model.table.now_s++;
	TRIAL_CHECK(&model.trial, source_new(&model.table, pair.host) == 0);
	source_settle(&model.table, pair);
	TRIAL_CHECK(&model.trial, model.table.used == 0);
	free(model.memory);
}

/* What is left over from a past second gives its place to whoever needs it, and nobody is
 * turned away for it; what is of the running one does not. */
static void
test_past_second_gives_way(void)
{
	struct source_pair pair;
	unsigned int n[2] = { 0 };

	for (unsigned int later = 0; later < 2; later++) {
		/* All in two sets. */
		model_start(109, HASH_CONSTANT, 4);
		for (unsigned int round = 0; round < 2; round++) {
			for (uint32_t i = 0; i < 40; i++) {
				struct ip_addr a = ip_addr_v4(
					__builtin_bswap32(0x0b000000u + round * 65536 + i * 256));
				pair = source_find(&model.table, &a, true);
				if (pair.host == NULL || pair.net == NULL) {
					source_settle(&model.table, pair);
					continue;
				}
				n[later]++;
				source_add_new(&model.table, pair.host);
				source_add_new(&model.table, pair.net);
			}
			model.table.now_s += later;
		}
		free(model.memory);
	}
	TRIAL_CHECK(&model.trial, n[0] > 0);
	TRIAL_CHECK(&model.trial, n[1] == 2 * n[0]);
}

int
main(void)
{
	CU_TestInfo tests[] = {
		CHECK_TEST(test_table_roomy_agrees_with_model),
		CHECK_TEST(test_table_crowded_agrees_with_model),
		CHECK_TEST(test_table_constant_hash_counts_one_set),
		CHECK_TEST(test_table_capacity_of_prefixes_all_counted),
		CHECK_TEST(test_kinds_of_same_bits_are_told_apart),
		CHECK_TEST(test_new_of_closed_client_lasts_its_second),
		CHECK_TEST(test_past_second_gives_way),
		CU_TEST_INFO_NULL,
	};
	return check_run("source", tests);
}
