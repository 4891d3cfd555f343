# SPDX-License-Identifier: BSD-3-Clause
"""Starting, reloading, draining, stopping, and what the engine says of itself."""

import contextlib
import json
import os
import re
import signal
import subprocess
import threading
import time

from bench import Skip, anywhere, thorough
from engines import BUILD, Synfront, Wire
from lab import prefix_address, wait_for
from raw import End
from servers import Both, ask, dial, echo, greet, read
from test_transfer import both_ways

SYNFRONT = os.path.join(BUILD, "app/synfront")


def synfront(*argv):
    return subprocess.run((SYNFRONT,) + argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=30, check=False)


def test_help_and_version(_bench):
    """--help and --version answer and succeed; nonsense is refused."""
    assert "--config" in synfront("--help").stdout and not synfront("--help").returncode
    assert re.match(r"synfront \d+\.\d+", synfront("--version").stdout)
    assert synfront("--nonsense").returncode and synfront().returncode


def test_check(bench):
    """--check says what a configuration would do, or where it is wrong and how."""
    engine = bench.lab.engine
    done = synfront("--check", "--config", engine.path)
    assert not done.returncode, done.stdout
    for word in ("sf-outside", "connections", "half", "web", "bulk"):
        assert word in done.stdout, (word, done.stdout)
    for old, new, words in (
            ("mode: proxy", "mode: magic", ("mode", "magic", "proxy")),
            ("  count: ", "  cuont: ", ("cuont",)),
            ("high: 512, low: 128", "high: 128, low: 512", ("low",)),
            ("ports: [80, 443]", "ports: [80, 7001]", ("web", "state"))):
        text = engine.text.replace("@INSTANCE@", engine.tag).replace("@WORK@", bench.lab.work)
        assert old in text
        path = os.path.join(bench.lab.work, "wrong.yaml")
        with open(path, "w") as file:
            file.write(text.replace(old, new, 1))
        done = synfront("--check", "--config", path)
        assert done.returncode, (new, done.stdout)
        assert re.search(re.escape(path) + r":\d+:\d+: ", done.stdout), done.stdout
        for word in words:
            assert word in done.stdout, (word, done.stdout)


def test_too_little_memory(bench):
    """Tables that the machine has no room for are refused before the start."""
    with open("/proc/meminfo") as file:
        if int(file.readline().split()[1]) > 80 << 20:
            raise Skip("the largest tables that can be configured fit into this machine")
    engine = bench.lab.engine
    text = engine.text.replace("@INSTANCE@", engine.tag).replace("@WORK@", bench.lab.work)
    path = os.path.join(bench.lab.work, "large.yaml")
    with open(path, "w") as file:
        file.write(text.replace("held_connections: 2k", "held_connections: 1M")
                   .replace("connections: 128k", "connections: 256M")
                   .replace("handshake:\n", "handshake:\n  hold_bytes: 65535\n"))
    done = synfront("--check", "--config", path)
    assert done.returncode and "memory." in done.stdout, done.stdout


def test_open_secret_file_is_refused(bench):
    """A secret that others can read is an error."""
    path = os.path.join(bench.lab.work, "open-secret")
    with open(path, "w") as file:
        file.write("00" * 32 + "\n")
    os.chmod(path, 0o644)
    conf = os.path.join(bench.lab.work, "open.yaml")
    with open(conf, "w") as file:
        file.write(bench.lab.engine.text.replace("@INSTANCE@", "x")
                   .replace("@WORK@/secret", path).replace("@WORK@", bench.lab.work))
    done = synfront("--check", "--config", conf)
    assert done.returncode and path in done.stdout, done.stdout


def test_reload(bench):
    """SIGHUP: services and limits change, and no connection is lost."""
    engine = bench.lab.engine
    old = engine.text
    port = bench.serve("bulk", echo)
    with dial(bench.lab, port) as connection:
        assert ask(connection, b"before") == b"before"
        try:
            said = engine.reload(old.replace("ports: [8000-9999]", "ports: [8000-10050]")
                                 .replace("max_connections: 4", "max_connections: 5"))
            assert "not reloaded" not in said, said
            assert ask(connection, b"after") == b"after"
            assert engine.report("info")["generation"] >= 2
            bench.ports["bulk"], keep = 10001, bench.ports["bulk"]
            with dial(bench.lab, bench.serve("bulk", echo)) as other:
                assert ask(other, b"new port") == b"new port"
            bench.ports["bulk"] = keep
        finally:
            engine.reload(old)
        assert ask(connection, b"and back") == b"and back"


