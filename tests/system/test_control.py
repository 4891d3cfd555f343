# SPDX-License-Identifier: BSD-3-Clause
"""What an operator does and asks: reload, check, health, and a supervisor that restarts."""

import calendar
import contextlib
import json
import os
import re
import socket
import subprocess
import time

from engines import BUILD, Synfront
from injected import (PTRACE_DETACH, PTRACE_INTERRUPT, PTRACE_SEIZE, WALL, thread_stopped,
                      threads_of)
from lab import libc, wait_for
from servers import ask, dial, echo
from supervisor import Supervisor

CTL = os.path.join(BUILD, "app/synfrontctl")
EXIT_ENGINE, EXIT_REFUSED, EXIT_DEGRADED = 1, 3, 4
# From the moment when a worker stops until its successor is asked for.
RESTARTED_S = 10


def ctl(tag, *argv):
    """Status, what is said, and what is complained of."""
    done = subprocess.run((CTL, "--instance", tag) + argv, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=90, check=False)
    return done.returncode, done.stdout, done.stderr


def health(tag):
    status, said, _ = ctl(tag, "--json", "health")
    answer = json.loads(said)
    assert {"ready": 0, "degraded": EXIT_DEGRADED, "failed": EXIT_ENGINE}[answer["state"]] \
        == status, (status, said)
    return answer


def test_reload_is_in_force_when_it_returns(bench):
    """`synfrontctl reload`: the next connection meets the new policy, and the one before again."""
    engine = bench.lab.engine
    old = engine.text
    new = old.replace("ports: [8000-9999]", "ports: [8000-9999, 10100]")
    bench.ports["bulk"], keep = 10100, bench.ports.get("bulk", 8000)
    port = bench.serve("bulk", echo, teach=False)
    bench.ports["bulk"] = keep
    try:
        for _ in range(10):
            engine.write(new)
            status, said, complaint = ctl(engine.tag, "reload")
            assert status == 0 and not complaint, complaint
            assert re.search(r"%s is in force on %d workers?: services \d+, generation \d+" % (
                re.escape(engine.path), bench.options.workers), said), said
            with dial(bench.lab, port) as connection:
                assert ask(connection, b"new port") == b"new port"
            engine.write(old)
            assert ctl(engine.tag, "reload")[0] == 0
            try:
                dial(bench.lab, port).close()
                raise AssertionError("a port of no service was answered")
            except ConnectionRefusedError:
                pass
    finally:
        engine.write(old)
        ctl(engine.tag, "reload")


def test_reload_that_is_refused_fails(bench):
    """Status 3, and file, line and column of what is wrong; `info` and `health` know of it."""
    engine = bench.lab.engine
    old = engine.text
    before = engine.report("info")
    try:
        for number, (change, word) in enumerate((
                (("mode: bypass", "mode: nonsense"), "nonsense"),
                (("half_open: 4k", "half_open: 8k"), "memory.half_open"),
                (("iface=sf-inside", "iface=sf-elsewhere"), "ports.inside.device"))):
            engine.write(old.replace(*change))
            line = next(at for at, text in enumerate(engine.text.splitlines(), 1)
                        if change[1] in text)
            status, said, complaint = ctl(engine.tag, "reload")
            assert status == EXIT_REFUSED and not said, (status, said)
            assert re.search(r"not reloaded, nothing has changed: %s:%d:\d+: .*%s" % (
                re.escape(engine.path), line, re.escape(word)), complaint), complaint
            info = engine.report("info")
            assert info["generation"] == before["generation"]
            assert info["reloads_refused"] == before["reloads_refused"] + number + 1
            assert info["last_reload_result"] == "refused"
            when = time.strptime(info["last_reload"], "%Y-%m-%dT%H:%M:%SZ")
            assert abs(time.time() - calendar.timegm(when)) < 60, info
            assert "refused" in ctl(engine.tag, "reload", "status")[1]
            answer = health(engine.tag)
            assert answer["state"] == "degraded" and "refused" in answer["reasons"][0], answer
        status, said, _ = ctl(engine.tag, "--json", "reload")
        assert status == EXIT_REFUSED and json.loads(said)["result"] == "refused", said
    finally:
        engine.write(old)
        status, said, _ = ctl(engine.tag, "--json", "reload")
    assert status == 0 and json.loads(said)["result"] == "in force", said
    assert engine.report("info")["last_reload_result"] == "in force"
    assert health(engine.tag) == {"state": "ready", "reasons": []}


def test_reload_waits_for_each_worker(bench):
    """While one worker stands still, the new policy is not in force, and nobody is told that it is."""
    engine = bench.lab.engine
    name = min(name for _, name in threads_of(engine.process.popen.pid) if "worker" in name)
    with thread_stopped(engine.process.popen.pid, name):
        with subprocess.Popen((CTL, "--instance", engine.tag, "reload"), stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True) as waiting:
            time.sleep(2)
            assert waiting.poll() is None, waiting.communicate()
            # Others are answered meanwhile, and told what is wrong.
            assert engine.counters()
            wait_for("health to fail", lambda: health(engine.tag)["state"] == "failed")
            libc.ptrace(PTRACE_DETACH, next(tid for tid, comm in threads_of(
                engine.process.popen.pid) if comm == name), None, None)
            said = waiting.communicate(timeout=30)[0]
            assert waiting.returncode == 0 and "in force" in said, said
    wait_for("health to be good again", lambda: health(engine.tag)["state"] == "ready")


