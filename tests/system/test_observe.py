# SPDX-License-Identifier: BSD-3-Clause
"""Observe: everything crosses, and when it ends by a reload no connection breaks."""

import contextlib
import json

from bench import thorough
from engines import Synfront
from lab import wait_for
from servers import Server, ask, dial, echo
from test_handoff import PORT, Transfer, slow_server
from test_metrics import promtool_is_silent, samples

BRINGS_ENGINES = True

ECHO_PORT = 81
SIZE = 6 << 20
RATE = 5000


def config(bench, observe, workers):
    """One service of mode proxy in place of all others, for all ports."""
    head, _, rest = bench.config().partition("services:\n")
    service = ["  - name: seen", "    addresses: [198.51.100.0/24, \"2001:db8:1::/64\"]",
               "    ports: all", "    mode: proxy", "    half_open: {high: 200, low: 50}",
               "    observe: %s" % ("true" if observe else "false")]
    text = head + "services:\n" + "\n".join(service) + "\n\nhandshake:\n" \
        + rest.partition("\nhandshake:\n")[2]
    return text.replace("count: %d" % bench.options.workers, "count: %d" % workers)


def start(bench, workers):
    bench.no_nginx()
    return bench.engine(Synfront(config(bench, True, workers), instance="observe"))


def would(engine, name):
    """Counters of what would have been are there when they are not zero."""
    return engine.counters().get("would_" + name, 0)


def nothing_done(engine):
    stats = engine.counters()
    for name in ("rst_sent", "challenge_sent", "syn_ack_sent", "opened", "half_open_made", "spliced"):
        assert not stats[name], (name, stats[name])


@thorough
def test_observe_ends_in_mid_transfer(bench):
    """Transfers and silent connections of both families live through the reload that ends observe,
    and what is new is split."""
    for workers in (1, 2):
        engine = start(bench, workers)
        slow_server(bench, SIZE)
        bench.keep(Server(bench.lab, ECHO_PORT, echo))
        silent = [bench.keep(contextlib.closing(dial(bench.lab, ECHO_PORT, family)))
                  for family in (4, 6)]
        transfer = Transfer(bench, size=SIZE)
        wait_for("data to pass", bench.counts("passed_observed", 400))
        nothing_done(engine)
        assert would(engine, "opened") + would(engine, "tracked") >= 3, engine.counters()
        said = engine.reload(config(bench, False, workers))
        assert "not reloaded" not in said, said
        wait_for("data to pass after the reload", bench.counts("passed_tracked", 200))
        for connection in silent:
            assert ask(connection, b"still there?" * 200) == b"still there?" * 200
        with dial(bench.lab, ECHO_PORT) as connection:
            assert ask(connection, b"new") == b"new"
        transfer.end()
        wait_for("new ones to be split, when the server is known", lambda: once_more(bench))
        assert engine.service("seen")["observe"] == 0
        # And it begins again, without a start.
        said = engine.reload(config(bench, True, workers))
        assert "not reloaded" not in said, said
        with dial(bench.lab, ECHO_PORT) as connection:
            assert ask(connection, b"as is") == b"as is"
        for connection in silent:
            assert ask(connection, b"and now?") == b"and now?"
        bench.tidy()
        bench.renew(brings_its_own=True)


def once_more(bench):
    """A connection; true when one has been opened by the engine itself."""
    with dial(bench.lab, ECHO_PORT) as connection:
        assert ask(connection, b"again") == b"again"
    return bench.count("connected") > 0


@thorough
def test_promtool_of_what_would_be(bench):
    """It has nothing to say of the series of an observed service either."""
    metrics = start(bench, 1).control("metrics")
    assert "synfront_would_syn_ack_total{" in metrics, metrics
    promtool_is_silent(metrics)


def test_observe_flood_crosses(bench):
    """A flood reaches the server as it is, real clients are served, and it is said when cookie mode
    would begin and end."""
    engine = start(bench, 1)
    bench.keep(Server(bench.lab, PORT, echo))
    with dial(bench.lab, PORT) as connection:  # who answers is learned
        assert ask(connection, b"first") == b"first"
    with bench.flood(RATE, 60, port=PORT):
        wait_for("cookie mode that would be", lambda: would(engine, "cookie_mode_entered"))
        with dial(bench.lab, PORT) as connection:
            assert ask(connection, b"in the flood") == b"in the flood"
        row = engine.service("seen")
        assert row["observe"] == 1 and row["cookie_mode"] == 1 and row["would_syn_ack"] > 0, row
        assert row["syn_ack"] == row["opened"] == row["refused"] == 0, row
    nothing_done(engine)
    metrics = engine.control("metrics")
    found = samples(metrics)
    assert found['synfront_would_syn_ack_total{service="seen"}'] >= row["would_syn_ack"], found
    assert found["synfront_would_cookie_mode_entered_total"] >= 1, found
    wait_for("the log to say so", lambda: "service seen: would enter cookie mode (observe)"
             in engine.process.output())
    shown = engine.control("services").splitlines()[0].split()
    assert shown[-4:] == ["OBSERVE", "WOULD-SYN-ACK", "WOULD-OPENED", "WOULD-REFUSED"], shown
    wait_for("cookie mode to end", lambda: would(engine, "cookie_mode_left"), 60)


def test_observe_explain_with_two_workers(bench):
    """Whoever holds the connection, what is asked of it is found, and what a deny would do is said,
    while all of it crosses."""
    engine = start(bench, 2)
    bench.keep(Server(bench.lab, ECHO_PORT, echo))
    # A client whose address is the first of the service's own, and who is new.
    new = json.loads(engine.control("--json", "explain", "198.51.100.1:1", "seen"))
    assert new["state"] == "none" and new["syn"]["outcome"].startswith("passed_"), new
    open_ones = [bench.keep(dial(bench.lab, ECHO_PORT, family)) for family in (4, 6) * 6]
    for connection in open_ones:
        assert ask(connection, b"crosses") == b"crosses"
    for connection in open_ones:
        host, source = connection.getsockname()[:2]
        own = "%s:%d" % ("[%s]" % host if ":" in host else host, source)
        mine = json.loads(engine.control("--json", "explain", own, "seen"))
        assert mine["observed"] == 1 and mine["state"] != "none", mine
        assert mine["client"] == own and mine["flows"][0].startswith(own + " "), mine
    host = open_ones[0].getsockname()[0]
    assert "observe    all of it crosses" in engine.control("explain", host, "seen")
    engine.control("deny", "add", host)
    denied = json.loads(engine.control("--json", "explain", host + ":1", "seen"))
    assert denied["admitted"] == 0 and denied["syn"]["reason"], denied
    with dial(bench.lab, ECHO_PORT) as connection:
        assert ask(connection, b"in all the same") == b"in all the same"
    assert would(engine, denied["syn"]["outcome"]) >= 1, engine.counters()
    engine.control("deny", "del", host)


def test_observe_wants_a_start(bench):
    """Where nothing was under observe at the start, a reload is refused, and says why."""
    bench.no_nginx()
    engine = bench.engine(Synfront(config(bench, False, 1), instance="observe"))
    said = engine.reload(config(bench, True, 1))
    assert "not reloaded" in said and "services[0].observe: found true; expected false" in said \
        and "a change needs a restart" in said, said
