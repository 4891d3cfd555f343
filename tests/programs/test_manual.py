# SPDX-License-Identifier: BSD-3-Clause
"""The manual pages say what --help says, in the same words, and nothing else of options, commands and
statuses; the page of the configuration has every key; the formatter finds nothing wrong."""
import os
import re
import shutil
import subprocess
import unittest

BUILD = os.environ["SYNFRONT_BUILD_DIR"]
ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
PAGES = {"synfront": "synfront.8", "synfrontctl": "synfrontctl.8", "synfront-pcap": "synfront-pcap.1"}
KEYS = [("synfront.yaml.5", "REFERENCE.md", 80)]
# Where clang or libbpf is missing, it is not built.
if os.path.exists(os.path.join(BUILD, "app", "synfront-adopt")):
    PAGES["synfront-adopt"] = "synfront-adopt.8"
    KEYS.append(("synfront-adopt.yaml.5", os.path.join("adopt", "REFERENCE.md"), 10))
# What mandoc says of every page that names its version, and of pages that are not installed.
ALLOWED = ("operating system explicitly specified", "referenced manual not found")
with_mandoc = unittest.skipUnless(shutil.which("mandoc"), "mandoc is not there")


def page(name):
    return os.path.join(BUILD, "config", name)


def mandoc(*argv):
    return subprocess.run(("mandoc",) + argv, stdout=subprocess.PIPE, text=True, timeout=60,
                          check=False).stdout


def words(text):
    """A text as it is compared: the same whatever its lines and the capital that it begins with."""
    text = " ".join(text.split()).rstrip(".")
    return text[:1].lower() + text[1:]


def sections(name):
    """Title of each section of a page -> its lines as people see them, with no line broken."""
    text = re.sub(".\b", "", mandoc("-T", "utf8", "-O", "width=900", page(name)))
    parts = re.split(r"(?m)^([A-Z][A-Z ]+)\n", text)
    return dict(zip(parts[1::2], parts[2::2]))


def items(text):
    """The tagged list of a section: [(tag, what is said)]; short tags stand before their text."""
    found = []
    for line in text.splitlines():
        tag = re.match(r" {5}(\S.*?)(?: {2,}|$)(.*)", line)
        if tag:
            found.append([tag.group(1), tag.group(2)])
        elif found and line.strip():
            found[-1][1] += " " + line.strip()
    return [(tag, words(said)) for tag, said in found]


def help_of(name):
    return subprocess.run((os.path.join(BUILD, "app", name), "--help"), stdout=subprocess.PIPE,
                          text=True, timeout=60, check=True).stdout


def help_items(text):
    """The indented lines of a help: [(option or command with its value, what is said)]."""
    found = []
    for line in text.splitlines():
        item = re.match(r"  (\S.*?)(?: {2,}(.*)|$)", line)
        if item and not line.startswith("      ") and "usage:" not in line:
            found.append([item.group(1), item.group(2) or ""])
        elif found and re.match(r" {6,}\S", line):
            found[-1][1] += " " + line.strip()
        elif not line.strip() and found and found[-1][0].startswith("--version"):
            break
    return [(tag, words(said)) for tag, said in found]


def statuses(text):
    """A help's exit statuses: {number: what is said}."""
    text = " ".join(text[text.index("exit status:"):].split())[len("exit status: "):]
    return {number: words(said) for number, said in
            re.findall(r"(\d) (.*?)(?:, (?=\d )|$)", text)}


def names(tag):
    """What a tag is about: its options, or the command that it begins with."""
    return tuple(re.findall(r"--[a-z-]+", tag)) or (tag.split()[0],)


@with_mandoc
class Manual(unittest.TestCase):
    maxDiff = None

    def test_nothing_is_wrong_with_a_page(self):
        for name in (*PAGES.values(), *(name for name, _, _ in KEYS)):
            said = [line for line in mandoc("-T", "lint", page(name)).splitlines()
                    if not any(each in line for each in ALLOWED)]
            self.assertEqual(said, [])

    def test_options_and_commands_are_those_of_help(self):
        for program, name in PAGES.items():
            manual = sections(name)
            there = dict((names(tag), said) for tag, said in
                         items(manual["OPTIONS"]) + items(manual.get("COMMANDS", "")))
            there.pop(("--",), None)
            helped = help_items(help_of(program))
            self.assertGreater(len(helped), 3, program)
            for tag, said in helped:
                key = names(tag)
                self.assertIn(key, there, program)
                self.assertTrue(there[key].startswith(said),
                                "%s: %s\n  help: %s\n  page: %s" % (program, tag, said, there[key]))
                there.pop(key)
            self.assertEqual(there, {}, program)

    def test_options_are_those_of_the_synopsis(self):
        for program, name in PAGES.items():
            manual = sections(name)
            used = set(re.findall(r"--[a-z-]+", manual["SYNOPSIS"]))
            usage = help_of(program).split("\n\n")[0]
            self.assertEqual(used, set(re.findall(r"--[a-z-]+", usage)), program)
            listed = {option for tag, _ in items(manual["OPTIONS"]) for option in names(tag)}
            self.assertEqual(listed - used, {"--version", "--help"} | listed & {"--"}, program)

    def test_exit_statuses_are_those_of_help(self):
        for program, name in PAGES.items():
            there = dict(items(sections(name)["EXIT STATUS"]))
            helped = statuses(help_of(program))
            self.assertEqual(sorted(there), sorted(helped), program)
            for number, said in helped.items():
                self.assertTrue(there[number].startswith(said), (program, number, there[number]))

    def test_every_key_of_the_reference_has_its_words(self):
        for name, reference, at_least in KEYS:
            text = words(re.sub(".\b", "", mandoc("-T", "utf8", "-O", "width=900", page(name))))
            with open(os.path.join(ROOT, "config", reference)) as file:
                rows = re.findall(r"(?m)^\| `(\S+)` \| (.*?) \| (.*?) \| (?:(yes|no) \| )?(.*) \|$",
                                  file.read())
            self.assertGreater(len(rows), at_least)
            for key, value, preset, live, said in rows:
                wanted = "%s %s Value: %s Default: %s" % (key, said, value, preset)
                if live:
                    wanted += " Reload: " + live
                self.assertIn(" ".join(wanted.replace("`", "").split()), text)


if __name__ == "__main__":
    unittest.main()
