# SPDX-License-Identifier: BSD-3-Clause
"""Live lists: deny and allow while the engine runs, over a reload, over a restart, to their end."""

import concurrent.futures
import json
import os
import re
import subprocess

from engines import BUILD, for_anybody
from lab import prefix_address, wait_for
from servers import ask, dial, echo

CTL = os.path.join(BUILD, "app/synfrontctl")
EXIT_ENGINE, EXIT_USAGE, EXIT_REFUSED = 1, 2, 3
MANY = 50000


def ctl(engine, *argv, program=CTL, **fields):
    """Status, what is said, and what is complained of."""
    done = subprocess.run((program, "--instance", engine.tag) + argv, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=90, check=False, **fields)
    return done.returncode, done.stdout, done.stderr


def said(engine, *argv):
    status, words, complaint = ctl(engine, *argv)
    assert status == 0 and not complaint, complaint
    return words


def listed(engine, name="deny"):
    return json.loads(said(engine, "--json", name, "list"))


def net(number, family):
    """The client's net of this number."""
    return prefix_address(number, family).rpartition("." if family == 4 else ":")[0] + \
        (".0/24" if family == 4 else ":/64")


def enters(bench, port, family, source):
    try:
        with dial(bench.lab, port, family, source=prefix_address(source, family)) as connection:
            return ask(connection, b"in") == b"in"
    except ConnectionRefusedError:
        return False


def clear(engine):
    for name in ("deny", "allow"):
        for row in listed(engine, name):
            of = () if row["service"] == "(all)" else ("--service", row["service"])
            said(engine, name, "del", row["prefix"], *of)


def test_deny_is_in_force_when_it_returns(bench):
    """The next SYN meets what was added, or deleted; of one service; an allow goes before."""
    engine = bench.lab.engine
    port = bench.serve("deny-reset", echo)
    try:
        for family in (4, 6):
            for _ in range(5):
                assert enters(bench, port, family, 7)
                said(engine, "deny", "add", net(7, family), "--for", "10m", "--why", "a test")
                with bench.grows("answered_rst"):
                    assert not enters(bench, port, family, 7)
                said(engine, "deny", "del", net(7, family))
            said(engine, "deny", "add", net(7, family), "--service", "web")
            assert enters(bench, port, family, 7)
            said(engine, "deny", "add", net(7, family), "--service", "deny-reset")
            assert not enters(bench, port, family, 7)
            said(engine, "allow", "add", prefix_address(7, family))
            assert enters(bench, port, family, 7)
            # ... before the configuration's list, too.
            assert not enters(bench, port, family, 8)
            said(engine, "allow", "add", prefix_address(8, family), "--service", "deny-reset")
            assert enters(bench, port, family, 8)
    finally:
        clear(engine)


def test_lists_outlive_reload_and_restart(bench):
    """What was added is there again, but for what has ended meanwhile."""
    engine = bench.lab.engine
    port = bench.serve("deny-reset", echo)
    try:
        said(engine, "deny", "add", net(7, 4), "--for", "1h", "--why", "kept")
        said(engine, "deny", "add", net(6, 4), "--for", "1s")
        said(engine, "allow", "add", "192.0.2.1", "--service", "web")
        assert "in force" in said(engine, "reload")
        assert not enters(bench, port, 4, 7)
        # A service that goes, and comes back.
        old = engine.text
        engine.reload(old.replace("- name: web", "- name: other"))
        assert [row["in_force"] for row in listed(engine, "allow")] == [0]
        engine.reload(old)
        assert [row["in_force"] for row in listed(engine, "allow")] == [1]
        wait_for("the end of what was denied for a second",
                 lambda: [row["prefix"] for row in listed(engine)] == [net(7, 4)])
        assert enters(bench, port, 4, 6)
        path = os.path.join(bench.lab.work, "lists")
        wait_for("the file to be written", lambda: os.path.exists(path)
                 and net(6, 4) not in open(path, encoding="ascii").read())
        assert os.stat(path).st_mode & 0o777 == 0o600 and not os.path.exists(path + ".new")
        # Added at the last moment: written at the end.
        said(engine, "deny", "add", net(5, 4))
        engine.restart()
        left = {row["prefix"]: row for row in listed(engine)}
        assert left.keys() == {net(7, 4), net(5, 4)} and left[net(7, 4)]["why"] == "kept", left
        assert 3000 < left[net(7, 4)]["expires_s"] <= 3600, left
        assert left[net(5, 4)]["expires_s"] is None, left
        port = bench.serve("deny-reset", echo)
        assert not enters(bench, port, 4, 7) and not enters(bench, port, 4, 5)
        assert enters(bench, port, 4, 6)
    finally:
        clear(engine)