def test_reload_is_all_or_nothing(bench):
    """A file with an error, or a change that needs a restart, changes nothing."""
    engine = bench.lab.engine
    old = engine.text
    port = bench.serve("bulk", echo)
    with dial(bench.lab, port) as connection:
        for change, word in ((("mode: bypass", "mode: nonsense"), "nonsense"),
                             (("half_open: 4k", "half_open: 8k"), "half_open"),
                             (("iface=sf-inside", "iface=sf-elsewhere"), "inside")):
            before = engine.report("info")["generation"]
            said = engine.reload(old.replace(*change))
            assert "not reloaded" in said and word in said, said
            assert engine.report("info")["generation"] == before
            assert ask(connection, b"still") == b"still"
        engine.write(old)


def test_drain_by_control(bench):
    """`synfrontctl drain`: no new splice, new clients pass, the rest is counted down."""
    engine = bench.lab.engine
    port = bench.serve("bulk", echo)
    connection = bench.keep(dial(bench.lab, port))
    assert ask(connection, b"mine") == b"mine"
    try:
        engine.control("drain")
        wait_for("the connection to be counted", lambda: engine.report("info")["remaining"] >= 1)
        opened = bench.count("opened")
        with bench.grows("tracked"), dial(bench.lab, port) as other:
            assert ask(other, b"passes") == b"passes"
        assert bench.count("opened") == opened
        assert ask(connection, b"still") == b"still"
    finally:
        engine.control("drain", "off")
    # What control has said holds for the next SYN, whatever the worker was doing.
    for drain, counter in (("off", "connected"), ("on", "tracked")) * 20 + (("off", "connected"),):
        time.sleep(0.02)
        engine.control("drain", drain)
        with bench.grows(counter), dial(bench.lab, port) as other:
            assert ask(other, b"at once") == b"at once"


@thorough
def test_stop_under_load(bench):
    """SIGTERM: transfers end in peace, new clients pass meanwhile, then it ends with
    an account that adds up."""
    bench.engine(Synfront(bench.config(replace=(
        ("drain_timeout: 2s", "drain_timeout: 12s"),)), "leaving"))
    handler = Both(20000000, 2)
    port = bench.serve("bulk", handler)
    other = bench.serve("bulk", echo)
    engine = bench.lab.engine
    idle = bench.keep(dial(bench.lab, other))
    assert ask(idle, b"I stay") == b"I stay"
    with contextlib.ExitStack() as stack:
        stack.enter_context(bench.flood(10000, 60, port=other))
        problems = []

        def transfer():
            try:
                both_ways(bench, port, 20000000, handler=handler)
            except BaseException as error:  # pylint: disable=broad-except
                problems.append(error)

        thread = threading.Thread(target=transfer)
        spliced = bench.counts("spliced", 50)
        thread.start()
        wait_for("the transfer to be under way", spliced)
        engine.process.kill(signal.SIGTERM)
        wait_for("the drain", lambda: "draining" in engine.process.output())
        with dial(bench.lab, other) as late:
            assert ask(late, b"late") == b"late"
        thread.join(120)
        assert not problems, problems
    # What remains is reset, at both ends, when the time is up.
    try:
        assert read(idle, 1) == b"", "data out of nothing"
        raise AssertionError("an orderly end instead of a reset")
    except ConnectionResetError:
        pass
    status = engine.process.wait(60)
    said = engine.process.output()
    assert "DOES NOT HOLD" not in said, said
    assert status == 0, (status, said[-2000:])
    assert "account" in said
    wait_for("the server's end to be gone", lambda: not bench.lab.run(
        "server", "ss", "-Htn", "state", "established", "sport", "=", ":%d" % other).strip())


def test_frames_bring_no_signals(bench):
    """A TAP port is polled: its frames interrupt no thread, the control thread least of all."""
    engine = bench.lab.engine

    def woken():
        with open("/proc/%d/status" % engine.process.popen.pid) as file:
            fields = dict(line.split(":", 1) for line in file)
        drivers = range(signal.SIGRTMIN + 1, signal.SIGRTMIN + 16)
        caught = int(fields["SigCgt"], 16)
        assert not any(caught >> (number - 1) & 1 for number in drivers), hex(caught)
        return int(fields["voluntary_ctxt_switches"])

    port = bench.serve("state", echo)
    before, begun = woken(), bench.count("answered_syn_cookie")
    with bench.flood(5000, 60, port=port):
        wait_for("a flood", lambda: bench.count("answered_syn_cookie") >= begun + 10000)
    assert woken() - before < 1000, "the control thread was woken by frames"


def test_second_signal_stops_at_once(bench):
    """A drain that would take long ends at the second SIGTERM."""
    bench.engine(Synfront(bench.config(replace=(
        ("drain_timeout: 2s", "drain_timeout: 1h"),)), "patient"))
    port = bench.serve("bulk", echo)
    connection = bench.keep(dial(bench.lab, port))
    assert ask(connection, b"here") == b"here"
    process = bench.lab.engine.process
    process.kill(signal.SIGTERM)
    wait_for("the drain", lambda: "draining" in process.output())
    process.kill(signal.SIGTERM)
    assert process.wait(15) in (0, 4)


