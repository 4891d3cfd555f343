# SPDX-License-Identifier: BSD-3-Clause
"""Why was this client refused? Captures that tshark reads, and what explain says."""

import contextlib
import json
import os
import signal
import subprocess
import time

from engines import BUILD
from lab import CLIENT, address, prefix_address, wait_for
from servers import ask, dial, echo
from test_control import EXIT_REFUSED, ctl

CTL = os.path.join(BUILD, "app/synfrontctl")
EXIT_OUTPUT = 5
LEASE_S = 5


def start(tag, *argv, **fields):
    """A capture in the background."""
    return subprocess.Popen((CTL, "--instance", tag, "capture") + argv, stderr=subprocess.PIPE,
                            text=True, **fields)


def begun(engine):
    return engine.ask("capture")["state"] == "on"


def dissected(file, *fields):
    """What tshark makes of a capture: a list for each packet."""
    argv = ["tshark", "-n", "-r", file, "-T", "fields", "-E", "separator=|"]
    for field in fields:
        argv += ["-e", field]
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return [line.split("|") for line in done.stdout.splitlines()]


def refused(bench, port, source):
    with contextlib.suppress(OSError):
        dial(bench.lab, port, source=source).close()
        raise AssertionError("it got in")


def test_capture_says_why(bench):
    """A denied client beside one that gets in, during a small flood: its frames alone, with the
    reason; and the file ends with what was lost."""
    engine = bench.lab.engine
    port = bench.serve("deny-reset", echo)
    file = os.path.join(bench.lab.work, "why.pcapng")
    source = prefix_address(8)
    with bench.flood(2000, 60, port=port):
        capture = start(engine.tag, "--service", "deny-reset", "--client", source + "/32",
                        "--count", "4", "--seconds", "60", "-w", file)
        wait_for("the capture to begin", lambda: begun(engine))
        for _ in range(2):
            refused(bench, port, source)
        with dial(bench.lab, port, source=prefix_address(7)) as connection:
            assert ask(connection, b"in") == b"in"
        said = capture.communicate(timeout=60)[1]
        assert capture.returncode == 0, said
    assert "4 frames written, 0 lost" in said, said
    packets = dissected(file, "frame.interface_name", "ip.src", "tcp.flags", "frame.comment",
                        "frame.packet_flags_direction")
    assert len(packets) == 4, packets
    for i, (interface, src, flags, comment, way) in enumerate(packets):
        assert interface == "outside", packets
        if i % 2 == 0:
            assert src == source and int(flags, 16) == 0x02, packets
            assert comment == "answered_rst; row LISTEN.OUTSIDE.SYN; service deny-reset; " \
                "drop_denied; why: source in deny, or not in allow", comment
            assert int(way, 0) == 1, way
        else:
            assert src != source and int(flags, 16) & 0x04, packets
            assert comment.startswith("sent for answered_rst; row LISTEN.OUTSIDE.SYN"), comment
            assert int(way, 0) == 2, way
    assert engine.ask("capture")["state"] == "none"


def test_capture_by_outcome_of_a_flood(bench):
    """All cookies of a flood, for a second; both workers' frames, no stall, and the account of what
    is lost is in the JSON. The engine's own account holds (Bench looks)."""
    engine = bench.lab.engine
    port = bench.serve("cookie", echo)
    file = os.path.join(bench.lab.work, "flood.pcapng")
    with bench.flood(20000, 60, port=port):
        status, said, complaint = ctl(engine.tag, "--json", "capture", "--outcome",
                                      "answered_syn_cookie", "--seconds", "2", "--write", file)
        assert status == 0, complaint
        with dial(bench.lab, port) as connection:
            assert ask(connection, b"served") == b"served"
    said = json.loads(said)
    assert said["written"] > 200 and said["lost"] >= 0 and said["file"] == file, said
    packets = dissected(file, "tcp.flags", "frame.comment")
    assert len(packets) == said["written"]
    assert {int(flags, 16) for flags, _ in packets} == {0x02, 0x12}
    assert all("answered_syn_cookie" in comment for _, comment in packets)


