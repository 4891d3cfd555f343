# SPDX-License-Identifier: BSD-3-Clause
"""Starts that cannot succeed say why and what would help; starts after a death in
mid-flood find nothing in their way."""

import glob
import os
import signal
import time

from accounts import Fault, attempt, leaves_well
from bench import Skip, thorough
from engines import BUILD, Synfront
from injected import is_sanitized
from raw import End
from servers import ask, dial, echo
from traffic import Flood

EXIT_CONFIG, EXIT_START = 1, 3
MANY_WORKERS = 12
# No start may need longer to find out that it cannot be.
PATIENCE_S = 30


def refused(bench, text, *wrapper, node="box"):
    """Start an engine that cannot run: its exit status, and what it says of it."""
    path = os.path.join(bench.lab.work, "refused.yaml")
    with open(path, "w") as file:
        file.write(text.replace("@INSTANCE@", bench.lab.id + "-refused")
                   .replace("@WORK@", bench.lab.work))
    process = bench.lab.spawn(node, "refused", *wrapper, os.path.join(BUILD, "app/synfront"),
                              "--config", path)
    try:
        return process.wait(PATIENCE_S), process.output()
    finally:
        bench.lab.end(process, signal.SIGKILL)


def record(bench, name, injected, said, clients="nothing: the engine in place goes on"):
    lines = [line for line in said.splitlines() if line.startswith("synfront: ")]
    line = next((line for line in lines if "error: " in line), lines[0])
    bench.record("faults", fault=name, injected=injected, counted='says: "%s"'
                 % line.partition("synfront: ")[2].replace(bench.lab.work, "..."), clients=clients)


def elsewhere(text):
    """The same with TAP ports that nobody has."""
    return text.replace("iface=sf-outside", "iface=sx-outside").replace(
        "iface=sf-inside", "iface=sx-inside")


def hugepages_free():
    """Bytes."""
    size = 0
    for path in glob.glob("/sys/kernel/mm/hugepages/hugepages-*kB/free_hugepages"):
        with open(path) as file:
            size += int(file.read()) * int(path.rpartition("hugepages-")[2].split("kB")[0]) * 1024
    return size


def test_no_hugepages(bench):
    """Required and not there: an error with figures. `auto`: a notice, and it runs."""
    text = bench.config()
    if hugepages_free() >= 64 << 20:
        raise Skip("this machine has free hugepages")
    status, said = refused(bench, elsewhere(text).replace("hugepages: off", "hugepages: on"))
    assert status == EXIT_START and "eal.hugepages" in said and "MB are wanted" in said, said
    record(bench, "no hugepages, required", "eal.hugepages: on", said)
    engine = bench.engine(Synfront(text.replace("hugepages: off", "hugepages: auto"), "auto"))
    port = bench.serve("bulk", echo)
    assert attempt(bench, port) == "served"
    said = next(line for line in engine.process.output().splitlines() if "ordinary pages" in line)
    record(bench, "no hugepages, auto", "eal.hugepages: auto", said, "served")
    leaves_well(bench)


@thorough
def test_many_workers_on_ordinary_pages(bench):
    """Each worker's buffers find room in the memory that is asked for."""
    text = bench.config().replace("count: %d" % bench.options.workers, "count: %d" % MANY_WORKERS)
    engine = bench.engine(Synfront(text, "many"))
    assert engine.workers() == MANY_WORKERS
    port = bench.serve("bulk", echo, teach=False)
    assert [attempt(bench, port) for _ in range(MANY_WORKERS)] == ["served"] * MANY_WORKERS
    leaves_well(bench)


def test_too_little_memory_at_start(bench):
    """Less memory than configured: refused before anything runs, with the size that is
    wanted."""
    text = elsewhere(bench.config())
    if not is_sanitized():
        status, said = refused(bench, text, "prlimit", "--as=%d" % (150 << 20))
        assert status == EXIT_START and "memory" in said and " MB" in said, (status, said)
        record(bench, "too little memory for the process", "RLIMIT_AS of 150 MB", said)
    status, said = refused(bench, text.replace("connections: 128k", "connections: 256M")
                           .replace("held_connections: 2k", "held_connections: 1M")
                           .replace("handshake:\n", "handshake:\n  hold_bytes: 65535\n"))
    with open("/proc/meminfo") as file:
        if int(file.readline().split()[1]) < 80 << 20:
            assert status == EXIT_CONFIG and "memory." in said and "MiB" in said, (status, said)
            record(bench, "too little memory in the machine", "tables of 90 GB", said)


