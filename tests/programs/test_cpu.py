# SPDX-License-Identifier: BSD-3-Clause
"""A CPU without what the programs are built for is told by name, before anything else is done."""
import os
import shutil
import subprocess
import unittest

APP = os.path.join(os.environ["SYNFRONT_BUILD_DIR"], "app")
EMULATOR = "qemu-x86_64"
# Each program, and the exit status that it has for this.
PROGRAMS = {"synfront": 3, "synfrontctl": 1, "synfront-pcap": 1}


def run_on(cpu, name):
    return subprocess.run([EMULATOR, "-cpu", cpu, os.path.join(APP, name), "--version"],
                          capture_output=True, text=True, timeout=120, check=False)


@unittest.skipUnless(shutil.which("qemu-x86_64"), "no qemu-x86_64 (package qemu-user)")
class Cpu(unittest.TestCase):
    def test_old_cpu_is_refused_by_name(self):
        for name, status in PROGRAMS.items():
            done = run_on("core2duo", name)
            self.assertEqual(done.returncode, status, (name, done))
            self.assertEqual(done.stdout, "")
            self.assertTrue(done.stderr.startswith(
                name + ": this CPU lacks sse4_1 sse4_2 popcnt aes (named as in"), done.stderr)

    def test_cpu_without_aes_is_refused_by_name(self):
        done = run_on("Westmere,aes=off", "synfront")
        self.assertEqual(done.returncode, PROGRAMS["synfront"], done)
        self.assertIn(" lacks aes (", done.stderr)

    def test_oldest_cpu_that_will_do_runs(self):
        for name in PROGRAMS:
            done = run_on("Westmere", name)
            self.assertEqual(done.returncode, 0, (name, done))


if __name__ == "__main__":
    unittest.main()