def test_capture_over_a_pipe(bench):
    """tshark reads while it is written; when it has enough and goes, the capture ends by itself."""
    engine = bench.lab.engine
    port = bench.serve("cookie", echo)
    capture = start(engine.tag, "--service", "cookie", "-w", "-", stdout=subprocess.PIPE)
    reader = subprocess.Popen(("tshark", "-n", "-l", "-c", "6", "-i", "-", "-T", "fields", "-e",
                               "frame.comment"), stdin=capture.stdout, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True)
    capture.stdout.close()
    wait_for("the capture to begin", lambda: begun(engine))
    deadline = time.monotonic() + 60
    while reader.poll() is None and time.monotonic() < deadline:
        with dial(bench.lab, port) as connection:
            assert ask(connection, b"again") == b"again"
        time.sleep(0.05)
    said, complaint = reader.communicate(timeout=60)
    assert reader.returncode == 0 and said.count("row ") == 6, (said, complaint)
    complaint = capture.communicate(timeout=60)[1]
    assert capture.returncode == 0 and "frames written" in complaint, complaint
    assert engine.ask("capture")["state"] == "none"


def test_capture_is_one_and_outlives_no_reader(bench):
    """A second capture is refused; one whose reader was killed gives way to the next, and so does
    one that is stopped by a signal. A file that cannot be written is said."""
    engine = bench.lab.engine
    file = os.path.join(bench.lab.work, "one.pcapng")
    first = start(engine.tag, "-w", file)
    wait_for("the capture to begin", lambda: begun(engine))
    other = os.path.join(bench.lab.work, "other.pcapng")
    status, _, complaint = ctl(engine.tag, "capture", "--count", "1", "-w", other)
    assert status == EXIT_REFUSED and "there is a capture already" in complaint, complaint
    assert not os.path.exists(other)
    first.send_signal(signal.SIGKILL)
    first.communicate(timeout=60)
    began = time.monotonic()

    def again():
        status, _, complaint = ctl(engine.tag, "capture", "--seconds", "0.1", "-w", other)
        assert status in (0, EXIT_REFUSED), complaint
        return status == 0

    wait_for("the one without a reader to end", again)
    assert time.monotonic() - began < LEASE_S + 30
    assert dissected(other, "frame.number") is not None
    third = start(engine.tag, "-w", other)
    wait_for("the third to begin", lambda: begun(engine))
    third.send_signal(signal.SIGTERM)
    said = third.communicate(timeout=60)[1]
    assert third.returncode == 0 and "frames written" in said, said
    status, _, complaint = ctl(engine.tag, "capture", "--seconds", "1", "-w", "/dev/full")
    assert status == EXIT_OUTPUT and "/dev/full: No space left on device" in complaint, complaint
    status, _, complaint = ctl(engine.tag, "capture", "-w", "/none/of/this/name")
    assert status == EXIT_OUTPUT and "No such file" in complaint, complaint
    for wrong, words in ((("--service", "nobody"), 'no service "nobody"'),
                         (("--client", "10.0.0.1/8"), "expected an address or a prefix"),
                         (("--outcome", "opened"), 'no outcome "opened"')):
        status, _, complaint = ctl(engine.tag, "capture", *wrong, "-w", other)
        assert status == EXIT_REFUSED and words in complaint, complaint
    assert engine.ask("capture")["state"] == "none"


