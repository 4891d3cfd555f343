# SPDX-License-Identifier: BSD-3-Clause
"""A worker with nothing to do gives its CPU back, and is there when something comes: from a port,
from another worker, from its own timers, from control."""

import contextlib
import os
import time

from accounts import leaves_well
from bench import thorough
from engines import Synfront, XdpSynfront, shuffled
from injected import Vhost, threads_of
from lab import wait_for
from raw import End
from servers import ask, dial, echo
from test_ports import Interface, started

# What is promised; and over how long, again and again until it holds: others want these CPUs,
# and a cold cache or a busy hypervisor makes each wakeup dearer.
CPU_MOST, WINDOW_S, PATIENCE_S = 0.05, 1.0, 60


def worker_seconds(engine):
    """CPU time of each worker so far."""
    pid, found = engine.process.popen.pid, {}
    for tid, name in threads_of(pid):
        # Each question to telemetry has a thread that is soon gone.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if "worker" in name:
                with open("/proc/%d/task/%d/schedstat" % (pid, tid)) as file:
                    found[tid] = int(file.read().split()[0]) / 1e9
    assert len(found) == engine.workers(), found
    return found


def rests(bench, what):
    """Within a second of silence each worker takes no more than is promised."""
    engine = bench.lab.engine
    shares = []

    def is_resting():
        time.sleep(1)
        before, begun = worker_seconds(engine), time.monotonic()
        time.sleep(WINDOW_S)
        after, took = worker_seconds(engine), time.monotonic() - begun
        shares.append(max(after[tid] - before[tid] for tid in before) / took)
        return shares[-1] <= CPU_MOST

    try:
        wait_for("workers to rest", is_resting, PATIENCE_S)
    except TimeoutError as error:
        raise AssertionError("shares of a CPU: %s" % shares) from error
    bench.record("idle", what=what, way=engine.ask("info")["idle"], share=min(shares))


def served(bench, port):
    with dial(bench.lab, port) as connection:
        for _ in range(3):
            assert ask(connection, b"anybody there?") == b"anybody there?"
            time.sleep(0.1)


def tried(bench, what, way):
    """Rests, serves a client whose every word comes after a silence, rests again, and stops."""
    engine = bench.lab.engine
    port = bench.serve("bulk", echo)
    assert engine.ask("info")["idle"] == way, engine.ask("info")
    rests(bench, what)
    served(bench, port)
    rests(bench, what)
    assert "no interrupts come" not in engine.process.output(), engine.process.output()
    leaves_well(bench)


def test_tap(bench):
    tried(bench, "TAP", "interrupts")


def test_af_packet(bench):
    with started(bench, Interface(bench.lab, "net_af_packet")):
        tried(bench, "AF_PACKET", "interrupts")


def test_af_xdp(bench):
    bench.engine(XdpSynfront(bench.config(), "idle-xdp"))
    tried(bench, "AF_XDP", "interrupts")


@thorough
def test_virtio(bench):
    """The peer of vhost-user is asked for interrupts while the worker sleeps; so is the next one."""
    with Vhost(bench, "idle", server=True) as vhost:
        tried_port = bench.serve("bulk", echo)
        engine = bench.lab.engine
        assert engine.ask("info")["idle"] == "interrupts", engine.ask("info")
        rests(bench, "virtio-user")
        served(bench, tried_port)
        bench.lab.end(vhost.peer)
        wait_for("the link to go", lambda: engine.port("outside")["link"] == "down")
        rests(bench, "virtio-user without a peer")
        vhost.begin()
        wait_for("the link", lambda: engine.port("outside")["link"] == "up")
        bench.lab.wait_for_path()
        served(bench, tried_port)
        rests(bench, "virtio-user with another peer")
        assert "no interrupts come" not in engine.process.output(), engine.process.output()
        leaves_well(bench)


def test_pauses(bench):
    """A port without interrupts: by the clock."""
    with started(bench, Interface(bench.lab, "net_pcap")):
        tried(bench, "pcap", "pauses")


def test_hand_over_wakes(bench):
    """Two workers, and each frame arrives at a random one: whoever gets what is another's wakes
    it. (The queues of such ports tell of nothing, so some of them may be given up.)"""
    engine = Synfront(bench.config().replace("count: %d" % bench.options.workers, "count: 2"),
                      "idle-two")
    engine.env = shuffled()
    bench.engine(engine)
    port = bench.serve("bulk", echo)
    for _ in range(10):
        served(bench, port)
    assert bench.count("handed_over") > 0


def test_timers_run_in_silence(bench):
    """A SYN-ACK is sent again a second after the last frame, and control is answered at once."""
    port = bench.serve("state", echo)
    rests(bench, "timers")
    with End(bench.lab, port) as client, bench.grows("syn_ack_again"):
        client.syn()
        client.syn_ack()
        begun = time.monotonic()
        client.syn_ack(timeout=5)
        took = time.monotonic() - begun
        assert 0.8 < took < 1.6, took
        client.reset()
    time.sleep(1)
    begun = time.monotonic()
    bench.lab.engine.report("connections")
    bench.lab.engine.reload(bench.lab.engine.text)
    assert time.monotonic() - begun < 2


def test_poll_stays(bench):
    """One that is told to poll never sleeps."""
    text = bench.config(replace=(("  count: ", "  idle: poll\n  count: "),))
    engine = bench.engine(Synfront(text, "idle-not"))
    assert engine.ask("info")["idle"] == "polling"
    before = worker_seconds(engine)
    time.sleep(WINDOW_S)
    after = worker_seconds(engine)
    # As much as others leave it.
    assert min(after[tid] - before[tid] for tid in before) > 5 * CPU_MOST * WINDOW_S \
        or os.cpu_count() < engine.workers()
    assert engine.counters()["sleeps"] == 0
