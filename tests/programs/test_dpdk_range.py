# SPDX-License-Identifier: BSD-3-Clause
"""Which releases of DPDK meson takes, and what it says of those that it does not know. The lines
that look for DPDK are set up alone, with a stand-in for its pkg-config file that names a release."""
import os
import re
import subprocess
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
OLDEST, NEWEST = "22.11", "25.11"


def lines_that_look():
    with open(os.path.join(HERE, "..", "..", "lib", "plane", "meson.build")) as file:
        return re.search(r"(?ms)^dpdk = dependency\(.*?^endif\n", file.read()).group()


def setup(release):
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "libdpdk.pc"), "w") as file:
            file.write(f"Name: DPDK\nDescription: a stand-in\nVersion: {release}\n")
        with open(os.path.join(folder, "meson.build"), "w") as file:
            file.write("project('range')\n" + lines_that_look())
        path = os.pathsep.join(filter(None, (folder, os.environ.get("PKG_CONFIG_PATH"))))
        return subprocess.run(("meson", "setup", os.path.join(folder, "build"), folder),
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=120, check=False, env={**os.environ, "PKG_CONFIG_PATH": path})


class DpdkRange(unittest.TestCase):
    def test_oldest_and_newest_are_taken_silently(self):
        for release in (OLDEST + ".0", NEWEST + ".9"):
            done = setup(release)
            self.assertEqual(done.returncode, 0, done.stdout)
            self.assertIn(release, done.stdout)
            self.assertNotIn("WARNING", done.stdout)

    def test_newer_is_taken_with_a_warning(self):
        done = setup("26.03.0")
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn(f"WARNING: DPDK 26.03.0 is newer than {NEWEST}", done.stdout)

    def test_older_is_refused(self):
        done = setup("22.07.0")
        self.assertNotEqual(done.returncode, 0, done.stdout)
        self.assertRegex(done.stdout, rf"(?s)need.*{OLDEST}.*22\.07\.0")


if __name__ == "__main__":
    unittest.main()
