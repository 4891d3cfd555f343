# SPDX-License-Identifier: BSD-3-Clause
"""Events: each is told once when it begins and once when it ends, in the log, in a file, to a
socket, and to a hook."""

import contextlib
import json
import os
import pwd
import re
import shutil
import signal
import socket
import time

from bench import Bench
from engines import Synfront
from injected import thread_stopped, threads_of
from lab import N_PREFIXES, wait_for
from servers import Server, ask, dial, echo
from test_server import attempt

USER = "nobody"
NAMES = {"flood", "backend_down", "table_full", "cap_hit", "link_down", "port_lost",
         "queue_stuck", "promiscuous_off", "worker_stalled", "reload", "drain"}


class Told:
    """An engine whose events go to a file, a socket and a hook, and what they were told."""

    def __init__(self, bench: Bench, name, text=None, **keys):
        work = os.path.join(bench.lab.work, name)
        os.mkdir(work, 0o755)
        os.chmod(bench.lab.work, 0o711)
        self.file, self.hooked = (os.path.join(work, which) for which in ("events", "hooked"))
        # By a path: names without one are of a network namespace.
        self.address = os.path.join(work, "socket")
        self.socket = bench.keep(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        self.socket.bind(self.address)
        self.socket.setblocking(False)
        self.heard = []
        self.keys = dict({"file": self.file, "socket": self.address,
                          "hook": '[/bin/sh, -c, "cat >> %s"]' % self.hooked}, **keys)
        self.plain = text or bench.config()
        self.engine = Synfront(self.text(**self.keys), name)
        bench.engine(self.engine)

    def text(self, **keys):
        """The configuration with these keys of `events`."""
        if not keys:
            return self.plain
        return self.plain + "\nevents:\n" + "".join("  %s: %s\n" % item for item in keys.items())

    @staticmethod
    def lines(path):
        with contextlib.suppress(FileNotFoundError), open(path) as file:
            return [json.loads(line) for line in file]
        return []

    def datagrams(self):
        with contextlib.suppress(BlockingIOError):
            while True:
                self.heard.append(json.loads(self.socket.recv(65536)))
        return self.heard

    def of(self, event, state=None, where=None, **fields):
        """Events of a kind in the file, or where else."""
        found = self.lines(self.file) if where is None else where
        return [each for each in found if each["event"] == event
                and state in (None, each["state"])
                and all(each[key] == value for key, value in fields.items())]

    def until(self, event, state, count=1, timeout=30, **fields):
        """Wait until the file has so many; the last of them."""
        wait_for("%s to %s" % (event, state),
                 lambda: len(self.of(event, state, **fields)) >= count, timeout)
        found = self.of(event, state, **fields)
        assert len(found) == count, found
        return found[-1]

    def everywhere(self):
        """File, socket, hook and log have the same, each once."""
        events = self.lines(self.file)
        wait_for("the hook", lambda: len(self.lines(self.hooked)) >= len(events))
        assert self.datagrams() == events, (self.heard, events)
        assert self.lines(self.hooked) == events
        assert [each["number"] for each in events] == list(range(1, len(events) + 1))
        said = self.engine.process.output().splitlines()
        for each in events:
            alike = sum(other["text"] == each["text"] for other in events)
            lines = [line for line in said if line.endswith(each["text"])]
            assert len(lines) == alike, (each, lines)
            assert each["event"] in NAMES and each["instance"] == self.engine.tag, each
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", each["time"]), each
        paired(events)
        return events


def paired(events, all_over=False):
    """Each end has one beginning, which is of the same; with `all_over` each beginning its end."""
    begun = {}
    for each in events:
        if each["state"] == "begin":
            begun[each["number"]] = each
        elif each["state"] == "end":
            first = begun.pop(each["begin"])
            assert first["event"] == each["event"], (first, each)
            for key in ("service", "backend", "table", "cap", "port", "worker"):
                assert first.get(key) == each.get(key), (first, each)
            assert each["seconds"] >= 0
        else:
            assert each["event"] in ("reload", "port_lost"), each
    assert not all_over or not begun, begun


def test_flood_is_told_twice(bench):
    """When it begins, with its rate, and when it ends, with what came; `synfrontctl events` and the
    supervisor's view agree."""
    bench.nginx()
    told = Told(bench, "flooded")
    with bench.flood(20000, 60):
        first = told.until("flood", "begin", service="web")
        assert first["syn_per_s"] > 100 and first["half_open"] > 0, first
        assert "enters cookie mode" in first["text"]
        time.sleep(3)
    last = told.until("flood", "end", service="web", timeout=90)
    assert last["begin"] == first["number"], last
    assert last["syns"] > 100 and last["syn_per_s_max"] >= first["syn_per_s"], last
    assert last["seconds"] >= 3, last
    events = told.everywhere()
    rows = told.engine.report("events")
    assert [(row["number"], row["event"], row["state"]) for row in rows] \
        == [(each["number"], each["event"], each["state"]) for each in events]
    assert "enters cookie mode" in told.engine.control("events")


def test_server_down_and_up_is_told(bench):
    """Once, whichever worker finds it so, and by its address and port."""
    told = Told(bench, "outage")
    port = bench.serve("state", echo)
    bench.server.close()
    before = bench.down()
    for number in range(N_PREFIXES * bench.options.workers):
        attempt(bench, port, number % N_PREFIXES + 1)
    first = told.until("backend_down", "begin")
    assert first["backend"] == "198.51.100.10:%d" % port, first
    bench.keep(Server(bench.lab, port, echo))
    wait_for("the probes to succeed",
             lambda: attempt(bench, port) == "works" and bench.down() == before)
    last = told.until("backend_down", "end")
    assert last["begin"] == first["number"], (first, last)
    told.everywhere()


def test_reload_is_told(bench):
    """Done or refused, once; and where it is told is part of what a reload changes."""
    told = Told(bench, "reloaded")
    engine = told.engine
    engine.reload(told.text(**told.keys).replace("max_connections: 4", "max_connections: 5"))
    done = told.until("reload", "once", result="done")
    assert done["generation"] == 2 and done["config"] == engine.path, done
    engine.reload(engine.text.replace("mode: bypass", "mode: nonsense"))
    refused = told.until("reload", "once", result="refused")
    assert "nonsense" in refused["text"], refused
    told.everywhere()
    # From now on elsewhere, and then nowhere.
    other = told.file + "-other"
    engine.reload(told.text(file=other))
    wait_for("the other file", lambda: told.of("reload", where=told.lines(other), result="done"))
    said = engine.reload(told.text())
    assert "not reloaded" not in said, said
    assert len(told.lines(told.file)) == 2 and len(told.lines(other)) == 1
    assert len(told.datagrams()) == 2
    # What could not be taken changes nothing: not where events go to either.
    engine.reload(told.text(file=other))
    for keys, word in ((dict(file="/nonexistent/events"), "events.file"),
                       (dict(hook="/nonexistent/hook"), "events.hook"),
                       (dict(socket="relative"), "events.socket"),
                       (dict(file=os.path.dirname(other)), "events.file")):
        said = engine.reload(told.text(**keys))
        assert "not reloaded" in said and re.search(r"yaml:\d+:\d+: %s: found" % word, said), said
    assert [each["result"] for each in told.lines(other)] == ["done", "done"] + ["refused"] * 4


def test_caps_and_tables(bench):
    """A cap that is touched again and again is one event, with how many it turned away."""
    told = Told(bench, "capped")
    port = bench.serve("few", echo)
    with contextlib.ExitStack() as stack:
        # Some of it was used for teaching.
        for _ in range(12):
            with contextlib.suppress(ConnectionResetError, BrokenPipeError):
                connection = stack.enter_context(dial(bench.lab, port))
                ask(connection, b"one of a few")
        first = told.until("cap_hit", "begin", cap="max_connections")
        assert first["counter"] == "limit_service_connections", first
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            ask(stack.enter_context(dial(bench.lab, port)), b"one more")
        refused = bench.count("limit_service_connections")
    last = told.until("cap_hit", "end", cap="max_connections")
    assert last["count"] == refused and last["seconds"] >= 9, (last, refused)
    told.everywhere()


def test_drain_and_end_are_told(bench):
    """A drain by the operator, and the one of the end, at which everything ends."""
    told = Told(bench, "drained", text=bench.config(replace=(("drain_timeout: 2s",
                                                              "drain_timeout: 1s"),)))
    engine = told.engine
    port = bench.serve("bulk", echo)
    bench.keep(dial(bench.lab, port))
    engine.control("drain")
    first = told.until("drain", "begin")
    engine.control("drain", "off")
    assert told.until("drain", "end")["begin"] == first["number"]
    # What is so when the engine ends, ends with it.
    bench.lab.run("box", "ip", "link", "set", "sf-inside", "down")
    told.until("link_down", "begin", port="inside")
    process = engine.process
    process.kill(signal.SIGTERM)
    assert process.wait(60) == 0, process.output()[-2000:]
    assert told.of("drain", "begin")[-1]["timeout_s"] == 1
    assert "resetting the" in told.of("drain", "end")[-1]["text"]
    assert told.of("link_down", "end")[-1]["why"] == "the engine ends"
    assert len(told.of("drain")) == 4
    paired(told.everywhere(), all_over=True)


def test_what_breaks_is_told(bench):
    """A link that goes and comes, a worker that stands still, a port that is lost."""
    told = Told(bench, "broken")
    engine = told.engine
    for state in ("down", "up"):
        bench.lab.run("box", "ip", "link", "set", "sf-inside", state)
        told.until("link_down", {"down": "begin", "up": "end"}[state], port="inside")
    name = min(name for _, name in threads_of(engine.process.popen.pid) if "worker" in name)
    with thread_stopped(engine.process.popen.pid, name):
        told.until("worker_stalled", "begin")
        time.sleep(1)
    assert told.until("worker_stalled", "end")["seconds"] >= 1
    process = engine.process
    bench.lab.run("box", "ip", "link", "del", "sf-outside")
    assert process.wait(60) == 5, process.output()[-2000:]
    assert len(told.of("port_lost", "once", port="outside")) == 1
    paired(told.everywhere(), all_over=True)


def test_hook_that_hangs_holds_nothing_up(bench):
    """It is ended when its time is over, though it ignores SIGTERM; meanwhile the engine is well."""
    told = Told(bench, "hung", hook='[/bin/sh, -c, "trap \\"\\" TERM; while :; do sleep 1; done"]',
                hook_timeout="1s")
    engine = told.engine
    port = bench.serve("bulk", echo)
    engine.control("drain")
    told.until("drain", "begin")
    engine.control("drain", "off")
    told.until("drain", "end")
    with dial(bench.lab, port) as connection:
        assert ask(connection, b"meanwhile") == b"meanwhile"
    # A worker that stood still for want of a CPU is told of, too, and in the same time.
    for state in ("begin", "end"):
        about = "(drain, %s): " % state
        wait_for("both to be ended", lambda: about + "ended by SIGKILL" in engine.process.output(), 60)
        assert engine.process.output().count(about + "still there after 1 s") == 1
    assert "control stood still" not in engine.process.output()


def test_hook_of_a_user(bench):
    """Hook and file are of the user that the engine has become; when the file has been rotated, a
    reload opens it anew."""
    who = pwd.getpwnam(USER)
    secret = os.path.join(bench.lab.work, "secret-of-events")
    shutil.copy(os.path.join(bench.lab.work, "secret"), secret)
    os.chown(secret, who.pw_uid, -1)
    folder = os.path.join(bench.lab.work, "of-user")
    os.mkdir(folder)
    os.chown(folder, who.pw_uid, who.pw_gid)
    told = Told(bench, "of-nobody", text=bench.config(replace=(("@WORK@/secret", secret),))
                + "\nuser: %s\n" % USER,
                hook='[/bin/sh, -c, "id -u >> %s/id; grep CapEff /proc/self/status >> %s/id"]'
                % (folder, folder))
    engine = told.engine
    assert os.stat(told.file).st_uid == who.pw_uid
    os.chown(os.path.dirname(told.file), who.pw_uid, -1)
    os.rename(told.file, told.file + ".1")
    assert "not reloaded" not in engine.reload(engine.text)
    told.until("reload", "once", result="done")
    assert os.stat(told.file).st_uid == who.pw_uid
    assert not told.lines(told.file + ".1")
    path = os.path.join(folder, "id")
    wait_for("the hook", lambda: os.path.exists(path) and "CapEff" in open(path).read())
    with open(path) as file:
        assert file.read().split()[:3] == [str(who.pw_uid), "CapEff:", "0" * 16]
    # That it cannot be opened any more refuses the reload, and it goes on where it is.
    os.rename(told.file, told.file + ".2")
    os.chown(os.path.dirname(told.file), 0, -1)
    said = engine.reload(engine.text)
    line = next(at for at, text in enumerate(engine.text.splitlines(), 1) if "  file: " in text
                and told.file in text)
    assert re.search(r"not reloaded, nothing has changed: %s:%d:9: events.file: found .*: "
                     "Permission denied; expected" % (re.escape(engine.path), line), said), said
    assert [each["result"] for each in told.lines(told.file + ".2")] == ["done", "refused"]