def test_put_in_front_of_existing_connections(bench):
    """`adopt`: connections older than the engine live on, whoever speaks first."""
    lab = bench.lab
    lab.insert(Wire())
    port = bench.serve("bulk", echo, teach=False)
    old = [bench.keep(dial(lab, port, family)) for family in (4, 6) for _ in range(5)]
    for connection in old:
        assert ask(connection, b"before") == b"before"
    talker = bench.serve("bulk", slow_talker, teach=False)
    listener = bench.keep(dial(lab, talker, timeout=60))
    assert read(listener, 1) == b"."
    bench.engine(Synfront(bench.config(replace=(("adopt: 0", "adopt: 60s"),)), "adopting"))
    with bench.grows("adopted"):
        for connection in old:
            assert ask(connection, b"after" * 1000) == b"after" * 1000
    assert read(listener, 5) == b"....."
    with dial(lab, port) as connection:
        assert ask(connection, b"new") == b"new"
    for connection in old:
        assert ask(connection, b"and on") == b"and on"


def slow_talker(connection):
    """A server that speaks, whatever the client does."""
    while True:
        connection.sendall(b".")
        time.sleep(0.2)


def test_not_adopted_after_the_period(bench):
    """Without `adopt` an unknown connection gets RST, so that both ends know."""
    lab = bench.lab
    lab.insert(Wire())
    port = bench.serve("bulk", echo, teach=False)
    old = bench.keep(dial(lab, port))
    assert ask(old, b"before") == b"before"
    bench.engine(Synfront(bench.config(), "strict"))
    old.settimeout(40)
    try:
        assert ask(old, b"after") != b"after", "crossed though unknown"
    except ConnectionResetError:
        pass


def test_two_instances(bench):
    """Two engines on one machine, each with its own name, ports and figures."""
    second = Synfront(bench.config(replace=(
        ("iface=sf-outside", "iface=s2-outside"), ("iface=sf-inside", "iface=s2-inside"))),
        "second", taps=())
    second.begin(bench.lab)
    try:
        port = bench.serve("bulk", echo)
        with dial(bench.lab, port) as connection:
            assert ask(connection, b"through the first") == b"through the first"
        assert bench.lab.engine.counters()["opened"] > 0
        assert second.counters()["opened"] == 0
        assert second.report("info")["pid"] != bench.lab.engine.report("info")["pid"]
    finally:
        second.end()
    with dial(bench.lab, port) as connection:
        assert ask(connection, b"the first is still there") == b"the first is still there"


def test_control_tables(bench):
    """Every command, as a table and as JSON; DPDK's own reader sees the same."""
    engine = bench.lab.engine
    port = bench.serve("bulk", greet)
    connection = bench.keep(dial(bench.lab, port))
    assert read(connection, 5) == b"hello"
    with End(bench.lab, port) as end, bench.grows("drop_flags"):
        end.send("SF")
    for command in ("stats", "services", "connections", "ports", "memory", "drops", "info"):
        table = engine.control(command)
        assert table.strip(), command
        json.loads(engine.control("--json", command))
    assert {row["name"] for row in engine.report("services")} >= {"web", "state", "bulk"}
    own = [row for row in engine.report("connections") if str(port) in row["server"]
           and row["state"].lower() == "spliced"]
    assert len(own) == 1, own
    assert {row["side"] for row in engine.report("ports")} == {"outside", "inside"}
    drops = engine.report("drops")
    assert "drop_flags" in drops and "drop_checksum" in drops
    dpdk = subprocess.run(("dpdk-telemetry.py", "-f", engine.tag), input="/synfront/stats\n",
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=20,
                          check=False).stdout
    seen = re.search(r'"connected": (\d+)', dpdk)
    assert seen and int(seen.group(1)) == engine.report("stats")["connected"], dpdk[-500:]


def test_account_adds_up(bench):
    """received = sum of outcomes, while it runs, and at its end with every mbuf back."""
    engine = bench.lab.engine
    port = bench.serve("bulk", echo)
    for number in range(50):
        with dial(bench.lab, port, source=prefix_address(1 + number % 8)) as connection:
            ask(connection, b"x" * 100)
    engine.process.kill(signal.SIGTERM)
    status = engine.process.wait(60)
    said = engine.process.output()
    assert "DOES NOT HOLD" not in said and status == 0, said[-3000:]
    assert said.count("holds:") >= 2, said[-3000:]


@anywhere
def test_peer_link_goes_down_and_up(bench):
    """The server's cable is pulled for a moment; connections go on afterwards."""
    port = bench.serve("bulk", echo)
    with dial(bench.lab, port) as connection:
        assert ask(connection, b"before") == b"before"
        bench.lab.run("box", "ip", "link", "set", "to-server", "down")
        connection.sendall(b"after it")
        time.sleep(0.3)
        bench.lab.run("box", "ip", "link", "set", "to-server", "up")
        assert read(connection, 8) == b"after it"
