# SPDX-License-Identifier: BSD-3-Clause
"""Observe, by synfront-pcap: everything crosses byte for byte, and what would have been done is
what is done without observe. On the captures of the golden cases, and on a flood of 100,000
frames (SYNFRONT_FRAMES: how many; `scripts/test --long`: a million)."""
import ipaddress
import json
import os
import random
import re
import struct
import subprocess
import tempfile
import unittest

import golden
from captures import START_S, Run, capture, segment

PROGRAM = os.path.join(os.environ["SYNFRONT_BUILD_DIR"], "app", "synfront-pcap")
FRAMES = int(os.environ.get("SYNFRONT_FRAMES", "100000"))
START_US = START_S * 1000000
SIDES = ("outside", "inside")
OTHER = {"outside": "inside", "inside": "outside"}
MACS = b"\x02\0\0\0\0\x01\x02\0\0\0\0\x02\x08\x00"
SYN, RST, ACK, SYN_ACK = 2, 4, 16, 18

CONFIG = """
ports:
  outside: {device: net_null0}
  inside: {device: net_null1}
memory: {connections: 64k, half_open: 512, backends: 64, paths: 16, sources: 64k,
         held_connections: 16}
handshake: {closed_port: reset}
limits: {sources: {syn_per_s_host: 50, syn_per_s_net: 200},
         reflection: {per_net_per_s: 300, rst_per_s: 1k}}
timeouts: {adopt: 0}
services:
  - name: web
    addresses: 198.51.100.0/25
    ports: [80, 443]
    mode: proxy
    half_open: {high: 300, low: 100}
    deny: 203.0.113.0/28
  - name: always
    addresses: 198.51.100.128/26
    ports: 1-1000
    mode: proxy
    cookies: always
    signed_syn: drop
  - name: never
    addresses: 198.51.100.192/27
    ports: 80
    mode: proxy
    cookies: never
    unproven: drop
  - name: hand
    addresses: 198.51.100.224/27
    ports: 80
    mode: handoff
    calm: transparent
"""


def would(counters):
    return {name[len("would_"):]: n for name, n in counters.items() if name.startswith("would_")}