def test_what_is_wrong_is_named(bench):
    """A prefix, a time, a service, a line of a file: what would be right; and nothing changes."""
    engine = bench.lab.engine
    before = listed(engine)
    for argv, status, words in (
            (("add", "203.0.113.7/24"), EXIT_USAGE, "203.0.113.0/24"),
            (("add", "example.net"), EXIT_USAGE, "192.0.2.0/24 or 2001:db8::/32"),
            (("add", "1.2.3.4", "--for", "soon"), EXIT_USAGE, "30s, 10m, 2h or 7d"),
            (("add", "1.2.3.4", "--for", "0"), EXIT_USAGE, "from 1s"),
            (("add", "1.2.3.4", "--why", "x" * 81), EXIT_USAGE, "80 characters"),
            (("add", "1.2.3.4", "--service", "ftp"), EXIT_REFUSED, "there is web, state"),
            (("del", "1.2.3.4"), EXIT_REFUSED, "1.2.3.4 is not in the deny list"),
            (("add",), EXIT_USAGE, "add PREFIX"), (("add", "1.2.3.4", "5.6.7.8"), EXIT_USAGE, "usage"),
            (("burn", "1.2.3.4"), EXIT_USAGE, "load FILE"),
            (("load", "/no/such/file"), EXIT_REFUSED, "No such file")):
        done = ctl(engine, "deny", *argv)
        assert done[0] == status and words in done[2] and not done[1], (argv, done)
    path = os.path.join(bench.lab.work, "bad-list")
    with open(path, "w", encoding="ascii") as file:
        file.write("# a list\n192.0.2.1\n  10.0.0.1/8 ; no\n")
    status, _, complaint = ctl(engine, "deny", "load", path)
    assert status == EXIT_REFUSED and "%s:3:3: " % path in complaint and "10.0.0.0/8" in complaint
    assert listed(engine) == before
    # Nor does the engine believe who asks it without synfrontctl.
    for words in ("add 1.2.3.4/8", "add 1.2.3.4 for=x", "add 1.2.3.4 since=x", "burn",
                  "load 77 1.2.3.4", "load begin why=\t", "add 1.2.3.4 service=" + "x" * 40):
        assert engine.ask("deny," + words)["refused"], words
    assert listed(engine) == before