def test_check_says_what_would_change(bench):
    """`check FILE`: each change in words, and none when there is none; what would be refused."""
    engine = bench.lab.engine
    path = os.path.join(bench.lab.work, "other.yaml")

    def check(*changes):
        text = engine.text.replace("@INSTANCE@", engine.tag).replace("@WORK@", bench.lab.work)
        for old, new in changes:
            assert old in text, old
            text = text.replace(old, new, 1)
        with open(path, "w") as file:
            file.write(text)
        return ctl(engine.tag, "check", path)

    assert check() == (0, "a reload of %s would change nothing\n" % path, "")
    status, said, complaint = check(
        ("high: 512, low: 128", "high: 600, low: 128"),
        ("ports: [7400-7499]", "ports: [7400-7450, 7460-7499]"),
        ("deny: [10.77.8.0/24, \"2001:db8:7708::/48\"]", "deny: [10.77.8.0/24]"),
        ("max_connections: 4", "max_connections: 0"),
        ("- name: aside", "- name: elsewhere"),
        ("drain_timeout: 2s", "drain_timeout: 2m"))
    assert status == 0 and not complaint, (said, complaint)
    for words in ("service web: half_open.high becomes 600 (was 512)",
                  "service few: ports has 2 more: 7400-7450, 7460-7499; and 1 fewer: without "
                  "7400-7499",
                  "service few: max_connections becomes 0 (was 4)",
                  "service deny-reset: deny has 1 fewer: without 2001:db8:7708::/48",
                  "service aside goes", "service elsewhere is new: bypass, 198.51.100.10, "
                  "2001:db8:1::10, ports 7600-7699",
                  "drain_timeout becomes 2m (was 2s)"):
        assert "  " + words in said, (words, said)
    assert len(said.splitlines()) == 8, said
    assert engine.report("info")["generation"] == json.loads(
        ctl(engine.tag, "--json", "info")[1])["generation"]
    status, said, complaint = check(("half_open: 4k", "half_open: 8k"),
                                    ("drain_timeout: 2s", "drain_timeout: 2m"))
    assert status == EXIT_REFUSED and not said, said
    assert re.search(r"^synfrontctl: %s:\d+:\d+: memory.half_open: found 8k; expected 4k" %
                     re.escape(path), complaint), complaint
    status, said, complaint = check(("mode: bypass", "mode: magic"))
    assert status == EXIT_REFUSED and re.search(r"%s:\d+:\d+: .*magic" % re.escape(path), complaint)
    status, said, _ = ctl(engine.tag, "--json", "check", path)
    assert status == EXIT_REFUSED and json.loads(said)["refused"], said
    # A word of the reload itself agrees.
    assert ctl(engine.tag, "check", engine.path)[1].endswith("would change nothing\n")


def test_health_follows(bench):
    """Ready; degraded while a link is down, or while it drains, with the reason; failed when
    nobody is there."""
    engine = bench.lab.engine
    wait_for("health", lambda: health(engine.tag)["state"] == "ready")

    def degraded_by(word):
        answer = health(engine.tag)
        return answer["state"] == "degraded" and any(word in each for each in answer["reasons"])

    bench.lab.run("box", "ip", "link", "set", "sf-inside", "down")
    try:
        wait_for("the link to be missed", lambda: degraded_by("link of the inside port is down"))
    finally:
        bench.lab.run("box", "ip", "link", "set", "sf-inside", "up")
    wait_for("health", lambda: health(engine.tag)["state"] == "ready")
    engine.control("drain")
    wait_for("the drain to be seen", lambda: degraded_by("draining"))
    status, said, _ = ctl(engine.tag, "health")
    assert status == EXIT_DEGRADED and said.splitlines()[0] == "degraded", said
    engine.control("drain", "off")
    wait_for("health", lambda: health(engine.tag)["state"] == "ready")
    nobody = health("nobody-of-this-name")
    assert nobody["state"] == "failed" and "not running" in nobody["reasons"][0], nobody


