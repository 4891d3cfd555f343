# SPDX-License-Identifier: BSD-3-Clause
"""--help and --version are the same in every program."""
import os
import re
import subprocess
import unittest

APP = os.path.join(os.environ["SYNFRONT_BUILD_DIR"], "app")
PROGRAMS = ("synfront", "synfrontctl", "synfront-pcap")
EXIT_USAGE = 2


def run(name, *argv):
    return subprocess.run((os.path.join(APP, name),) + argv, capture_output=True, text=True,
                          timeout=60, check=False)


class Options(unittest.TestCase):
    def test_version_names_program_and_number(self):
        said = set()
        for name in PROGRAMS:
            done = run(name, "--version")
            self.assertEqual(done.returncode, 0, name)
            self.assertRegex(done.stdout, r"^%s \d+\.\d+\S*\n$" % re.escape(name))
            said.add(done.stdout.split()[1])
        self.assertEqual(len(said), 1)

    def test_help_names_every_option(self):
        for name in PROGRAMS:
            done = run(name, "--help")
            self.assertEqual(done.returncode, 0, name)
            self.assertTrue(done.stdout.startswith("usage: %s " % name))
            for word in ("--version", "--help", "exit status: 0"):
                self.assertIn(word, done.stdout, name)
            self.assertEqual(run(name, "-h").stdout, done.stdout, name)

    def test_nonsense_is_refused_with_usage(self):
        for name in PROGRAMS:
            for argv in (("--nonsense",), ()):
                done = run(name, *argv)
                self.assertEqual(done.returncode, EXIT_USAGE, name)
                self.assertIn("usage: %s " % name, done.stderr)
                self.assertEqual(done.stdout, "")


if __name__ == "__main__":
    unittest.main()
