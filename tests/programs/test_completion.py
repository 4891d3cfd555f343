# SPDX-License-Identifier: BSD-3-Clause
"""bash completes what --help names."""
import os
import re
import subprocess
import unittest

APP = os.path.join(os.environ["SYNFRONT_BUILD_DIR"], "app")
FILE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "config", "completion.bash")
PROGRAMS = ("synfront", "synfrontctl", "synfront-pcap")
# Where clang or libbpf is missing, it is not built.
ADOPT = os.path.exists(os.path.join(APP, "synfront-adopt"))
if ADOPT:
    PROGRAMS += ("synfront-adopt",)
# Arguments: the file, the program, the word, and the one before it.
ASK = """
. "$1"
complete -p "${2##*/}" >&2
_synfront "$2" "$3" "$4"
printf "%s\\n" "${COMPREPLY[@]}"
"""


def complete(program, *line, cwd="/"):
    """What bash would offer for the last word of a line."""
    word, before = line[-1], line[-2] if len(line) > 1 else program
    done = subprocess.run(("bash", "-s", FILE, os.path.join(APP, program), word, before), input=ASK,
                          capture_output=True, text=True, timeout=60, check=True, cwd=cwd)
    if done.stderr.strip() != "complete -F _synfront " + program:
        raise AssertionError(done.stderr)
    return set(done.stdout.split())


def help_of(program):
    return subprocess.run((os.path.join(APP, program), "--help"), stdout=subprocess.PIPE, text=True,
                          timeout=60, check=True).stdout


class Completion(unittest.TestCase):
    def test_options(self):
        for program in PROGRAMS:
            known = set(re.findall(r"--[a-z][a-z-]*[a-z]", help_of(program)))
            self.assertEqual(complete(program, "--"), known, program)
            self.assertEqual(complete(program, "--ver"), {"--version"}, program)

    def test_commands(self):
        listed = set(re.findall(r"(?m)^  ([a-z]\S*) ", help_of("synfrontctl")))
        self.assertIn("drain", listed)
        self.assertEqual(complete("synfrontctl", ""), listed)
        self.assertEqual(complete("synfrontctl", "--json", "dr"), {"drain", "drops"})

    @unittest.skipUnless(ADOPT, "synfront-adopt is not built")
    def test_commands_of_adopt(self):
        listed = set(re.findall(r"(?m)^  ([a-z]\S*) ", help_of("synfront-adopt")))
        self.assertIn("detach", listed)
        self.assertEqual(complete("synfront-adopt", ""), listed)
        self.assertEqual(complete("synfront-adopt", "--linger", "r"), {"run"})

    def test_words_of_drain_are_taken(self):
        for word in complete("synfrontctl", "drain", ""):
            done = subprocess.run((os.path.join(APP, "synfrontctl"), "--instance", "none-of-this-name",
                                   "drain", word), capture_output=True, text=True, timeout=60,
                                  check=False)
            self.assertEqual(done.returncode, 1, done)
            self.assertIn(word, " ".join(help_of("synfrontctl").split()))

    def test_words_of_other_commands_are_taken(self):
        for command in ("reload", "metrics"):
            words = complete("synfrontctl", command, "")
            self.assertEqual(len(words), 1, words)
            for word, status in ((words.pop(), 1), ("nonsense", 2)):
                done = subprocess.run((os.path.join(APP, "synfrontctl"), "--instance",
                                       "none-of-this-name", command, word), capture_output=True,
                                      text=True, timeout=60, check=False)
                self.assertEqual(done.returncode, status, done)
        self.assertIn("OPERATING.md", complete("synfrontctl", "check", "OP",
                                               cwd=os.path.dirname(FILE)))

    def test_levels_are_taken(self):
        levels = complete("synfront", "--log-level", "")
        self.assertEqual(levels, {"error", "warning", "notice", "info", "debug"})

    def test_files(self):
        self.assertIn("OPERATING.md", complete("synfront", "--config", "OP",
                                               cwd=os.path.dirname(FILE)))

    def test_values_are_left_to_the_user(self):
        self.assertEqual(complete("synfront-pcap", "--seed", ""), set())


if __name__ == "__main__":
    unittest.main()
