# SPDX-License-Identifier: BSD-3-Clause
"""Which programs one command line starts: its first word, and what that one starts in turn.

A word is a string. What a script only knows when it runs, the value of a variable or of an
expression, is HOLE in it: HOLE + "/tests/x" is a path whose beginning is not known. A word
that is REST stands for any number of words that are not known, ARGUMENTS for those of the
script or function itself.
"""

import re

HOLE = "\0"
REST = "\0..."
ARGUMENTS = "\0@"

# Programs that start another: the options of theirs that take a word of their own, and how
# many words that are no options stand before the command.
WRAPPERS = {
    "chroot": ((), 1),
    "command": ((), 0),
    "env": (("-u", "-C"), 0),
    "exec": (("-a",), 0),
    "flock": (("-w", "--timeout"), 1),
    "ionice": (("-c", "-n"), 0),
    "nice": (("-n",), 0),
    "nohup": ((), 0),
    "prlimit": ((), 0),
    "setarch": ((), 1),
    "setpriv": ((), 0),
    "setsid": ((), 0),
    "stdbuf": (("-i", "-o", "-e"), 0),
    "strace": (("-e", "-o", "-p"), 0),
    "sudo": (("-u",), 0),
    "taskset": ((), 1),
    "time": ((), 0),
    "timeout": (("-k", "-s"), 1),
    "unshare": ((), 0),
    "valgrind": ((), 0),
    "xargs": (("-n", "-I", "-L", "-P", "-d", "-a"), 0),
}
SHELLS = ("sh", "bash", "dash")
RUNS_ARGUMENTS = re.compile(r'(?:^|[;&|]\s*|\bexec\s+)"\$@"')
FIND_RUNS = ("-exec", "-execdir", "-ok", "-okdir")


def started(words):
    """Pairs of kind and text: ("program", name), ("shell", a text for a shell), or
    ("unknown", word), a word of which nobody can say what it starts."""
    words = list(words)
    while words:
        word = words.pop(0)
        if word in (REST, ARGUMENTS):
            yield "unknown", word
            # It may be empty, or start what follows.
            if words and not words[0].startswith("-"):
                continue
            return
        if word.startswith("-"):
            # An option of the program that is started with these words behind it.
            return
        if HOLE in word and "/" not in word:
            yield "unknown", word
            return
        yield "program", word
        name = word.rpartition("/")[2]
        if name in SHELLS:
            at = next((at for at, word in enumerate(words) if not word.startswith("-")), 0)
            if at and words[at - 1].endswith("c"):
                yield "shell", words[at]
                # What the text knows as "$@" stands behind its name.
                at = at + 2 if RUNS_ARGUMENTS.search(words[at]) else len(words)
            words = words[at:]
        elif name == "find":
            words = after(words, FIND_RUNS)
        elif name == "ip":
            words = words[3:] if words[:2] == ["netns", "exec"] else []
        elif name in WRAPPERS:
            words = wrapped(words, *WRAPPERS[name])
        else:
            return


def wrapped(words, valued, positional):
    """The command of a wrapper: what stands behind its options and its own arguments."""
    while words:
        word = words[0]
        if word == "--":
            return words[1:]
        if word in valued:
            words = words[2:]
        elif word.startswith("-") or "=" in word.partition("/")[0]:
            words = words[1:]
        elif positional and word not in (REST, ARGUMENTS):
            positional -= 1
            words = words[1:]
        else:
            return words
    return []


def after(words, options):
    for at, word in enumerate(words):
        if word in options:
            return words[at + 1:]
    return []
