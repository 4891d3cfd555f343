# SPDX-License-Identifier: BSD-3-Clause
"""Who asks scripts/bench for help has not set it up yet: what scripts/setup installs may be missing."""
import os
import subprocess
import sys
import unittest

MAIN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "main.py")
# As if it were not installed: an import of a module that is None fails.
WITHOUT_SCAPY = "import runpy, sys; sys.modules['scapy'] = None; sys.argv = sys.argv[1:];" \
                " runpy.run_path(sys.argv[0], run_name='__main__')"


def run(*argv):
    environment = {**os.environ, "PYTHONPATH": os.path.dirname(MAIN)}
    return subprocess.run((sys.executable, "-B", "-c", WITHOUT_SCAPY, MAIN) + argv, capture_output=True,
                          text=True, timeout=60, check=False, env=environment)


class Help(unittest.TestCase):
    def test_help_comes_before_setup(self):
        for option, wanted in (("--help", "usage: scripts/bench"), ("--nic-help", "Repeating this on NICs")):
            done = run(option)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertTrue(done.stdout.startswith(wanted), done.stdout)

    def test_a_topic_that_is_none_is_named(self):
        done = run("nonsense")
        self.assertEqual(done.returncode, 2)
        self.assertIn("no such topic: nonsense", done.stderr)


if __name__ == "__main__":
    unittest.main()