def test_capture_through_reload_and_drain(bench):
    """A reload and a drain do not concern it, and an engine that ends leaves a whole file."""
    engine = bench.lab.engine
    port = bench.serve("state", echo)
    file = os.path.join(bench.lab.work, "reload.pcapng")
    capture = start(engine.tag, "--service", "state", "-w", file)
    wait_for("the capture to begin", lambda: begun(engine))
    for step in ("reload", "drain", "reload"):
        assert ctl(engine.tag, step)[0] == 0
        with dial(bench.lab, port) as connection:
            assert ask(connection, step.encode()) == step.encode()
    assert ctl(engine.tag, "drain", "off")[0] == 0
    engine.restart()
    said = capture.communicate(timeout=60)[1]
    assert capture.returncode == 1, said
    comments = [row[0] for row in dissected(file, "frame.comment")]
    assert any("service state" in comment for comment in comments), comments


def explain(engine, *argv):
    return json.loads(engine.control("--json", "explain", *argv))


def test_explain_before_and_after_deny(bench):
    """The same client under two services, and in a connection of its own."""
    engine = bench.lab.engine
    port = bench.serve("bulk", echo)
    source = prefix_address(8)
    inside = explain(engine, source, "bulk")
    assert inside["admitted"] == 1 and inside["syn"]["outcome"] in ("answered_syn_state",
                                                                    "passed_syn"), inside
    text = engine.text
    denied = text.replace("  - name: bulk\n", "  - name: bulk\n    deny: %s/32\n    denied: drop\n"
                          % source)
    assert denied != text
    engine.write(denied)
    try:
        assert ctl(engine.tag, "reload")[0] == 0
        outside = explain(engine, source, "bulk")
        assert outside["admitted"] == 0 and outside["syn"]["outcome"] == "drop_denied", outside
        assert outside["syn"]["why"] == "source in deny, or not in allow", outside
        assert outside["proof"] is None, outside
        words = engine.control("explain", source, "bulk")
        assert "lists      refuse it" in words and "a SYN      drop_denied" in words, words
    finally:
        engine.write(text)
        assert ctl(engine.tag, "reload")[0] == 0
    # More than an answer lists: the one that is asked for is among them, and first.
    for _ in range(40):
        assert ask(bench.keep(dial(bench.lab, port)), b"too") == b"too"
    with dial(bench.lab, port) as connection:
        assert ask(connection, b"there") == b"there"
        own = "%s:%d" % connection.getsockname()[:2]
        mine = explain(engine, own, "bulk")
        assert mine["state"] == "SPLICED" and mine["client"] == own, mine
        assert mine["ack"]["row"] == "SPLICED.OUTSIDE.ACK", mine
        assert mine["flows"][0].startswith(own + " "), mine
        six = explain(engine, address(CLIENT, 6), "bulk")
        assert six["state"] == "none" and six["server"].startswith("[2001:db8"), six
    for client, service, words in ((source, "nobody", 'no service "nobody"'),
                                   (source + "/24", "bulk", "expected an address"),
                                   (source + ":0", "bulk", "expected 1 to 65535")):
        status, _, complaint = ctl(engine.tag, "explain", client, service)
        assert status == EXIT_REFUSED and words in complaint, complaint


def test_explain_in_a_flood(bench):
    """A client in a flood is told a cookie, and that its ACK would open; asking again and again
    changes no counter that only segments may."""
    engine = bench.lab.engine
    port = bench.serve("cookie", echo)
    before = engine.counters()
    for _ in range(20):
        said = explain(engine, address(CLIENT), "cookie")
        assert said["syn"]["sends"] == "SYN-ACK to the client" or \
            said["syn"]["outcome"] == "passed_syn", said
    after = engine.counters()
    for name in ("syn_received", "syn_ack_sent", "opened", "cookies_checked", "rst_sent"):
        assert before[name] == after[name], name
    with bench.flood(20000, 60, port=port):
        wait_for("the flood to be there", bench.counts("answered_syn_cookie", 1000))
        said = explain(engine, address(CLIENT), "cookie")
        assert said["mode"] == "proxy" and said["ack"]["outcome"].startswith(("drop_unproven",
                                                                              "answered_rst"))