def test_wrong_port_names(bench):
    """Each way in which a port's name can be wrong is said of that port."""
    text = elsewhere(bench.config())
    outside = "net_tap0,iface=sx-outside"
    for device, words in (
            ("net_nosuch0", ("outside.device", "net_nosuch0", "no driver")),
            ("net_tap0,iface=an-interface-name-too-long", ("outside.device", "too-long")),
            ("net_af_packet0,iface=nowhere", ("outside.device", "nowhere")),
            ("0000:7f:1f.7", ("outside.device", "0000:7f:1f.7", "no PCI device")),
            ("net_virtio_user0,path=%s/nobody.sock" % bench.lab.work,
             ("outside.device", "nobody.sock")),
            ("net_tap0,iface=sx-inside", ("inside.device", "both ports"))):
        status, said = refused(bench, text.replace(outside, device))
        assert status == EXIT_START, (device, status, said)
        errors = [line for line in said.splitlines() if "error: " in line]
        assert len(errors) == 1 and all(word in errors[0] for word in words), said
        record(bench, "wrong port name", "`device: %s`" % device.replace(bench.lab.work, "..."),
               errors[0])


def test_two_instances_on_one_port(bench):
    """A second engine for a TAP or an interface that one has, or of a name that runs, does not
    start; the first does not notice."""
    lab, engine = bench.lab, bench.lab.engine
    port = bench.serve("bulk", echo)
    text = bench.config()
    fault = Fault(bench, "two instances on one port", "a second start for the same TAP ports")
    with dial(lab, port) as connection:
        assert ask(connection, b"before") == b"before"
        status, said = refused(bench, text)
        assert status == EXIT_START and "another synfront" in said, (status, said)
        assert str(engine.process.popen.pid) in said
        line = said.splitlines()[0]
        status, said = refused(bench, elsewhere(text).replace("@INSTANCE@", engine.tag))
        assert status == EXIT_START and "running already" in said, (status, said)
        record(bench, "two instances of one name", "a second start with the same `instance`", said)
        assert ask(connection, b"after") == b"after"
        assert fault.client(port) == "served"
    fault.record(port, line)
    # AF_PACKET would give each of two a copy of every frame.
    lab.run("box", "ip", "link", "add", "sx-a", "type", "veth", "peer", "name", "sx-b")
    try:
        for device in ("sx-a", "sx-b"):
            lab.run("box", "ip", "link", "set", device, "up")
        first = text.replace("net_tap0,iface=sf-outside", "net_af_packet0,iface=sx-a").replace(
            "net_tap1,iface=sf-inside", "net_af_packet1,iface=sx-b")
        other = Synfront(first, "packets", taps=())
        other.begin(lab)
        try:
            status, said = refused(bench, first)
            assert status == EXIT_START and "another synfront" in said, (status, said)
            record(bench, "two instances on one AF_PACKET interface", "a second start", said)
        finally:
            other.end()
    finally:
        lab.run("box", "ip", "link", "del", "sx-a", check=False)


def leavings(engine):
    """Files that it has left in the usual places, beyond its runtime directory."""
    return [path for pattern in ("/dev/hugepages/*%s*", "/var/run/dpdk/%s*/config",
                                 "/var/run/dpdk/%s*/fbarray*", "/dev/shm/*%s*", "/tmp/*%s*.lock")
            for path in glob.glob(pattern % engine.tag)]


def test_killed_in_a_flood(bench):
    """`kill -9` while SYNs come, then a start with the same secret: handshakes that are under
    way succeed, and nothing that the dead one left is in the way."""
    lab = bench.lab
    engine = bench.engine(Synfront(bench.config(), "mortal"))
    port, stateful = bench.serve("cookie", echo), bench.serve("state", echo)
    for known in (port, stateful):
        bench.teach(known, 6)
    rate = 20000 if bench.options.long else 8000
    fault = Fault(bench, "kill -9 in mid-flood", "%d SYN/s; 20 handshakes under way, with and "
                  "without state, IPv4 and IPv6" % rate)
    ends = []
    try:
        with Flood(lab, rate, 30, port=port) as flood:
            for number in range(20):
                end = End(lab, (port, stateful)[number % 2], own=100 + number,
                          family=(4, 6)[number // 2 % 2])
                ends.append(end)
                end.syn()
                end.syn_ack()
            engine.process.kill(signal.SIGKILL)
            engine.process.wait()
            begun = time.monotonic()
            engine.launch()
            lab.wait_for_path()
            down_s = time.monotonic() - begun
            assert flood.running()
            before = engine.counters()["cookies_good"]
            for end in ends:
                # Without an engine the bridge gave everybody the flood.
                for _ in end.tap.frames():
                    pass
                end.write(b"after the restart")
                assert end.read(17) == b"after the restart"
                end.reset()
            good = engine.counters()["cookies_good"] - before
        assert good >= len(ends), good
    finally:
        for end in ends:
            end.close()
    assert not leavings(engine), leavings(engine)
    fault.clients["served"] = len(ends)
    fault.record(port, {"cookies_good": good},
               meanwhile="%.1f s without an engine" % down_s)
    leaves_well(bench)