def test_many_are_loaded_at_once(bench):
    """A list of many: in force together, in the place of the one before, and gone the same way."""
    engine = bench.lab.engine
    port = bench.serve("deny-reset", echo)
    lines = ["%d.%d.%d.0/24\n" % (20 + i // 65536, i // 256 % 256, i % 256) for i in range(MANY)]
    path = os.path.join(bench.lab.work, "many")
    try:
        with open(path, "w", encoding="ascii") as file:
            file.write("; a header\n\n" + "".join(lines) + net(7, 4) + " # with a comment\n")
        assert "deny %d prefixes" % (MANY + 1) in said(engine, "deny", "load", path)
        assert not enters(bench, port, 4, 7) and enters(bench, port, 4, 6)
        assert len(listed(engine)) == MANY + 1
        said(engine, "deny", "add", net(6, 4))
        said(engine, "deny", "del", net(7, 4))
        assert enters(bench, port, 4, 7) and not enters(bench, port, 4, 6)
        with open(path, "w", encoding="ascii") as file:
            file.write(net(7, 4) + "\n")
        said(engine, "deny", "load", path)
        assert {row["prefix"] for row in listed(engine)} == {net(6, 4), net(7, 4)}
        said(engine, "deny", "load", "/dev/null", "--why", "many")
        assert {row["prefix"] for row in listed(engine)} == {net(6, 4)}
    finally:
        clear(engine)


def test_many_at_a_time_add_and_delete(bench):
    """Eight that change the lists at once: each change is there, and no other."""
    engine = bench.lab.engine

    def work(number):
        for i in range(12):
            said(engine, "deny", "add", "10.%d.%d.0/24" % (number, i))
            if i % 2:
                said(engine, "deny", "del", "10.%d.%d.0/24" % (number, i))

    try:
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(work, range(8)))
        assert {row["prefix"] for row in listed(engine)} == {
            "10.%d.%d.0/24" % (number, i) for number in range(8) for i in range(0, 12, 2)}
    finally:
        clear(engine)


def test_lists_are_for_who_may_reload(bench):
    """Another user may neither look nor change."""
    engine = bench.lab.engine
    with for_anybody("synfrontctl") as folder:
        program = os.path.join(folder, "synfrontctl")
        for argv in (("deny", "add", "1.2.3.4"), ("deny", "list"), ("allow", "del", "1.2.3.4"),
                     ("reload",)):
            status, words, complaint = ctl(engine, *argv, program=program, user=65534, cwd="/")
            assert status == EXIT_ENGINE and not words, argv
            assert "permission denied" in complaint, complaint


def test_a_file_that_is_wrong_stops_the_start(bench):
    """Line and column, and no engine that forgets what it was told."""
    engine = bench.lab.engine
    path = os.path.join(bench.lab.work, "wrong-lists")
    conf = os.path.join(bench.lab.work, "wrong-lists.yaml")
    with open(path, "w", encoding="ascii") as file:
        file.write("# kept\ndeny 192.0.2.1\nallow 192.0.2.2 until=soon\n")
    with open(conf, "w", encoding="ascii") as file:
        file.write(engine.filled(engine.text).replace(
            os.path.join(bench.lab.work, "lists"), path).replace(engine.tag, engine.tag + "-x"))
    done = subprocess.run((os.path.join(BUILD, "app/synfront"), "--config", conf),
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=30,
                          check=False)
    assert done.returncode == 1 and "%s:3:17: " % path in done.stdout, done.stdout


def test_talkers_name_who_sends(bench):
    """The heaviest source of what a service answers, in both families; JSON and a table."""
    engine = bench.lab.engine
    port = bench.serve("state", echo)
    for family in (4, 6):
        for source in (6,) * 12 + (7, 8):
            with dial(bench.lab, port, family, source=prefix_address(source, family)) as connection:
                assert ask(connection, b"in") == b"in"
    for family in (4, 6):
        host = prefix_address(6, family) if family == 4 else net(6, family)

        def named():
            return {talker["prefix"]: talker
                    for pair in json.loads(said(engine, "--json", "talkers", "--service", "state"))
                    if pair["outcome"] == "answered_syn_state" for talker in pair["talkers"]}

        wait_for("the heaviest source to be named", lambda host=host: host in named())
        talkers = named()
        assert 8 <= talkers[host]["at_least"] <= talkers[host]["frames"] < 30, talkers
        words = said(engine, "talkers")
        assert re.search(r"state +answered_syn_state +%s +\d+\.\d" % re.escape(host), words), words
    assert ctl(engine, "talkers", "--service", "none")[1].split() == [
        "SERVICE", "OUTCOME", "PREFIX", "PERCENT", "FRAMES", "AT-LEAST"]


def test_top_shows_who_sends_to_which_service(bench):
    """Of a running engine, without a terminal: its services, ports, worker and talkers."""
    port = bench.serve("state", echo)
    with dial(bench.lab, port, 4, source=prefix_address(6, 4)) as connection:
        assert ask(connection, b"in") == b"in"
    shown = []

    def is_named():
        shown[:] = [said(bench.lab.engine, "top")]
        return re.search(r"(?m)^state +answered_syn_state +\d+ +\d+\.\d +\S+$", shown[0])

    wait_for("the talkers", is_named)
    for line in (r"%s: \w+, up 0 d 00:\d\d:\d\d, flood on \d+ of \d+ services" % bench.lab.engine.tag,
                 r"state +(calm|flood)( +\d+){6}", r"outside +up( +(\d+|-)){7}", r"inside +up .*",
                 r"WORKERS busy(  \d+: \d+ %)+"):
        assert re.search("(?m)^%s$" % line, shown[0]), (line, shown[0])
