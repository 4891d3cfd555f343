/* SPDX-License-Identifier: BSD-3-Clause */
/* Whose folder is taken over, and what of it is removed. Any file system will do. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "pins.h"

#define STRANGER 65534u /* "nobody" */
#define LONGEST_S 20u   /* a removal that takes this long has no end */

static char root[] = "/tmp/synfront-pins-XXXXXX";
static char place[PINS_PLACE_SIZE];
static char why[PINS_WHY_SIZE];

static const char *
in(const char *dir, const char *file)
{
	static char path[PINS_PATH_SIZE];

	snprintf(path, sizeof(path), "%.120s/%.64s", dir, file);
	return path;
}

static void
touch(const char *file)
{
	int fd = open(in(place, file), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	CU_ASSERT_FATAL(fd >= 0);
	close(fd);
}

static bool
exists(const char *file)
{
	return access(in(place, file), F_OK) == 0;
}

/* A folder as an agent makes it, with all kinds of pins. */
static void
make_ours(void)
{
	CU_ASSERT_EQUAL_FATAL(mkdir(place, 0700), 0);
	touch("map-spent_map");
	touch("if-eth0");
	touch("if-eth0~7");
	touch("opened");
}

static void
test_pins_of_ours_are_known(void)
{
	static const char *const left[] = { "eth0.7" };

	CU_ASSERT_EQUAL(pins_look(place, why), PINS_NONE);
	make_ours();
	CU_ASSERT_EQUAL(pins_look(place, why), PINS_OURS);
	pins_keep_links(place, left, 1);
	CU_ASSERT(!exists("if-eth0") && exists("if-eth0~7"));
	CU_ASSERT(exists("map-spent_map") && exists("opened"));
	pins_remove_maps(place);
	CU_ASSERT(!exists("map-spent_map") && exists("opened"));
	pins_remove(place);
	CU_ASSERT_EQUAL(pins_look(place, why), PINS_NONE);
}

/* Nothing of it is removed. */
static void
check_foreign(const char *says)
{
	CU_ASSERT_EQUAL(pins_look(place, why), PINS_FOREIGN);
	if (strstr(why, says) == NULL)
		printf("\"%s\" without \"%s\" ", why, says);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, says));
	pins_remove(place);
	CU_ASSERT(exists("opened"));
}

static void
test_pins_of_others_are_left(void)
{
	make_ours();
	/* As iproute2 has its own. */
	CU_ASSERT_EQUAL_FATAL(mkdir(in(place, "globals"), 0700), 0);
	check_foreign("\"globals\"");
	rmdir(in(place, "globals"));
	touch("note");
	check_foreign("\"note\"");
	unlink(in(place, "note"));
	/* A folder under a name of ours. */
	CU_ASSERT_EQUAL_FATAL(mkdir(in(place, "map-x"), 0700), 0);
	check_foreign("\"map-x\"");
	rmdir(in(place, "map-x"));
	CU_ASSERT_EQUAL_FATAL(chmod(place, 0750), 0);
	check_foreign("mode 0750");
	CU_ASSERT_EQUAL_FATAL(chmod(place, 0700), 0);
	if (geteuid() == 0) {
		CU_ASSERT_EQUAL_FATAL(chown(place, STRANGER, STRANGER), 0);
		check_foreign("user 65534");
		CU_ASSERT_EQUAL_FATAL(chown(place, 0, 0), 0);
	}
	pins_remove(place);
	CU_ASSERT_EQUAL(pins_look(place, why), PINS_NONE);
}

static void
test_pins_behind_a_symbolic_link_are_left(void)
{
	char other[PINS_PLACE_SIZE];

	make_ours();
	pins_place(other, root, "other");
	CU_ASSERT_EQUAL_FATAL(rename(place, other), 0);
	CU_ASSERT_EQUAL_FATAL(symlink("other", place), 0);
	check_foreign("no folder");
	CU_ASSERT_EQUAL_FATAL(unlink(place), 0);
	pins_remove(other);
	CU_ASSERT_EQUAL(pins_look(other, why), PINS_NONE);
}

/* What cannot be removed is passed over, and the rest goes. */
static void
test_pins_removal_ends(void)
{
	make_ours();
	CU_ASSERT_EQUAL_FATAL(mkdir(in(place, "map-y"), 0700), 0);
	alarm(LONGEST_S);
	pins_remove_maps(place);
	alarm(0);
	CU_ASSERT(exists("map-y") && !exists("map-spent_map"));
	rmdir(in(place, "map-y"));
	pins_remove(place);
	CU_ASSERT_EQUAL(pins_look(place, why), PINS_NONE);
}

int
main(void)
{
	CU_TestInfo tests[] = {
		CHECK_TEST(test_pins_of_ours_are_known),
		CHECK_TEST(test_pins_of_others_are_left),
		CHECK_TEST(test_pins_behind_a_symbolic_link_are_left),
		CHECK_TEST(test_pins_removal_ends),
		CU_TEST_INFO_NULL,
	};

	if (mkdtemp(root) == NULL)
		return EXIT_FAILURE;
	pins_place(place, root, "some");
	int rc = check_run("adopt_pins", tests);
	rmdir(root);
	return rc;
}
