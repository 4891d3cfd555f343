/* SPDX-License-Identifier: BSD-3-Clause */
#include "talkers_top.h"

#include <stdlib.h>

#include "stats.h"
#include "talkers.h"

/* Half a percent is named: a prefix with 1 % is then, by chance, hardly ever left out. */
#define NAMED_OF 200u

/* Sums of the sketches of one or more pairs. */
struct gathering {
	struct heavy_sum *hosts, *nets;
	uint32_t n_hosts, n_nets, room;
	uint64_t frames, n_samples;
};

/* What one look at all workers needs; too large for a stack. */
struct look {
	struct core_talk talk;
	struct gathering gathering;
};

static struct look *
look_new(const struct plane *plane)
{
	struct look *look = calloc(1, sizeof(*look));

	if (look == NULL)
		return NULL;
	struct gathering *g = &look->gathering;
	g->room = plane->n_workers * 2 * HEAVY_SLOTS * TALKS_MAX;
	g->hosts = malloc(g->room * sizeof(*g->hosts));
	g->nets = malloc(g->room * sizeof(*g->nets));
	if (g->hosts != NULL && g->nets != NULL)
		return look;
	free(g->hosts);
	free(g->nets);
	free(look);
	return NULL;
}

static void
look_free(struct look *look)
{
	free(look->gathering.hosts);
	free(look->gathering.nets);
	free(look);
}

/* The window that runs now, by the workers' clock. */
static uint32_t
window_now(const struct plane *plane)
{
	return (uint32_t)((rte_rdtsc() - plane->base_tsc) / plane->tsc_per_ms / TALK_WINDOW_MS);
}

/* Each talk of the last two windows. */
static void
each_talk(const struct plane *plane, struct look *look,
          void (*each)(void *arg, struct look *look, bool would), void *arg)
{
	uint32_t now = window_now(plane);

	for (unsigned int i = 0; i < plane->n_workers; i++)
		for (uint32_t k = 0; k < 2 * CORE_TALKS_MAX; k++) {
			bool would = k >= CORE_TALKS_MAX;
			if (!core_talk(plane->workers[i]->core, k % CORE_TALKS_MAX, would,
			               &look->talk) ||
			    now - look->talk.window > 1)
				continue;
			/* If nothing came in the running one, what it has before is older. */
			if (look->talk.window != now) {
				look->talk.hosts[1].slots[0].count = 0;
				look->talk.nets[1].slots[0].count = 0;
				look->talk.nets[1].weight = look->talk.nets[1].n_samples = 0;
			}
			each(arg, look, would);
		}
}

static void
gather(struct look *look)
{
	struct gathering *g = &look->gathering;

	for (unsigned int half = 0; half < 2; half++) {
		g->n_hosts = heavy_sum_add(g->hosts, g->n_hosts, &look->talk.hosts[half]);
		g->n_nets = heavy_sum_add(g->nets, g->n_nets, &look->talk.nets[half]);
		g->frames += look->talk.nets[half].weight;
		g->n_samples += look->talk.nets[half].n_samples;
	}
}

static struct prefix
prefix_of(uint64_t key, bool is_net)
{
	struct prefix p;

	if (key >> 32 == 0)
		return (struct prefix){ ip_addr_v4(__builtin_bswap32((uint32_t)key)),
			                is_net ? 120 : 128 };
	p.addr.quads_be[0] = __builtin_bswap64(key);
	p.addr.quads_be[1] = 0;
	p.len = is_net ? 48 : 64;
	return p;
}

static uint64_t
net_of(uint64_t host)
{
	return host >> 32 == 0 ? host & 0xffffff00u : host & ~UINT64_C(0xffff);
}

static bool
is_named(const struct gathering *g, const struct heavy_sum *sum)
{
	return NAMED_OF * sum->count >= g->frames &&
	       2 * NAMED_OF * (sum->count - sum->error) >= g->frames;
}

/* Does one host stand for this net? Hosts come heaviest first. */
static bool
is_one_host(const struct gathering *g, const struct heavy_sum *net)
{
	for (uint32_t i = 0; i < g->n_hosts && 10 * g->hosts[i].count >= 9 * net->count; i++)
		if (net_of(g->hosts[i].key) == net->key)
			return true;
	return false;
}

