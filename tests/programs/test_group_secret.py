# SPDX-License-Identifier: BSD-3-Clause
"""synfront --group-secret writes what the servers of a group get, for their owner's eyes alone."""
import os
import stat
import subprocess
import tempfile
import unittest

SYNFRONT = os.path.join(os.environ["SYNFRONT_BUILD_DIR"], "app", "synfront")
EXIT_CONFIG = 1
EXIT_USAGE = 2
# Of the master secret 00 01 .. 1f, as another program has computed it: tests/unit/group_vectors.def.
OF_DEFAULT = "7c631450aebfe5f5248919b6281e87a95749d4d84d77ae7e1eca7691624017d4\n"
CONFIG = """
ports: {outside: {device: net_null0}, inside: {device: net_null1}}
%s
services:
- {name: web, addresses: 192.0.2.1, ports: 80, mode: %s}
"""


class GroupSecret(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="programs-")
        self.addCleanup(folder.cleanup)
        self.path = lambda name: os.path.join(folder.name, name)
        with open(self.path("master"), "w", opener=lambda p, f: os.open(p, f, 0o600)) as file:
            file.write(bytes(range(32)).hex() + "\n")
        self.configure("secret: {file: %s}" % self.path("master"))

    def configure(self, secret, mode="handoff"):
        with open(self.path("yaml"), "w") as file:
            file.write(CONFIG % (secret, mode))

    def run_it(self, *argv):
        return subprocess.run((SYNFRONT, "--config", self.path("yaml")) + argv, capture_output=True,
                              text=True, timeout=60, check=False, umask=0)

    def write(self, group, status=0):
        done = self.run_it("--group-secret", group, "--output", self.path("out"))
        self.assertEqual((done.returncode, done.stdout), (status, ""), done.stderr)
        return done.stderr

    def test_it_is_what_every_program_computes_and_its_owners_alone(self):
        self.assertEqual(self.write("default"), "")
        with open(self.path("out")) as file:
            self.assertEqual(file.read(), OF_DEFAULT)
        self.assertEqual(stat.S_IMODE(os.stat(self.path("out")).st_mode), 0o600)

    def test_a_file_that_is_there_is_left_alone(self):
        with open(self.path("out"), "w") as file:
            file.write("mine")
        self.assertIn("out: File exists", self.write("default", EXIT_CONFIG))
        with open(self.path("out")) as file:
            self.assertEqual(file.read(), "mine")

    def test_a_group_that_no_service_has_is_refused(self):
        self.assertIn('found no group "other"', self.write("other", EXIT_CONFIG))
        self.configure("secret: {file: %s}" % self.path("master"), "proxy")
        self.assertIn('found no group "default"', self.write("default", EXIT_CONFIG))
        self.assertFalse(os.path.exists(self.path("out")))

    def test_without_a_master_secret_there_is_none(self):
        self.configure("")
        self.assertIn("secret.file: found nothing", self.write("default", EXIT_CONFIG))

    def test_a_check_warns_of_hand_off_without_a_master_secret(self):
        warned = "\nwarning: service web: mode handoff without secret.file: no server takes its clients over"
        for secret, mode, is_warned in (("", "handoff", True), ("", "proxy", False),
                                        ("secret: {file: %s}" % self.path("master"), "handoff", False)):
            self.configure(secret, mode)
            done = self.run_it("--check")
            self.assertEqual((done.returncode, warned in done.stdout), (0, is_warned), done)

    def test_one_option_without_the_other_is_usage(self):
        for argv in (("--group-secret", "default"), ("--output", self.path("out"))):
            done = self.run_it(*argv)
            self.assertEqual(done.returncode, EXIT_USAGE)
            self.assertIn("usage: synfront ", done.stderr)


if __name__ == "__main__":
    unittest.main()
