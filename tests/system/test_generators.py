# SPDX-License-Identifier: BSD-3-Clause
"""config/pktgen: a capture of ours, replayed by testpmd to the responder; real clients beside it."""

import os
import sys

from bench import thorough
from engines import Synfront, tell
from lab import ROOT, address, wait_for
from test_responder import HOME, Responder

PROGRAMS = os.path.join(ROOT, "config/pktgen")
sys.path.insert(0, PROGRAMS)
# pylint: disable=wrong-import-position
import syns

# Fewer than a ring has places, so that none is lost whoever has the CPU.
N_SYNS = 1000

# Both ends of a port: testpmd's, which is there first, and the engine's.
PORTS = {
    "memif": ("net_memif0,role=server,rsize=10,socket-abstract=no,socket=%s",
              "net_memif0,role=client,rsize=10,socket-abstract=no,socket=%s"),
    "virtio": ("net_vhost0,iface=%s", "net_virtio_user0,path=%s,queue_size=1024"),
}


def responder(device):
    """config/responder.yaml as it stands, but for its port and its size."""
    with open(os.path.join(ROOT, "config/responder.yaml")) as file:
        text = file.read()
    for old, new in (("net_virtio_user0,path=/tmp/synfront-vhost.sock,queue_size=1024", device),
                     ("idle: poll", "idle: auto"), ("256k", "4k"), ("64k", "1k"),
                     ("instance: synfront-responder", "instance: @INSTANCE@"),
                     ("eal:\n", "eal:\n  hugepages: off\n")):
        assert old in text, old
        text = text.replace(old, new)
    return text


class Replay:
    """A testpmd from the capture of its port 0 to its port 1, and back. It forwards when told to."""

    def __init__(self, bench, node, name, *devices):
        self.bench = bench
        self.tag = "%s-%s" % (bench.lab.id, name)
        fifo = os.path.join(bench.lab.work, name + ".fifo")
        os.mkfifo(fifo)
        argv = ["dpdk-testpmd", "--no-pci", "--no-huge", "-m", "256", "-l", "0,1",
                "--single-file-segments", "--file-prefix", self.tag]
        for device in devices:
            argv += ["--vdev", device]
        argv += ["--", "-i", "--forward-mode=io", "--no-flush-rx", "--total-num-mbufs=16384",
                 "--rxd=1024", "--txd=1024", "--disable-link-check"]
        self.process = bench.lab.spawn(node, name, "sh", "-c", 'exec "$@" <"$0"', fifo, *argv)
        bench.stack.callback(self.end)
        self.prompt = bench.keep(open(fifo, "w"))
        # It has started them then: a port that is known may not listen yet.
        wait_for(name + " to have its ports",
                 lambda: "testpmd>" in self.process.output(), 30)

    def link(self, port):
        """Its status, "" as long as there is no such port."""
        assert self.process.running(), self.process.output()
        try:
            return tell(self.tag, "/ethdev/link_status,%d" % port)["/ethdev/link_status"]["status"]
        except (OSError, TypeError, KeyError):
            return ""

    def begin(self):
        wait_for("both of its links to be up", lambda: self.link(0) == self.link(1) == "UP")
        self.prompt.write("start\n")
        self.prompt.flush()

    def end(self):
        self.bench.lab.end(self.process)


def replay(bench, kind):
    """All SYNs of a file, of both families, over one kind of port: the engine's counters, and
    what syns.py says of the answers."""
    lab = bench.lab
    asked, answers, path = (os.path.join(lab.work, kind + end)
                            for end in ("-syns.pcap", "-answers.pcap", ".sock"))
    syns.write_pcap(asked, N_SYNS, (4, 6))
    lab.remove()
    theirs, ours = (device % path for device in PORTS[kind])
    player = Replay(bench, "box", "replay-" + kind,
                    "net_pcap0,rx_pcap=%s,tx_pcap=%s" % (asked, answers), theirs)
    engine = Synfront(responder(ours), "generated-" + kind, taps=())
    bench.stack.callback(engine.end)
    engine.begin(lab)
    wait_for("the engine's link", lambda: engine.port("outside")["link"] == "up")
    player.begin()
    wait_for("all SYNs to be answered", lambda: engine.counters()["syn_ack_sent"] >= N_SYNS)
    wait_for("all answers to be in the file",
             lambda: tell(player.tag, "/ethdev/stats,0")["/ethdev/stats"]["opackets"] >= N_SYNS)
    counters = engine.counters()
    # At its end it writes out what it has of the file. (An engine on virtio-user ends then, too.)
    player.end()
    return counters, syns.check(answers, asked)


def answers_each(bench, kind):
    counters, found = replay(bench, kind)
    assert counters["answered_syn_cookie"] == counters["syn_ack_sent"] == N_SYNS, counters
    assert not [name for name in counters if name.startswith("drop_") and counters[name]], counters
    assert found == {"asked": N_SYNS, "answered": N_SYNS, "frames": N_SYNS, "syn_acks": N_SYNS,
                     "wrong_checksums": 0}, found


def test_replayed_over_memif(bench):
    """Each SYN of syns.py gets one SYN-ACK: right number, right checksums, none dropped."""
    answers_each(bench, "memif")


def test_replayed_over_virtio(bench):
    """The same, testpmd with vhost and the engine with virtio-user."""
    answers_each(bench, "virtio")


@thorough
def test_handshakes_beside_a_replay(bench):
    """handshakes.py: every client of the kernel's gets in while testpmd replays SYNs to the same
    address, as fast as it goes."""
    engine = bench.engine(Responder())
    capture = os.path.join(bench.lab.work, "beside.pcap")
    syns.write_pcap(capture, 4096, macs=(engine.port("outside")["mac"],
                                          bench.lab.mac("attacker")), to=(address(HOME),), port=9)
    player = Replay(bench, "attacker", "beside", "net_pcap0,rx_pcap=%s,infinite_rx=1" % capture,
                    "net_af_packet0,iface=eth0,framecnt=512")
    player.begin()
    wait_for("the flood", lambda: engine.counters()["answered_syn_cookie"] > 2000, 30)
    before = engine.counters()["syn_ack_sent"]
    said = bench.lab.run("client", "/usr/bin/python3", os.path.join(PROGRAMS, "handshakes.py"),
                         address(HOME), "--port", "9", "--number", "100", "--rate", "50",
                         "--timeout", "10")
    assert said.startswith("100 good, 0 failed; handshake p50"), said
    # It goes as fast as what else is done on these CPUs lets it.
    assert engine.counters()["syn_ack_sent"] - before > 2000, engine.counters()