def test_supervisor_hears_of_a_flood(bench):
    """STATUS= names the services that are flooded, and says so when it is calm again."""
    lab = bench.lab
    address = os.path.join(lab.work, "told-notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.bind(address)
        supervisor.settimeout(60)
        engine = Synfront(bench.config(), "told")
        engine.env = dict(engine.env or os.environ, NOTIFY_SOCKET=address)
        bench.engine(engine)

        def hear(pattern):
            """Until a status matches."""
            end = time.monotonic() + 90
            while time.monotonic() < end:
                fields = dict(line.split("=", 1) for line in supervisor.recv(4096).decode().split("\n"))
                if re.match(pattern, fields.get("STATUS", "")):
                    return fields["STATUS"]
            raise TimeoutError(pattern)

        assert hear("calm")
        port = bench.serve("state", echo)
        with bench.flood(5000, 60, port=port):
            said = hear("flood")
            assert re.fullmatch(r"flood: cookies answer for state; \d+ services", said), said
            # It does what it is there for.
            assert health(engine.tag)["state"] == "ready"
        hear("calm")


def test_a_long_file_stops_nobody(bench):
    """While a file is read, for however long, there are signs of life and health is ready."""
    lab = bench.lab
    address = os.path.join(lab.work, "slow-notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.bind(address)
        supervisor.settimeout(60)
        engine = Synfront(bench.config(), "slow")
        engine.env = dict(engine.env or os.environ, NOTIFY_SOCKET=address, WATCHDOG_USEC="2000000")
        bench.engine(engine)
        # Whoever opens this waits for somebody who writes.
        with open(engine.path) as file:
            text = file.read()
        os.unlink(engine.path)
        os.mkfifo(engine.path)
        with subprocess.Popen((CTL, "--instance", engine.tag, "reload"), stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True) as reloading:
            while b"RELOADING=1" not in supervisor.recv(4096):
                pass
            n_signs = 0
            while n_signs < 4:
                n_signs += b"WATCHDOG=1" in supervisor.recv(4096)
            assert reloading.poll() is None and health(engine.tag)["state"] == "ready"
            with open(engine.path, "w") as file:
                file.write(text)
            said = reloading.communicate(timeout=60)[0]
            assert reloading.returncode == 0 and "in force" in said, said
        os.unlink(engine.path)
        engine.write(engine.text)


def freeze_worker(pid):
    """One worker runs no more, as if its driver never returned; its thread's number. Whoever
    kills the process has to wait for the thread, too."""
    tid = next(tid for tid, comm in sorted(threads_of(pid)) if "worker" in comm)
    if libc.ptrace(PTRACE_SEIZE, tid, None, None) or libc.ptrace(PTRACE_INTERRUPT, tid, None, None):
        raise OSError("ptrace")
    os.waitpid(tid, WALL)
    return tid


def test_frozen_worker_is_restarted(bench):
    """A supervisor with the unit's values starts the engine anew within ten seconds of the
    moment when a worker stopped; before that it hears READY, RELOADING and how things stand."""
    lab = bench.lab
    engine = Synfront(bench.config(replace=(("iface=sf-outside", "iface=s4-outside"),
                                            ("iface=sf-inside", "iface=s4-inside"))), "watched")
    engine.lab, engine.tag = lab, "%s-watched" % lab.id
    engine.path = os.path.join(lab.work, "watched.yaml")
    engine.write(engine.text)
    with Supervisor(lab, "box", "watched", os.path.join(BUILD, "app/synfront"), "--config",
                    engine.path) as supervisor:
        supervisor.until("READY", lambda: supervisor.times("READY", "1"))
        assert re.fullmatch(r"calm; \d+ services", supervisor.status()), supervisor.status()
        begun = time.monotonic()
        supervisor.until("signs of life", lambda: len(supervisor.times("WATCHDOG", "1")) >= 3)
        assert time.monotonic() - begun < 3 * supervisor.watchdog_s

        # A reload, by the command of the unit.
        with subprocess.Popen((CTL, "--instance", engine.tag, "reload"),
                              stdout=subprocess.DEVNULL) as reloading:
            supervisor.until("the reload", lambda: len(supervisor.times("READY", "1")) == 2
                             and reloading.poll() is not None)
            assert reloading.returncode == 0
        told = next(fields for _, fields in supervisor.heard if "RELOADING" in fields)
        assert told["RELOADING"] == "1"
        assert begun < int(told["MONOTONIC_USEC"]) / 1e6 < time.monotonic(), told
        assert supervisor.times("RELOADING")[0] <= supervisor.times("READY", "1")[1]

        pid = supervisor.process.popen.pid
        tid = freeze_worker(pid)
        frozen = time.monotonic()

        def reap():
            with contextlib.suppress(ChildProcessError):
                os.waitpid(tid, WALL)

        supervisor.on_kill = reap
        supervisor.until("the end of it", lambda: supervisor.given_up, 2 * RESTARTED_S)
        given_up_s = supervisor.given_up[0] - frozen
        restarted_s = time.monotonic() - frozen
        assert supervisor.process.popen.pid != pid
        assert restarted_s <= RESTARTED_S, (given_up_s, restarted_s)
        # Nothing was given up before a worker stopped, and what comes after is well.
        assert given_up_s > 1 and len(supervisor.given_up) == 1
        supervisor.until("READY again", lambda: len(supervisor.times("READY", "1")) == 3)
        ready_s = time.monotonic() - frozen
        supervisor.until("signs of life", lambda: supervisor.times("WATCHDOG", "1")[-1] > frozen
                         + restarted_s)
        assert health(engine.tag)["state"] == "ready"
        bench.record("frozen worker", given_up_s=round(given_up_s, 1),
                     restarted_s=round(restarted_s, 1), ready_s=round(ready_s, 1))
        print("      given up after %.1f s, started again after %.1f s, ready after %.1f s" % (
            given_up_s, restarted_s, ready_s))
