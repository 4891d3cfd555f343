# SPDX-License-Identifier: BSD-3-Clause
"""Which programs a shell script calls, by the syntax tree that shfmt prints of it.

A function that runs its arguments ("$@") passes them on: what its callers name is looked
at. So is what a variable or an array was assigned, where a command begins with it.
"""

import itertools
import json
import re
import subprocess

from line import ARGUMENTS, HOLE, REST, started

BUILTINS = frozenset(subprocess.run(
    ("bash", "-c", "compgen -b; compgen -k"), stdout=subprocess.PIPE, text=True,
    check=True).stdout.split())


# Values of one command's variables that are tried at most.
MANY = 64
# Variables that name a program to meson.
COMPILERS = ("CC", "CXX")
# The path of a program that a command printed. (That command is looked at itself.)
PRINTED = HOLE + "/printed"


class Syntax(Exception):
    pass


def tree_of(text):
    done = subprocess.run(("shfmt", "-ln", "bash", "--to-json"), input=text, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    if done.returncode:
        raise Syntax(done.stderr.strip())
    tree = json.loads(done.stdout)
    # Operators are numbers there, and others with each version: put what was written.
    data = text.encode()
    for node in nodes(tree, "ParamExp"):
        if (node.get("Exp") or {}).get("Word"):
            begin, end = node["Param"]["End"]["Offset"], node["Exp"]["Word"]["Pos"]["Offset"]
            node["Exp"]["Op"] = data[begin:end].decode().rpartition("]")[2]
    return tree


def nodes(tree, kind):
    """All nodes of a kind, in order."""
    found, todo = [], [tree]
    while todo:
        branch = todo.pop()
        if isinstance(branch, list):
            todo += reversed(branch)
        elif "Offset" not in branch:
            if branch.get("Type") == kind:
                found.append(branch)
            todo += [each for each in reversed(branch.values()) if isinstance(each, (dict, list))]
    return found


def text_of(word):
    """A word as line.py wants it."""
    def text(part):
        kind = part["Type"]
        if kind in ("Lit", "SglQuoted"):
            return part.get("Value", "")
        if kind == "DblQuoted":
            return "".join(map(text, part.get("Parts") or ()))
        return HOLE

    array = array_of(word)
    if array:
        return ARGUMENTS if array == "@" else REST
    return "".join(map(text, unwrapped(word).get("Parts") or ()))


def only_part(word):
    """The one thing that a word is made of, inside quotes or not."""
    parts = word.get("Parts") or ()
    if len(parts) == 1 and parts[0]["Type"] == "DblQuoted":
        parts = parts[0].get("Parts") or ()
    return parts[0] if len(parts) == 1 else {}


def unwrapped(word):
    """${name+WORD} is WORD, or nothing at all; ${name-WORD} is WORD, or what somebody chose."""
    expansion = only_part(word).get("Exp") or {}
    return expansion["Word"] if expansion.get("Op") in ("+", ":+", "-", ":-") else word


def variable_of(word):
    """The name of the variable that a word consists of, or None."""
    part = only_part(unwrapped(word))
    return part["Param"]["Value"] if part.get("Type") == "ParamExp" else None


def array_of(word):
    """The name of the array that stands for any number of words, "@" of the arguments."""
    part = only_part(unwrapped(word))
    name = variable_of(word)
    index = (part.get("Index") or {}).get("Parts") or [{}]
    return name if name == "@" or index[0].get("Value") == "@" else None


class Script:
    """One text. `programs` are pairs of a name and a line, and so are `complaints`, words of
    which nobody can tell what they start; `lines` are all commands, as lists of words."""

    def __init__(self, text, first_line=1):
        self.first_line = first_line
        self.programs = []
        self.complaints = []
        self.lines = []
        tree = tree_of(text)
        self.functions = {f["Name"]["Value"]: f for f in nodes(tree, "FuncDecl")}
        # Functions that run their arguments, but for some at the front.
        self.runners = {name: n_shifts(f) for name, f in self.functions.items()
                        if runs_arguments(f)}
        self.assigned = assigned_in(tree)
        for node in nodes(tree, "CallExpr"):
            for assign in node.get("Assigns") or ():
                if assign["Name"]["Value"] in COMPILERS and "Value" in assign:
                    self.see([assign["Value"]])
        for args in commands(tree):
            self.see(args)

    def see(self, args):
        """One command, with each value that its variables may have."""
        line = self.first_line - 1 + args[0]["Pos"]["Line"]
        choices = [self.values(word) for word in args]
        for chosen in itertools.islice(itertools.product(*choices), MANY):
            self.see_words([text for texts in chosen for text in texts], line)

    def values(self, word):
        """What a word may stand for: lists of words."""
        return self.assigned.get(array_of(word) or variable_of(word)) or [[text_of(word)]]

    def see_words(self, words, line):
        self.lines.append(words)
        if words[:2] == ["command", "-v"]:
            words = words[2:]
        elif words[:1] == ["trap"]:
            self.see_text(words[1], line)
        for kind, word in started(words):
            if kind == "shell":
                self.see_text(word, line)
            elif kind == "unknown" and word != ARGUMENTS:
                self.complaints.append((word, line))
            elif word in self.runners:
                self.see_words(words[words.index(word) + 1 + self.runners[word]:], line)
            elif kind == "program" and word not in BUILTINS and word not in self.functions:
                self.programs.append((word, line))

    def see_text(self, text, line):
        """A script inside a word; it may call the functions around it."""
        if text == HOLE:
            self.complaints.append((text, line))
            return
        inner = Script(text.replace(HOLE, "${hole}"), line)
        self.programs += [found for found in inner.programs if found[0] not in self.functions]
        self.complaints += inner.complaints


def commands(tree):
    return [node["Args"] for node in nodes(tree, "CallExpr") if node.get("Args")]


def runs_arguments(function):
    return any(found == ("unknown", ARGUMENTS) for args in commands(function)
               for found in started([text_of(word) for word in args]))


def n_shifts(function):
    return sum(text_of(args[0]) == "shift" for args in commands(function))


def assigned_in(tree):
    """What variables are assigned: name -> lists of words."""
    assigned = {}
    for kind, key in (("CallExpr", "Assigns"), ("DeclClause", "Args")):
        for node in (node for found in nodes(tree, kind) for node in found.get(key) or ()):
            if not node.get("Name"):
                continue
            values = assigned.setdefault(node["Name"]["Value"], [])
            if "Array" in node:
                words = [text_of(e["Value"]) for e in node["Array"].get("Elems") or ()]
                values.append((values[-1] if node.get("Append") and values else []) + words)
            elif "Value" in node:
                printed = only_part(node["Value"]).get("Type") == "CmdSubst"
                values.append([PRINTED if printed else text_of(node["Value"])])
    return assigned


def interpreter(text):
    """What the first line of a script says that it is run by, as words."""
    shebang = re.match(r"#!\s*(.*)", text)
    return shebang.group(1).split() if shebang else []
