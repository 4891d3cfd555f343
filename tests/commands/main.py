#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Every program that scripts/, tests/ and the units in config/ call, and every module that they import, belongs to
a package of scripts/packages, in a group that is set up before: the one that a script names to
scripts/setup, for it and for the files of tests/ that it starts; for all others those of
scripts/test. Part of scripts/check.

    main.py [--list]

Prints what does not, and what is listed there and called by nobody; the status is 1 then.
--list prints instead who calls what.
"""

import collections
import os
import re
import subprocess
import sys

from line import HOLE, started
from of_python import World
from of_shell import Script, interpreter

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TABLE = "scripts/packages"
SETUP, DEFAULT = "scripts/setup", "scripts/test"
# Groups that need no setting up: on every Debian, or called only where it is there.
GIVEN_GROUPS = {"always", "optional"}
# Where the project's own programs go.
INSTALLED = "@SBINDIR@/"
SYSTEM_FOLDERS = ("/bin", "/sbin", "/usr/bin", "/usr/sbin")

# Files that say by their names what they are; others by their first lines.
PLAIN = (".py", "meson.build", ".service")

Row = collections.namedtuple("Row", "group package names")


def read_table(text):
    """Rows; a name is a program or "import MODULE"."""
    rows = []
    for line in text.splitlines():
        fields = line.partition("#")[0].split()
        if fields:
            names = re.findall(r"import \S+|[^\s-]\S*", " ".join(fields[2:]))
            rows.append(Row(fields[0], fields[1], names))
    return rows


class Tree:
    """Texts of files by their paths; whether a path is there; and the table."""

    def __init__(self, texts, rows, exists=os.path.exists):
        self.texts, self.rows, self.exists = texts, rows, exists
        kinds = {file: kind_of(file, text) for file, text in texts.items()}
        self.scripts = {file: Script(text) for file, text in texts.items()
                        if kinds[file] == "shell"}
        self.world = World({file: text for file, text in texts.items()
                            if kinds[file] == "python"})
        self.imports = collections.defaultdict(list)
        for name, line, file in self.world.imports:
            self.imports[file].append((name, line))
        self.calls, self.complaints = self.gather()
        self.groups = self.groups_of_files()

    def gather(self):
        """All that is called, and all that cannot be told: (word, line, file)."""
        calls, complaints = list(self.world.programs), list(self.world.complaints)
        scripts = [(file, script) for file, script in self.scripts.items()]
        scripts += [(file, Script(text.replace(HOLE, "${hole}"), line))
                    for text, line, file in self.world.shells]
        for file, script in scripts:
            calls += [(word, line, file) for word, line in script.programs]
            complaints += [(word, line, file) for word, line in script.complaints]
        for file, text in self.texts.items():
            calls += [(word, 1, file) for kind, word in started(interpreter(text))
                      if kind == "program"]
            if file.endswith("meson.build"):
                calls += [(word, 1, file) for word in re.findall(
                    r"find_program\('([^']+)'", text) if not self.exists(beside(file, word))]
            if file.endswith(".service"):
                calls += [(word, 1, file) for words in re.findall(r"^Exec\w+=(?:[-:+!]|@(?=/))*(.*)", text, re.M)
                          for kind, word in started(words.split())
                          if kind == "program" and not word.startswith(INSTALLED)]
        return calls, complaints

    def groups_of_files(self):
        """file -> {script: the groups that it sets up}, for the scripts that start it."""
        known = {row.group for row in self.rows}
        groups = collections.defaultdict(dict)
        for file, script in self.scripts.items():
            named = {word for words in script.lines if words[:1] == [SETUP] for word in words}
            if file == SETUP or named:
                groups[file][file] = named & known or {"build"}
        setters = set(groups)
        for script in setters:
            for file in self.started_by(script, setters):
                groups[file][script] = groups[script][script]
        for file in self.texts:
            if file not in groups:
                groups[file][DEFAULT] = groups[DEFAULT].get(DEFAULT, {"build"})
        return groups

    def started_by(self, script, setters):
        """The files of tests/ that a script starts, and what these import; not those that set up
        for themselves."""
        found, todo = set(), [script]
        while todo:
            file = todo.pop()
            near = [word for words in getattr(self.scripts.get(file), "lines", ())
                    for word in words if word in self.texts and word.startswith("tests/")]
            modules = [self.world.module(name, file) for name, _ in self.imports[file]]
            near += [module.file for module in modules if module]
            near = [file for file in near if file not in setters]
            todo += set(near) - found
            found.update(near)
        return found

    # What is wrong

    def faults(self):
        for word, line, file in sorted(self.complaints):
            yield "%s:%d: cannot tell which program is called here" % (file, line)
        wanted = set()
        for word, line, file in sorted(set(self.calls)):
            name = self.program(word)
            if name is None:
                continue
            wanted.add(name)
            yield from self.misses(name, name, line, file)
        for file, imports in sorted(self.imports.items()):
            for module, line in imports:
                top = (module or "").partition(".")[0]
                if top not in sys.stdlib_module_names and not self.world.module(module, file):
                    wanted.add("import " + top)
                    yield from self.misses("import " + top, "module " + top, line, file)
        for row in self.rows:
            for name in row.names:
                if name not in wanted:
                    yield "%s: nobody calls %s of %s" % (TABLE, name, row.package)

    def program(self, word):
        """The program that a word names; None if it is a file of the tree, or one built."""
        folder, _, name = word.rpartition("/")
        if folder in SYSTEM_FOLDERS or not folder and not word.startswith("/"):
            return name
        return None if HOLE in word or self.exists(word) else word

    def misses(self, name, called, line, file):
        """Where a program or module is called and not set up."""
        have = {row.group for row in self.rows if name in row.names}
        if not have:
            yield "%s:%d: %s: no package of %s brings it" % (file, line, called, TABLE)
        for script, groups in sorted(self.groups[file].items()):
            if have and not have & (groups | GIVEN_GROUPS):
                yield "%s:%d: %s: is in group %s, and %s sets up %s" % (
                    file, line, called, " and ".join(sorted(have)), script,
                    " ".join(sorted(groups)))


def beside(file, name):
    return os.path.join(os.path.dirname(file), name)


def kind_of(file, text):
    words = interpreter(text)
    name = os.path.basename(words[-1]) if words else ""
    if file.endswith(".py") or name.startswith("python"):
        return "python"
    return "shell" if name in ("sh", "bash") else "other"


def query(*argv):
    """Lines that dpkg-query prints; what it does not know is left out."""
    return subprocess.run(("dpkg-query",) + argv, stdout=subprocess.PIPE, text=True,
                          stderr=subprocess.DEVNULL, check=False).stdout.splitlines()


def untrue(rows, query=query):
    """Names that none of the packages has which are said to, nor one that such a package depends
    on: a program may be in another package on each system. Only where all of them are installed."""
    needs = {}
    for line in query("-W", "-f", "${Package} ${db:Status-Abbrev} ${Pre-Depends}, ${Depends}\n",
                      *{row.package for row in rows}):
        package, status, text = line.split(" ", 2)
        if status == "ii":
            needs[package] = {package, *re.findall(r"(?:^|, *)([a-z0-9.+-]+)", text.lstrip())}
    paths = {}
    for row in rows:
        for name in row.names:
            there = [folder + "/" + name for folder in SYSTEM_FOLDERS]
            # A link such as awk, which update-alternatives made, belongs to no package.
            paths[name] = {*there, *map(os.path.realpath, there)}
    owners = collections.defaultdict(set)
    for line in query("-S", *{path for each in paths.values() for path in each}):
        packages, _, path = line.rpartition(": ")
        owners[path].update(re.findall(r"([a-z0-9.+-]+)(?::\w+)?(?:, |$)", packages))
    said = collections.defaultdict(set)
    for row in rows:
        for name in row.names:
            if " " not in name:
                said[row.group, name].add(row.package)
    for (_, name), packages in said.items():
        if not packages <= set(needs):
            continue
        having = set().union(*(owners[path] for path in paths[name]))
        if not having & set().union(*(needs[package] for package in packages)):
            yield "%s: %s has no %s" % (TABLE, " or ".join(sorted(packages)), name)


def texts_of_tree():
    listed = subprocess.run(("git", "ls-files", "--cached", "--others", "--exclude-standard",
                             "scripts", "tests", "config", ".ci"), stdout=subprocess.PIPE, text=True,
                            check=True).stdout.split("\n")
    texts = {}
    for file in listed:
        if os.path.isfile(file) and (file.endswith(PLAIN)
                                     or "." not in os.path.basename(file)):
            with open(file, "rb") as stream:
                texts[file] = stream.read().decode(errors="replace")
    return {file: text for file, text in texts.items()
            if file.endswith(PLAIN) or interpreter(text)}


def main():
    os.chdir(ROOT)
    with open(TABLE) as file:
        rows = read_table(file.read())
    tree = Tree(texts_of_tree(), rows)
    if sys.argv[1:] == ["--list"]:
        callers = collections.defaultdict(set)
        for word, _, file in tree.calls:
            callers[tree.program(word)].add(file)
        for name in sorted(filter(None, callers)):
            print("%-20s %s" % (name, " ".join(sorted(callers[name]))))
        return 0
    found = list(tree.faults()) + list(untrue(rows))
    print("\n".join(found), end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
