# SPDX-License-Identifier: BSD-3-Clause
"""What is tried with each kind of NIC, one check after the other, in one guest."""

import concurrent.futures
import contextlib
import os
import time

import wire
from checks import Checks, Skip
from guest import HUGEPAGES, Guest
from lab import SERVER, Lab, address, wait_for
from machine import PATIENCE_S
from raw import GHOST, GHOST_SERVER, PLAIN, USUAL, End, payload
from servers import Server, echo
from test_passing import play
from traffic import Flood, Nginx, capture, curl

HERE = os.path.dirname(os.path.abspath(__file__))
ECHO, RESPOND = 8000, 7800
TAGS = ((7,), (100, 7))
CALM, IN_FLOOD, BARE = 40, 24, 12
# What a guest whose every instruction is emulated answers with ease.
FLOOD_RATE, FLOOD_S = 1500, 20
WORKERS = (1, 2)
# How long the workers' time is taken in silence, and the share of a CPU that is too much.
REST_S, REST_MOST = 5, 0.4


class Trial(Checks):
    """One device: its guest, its lab, and the results."""

    def __init__(self, device, kernel, initramfs, tell):
        """tell(word, check, seconds, detail) is called for each check; `word` is "ok", "FAIL"
        or "skip"."""
        super().__init__(tell)
        self.device = device
        self.lab = Lab()
        self.guest = Guest(device, kernel, initramfs)
        self.is_up = False

    def evidence(self):
        with contextlib.suppress(Exception):
            return "the engine's log:\n" + self.guest.log()[-3000:]
        return ""

    def run(self):
        with self.lab as lab:
            if not self.check("boots", self.boots):
                return
            lab.engine = self.guest
            self.serve()
            self.check("says why a port is none", self.says_why)
            self.guest.bind("vfio-pci")
            for workers in WORKERS:
                self.with_workers(workers)
            self.check("frames of 9,000 bytes", self.jumbo)
            self.check("kill -9 and start with hugepages", self.killed)
            self.check("by physical addresses, with hugepages", self.physical)

    def boots(self):
        self.guest.begin(self.lab)
        return "%.0f s" % self.guest.boot_s

    def serve(self):
        lab = self.lab
        self.nginx = Nginx(lab)
        self.large = os.urandom(300000).hex()
        self.nginx.write("large", self.large.encode())
        self.echo = Server(lab, ECHO, echo)

    def launch(self, workers, mtu=1500, hugepages="off"):
        with open(os.path.join(HERE, "engine.yaml")) as file:
            text = file.read()
        for key, value in (("OUTSIDE", self.guest.addresses[0]), ("INSIDE", self.guest.addresses[1]),
                           ("WORKERS", workers), ("MTU", mtu), ("HUGEPAGES", hugepages)):
            text = text.replace("@%s@" % key, str(value))
        log = self.guest.launch(text)
        assert "the link of" not in log, "the link was not waited for:\n" + log
        assert "cannot be set" not in log and "does not take" not in log, log
        self.lab.wait_for_path()
        return log

    # Before there is a port

    def says_why(self):
        """No driver; then one that wants physical addresses, without hugepages."""
        seen = []
        self.guest.unbind()  # a kernel may have that of virtio built in
        for driver, reason in (("", "no driver"), ("uio_pci_generic", "IOVA as PA")):
            if driver:
                self.guest.bind(driver)
            with contextlib.suppress(RuntimeError):
                self.launch(1)
                raise AssertionError("it started")
            log = self.guest.log()
            assert reason in log, log
            seen.append(reason)
        return ", ".join(seen)

    # With so many workers

    def with_workers(self, workers):
        name = "%d worker%s: " % (workers, "" if workers == 1 else "s")
        if not self.check(name + "starts, ports as they should be", self.starts, workers):
            with contextlib.suppress(Exception):
                self.guest.stop()
            return
        both = [os.path.join(self.lab.work, node + ".pcap") for node in ("client", "server")]
        before = self.counted()
        with capture(self.lab, "client", both[0], size=2000), \
                capture(self.lab, "server", both[1], size=2000):
            self.check(name + "%d requests in calm" % CALM, self.calm)
            self.check(name + "rests in silence", self.rests)
            self.check(name + "%d clients that offer MSS alone" % (2 * BARE), self.bare)
            self.check(name + "VLAN", self.vlan)
            if workers > 1:
                self.check(name + "no hand-over", self.no_hand_over)
            self.check(name + "none missed in calm", self.none_missed)
            self.check(name + "%d requests in a flood" % IN_FLOOD, self.flooded)
        self.check(name + "checksums and padding at both ends", self.on_the_wire, both)
        self.check(name + "frames sent are frames arrived", self.none_lost, before)
        self.check(name + "link down and up", self.link)
        self.check(name + "stops", self.stops)

    def starts(self, workers):
        log = self.launch(workers)
        ports = [self.guest.port(side) for side in ("outside", "inside")]
        queues = min(workers, self.device.nic_queues)
        for port in ports:
            assert port["rx_queues"] == queues, port
            assert port["link"] == "up" and port["link_downs"] == 0, port
            assert port["rss"] == int(self.device.own_hash and workers > 1), port
        assert "RSS table" not in log, log
        port = ports[0]
        return "%s, %d queue%s, RSS %d, checksums by %s" % (
            port["driver"], queues, "" if queues == 1 else "s", port["rss"],
            "the port" if port["tx_checksum"] else "software")

    def requests(self, hosts, n, path="hello"):
        """How many of n requests got what they asked for."""
        urls = ["http://%s/%s" % (hosts[i % len(hosts)], path) for i in range(n)]
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            done = list(pool.map(lambda url: curl(self.lab, url, seconds=60), urls))
        good = sum(ok and body == "hello from behind\n" for ok, _, body in done)
        assert good == n, "%d of %d: %s" % (good, n, [body for ok, _, body in done if not ok][:3])
        return good

    def calm(self):
        hosts = (address(SERVER), "[%s]" % address(SERVER, 6))
        return "%d of %d" % (self.requests(hosts, CALM), CALM)

    def rests(self):
        """A second after the last request; what time does to an emulated CPU is no figure, but one
        that polls takes all of it. And what ends the silence is answered."""
        time.sleep(1.5)
        used = [self.guest.worker_seconds()]
        time.sleep(REST_S)
        used.append(self.guest.worker_seconds())
        share = (used[1] - used[0]) / REST_S / self.guest.report("info")["workers"]
        way = self.guest.report("info")["idle"]
        log = [line for line in self.guest.log().splitlines() if "no interrupts come" in line]
        self.requests((address(SERVER),), 1)
        said = "%s, %.1f %% of a CPU each%s" % (way, 100 * share, "".join("; " + line for line in log))
        assert way != "polling" and share < REST_MOST, said
        return said

    def vlan(self):
        """One tag and two, both families, until a handshake has been split."""
        tried = 0
        for tags in TAGS:
            for family in (4, 6):
                for _ in range(4 + 10):
                    tried += 1
                    with End(self.lab, ECHO, peer=GHOST_SERVER, family=family, tags=tags) as client, \
                            End(self.lab, client.own_port, peer=GHOST, own=GHOST_SERVER,
                                own_port=ECHO, node="server", family=family, tags=tags) as server:
                        if play(None, client, server):
                            break
                else:
                    raise AssertionError("never split with tags %s" % (tags,))
        return "%d connections" % tried

    def flooded(self):
        before = self.guest.report("stats")["answered_syn_cookie"]
        with Flood(self.lab, FLOOD_RATE, FLOOD_S):
            wait_for("cookies", lambda: self.guest.report("stats")["answered_syn_cookie"] > before)
            hosts = (address(SERVER), "[%s]" % address(SERVER, 6))
            good = self.requests(hosts, IN_FLOOD)
        after = self.guest.report("stats")["answered_syn_cookie"]
        return "%d of %d, %d SYNs answered by cookie" % (good, IN_FLOOD, after - before)

    def bare(self):
        """Their handshakes are made of frames that must be padded."""
        for number in range(2 * BARE):
            with End(self.lab, ECHO, family=4 if number % 2 else 6, own=40 + number) as end:
                assert not payload(end.open(PLAIN)), "data in a SYN-ACK"
                end.write(b"knock knock")
                assert end.read(11) == b"knock knock"
                end.reset()
        return "%d of %d" % (2 * BARE, 2 * BARE)

    def no_hand_over(self):
        """Only what comes from outside meets the NIC's hash: a service without a server."""
        if not self.device.own_hash:
            raise Skip("this device gives no hash of ours with its frames")
        before = self.guest.report("stats")["handed_over"]
        of_each = [self.received_outside(worker) for worker in range(WORKERS[-1])]
        for number in range(CALM):
            with End(self.lab, RESPOND, family=4 if number % 2 else 6, own=80 + number) as end:
                end.open(USUAL)
                end.write(b"a request")
                end.expect("A")
                end.reset()
        after = self.guest.report("stats")["handed_over"]
        assert after == before, after - before
        of_each = [self.received_outside(worker) - old for worker, old in enumerate(of_each)]
        assert all(count >= CALM for count in of_each), "not shared out: %s" % of_each
        return "%d connections, %s segments to the workers" % (CALM, " and ".join(map(str, of_each)))

    def received_outside(self, worker):
        return self.guest.report("stats %d" % worker)["received_outside"]

    @staticmethod
    def on_the_wire(paths):
        counts = []
        for path in paths:
            seen = wire.Seen(path)
            assert not seen.faults, "%s: %s of %d segments" % (os.path.basename(path), seen.faults,
                                                               seen.count())
            assert seen.count() > CALM and all(seen.by_tags), seen.by_tags
            counts.append(seen.count())
        return "%d and %d segments" % tuple(counts)

    def counted(self):
        """For each side (sent, received) as the engine counts, and as the TAP does. What
        a NIC has missed, and says so, has arrived."""
        counts = []
        for side, tap in (("outside", "sf-outside"), ("inside", "sf-inside")):
            port, link = self.guest.port(side), self.lab.link_counters("box", tap)
            counts += [port["sent"], port["received"] + port["port_missed"],
                       link["rx"]["packets"], link["tx"]["packets"]]
        return counts

    def none_lost(self, before):
        """Port by port. An 82576 with several receive queues drops what finds one full, and no driver
        counts it; with one worker it has a queue of SYNs besides, to which the emulated one brings
        none."""
        may_drop = self.guest.port("outside")["syn_queues"] == "yes"

        def differences():
            now = [new - old for new, old in zip(self.counted(), before)]
            return [now[0] - now[2], now[1] - now[3], now[4] - now[6], now[5] - now[7]]

        def unequal():
            found = differences()
            return any(found[:1] + found[2:]) or found[1] > 0 or (found[1] < 0 and not may_drop)

        # Once is enough: at any later moment some neighbour solicitation may be on its way.
        try:
            wait_for("what arrived to be what was sent", lambda: not unequal(), 30, 0.5)
        except TimeoutError:
            ports = [self.guest.port(side) for side in ("outside", "inside")]
            raise AssertionError("engine less TAP: sent %d, received %d outside; sent %d, "
                                 "received %d inside; %s" % (*differences(), ports)) from None
        now = [new - old for new, old in zip(self.counted(), before)]
        missed = sum(self.guest.port(side)["port_missed"] for side in ("outside", "inside"))
        dropped = "" if not may_drop else ", %d dropped by a full queue" % -differences()[1]
        return "%d out, %d in, of these %d missed by the NIC%s" % (now[0] + now[4], now[1] + now[5],
                                                                   missed, dropped)

    def none_missed(self):
        for side in ("outside", "inside"):
            port = self.guest.port(side)
            lost = {key: port[key] for key in port
                    if key.startswith("port_") or key == "tx_full"}
            assert not any(lost.values()), (side, lost)

    def link(self):
        for number, side in enumerate(("outside", "inside")):
            self.guest.set_link(number, False)
            wait_for(side + " down", lambda side=side: self.guest.port(side)["link"] == "down",
                     PATIENCE_S, 0.2)
            self.guest.set_link(number, True)
            wait_for(side + " up", lambda side=side: self.guest.port(side)["link"] == "up",
                     PATIENCE_S, 0.2)
        log = self.guest.log()
        assert log.count("is down: nothing crosses") == 2 and log.count("is up again") == 2, log
        self.lab.wait_for_path()
        return self.calm()

    def stops(self):
        status = self.guest.stop()
        log = self.guest.log()
        assert status == 0, "status %d\n%s" % (status, log)
        assert "takes nothing more" not in log and "has brought none" not in log, log

    # Once more

    @contextlib.contextmanager
    def wide(self):
        nodes = ("client", "server")
        for node in nodes:
            self.lab.set_mtu(node, 9000)
        try:
            yield
        finally:
            for node in nodes:
                self.lab.set_mtu(node, 1500)

    def jumbo(self):
        self.launch(1, mtu=9000)
        path = os.path.join(self.lab.work, "jumbo.pcap")
        try:
            with self.wide(), capture(self.lab, "client", path, "tcp", size=9100):
                for family in (4, 6):
                    host = address(SERVER, family)
                    out = self.lab.run("client", "ping", "-c3", "-i0.3", "-W3", "-M", "do", "-s", "8900",
                                       host, check=False)
                    assert "3 received" in out, out
                    url = "http://%s/large" % (host if family == 4 else "[%s]" % host)
                    good, _, body = curl(self.lab, url, seconds=PATIENCE_S)
                    assert good and len(body) == len(self.large), body[:200]
        finally:
            self.guest.stop()
        seen = wire.Seen(path)
        assert not seen.faults, seen.faults
        assert seen.longest > 8000, seen.longest
        return "pings of 8,900 bytes, %d bytes by TCP in frames of up to %d" % (len(self.large),
                                                                               seen.longest)

    def killed(self):
        """With hugepages, of which none may stay taken."""
        self.guest.run("echo %d >/proc/sys/vm/nr_hugepages" % HUGEPAGES)
        free = "cat /sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages"
        before = int(self.guest.run(free))
        for _ in range(2):
            self.launch(2, hugepages="on")
            assert int(self.guest.run(free)) < before
            self.calm()
            assert self.guest.stop(9) == 128 + 9
            assert int(self.guest.run(free)) == before, self.guest.run(free)
        return "%d of %d pages free again" % (before, HUGEPAGES)

    def physical(self):
        """What says_why() missed is there now."""
        self.guest.bind("uio_pci_generic")
        self.launch(2, hugepages="on")
        said = self.calm()
        self.stops()
        return "uio_pci_generic: " + said
