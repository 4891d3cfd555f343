# SPDX-License-Identifier: BSD-3-Clause
"""The private copy of the tree: built once, then one object at a time.

A sabotage is compiled into objects of its own. They are linked in front of the libraries, so
that the archive's member of the same name is not taken, and the tests run that have one of
them in their binary.
"""
import json
import math
import os
import re
import shlex
import shutil
import signal
import subprocess
import threading

import lexer

SUITES = ("unit", "golden", "fuzz", "race")
# Slow, or the same once more. adopt_clang_19 loads the BPF program as another clang has made it: that
# is linked from no object in which a sabotage could be, so nothing here would make it fail.
LEFT_OUT = ("golden_made", "secret_threads", "fuzz_conf", "adopt_clang_19")
# The threads of a whole engine: only for what runs in them.
THREADED = re.compile(r"^lib/plane/")
SLACK_S = 20
MEMORY_MAX = 8 << 30
FILE_MAX = 4 << 30  # an engine without hugepages has its memory in a file


class Stopped(Exception):
    pass


class Processes:
    """Every child that runs, so that all can be ended at once."""

    def __init__(self):
        self.lock = threading.Lock()
        self.live = set()
        self.stopping = False

    def start(self, command, cwd, limits):
        """By a shell, as ninja has its commands run."""
        with self.lock:
            if self.stopping:
                raise Stopped()
            child = subprocess.Popen(
                ["prlimit"] + limits + ["sh"], cwd=cwd, start_new_session=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            self.live.add(child)
        child.stdin.write(("exec %s </dev/null\n" % shlex.join(command)).encode())
        child.stdin.close()
        return child

    def kill(self, child):
        try:
            os.killpg(child.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def forget(self, child):
        with self.lock:
            self.live.discard(child)

    def stop(self):
        with self.lock:
            self.stopping = True
            for child in self.live:
                self.kill(child)


class Test:
    def __init__(self, name, suite, command):
        self.name, self.suite, self.command = name, suite, command
        self.programs = {}  # index in the command -> path in the build directory
        self.objects = set()
        self.seconds = 0.0  # of processor time


def limits_of(seconds):
    """No more of the machine than a test of so much processor time can need."""
    if seconds is None:
        return ["--core=0"]
    cpu_s = math.ceil(4 * seconds) + 2
    return ["--core=0", "--cpu=%d:%d" % (cpu_s, cpu_s + 1), "--fsize=%d" % FILE_MAX,
            "--data=%d" % MEMORY_MAX]


def run(processes, command, cwd, seconds=None, stop_at=None):
    """(status, output, seconds of processor time); status None when it was stopped by time.
    With `stop_at`, the run ends when its output has these words."""
    child = processes.start(command, cwd, limits_of(seconds))
    timer, late = None, []
    if seconds is not None:
        def end():
            late.append(True)
            processes.kill(child)
        timer = threading.Timer(10 * seconds + SLACK_S, end)
        timer.start()
    lines, found = [], False
    try:
        for line in child.stdout:
            lines.append(line)
            if stop_at is not None and stop_at in line:
                found = True
                break
        if found:
            processes.kill(child)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = status = os.waitstatus_to_exitcode(status)
    finally:
        if timer is not None:
            timer.cancel()
        processes.forget(child)
        child.stdout.close()
    if processes.stopping:
        raise Stopped()
    output = b"".join(lines).decode(errors="replace")
    used = usage.ru_utime + usage.ru_stime
    if late or status in (-signal.SIGXCPU, -signal.SIGKILL) and not found:
        return None, output, used
    return (1 if found else status), output, used


def copy_tree(root, to):
    """What git knows of, and what is new, as it is now."""
    names = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=root,
        stdout=subprocess.PIPE, check=True).stdout.decode().split("\0")
    for name in names:
        source = os.path.join(root, name)
        if name and os.path.isfile(source):
            target = os.path.join(to, name)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            shutil.copy2(source, target)


class Base:
    """The copy without a sabotage."""

    def __init__(self, root, work, processes):
        self.work, self.processes = work, processes
        self.tree = os.path.join(work, "tree")
        self.build = os.path.join(self.tree, "build")
        copy_tree(root, self.tree)

    def must(self, command, cwd=None, **options):
        status, output, _ = run(self.processes, command, cwd or self.build, **options)
        if status != 0:
            raise RuntimeError("%s\n%s" % (" ".join(command), output))
        return output

    def prepare(self, jobs):
        self.must(["meson", "setup", "build", "-Db_lto=false", "-Doptimization=1",
                   "-Dwerror=false"], cwd=self.tree)
        self.tests = self.read_tests()
        self.must(["ninja", "-j", str(jobs)] +
                  sorted({p for t in self.tests for p in t.programs.values()}))
        with open(os.path.join(self.build, "compile_commands.json"), encoding="utf-8") as file:
            self.compiles = {self.object_of(entry): entry for entry in json.load(file)}
        self.links = {}
        for test in self.tests:
            for program in test.programs.values():
                if program not in self.links:
                    self.links[program] = self.read_link(program)
                test.objects |= self.links[program][1]
        self.read_deps()
        self.read_words()

    @staticmethod
    def object_of(entry):
        words = shlex.split(entry["command"])
        return words[words.index("-o") + 1]

    def read_tests(self):
        out = []
        targets = {line.split(": ")[0] for line in
                   self.must(["ninja", "-t", "targets", "all"]).splitlines()}
        for entry in json.loads(self.must(["meson", "introspect", "--tests"])):
            suite = entry["suite"][0].split(":")[-1]
            if suite not in SUITES or entry["name"] in LEFT_OUT:
                continue
            test = Test(entry["name"], suite, entry["cmd"])
            for i, word in enumerate(test.command):
                path = os.path.relpath(os.path.join(self.build, word), self.build)
                if path in targets:
                    test.programs[i] = path
            out.append(test)
        return out

    def read_link(self, program):
        """The command that links it, and the objects that are in it."""
        command = shlex.split(self.must(["ninja", "-t", "commands", program]).splitlines()[-1])
        at = command.index("-o") + 1
        traced = command[:at] + [os.path.join(self.work, "traced")] + command[at + 1:]
        objects = set(self.must(traced + ["-Wl,-t"]).split())
        return command, {o for o in objects if o in self.compiles}

    def read_deps(self):
        """Path from the top of the tree -> objects that are made from it."""
        self.users, target = {}, None
        known = set().union(*(t.objects for t in self.tests))
        for line in self.must(["ninja", "-t", "deps"]).splitlines():
            if line and not line[0].isspace():
                target = line.split(": #deps")[0]
            elif line.strip() and target in known:
                path = os.path.relpath(os.path.join(self.build, line.strip()), self.tree)
                if not path.startswith(".."):
                    self.users.setdefault(path, set()).add(target)

    def read_words(self):
        """For headers: which names each of their functions and macros uses."""
        self.words, self.shapes = {}, {}
        for path in self.users:
            text = self.text(path)
            everything = set(re.findall(r"\w+", text))
            if not path.endswith(".h"):
                self.words[path] = {"": everything}
                continue
            names = self.words.setdefault(path, {})
            tokens = lexer.read(text).tokens
            for token in tokens:
                names.setdefault(token.function, set()).add(token.text)
            for define in re.findall(r"#[ \t]*define[ \t]+(\w+)((?:[^\n\\]|\\.)*)", text, re.S):
                names.setdefault(define[0], set()).update(re.findall(r"\w+", define[1]))
            self.shapes[path] = everything - {t.text for t in tokens if t.function}

    def text(self, path):
        with open(os.path.join(self.tree, path), encoding="utf-8") as file:
            return file.read()

    def objects_for(self, mutation):
        """Objects that a mutation may change: those of its file, or of whoever uses what is
        changed in a header, directly or through other headers."""
        users = self.users.get(mutation.path, set())
        if not mutation.path.endswith(".h"):
            return sorted(users)
        names, grew = {mutation.function}, True
        while grew:
            grew = False
            for path, functions in self.words.items():
                if not path.endswith(".h"):
                    continue
                for function, words in functions.items():
                    if function and function not in names and names & words:
                        names.add(function)
                        grew = True
            # A size or an enumerator that depends on it is everybody's.
        if any(names & shapes - set(self.words[path]) for path, shapes in self.shapes.items()):
            return sorted(users)
        uses = {path for path, functions in self.words.items() if path.endswith(".c") and
                names & functions[""]}
        return sorted(o for o in users if self.source_of(o) in uses)

    def source_of(self, target):
        entry = self.compiles[target]
        return os.path.relpath(os.path.join(self.build, entry["file"]), self.tree)

    def measure(self):
        """Run every test once. The names of those that fail."""
        failed = []
        for test in self.tests:
            status, _, test.seconds = run(self.processes, test.command, self.build)
            if status != 0:
                failed.append(test.name)
        return failed


class Job:
    """A place where one sabotage after the other is tried."""

    def __init__(self, base, number):
        self.base = base
        self.work = os.path.join(base.work, "job%d" % number)
        self.tree = os.path.join(self.work, "tree")
        self.build = os.path.join(self.tree, "build")
        copy_tree_of(base.tree, self.tree)
        os.makedirs(self.build, exist_ok=True)
        os.makedirs(os.path.join(self.work, "out"))

    def compile(self, target, options=()):
        """Path of the object, or None."""
        command = shlex.split(self.base.compiles[target]["command"])
        out = os.path.join(self.work, "out", target.replace("/", "+"))
        command[command.index("-o") + 1] = out
        command[command.index("-MF") + 1] = out + ".d"
        command = [w for w in command if not w.startswith("-W")] + [
            "-w", "-Werror=uninitialized", "-Werror=maybe-uninitialized"] + list(options)
        status, _, _ = run(self.base.processes, command, self.build)
        return out if status == 0 else None

    def write(self, path, text):
        with open(os.path.join(self.tree, path), "w", encoding="utf-8") as file:
            file.write(text)

    def objects(self, mutation, options=()):
        """target -> object, of those that differ from the tree's; None: does not compile."""
        out = {}
        original = self.base.text(mutation.path)
        for target in self.base.objects_for(mutation):
            self.write(mutation.path, mutation.apply(original))
            try:
                new = self.compile(target, options)
                if new is None:
                    return None
                with open(new, "rb") as file:
                    bytes_new = file.read()
            finally:
                self.write(mutation.path, original)
            if options:
                old = self.compile(target, options)
            else:
                old = os.path.join(self.base.build, target)
            with open(old, "rb") as file:
                if file.read() == bytes_new:
                    continue
            if options:
                return {target: new}
            out[target] = new
        return out

    def link(self, program, changed):
        command, objects = self.base.links[program]
        out = os.path.join(self.work, "out", os.path.basename(program))
        at = command.index("-o") + 1
        mine = [new for target, new in changed.items()
                if target in objects and target not in command]
        command = command[:at] + [out] + mine + [changed.get(w, w) for w in command[at + 1:]]
        status, _, _ = run(self.base.processes, command, self.base.build)
        return out if status == 0 else None

    def noticed_by(self, test, changed):
        """True, False, or None if it cannot be linked."""
        command = list(test.command)
        for i, program in test.programs.items():
            if self.base.links[program][1] & set(changed):
                command[i] = self.link(program, changed)
                if command[i] is None:
                    return None
        status, _, _ = run(self.base.processes, command, self.base.build, test.seconds,
                        b"FAILED")
        return status != 0


def copy_tree_of(tree, to):
    shutil.copytree(tree, to, ignore=lambda folder, names: ["build"] if folder == tree else [])
