#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""How scripts/demo behaves: interrupted at any moment it leaves nothing behind, wrong arguments
are told, what --keep says to try works, --cookies has its act, and without AF_XDP it says so and
goes on.

    manners.py [--only PATTERN]

Prints a line for each check and a closing line; needs root for all but the arguments.
"""

import argparse
import os
import pty
import select
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
DEMO = os.path.join(ROOT, "scripts/demo")
PATIENCE_S = 200
# What it has said when it is interrupted, and how long after that.
MOMENTS = (("", 0.02), ("", 0.5), ("A client", 0.0), ("A client", 0.3), ("A client", 1.0),
           ("Finding out", 0.0), ("Finding out", 2.0), ("Flat out", 0.1), ("1 of 5", 0.5),
           ("2 of 5", 1.0), ("3 of 5", 0.1), ("4 of 5", 2.0), ("5 of 5", 1.0))
SETTINGS = ("/proc/sys/net", "/proc/sys/vm/nr_hugepages", "/proc/sys/vm/overcommit_memory",
            "/proc/sys/kernel/sched_rt_runtime_us", "/proc/sys/kernel/core_pattern")
COUNTS = ("nf_conntrack_count", "tcp_fastopen_key", "route/flush")


class Failed(Exception):
    pass


# The machine

def settings():
    found = {}
    for top in SETTINGS:
        places = [top] if os.path.isfile(top) else [
            os.path.join(path, name) for path, _, names in os.walk(top) for name in names]
        for place in places:
            try:
                with open(place) as file:
                    found[place] = file.read()
            except OSError:
                continue
    return {place: text for place, text in found.items() if not place.endswith(COUNTS)}


def names(*places):
    return {os.path.join(place, name) for place in places if os.path.isdir(place)
            for name in os.listdir(place)}


def children(pid):
    """The processes that a process has started, those of theirs among them, with their birth."""
    parents = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/stat" % name) as file:
                fields = file.read().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(name)] = int(fields[1]), int(fields[19])
    found, new = {}, {pid}
    while new:
        new = {each for each, (parent, _) in parents.items() if parent in new} - set(found)
        found.update((each, parents[each][1]) for each in new)
    return found


def alive(pid, birth):
    try:
        with open("/proc/%d/stat" % pid) as file:
            return int(file.read().rpartition(")")[2].split()[19]) == birth
    except OSError:
        return False


class Machine:
    """As it is now; other work may go on, so what is not of a demo's own is looked at only
    where it should not change."""

    def __init__(self):
        self.links = names("/sys/class/net")
        self.pinned = names("/sys/fs/bpf", "/dev/hugepages")
        self.settings = settings()

    def differs(self, pid, started):
        """What a demo of this process, and those that it started, have left."""
        label = "sflab-%d-" % pid
        left = [name for name in names("/run/netns", "/run/dpdk", "/tmp") if label in name]
        left += ["process %d" % each for each, birth in started.items() if alive(each, birth)]
        left += names("/sys/class/net") - self.links
        left += names("/sys/fs/bpf", "/dev/hugepages") - self.pinned
        now = settings()
        left += [place for place, text in self.settings.items() if now.get(place, text) != text]
        return left


# A demo

class Program:
    """A program with its output in a pipe, or on a terminal; it can be told some lines."""

    def __init__(self, argv, told="", terminal=False):
        self.said = ""
        if terminal:
            self.output, far = pty.openpty()
        else:
            self.output, far = os.pipe()
        near, write = os.pipe()
        os.write(write, told.encode())
        os.close(write)
        self.process = subprocess.Popen(
            argv, cwd=ROOT, stdin=near, stdout=far, stderr=far, start_new_session=True,
            env=dict(os.environ, TERM="xterm"),
            # What was started in the background by a script would not hear it.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
        os.close(near)
        os.close(far)

    def read(self, seconds):
        """What it says in this time; False at the end of it."""
        if not select.select([self.output], [], [], max(0.0, seconds))[0]:
            return True
        try:
            piece = os.read(self.output, 65536)
        except OSError:  # a terminal whose other end is gone
            piece = b""
        self.said += piece.decode(errors="replace")
        return bool(piece)

    def wait_for(self, text, seconds=PATIENCE_S):
        end = time.monotonic() + seconds
        while text not in self.said:
            if time.monotonic() > end or not self.read(0.1):
                raise Failed("it never said %r, but:\n%s" % (text, self.said))

    def rest(self, seconds=PATIENCE_S):
        """Until it ends; its status."""
        end = time.monotonic() + seconds
        while self.read(0.1):
            if time.monotonic() > end:
                os.killpg(self.process.pid, signal.SIGKILL)
                raise Failed("it did not end:\n" + self.said)
        os.close(self.output)
        return self.process.wait(10)

    def interrupt(self, number=signal.SIGINT):
        """As a terminal does: the whole group."""
        os.killpg(self.process.pid, number)


class Demo(Program):
    """scripts/demo."""

    def __init__(self, *arguments, before=(), terminal=False):
        super().__init__(tuple(before) + (DEMO,) + arguments, terminal=terminal)


def expect(what, is_so, said):
    if not is_so:
        raise Failed("%s; it said:\n%s" % (what, said))


def interrupted(text, seconds, **how):
    machine = Machine()
    demo = Demo("--short", **how)
    demo.wait_for(text)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        demo.read(end - time.monotonic())
    started = children(demo.process.pid)
    demo.interrupt()
    status = demo.rest(30)
    expect("status %d" % status, status in (130, -signal.SIGINT), demo.said)
    expect("there is a traceback", "Traceback" not in demo.said, demo.said)
    left = machine.differs(demo.process.pid, started)
    expect("left: " + ", ".join(map(str, left)), not left, demo.said)
    return demo


def interrupted_on_terminal():
    demo = interrupted("\033[?25l", 3.0, terminal=True)
    expect("the cursor stays hidden", demo.said.rstrip().endswith("\033[?25h"), repr(demo.said))


def wrong_arguments():
    for arguments, sign in ((("--nonsense",), "unknown argument: --nonsense"),
                            (("--svg",), "--svg needs a file"),
                            (("--svg", "--short"), "--svg needs a file"),
                            (("--svg", "/nowhere/at/all.svg"), "no such folder: /nowhere/at")):
        demo = Demo(*arguments)
        status = demo.rest(30)
        expect("status %d of %s" % (status, " ".join(arguments)), status == 2, demo.said)
        expect("of %s no word" % " ".join(arguments), sign in demo.said, demo.said)
    demo = Demo("--help")
    expect("--help", demo.rest(30) == 0 and "--svg FILE" in demo.said, demo.said)


def without_xdp():
    machine = Machine()
    demo = Demo("--short", before=("/usr/bin/python3", os.path.join(HERE, "no_xdp.py")))
    status = demo.rest()
    expect("status %d" % status, status == 0, demo.said)
    expect("it does not say so", "AF_XDP cannot be had here" in demo.said, demo.said)
    left = machine.differs(demo.process.pid, {})
    expect("left: " + ", ".join(map(str, left)), not left, demo.said)


# What --keep prints to try, each with a sign of its success.
TRIES = (("curl", "hello from behind"), ("generator", "flood_sent"),
         ("--watch 1 stats", "syn_received"), ("services", "demo"),
         ("dpdk-telemetry.py", '"/synfront/info"'), ("tcpdump", "listening on eth0"))


def try_out(demo):
    """Each until its sign is seen, then Ctrl-C for those that go on. Not Ctrl-C after a fixed
    time: the generator gives its account at the end of its 30 seconds, and on a busy machine
    it can take longer than a few seconds to begin."""
    told = demo.said.partition("The lab stays until Ctrl-C")[2].splitlines()[1:]
    for sign, success in TRIES:
        lines = [line for line in told if sign in line]
        expect("%d lines with %s" % (len(lines), sign), len(lines) == 1, demo.said)
        # bash reads its line and no further, so that what follows is told to the program.
        program = Program(("bash",), told="exec %s\n/synfront/info\nquit\n" % lines[0])
        try:
            program.wait_for(success, 120)
        finally:
            program.interrupt()
            program.rest(30)


def kept():
    machine = Machine()
    demo = Demo("--short", "--keep")
    demo.wait_for("tcpdump -ni")
    demo.read(1.0)
    started = children(demo.process.pid)
    try:
        try_out(demo)
    finally:
        demo.interrupt()
        status = demo.rest(30)
    expect("status %d" % status, status == 0, demo.said)
    left = machine.differs(demo.process.pid, started)
    expect("left: " + ", ".join(map(str, left)), not left, demo.said)


def with_cookies():
    machine = Machine()
    demo = Demo("--short", "--cookies")
    status = demo.rest()
    expect("status %d" % status, status == 0, demo.said)
    if "left out" not in demo.said:
        expect("no such act", "3 of 6: the bare server by its own SYN cookies" in demo.said,
               demo.said)
        heads = [line for line in demo.said.splitlines() if "bare server" in line and
                 "SYN cookies" in line and "synfront" in line]
        expect("no column for it", heads, demo.said)
    left = machine.differs(demo.process.pid, {})
    expect("left: " + ", ".join(map(str, left)), not left, demo.said)


def checks():
    yield "demo: wrong arguments", wrong_arguments, False
    for text, seconds in MOMENTS:
        yield ("demo: interrupted %g s after %s" % (seconds, repr(text) if text else "its start"),
               lambda text=text, seconds=seconds: interrupted(text, seconds), True)
    yield "demo: interrupted on a terminal", interrupted_on_terminal, True
    yield "demo: --keep, and what it says to try", kept, True
    yield "demo: --cookies", with_cookies, True
    yield "demo: without AF_XDP", without_xdp, True


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default="")
    only = parser.parse_args().only
    passed = failed = skipped = 0
    for name, check, needs_root in checks():
        if only not in name:
            continue
        if needs_root and os.geteuid():
            print("skip  %s: it needs root, for network namespaces" % name)
            skipped += 1
            continue
        try:
            check()
            print("ok    " + name, flush=True)
            passed += 1
        except Failed as error:
            print("FAIL  %s\n      %s" % (name, str(error).replace("\n", "\n      ")), flush=True)
            failed += 1
    print("%d passed, %d failed%s" % (passed, failed, ", %d skipped" % skipped if skipped else ""))
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
