# SPDX-License-Identifier: BSD-3-Clause
"""SYNs in receive queues of their own. No NIC is here whose driver could be asked for them:
tests/race/steering.c is one, before the TAP ports of the lab."""

import os

from engines import BUILD, Synfront
from lab import wait_for
from party import Party, converse
from servers import echo, greet, dial

BRINGS_ENGINES = True

FLOOD = 3000  # SYNs


class Steered(Synfront):
    """An engine on ports with flow rules."""

    def __init__(self, bench, kind, workers, queues=None, port=""):
        text = bench.config().replace("count: %d" % bench.options.workers, "count: %d" % workers)
        old = "iface=sf-outside\n"
        assert old in text
        super().__init__(text.replace(old, old + port))
        self.log = os.path.join(bench.lab.work, "steering")
        self.env = dict(os.environ, SYNFRONT_STEERING=kind, SYNFRONT_STEERING_LOG=self.log,
                        LD_PRELOAD=os.path.join(BUILD, "tests/race/steering.so"))
        if queues:
            self.env["SYNFRONT_STEERING_QUEUES"] = str(queues)
        if os.path.exists(self.log):
            os.unlink(self.log)
        bench.engine(self)

    def finish(self):
        """It ends well: what the ports had at each stop, by name."""
        process = self.process
        status = self.end()
        output = process.output()
        assert status == 0 and "DOES NOT HOLD" not in output, output[-4000:]
        if not os.path.exists(self.log):
            return []
        with open(self.log) as file:
            words = [line.split() for line in file]
        return [dict(zip(row[::2], map(int, row[1::2]))) for row in words]


def has_none(engine, why, queues):
    """The port is as it would be without any of this."""
    port = engine.port("outside")
    assert port["syn_queues"] == "no" and why in port["syn_queues_why_not"], port
    assert port["rx_queues"] == queues and port["received_syn"] == 0, port


def served(bench, services=("state", "cookie")):
    for service in services:
        port = bench.serve(service, greet)
        for family in (4, 6):
            for _ in range(4):
                dial(bench.lab, port, family).close()


def test_all_queues(bench):
    """Clients of all kinds in a flood: all SYNs come by their queues, and nothing else; some of
    them are another worker's."""
    engine = Steered(bench, "all", 2)
    outside, inside = engine.port("outside"), engine.port("inside")
    assert outside["syn_queues"] == "yes" and outside["rx_queues"] == 2, outside
    assert inside["syn_queues"] == "no" and inside["rx_queues"] == 2, inside
    assert engine.ask("info")["idle"] == "interrupts"
    ports = [bench.serve(service, echo, teach=service != "calm")
             for service in ("state", "cookie", "lazy", "calm")]
    party = Party()
    for port in ports:
        for family in (4, 6):
            party.add(converse, bench.lab, port, family)
    with bench.flood(FLOOD // 3, 30, port=ports[0]):
        wait_for("%d SYNs" % FLOOD, lambda: bench.count("answered_syn_cookie") > FLOOD)
        assert not engine.control("drain", "on").count("error")
        wait_for("conversations while it drains",
                 lambda done=party.done: party.done > done + len(ports))
        engine.control("drain", "off")
        assert "error" not in engine.reload(engine.text)
        wait_for("conversations afterwards",
                 lambda done=party.done: party.done > done + len(ports))
    errors = party.end()
    assert not errors, errors
    assert bench.count("handed_over") > 0
    rests = [0, 1]

    def is_quiet():
        rests.append(engine.port("outside")["received_syn"])
        return rests[-1] == rests[-2]

    wait_for("the last SYN", is_quiet)
    by_queue, syns = engine.port("outside")["received_syn"], bench.count("syn_received")
    assert by_queue >= syns > FLOOD, (by_queue, syns)
    outside, = engine.finish()
    assert outside["queues"] == 4 and outside["tables"] == 1, outside
    assert outside["rules_made"] == outside["rules_gone"] == 4, outside
    assert outside["steered"] == by_queue, (outside, by_queue)
    bench.record("syn_queues", what="all SYNs by their queues", workers=2, syns=by_queue,
                 conversations=party.done)


def test_one_filter(bench):
    """A filter that knows the SYN flag and one queue; IPv6 comes with the rest here."""
    engine = Steered(bench, "filter", 1)
    assert engine.port("outside")["syn_queues"] == "yes"
    port = bench.serve("cookie", greet)
    before = engine.port("outside")["received_syn"]
    for family, grows in ((4, 5), (6, 0)):
        for _ in range(5):
            dial(bench.lab, port, family).close()
        after = engine.port("outside")["received_syn"]
        assert after == before + grows, (family, before, after)
        before = after
    served(bench)
    outside, = engine.finish()
    assert outside["queues"] == 2 and outside["rules_made"] == outside["rules_gone"] == 1, outside


def test_one_filter_for_two_workers(bench):
    """It would give all SYNs to one of them."""
    engine = Steered(bench, "filter", 2)
    has_none(engine, "to one queue only", 2)
    served(bench)
    outside, = engine.finish()
    assert outside["queues"] == 2 and outside["rules_made"] == 0, outside


def test_refused_at_last(bench):
    """A driver that refuses when the port runs: it is started again without."""
    engine = Steered(bench, "late", 2)
    has_none(engine, "cannot tell such frames", 2)
    served(bench)
    first, last = engine.finish()
    assert first["queues"] == 4 and last["queues"] == 2, (first, last)
    assert last["rules_made"] == last["steered"] == 0, last


def test_too_few_queues(bench):
    engine = Steered(bench, "all", 2, queues=3)
    has_none(engine, "4 receive queues are wanted, it has 3", 2)
    served(bench)
    assert engine.finish()[0]["rules_made"] == 0


def test_switched_off(bench):
    """The driver is not asked."""
    engine = Steered(bench, "all", 2, port="    syn_queues: off\n")
    has_none(engine, "switched off", 2)
    served(bench)
    assert not engine.finish()


def test_driver_without_rules(bench):
    """TAP ports have rules, and cannot tell a SYN."""
    engine = bench.engine(Synfront(bench.config()))
    has_none(engine, "its driver", engine.workers())
    served(bench)