static struct talker
talker_of(const struct gathering *g, const struct heavy_sum *sum, bool is_net)
{
	return (struct talker){ .prefix = prefix_of(sum->key, is_net),
		                .frames = sum->count,
		                .error = sum->error,
		                .share = (double)sum->count / (double)g->frames };
}

static unsigned int
name(struct gathering *g, struct talker *list, unsigned int max)
{
	uint32_t host = 0, net = 0;
	unsigned int n = 0;

	g->n_hosts = heavy_sum_finish(g->hosts, g->n_hosts);
	g->n_nets = heavy_sum_finish(g->nets, g->n_nets);
	while (n < max) {
		while (host < g->n_hosts && !is_named(g, &g->hosts[host]) &&
		       NAMED_OF * g->hosts[host].count >= g->frames)
			host++;
		while (net < g->n_nets &&
		       (!is_named(g, &g->nets[net]) || is_one_host(g, &g->nets[net])) &&
		       NAMED_OF * g->nets[net].count >= g->frames)
			net++;
		bool has_host = host < g->n_hosts && is_named(g, &g->hosts[host]);
		bool has_net = net < g->n_nets && is_named(g, &g->nets[net]);
		if (!has_host && !has_net)
			break;
		if (has_net && (!has_host || g->nets[net].count >= g->hosts[host].count))
			list[n++] = talker_of(g, &g->nets[net++], true);
		else
			list[n++] = talker_of(g, &g->hosts[host++], false);
	}
	return n;
}

/* ---- pairs ------------------------------------------------------------- */

struct pairs {
	struct talkers_pair *list;
	unsigned int n, max;
};

static void
note_pair(void *arg, struct look *look, bool would)
{
	struct pairs *p = arg;

	for (unsigned int i = 0; i < p->n; i++)
		if (p->list[i].service == look->talk.service &&
		    p->list[i].outcome == look->talk.outcome && p->list[i].would == would)
			return;
	if (p->n < p->max)
		p->list[p->n++] = (struct talkers_pair){ look->talk.service, look->talk.outcome,
			                                 would };
}

unsigned int
talkers_pairs(const struct plane *plane, struct talkers_pair *pairs, unsigned int max)
{
	struct pairs p = { .list = pairs, .max = max };
	struct look *look = look_new(plane);

	if (look == NULL)
		return 0;
	each_talk(plane, look, note_pair, &p);
	look_free(look);
	return p.n;
}

static void
gather_pair(void *arg, struct look *look, bool would)
{
	const struct talkers_pair *pair = arg;

	if (look->talk.service == pair->service && look->talk.outcome == pair->outcome &&
	    would == pair->would)
		gather(look);
}

bool
talkers_top(const struct plane *plane, const struct talkers_pair *pair, struct talkers_top *top)
{
	struct talkers_pair wanted = *pair;
	struct look *look = look_new(plane);

	if (look == NULL)
		return false;
	each_talk(plane, look, gather_pair, &wanted);
	top->service = pair->service;
	top->outcome = pair->outcome;
	top->would = pair->would;
	top->frames = look->gathering.frames;
	top->n_samples = look->gathering.n_samples;
	top->n = top->frames != 0 ? name(&look->gathering, top->list, TALKERS_NAMED_MAX) : 0;
	look_free(look);
	return top->frames != 0;
}

static void
gather_flood(void *arg, struct look *look, bool would)
{
	uint8_t class = counter_infos[look->talk.outcome].class;

	(void)would;
	if (look->talk.service == *(const uint16_t *)arg &&
	    (class == OUTCOME_ANSWER || class == OUTCOME_DROP))
		gather(look);
}

unsigned int
talkers_of_service(const struct plane *plane, uint16_t service, struct talker *list,
                   unsigned int max)
{
	struct look *look = look_new(plane);
	unsigned int n = 0;

	if (look == NULL)
		return 0;
	each_talk(plane, look, gather_flood, &service);
	if (look->gathering.frames != 0)
		n = name(&look->gathering, list, max);
	look_free(look);
	return n;
}
