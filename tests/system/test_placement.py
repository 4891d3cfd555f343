# SPDX-License-Identifier: BSD-3-Clause
"""Four workers, and every frame arrives at a random one: no hash brings a segment to the
owner of its connection, and segments of one flow overtake each other."""

import time

from bench import thorough
from engines import Synfront, shuffled
from lab import wait_for
from party import Party, converse
from servers import ask, dial, echo

BRINGS_ENGINES = True

SERVICES = ("state", "cookie", "lazy", "calm")
WORKERS = 4
FLOOD = 5000  # SYNs answered, of which none may change hands


def engine(bench):
    found = Synfront(bench.config().replace("count: %d" % bench.options.workers,
                                            "count: %d" % WORKERS))
    found.env = shuffled()
    return bench.engine(found)


@thorough
def test_any_worker(bench):
    """Bytes arrive as sent, no connection is lost, each has one owner."""
    shared = engine(bench)
    ports = [bench.serve(service, echo, teach=service != "calm") for service in SERVICES]
    party = Party()
    before = bench.count("handed_over")
    for port in ports:
        for family in (4, 6):
            party.add(converse, bench.lab, port, family)
    time.sleep(60 if bench.options.long else 4)
    errors = party.end()
    assert not errors, errors
    held = [bench.keep(dial(bench.lab, port, family)) for port in ports for family in (4, 6)]
    data = bytes(range(256)) * 800
    for connection in held:
        assert ask(connection, data) == data
    rows = shared.report("connections")
    ends = [(row["client"], row["server"]) for row in rows]
    assert len(ends) == len(set(ends)), "a connection has two owners"
    assert len({row["worker"] for row in rows}) == WORKERS, "workers that own nothing"
    handed = bench.count("handed_over") - before
    assert handed > party.done, "hardly anything was handed over"
    bench.record("placement", what="conversations on random queues", workers=WORKERS,
                 done=party.done, lost=len(errors), handed_over=handed)


def test_flood_is_not_handed_over(bench):
    """A SYN that a cookie answers is answered by whoever receives it."""
    engine(bench)
    port = bench.serve("state", echo)
    with bench.flood(5000, 60, port=port):
        def window():
            begun = bench.count("handed_over"), bench.count("answered_syn_cookie")
            wait_for("%d SYNs" % FLOOD,
                     lambda: bench.count("answered_syn_cookie") >= begun[1] + FLOOD)
            return bench.count("answered_syn_cookie") - begun[1], \
                bench.count("handed_over") - begun[0]

        # Each worker takes to cookies by itself.
        answered, handed = wait_for("a flood that stays where it arrives",
                                    lambda: (lambda got: got if got[1] == 0 else None)(window()))
    bench.record("placement", what="SYNs of a flood on random queues", workers=WORKERS,
                 done=answered, lost=0, handed_over=handed)