def fold(total):
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def frame(src, dst, sport, dport, seq, ack, flags, options=b"", bad=0):
    """An IPv4 frame of TCP, without payload; `bad` is added to its checksum."""
    size = 20 + len(options)
    ip = struct.pack("!BBHHHBBHII", 0x45, 0, 20 + size, 7, 0, 63, 6, 0, src, dst)
    total = fold(sum(struct.unpack("!10H", ip)))
    ip = ip[:10] + struct.pack("!H", total ^ 0xFFFF) + ip[12:]
    tcp = struct.pack("!HHIIBBHHH", sport, dport, seq, ack, size << 2, flags, 64240, 0, 0) + options
    total = fold(sum(struct.unpack("!%dH" % (size // 2), tcp)) + (src >> 16) + (src & 0xFFFF) +
                 (dst >> 16) + (dst & 0xFFFF) + 6 + size + bad)
    return MACS + ip + tcp[:16] + struct.pack("!H", total ^ 0xFFFF) + tcp[18:]


def flood_frame(r, base):
    """One of what attackers send; none of it completes a handshake."""
    src = r.choice((r.getrandbits(32) & 0x3FFFFFFF | 0x40000000, 0xCB007100 + r.getrandbits(5),
                    0x0A000000 + r.getrandbits(9)))
    dst = base + r.getrandbits(8)
    sport, dport = r.randint(1024, 65535), r.choice((80, 80, 80, 443, 999, 5000))
    seq, ack = r.getrandbits(32), r.getrandbits(32)
    kind = r.randrange(20)
    if kind < 12:
        options = r.choice((b"\2\4\5\xb4", b"", b"\2\4\5\xb4\1\3\3\7\4\2\1\1"))
        return frame(src, dst, sport, dport, seq, 0, SYN, options)
    if kind < 15:
        return frame(src, dst, sport, dport, seq, ack, ACK)
    return (frame(src, dst, sport, dport, seq, 0, RST),
            frame(src, dst, sport, dport, seq, ack, SYN_ACK),
            frame(src, dst, sport, dport, seq, 0, SYN | 1),
            frame(src, dst, sport, dport, seq, 0, SYN, bad=1),
            frame(src, dst, sport, dport, seq, 0, SYN, b"\x13\x12" + b"Z" * 16 + b"\1\1"))[kind - 15]


def flood(n, path):
    """A capture of n frames, 20,000 a second and then none, again and again."""
    r = random.Random(12)
    base = int(ipaddress.IPv4Address("198.51.100.0"))
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1))
        at_us = START_US
        for i in range(n):
            at_us += 20000000 if i % 40000 == 39999 else 50
            data = flood_frame(r, base)
            file.write(struct.pack("<IIII", at_us // 1000000, at_us % 1000000, len(data),
                                   len(data)) + data)


class Golden(unittest.TestCase):
    """Captures of all kinds. Where a client's ACK proves the cookie that it was sent when the case
    was made, it proves it to the shadow, too, so that this goes through whole connections."""

    # Cases in which a server speaks where nothing of it would be there, or a client goes on with
    # what would have been refused: frames that enforcing would not have drawn (passed_unasked).
    UNASKED = {"adopt", "answer-caps", "closing", "half-open-odd", "outbound", "spent", "strays"}
    # ... and what these count.
    OF_UNASKED = {"passed_unasked", "passed_adopted", "answered_rst", "rst_sent", "taken_proof",
                  "taken_handshake", "drop_stray_rst", "cookies_checked", "cookies_good", "opened",
                  "half_open_completed", "refused_by_server", "reset", "reused", "tracked",
                  "adopted", "spent_replayed"}
    # Of services in bypass, and of none: not under observe.
    OF_OTHERS = {"passed_bypass", "passed_other"}

    def one(self, name):
        """Counters of both runs; None where observe is refused."""
        case = golden.Case(name)
        if "mode: respond" in case.config:
            return None
        data = {"outside": case.outside, "inside": case.inside}
        files = [capture(data[side]) if data[side] else b"" for side in SIDES]
        args = [word for word in case.args if word != "run:"]
        runs = [Run(PROGRAM, *files, args, case.config + more) for more in ("", "\nobserve: true\n")]
        for done in runs:
            self.assertEqual((done.status, done.said), (0, ""), name)
        for side in SIDES:
            self.assertEqual(runs[1].left[OTHER[side]], data[side], name)
        return runs[0].counters, runs[1].counters

    def test_everything_crosses_and_the_counters_are_the_same(self):
        n_cases = n_unasked = 0
        for name in golden.cases():
            both = self.one(name)
            if both is None:
                continue
            enforced, observed = both
            twin = would(observed)
            unlike = {counter: (enforced[counter], twin[counter]) for counter in twin
                      if twin[counter] != enforced[counter] and counter not in self.OF_OTHERS and
                      (name not in self.UNASKED or counter not in self.OF_UNASKED)}
            self.assertEqual(unlike, {}, name)
            n_cases += 1
            n_unasked += twin["passed_unasked"] != 0
        self.assertGreater(n_cases, 50)
        self.assertEqual(n_unasked, len(self.UNASKED))


class Flood(unittest.TestCase):
    def run_over(self, config, path, out):
        done = subprocess.run((PROGRAM, "--config", config, "--outside", path, "--write-inside",
                               out + "-inside", "--write-outside", out + "-outside", "--counters",
                               out, "--until", "60"), capture_output=True, text=True,
                              timeout=1000, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        with open(out, encoding="ascii") as file:
            return json.load(file)

    def test_every_counter_is_the_same(self):
        with tempfile.TemporaryDirectory(prefix="programs-") as work:
            path = work + "/flood"
            flood(FRAMES, path)
            counters = []
            for name, more in (("enforced", ""), ("observed", "observe: true\n")):
                with open(work + "/" + name + ".yaml", "w", encoding="ascii") as file:
                    file.write(CONFIG + more)
                counters.append(self.run_over(work + "/" + name + ".yaml", path, work + "/" + name))
            with open(path, "rb") as sent, open(work + "/observed-inside", "rb") as left:
                self.assertTrue(sent.read() == left.read())
            self.assertEqual(os.path.getsize(work + "/observed-outside"), 24)
        enforced, observed = counters
        twin = would(observed)
        self.assertEqual(twin, {name: enforced[name] for name in twin})
        self.assertEqual(observed["passed_observed"], FRAMES)
        # It is about something.
        for name in ("answered_syn_cookie", "answered_syn_state", "cookie_mode_entered",
                     "cookie_mode_left", "drop_denied", "drop_reflection", "answered_rst",
                     "drop_overload", "drop_signed", "drop_flags", "drop_checksum", "passed_syn",
                     "drop_stray_rst", "drop_stray_syn_ack", "drop_unproven_ack", "syn_ack_again",
                     "syn_ack_capped", "half_open_expired", "passed_handoff"):
            self.assertGreater(twin[name], 0, name)


class Table(unittest.TestCase):
    """--observe: one capture of both directions, and a table of what would have been."""

    CONFIG = """
ports:
  outside: {device: net_null0}
  inside: {device: net_null1}
memory: {connections: 1k, half_open: 64, backends: 16, paths: 16, sources: 1k, held_connections: 16}
services:
  - {name: web, addresses: 198.51.100.0/24, ports: 80, mode: proxy, half_open: {high: 8, low: 4}}
"""

    def observe(self, frames, config=CONFIG, args=()):
        with tempfile.TemporaryDirectory(prefix="programs-") as work:
            with open(work + "/config", "w", encoding="ascii") as file:
                file.write(config)
            with open(work + "/both", "wb") as file:
                file.write(capture(frames))
            return subprocess.run((PROGRAM, "--config", work + "/config", "--observe",
                                   work + "/both") + args, capture_output=True, text=True,
                                  timeout=60, check=False)

    def frames(self):
        out = [(START_US, segment("SYN", 1000, mss=1460)),
               (START_US + 1000, segment("SYN-ACK", 5000, 1001, server=True, mss=1460)),
               (START_US + 2000, segment("ACK", 1001, 5001)),
               (START_US + 3000, segment("PSH-ACK", 1001, 5001, data=b"GET")),
               (START_US + 4000, segment("ACK", 5001, 1004, server=True))]
        base = int(ipaddress.IPv4Address("198.51.100.10"))
        out += [(START_US + 500000 + i * 1000,
                 frame(0x40000000 + i * 65536, base, 5000 + i, 80, i, 0, SYN)) for i in range(20)]
        return out

    def test_table(self):
        done = self.observe(self.frames(), args=("--until", "30"))
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        text = re.sub(r" +", " ", done.stdout)
        self.assertIn("25 frames in 30.5 s, 25 of them to or from services\n", text)
        self.assertRegex(text, r"\nweb 21 20 0 0 8 0\.5\d s to \d+\.\d+ s\n")
        self.assertIn("\nwould_answered_syn_state 8 SYNs answered with a SYN-ACK from", text)
        self.assertIn("\nwould_answered_syn_cookie 12 ", text)
        self.assertIn("\nwould_passed_syn 1 ", text)
        self.assertIn("\nwould_passed_tracked 4 ", text)
        self.assertIn("\nwould_cookie_mode_entered 1 ", text)

    def test_respond_is_refused(self):
        config = self.CONFIG.replace("mode: proxy, half_open: {high: 8, low: 4}", "mode: respond")
        done = self.observe(self.frames(), config)
        self.assertEqual(done.returncode, 1)
        self.assertIn("services[0].mode: found respond; expected a mode with a server", done.stderr)

    def test_with_a_capture_of_one_direction_is_usage(self):
        done = self.observe(self.frames(), args=("--outside", "/dev/null"))
        self.assertEqual(done.returncode, 2)


if __name__ == "__main__":
    unittest.main()
