# SPDX-License-Identifier: BSD-3-Clause
"""Rules and scripts as they stand in the files. (The language is described in run.)"""
import os
import re

HERE = os.path.dirname(os.path.abspath(__file__))
COLUMNS = ("core", "wire", "linux")
ENGINE = ("core", "wire")
LEVELS = ("MUST", "MUST NOT", "SHOULD", "SHOULD NOT", "MAY")
SERVICES = {"state": 7000, "cookie": 7100, "lazy": 7200, "respond": 7300,
            "respond-cookie": 7400, "quiet": 7500}
HEADS = ("shows", "service", "families", "columns", "because", "server", "config")


class ScriptError(Exception):
    """A file that cannot be understood."""


class Mismatch(Exception):
    """What came is not what the script says."""


class Test:
    """One script; `lines` are (place, columns that it is for, words)."""

    def __init__(self, name, place):
        self.name, self.place = name, place
        self.head = {}
        self.lines = []

    def list(self, key, otherwise):
        return self.head.get(key, otherwise).split()

    @property
    def services(self):
        return self.list("service", "state cookie")

    @property
    def families(self):
        return [int(family) for family in self.list("families", "4 6")]

    @property
    def columns(self):
        return self.list("columns", "core wire linux")

    @property
    def server(self):
        """app: a listener; raw: played by the script; none."""
        return self.head.get("server", "app")

    @property
    def config(self):
        return self.head.get("config", "usual")


class Rule:
    """One row of the table."""

    def __init__(self, name, place):
        self.name, self.place = name, place
        self.section = self.level = self.says = ""
        self.tests = []
        self.differs = {}  # test -> why Linux does otherwise


def read(path):
    with open(path, encoding="ascii") as file:
        return [("%s:%d" % (os.path.basename(path), number), line.rstrip("\n"))
                for number, line in enumerate(file, 1)]


def joined(lines):
    """Without comments and empty lines; a line that ends in a backslash goes on."""
    out, more = [], False
    for place, text in lines:
        if not text.strip() or text.strip().startswith("#"):
            continue
        if more:
            out[-1] = (out[-1][0], out[-1][1][:-1].rstrip() + " " + text.strip())
        else:
            out.append((place, text))
        more = text.endswith("\\")
    return out


def expand(lines, values):
    """`each NAME FROM TO [STEP]` or `each NAME in A B C` ... `done`, loops in loops too."""
    out, i = [], 0
    while i < len(lines):
        place, text = lines[i]
        i += 1
        words = text.split()
        if words[0] == "done":
            raise ScriptError(place + ": done without each")
        if words[0] != "each":
            out.append((place, re.sub(
                r"\$(?:{(\w+)}|(\w+))", lambda m: str(values.get(m[1] or m[2], m[0])), text)))
            continue
        body, depth = [], 1
        while depth:
            if i == len(lines):
                raise ScriptError(place + ": each without done")
            depth += {"each": 1, "done": -1}.get(lines[i][1].split()[0], 0)
            body.append(lines[i])
            i += 1
        body.pop()
        if words[2] == "in":
            turns = words[3:]
        else:
            step = int(words[4]) if len(words) > 4 else 1
            turns = range(int(words[2]), int(words[3]) + 1, step)
        for turn in turns:
            out += expand(body, dict(values, **{words[1]: turn}))
    return out


def parse_tests(path):
    tests, body = [], []
    for place, text in joined(read(path)):
        if text.startswith("test "):
            tests.append(Test(text.split()[1], place))
            body.append([])
            continue
        if not tests:
            raise ScriptError(place + ": before the first test")
        key, colon, rest = text.strip().partition(": ")
        if colon and key in HEADS:
            tests[-1].head[key] = rest.strip()
        else:
            body[-1].append((place, text.strip()))
    for test, lines in zip(tests, body):
        for place, text in expand(lines, {}):
            columns = COLUMNS
            mark = re.match(r"(engine|core|wire|linux|wired): ", text)
            if mark:
                columns = {"engine": ENGINE, "wired": ("wire", "linux")}.get(mark[1], (mark[1],))
                text = text[mark.end():]
            test.lines.append((place, columns, text.split()))
    return tests


def parse_rules(path):
    rules = []
    for place, text in joined(read(path)):
        words = text.split()
        if words[0] == "rule":
            rules.append(Rule(words[1], place))
            continue
        key, colon, rest = text.strip().partition(": ")
        if not colon or not rules:
            raise ScriptError("%s: not understood: %s" % (place, text))
        rule = rules[-1]
        if key == "tests":
            rule.tests += rest.split()
        elif key.startswith("differs "):
            rule.differs[key.split()[1]] = rest
        elif key in ("section", "level", "says"):
            setattr(rule, key, rest)
        else:
            raise ScriptError("%s: not understood: %s" % (place, text))
    return rules


def load(folder, parse, ending):
    out = []
    for name in sorted(os.listdir(os.path.join(HERE, folder))):
        if name.endswith(ending):
            out += parse(os.path.join(HERE, folder, name))
    names = [thing.name for thing in out]
    for name in names:
        if names.count(name) > 1:
            raise ScriptError("%s: %s is there twice" % (folder, name))
    return out


def check(rules, tests):
    """What is wrong with the table itself, as lines."""
    known = {test.name for test in tests}
    shown = {name for rule in rules for name in rule.tests}
    out = []
    for rule in rules:
        if not rule.tests:
            out.append("rule %s has no test" % rule.name)
        if rule.level not in LEVELS or not rule.section or not rule.says:
            out.append("rule %s lacks section, level or text" % rule.name)
        out += ["rule %s: no such test: %s" % (rule.name, name)
                for name in list(rule.tests) + list(rule.differs) if name not in known]
        out += ["rule %s explains %s, which it does not name" % (rule.name, name)
                for name in rule.differs if name not in rule.tests]
    out += ["test %s belongs to no rule" % name for name in sorted(known - shown)]
    for test in tests:
        if set(test.columns) != set(COLUMNS) and "because" not in test.head:
            out.append("test %s does not say why a column is missing" % test.name)
        if "shows" not in test.head:
            out.append("test %s does not say what it shows" % test.name)
    return out
