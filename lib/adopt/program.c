/* SPDX-License-Identifier: BSD-3-Clause */
#include "program.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "adopt.skel.h"
#include "aes_tables.h"
#include "settings.h"

/* Linux 6.6; the headers that this is built with may be older. */
#define TCX_INGRESS ((enum bpf_attach_type)46)

static int
fail(struct conf_error *err, const char *what, int error)
{
	snprintf(err->text, sizeof(err->text), "%.300s: %s", what,
	         strerror(error < 0 ? -error : error));
	return -1;
}

static int
load(struct program *p, bool pins)
{
	struct bpf_map *map;

	p->skeleton = adopt__open();
	if (p->skeleton == NULL)
		return -errno;
	aes_tables_fill(p->skeleton->rodata->aes_table, p->skeleton->rodata->aes_sbox);
	bpf_map__set_max_entries(p->skeleton->maps.spent_map, p->conf->spent);
	bpf_object__for_each_map(map, p->skeleton->obj)
	{
		char path[PINS_PATH_SIZE];
		/* Constants are of one version of the program. */
		if (!pins || bpf_map__is_internal(map))
			continue;
		pins_path(path, p->place, "map", bpf_map__name(map));
		bpf_map__set_pin_path(map, path);
	}
	int rc = adopt__load(p->skeleton);
	if (rc != 0) {
		adopt__destroy(p->skeleton);
		p->skeleton = NULL;
	}
	return rc;
}

/* What tells that a connection has come to be. Two of them are no harm while one replaces the
 * other, and there is always one. */
static int
attach_tracepoint(struct program *p, struct conf_error *err)
{
	char path[PINS_PATH_SIZE];

	p->opened = bpf_program__attach(p->skeleton->progs.synfront_opened);
	if (p->opened == NULL)
		return fail(err, "the tracepoint inet_sock_set_state cannot be attached", errno);
	if (!p->is_pinned)
		return 0;
	pins_path(path, p->place, "opened", NULL);
	unlink(path);
	return bpf_link__pin(p->opened, path) == 0 ? 0 : fail(err, path, errno);
}

static int
fail_foreign(struct conf_error *err, const char *place, const char *why)
{
	snprintf(err->text, sizeof(err->text),
	         "pins: %s: %s; expected a folder that an agent of this user has made, mode 0700: "
	         "remove it, or name another `instance`",
	         place, why);
	return -1;
}

int
program_load(struct program *p, const struct agent_conf *conf, bool pins, struct conf_error *err)
{
	memset(p, 0, sizeof(*p));
	p->conf = conf;
	p->is_pinned = pins;
	pins_place(p->place, conf->pins, conf->instance);
	for (uint32_t i = 0; i < conf->n_interfaces; i++)
		p->links[i].fd = -1;

	char why[PINS_WHY_SIZE];
	enum pins_found found = pins_look(p->place, why);
	if (found == PINS_FOREIGN)
		return fail_foreign(err, p->place, why);
	bool has_pins = found == PINS_OURS;
	if (pins && !has_pins && pins_make(p->place) != 0) {
		snprintf(err->text, sizeof(err->text), "pins: %s: %s", conf->pins,
		         errno == ENODEV ? "found no BPF file system; expected one, as by mount -t "
		                           "bpf -o mode=700 bpf /sys/fs/bpf"
		                         : strerror(errno));
		return -1;
	}
	p->has_taken_over = has_pins;
	int rc = load(p, pins || has_pins);
	if (rc != 0 && has_pins) {
		/* Of another layout or size: begin anew. */
		p->has_taken_over = false;
		pins_remove_maps(p->place);
		rc = load(p, pins);
	}
	if (rc != 0)
		return fail(err, "the kernel refuses the program", rc);
	if (settings_write(p->skeleton, conf) != 0)
		return fail(err, "the services do not fit into the maps", errno);
	return attach_tracepoint(p, err);
}

static int
link_ifindex(int fd, unsigned int *ifindex)
{
	/* As in linux/bpf.h from 6.6 on: struct bpf_link_info, of which tcx has two words. */
	union {
		struct bpf_link_info info;
		struct {
			uint32_t type, id, prog_id, pad;
			uint32_t ifindex, attach_type;
		} tcx;
	} u = { 0 };
	uint32_t size = sizeof(u.info);

	if (bpf_obj_get_info_by_fd(fd, &u.info, &size) != 0)
		return -1;
	*ifindex = u.tcx.ifindex;
	return 0;
}

/* The link that is pinned for this interface, with our program in it; -1: there is none, or it
 * has lost its interface. */
static int
take_over(const struct program *p, const char *path, unsigned int ifindex)
{
	unsigned int its_own;
	int fd = bpf_obj_get(path);

	if (fd < 0)
		return -1;
	if (link_ifindex(fd, &its_own) == 0 && its_own == ifindex &&
	    bpf_link_update(fd, bpf_program__fd(p->skeleton->progs.synfront_adopt), NULL) == 0)
		return fd;
	close(fd);
	unlink(path);
	return -1;
}

static int
attach(struct program *p, uint32_t i, unsigned int ifindex, struct conf_error *err)
{
	char path[PINS_PATH_SIZE];

	pins_path(path, p->place, "if", p->conf->interfaces[i]);
	int fd = take_over(p, path, ifindex);
	if (fd < 0) {
		fd = bpf_link_create(bpf_program__fd(p->skeleton->progs.synfront_adopt),
		                     (int)ifindex, TCX_INGRESS, NULL);
		if (fd < 0)
			return fail(err, p->conf->interfaces[i], errno);
		if (p->is_pinned && bpf_obj_pin(fd, path) != 0) {
			fail(err, path, errno);
			close(fd);
			return -1;
		}
	}
	p->links[i] = (struct program_link){ ifindex, fd };
	return 0;
}

static void
detach(struct program_link *link)
{
	if (link->fd >= 0)
		close(link->fd);
	*link = (struct program_link){ .fd = -1 };
}

int
program_attach(struct program *p, struct conf_error *err)
{
	int n = 0;

	for (uint32_t i = 0; i < p->conf->n_interfaces; i++) {
		struct program_link *link = &p->links[i];
		unsigned int ifindex = if_nametoindex(p->conf->interfaces[i]);

		/* One that came again under its name is another. */
		if (link->ifindex != 0 && link->ifindex != ifindex)
			detach(link);
		if (link->ifindex == 0 && ifindex != 0 && attach(p, i, ifindex, err) != 0)
			return -1;
		n += link->ifindex != 0;
	}
	/* What a process before has left, and this one does not want. */
	if (!p->is_pinned)
		pins_remove(p->place);
	else
		pins_keep_links(p->place, p->conf->interfaces, p->conf->n_interfaces);
	return n;
}

void
program_fini(struct program *p, bool lingers)
{
	if (p->is_pinned && !lingers)
		pins_remove(p->place);
	for (uint32_t i = 0; i < p->conf->n_interfaces; i++)
		detach(&p->links[i]);
	if (p->opened != NULL) {
		/* Its destruction is not to unpin it. */
		if (lingers)
			bpf_link__disconnect(p->opened);
		bpf_link__destroy(p->opened);
	}
	if (p->skeleton != NULL)
		adopt__destroy(p->skeleton);
	p->skeleton = NULL;
	p->opened = NULL;
}

int
program_unpin(const struct agent_conf *conf, struct conf_error *err)
{
	char place[PINS_PLACE_SIZE], why[PINS_WHY_SIZE];

	pins_place(place, conf->pins, conf->instance);
	switch (pins_look(place, why)) {
	case PINS_NONE:
		return 0;
	case PINS_OURS:
		pins_remove(place);
		return 1;
	default:
		return fail_foreign(err, place, why);
	}
}

void
program_counters(const struct program *p, struct adopt_counters *sum)
{
	int n_cpus = libbpf_num_possible_cpus();
	uint32_t zero = 0;

	memset(sum, 0, sizeof(*sum));
	struct adopt_counters *each = n_cpus > 0 ? calloc((size_t)n_cpus, sizeof(*each)) : NULL;
	if (each != NULL &&
	    bpf_map_lookup_elem(bpf_map__fd(p->skeleton->maps.counters_map), &zero, each) == 0)
		for (int cpu = 0; cpu < n_cpus; cpu++)
			for (unsigned int i = 0; i < ADOPT_COUNTERS; i++)
				sum->n[i] += each[cpu].n[i];
	free(each);
}
