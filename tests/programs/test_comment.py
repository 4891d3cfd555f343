# SPDX-License-Identifier: BSD-3-Clause
"""`synfront-pcap --comment` on the captures of the golden cases: every frame that came and that left,
byte for byte, each with its outcome; and these add up to the counters."""
import collections
import json
import os
import re
import struct
import subprocess
import tempfile
import unittest

import golden
from captures import capture

PROGRAM = os.path.join(os.environ["SYNFRONT_BUILD_DIR"], "app", "synfront-pcap")
DEF = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "lib", "proto",
                   "counters.def")
SIDES = ("outside", "inside")
BLOCK_INTERFACE, BLOCK_PACKET = 1, 6
INBOUND, OUTBOUND = 1, 2
Packet = collections.namedtuple("Packet", "side at_ns frame options")


def options(data):
    """{code: value} of a block."""
    found = {}
    while True:
        code, size = struct.unpack_from("<HH", data)
        if code == 0:
            return found
        found[code] = data[4:4 + size]
        data = data[4 + (size + 3) // 4 * 4:]


def packets(data):
    found, n_interfaces = [], 0
    assert struct.unpack_from("<I", data)[0] == 0x0A0D0D0A
    while data:
        kind, size = struct.unpack_from("<II", data)
        assert struct.unpack_from("<I", data, size - 4)[0] == size
        n_interfaces += kind == BLOCK_INTERFACE
        if kind == BLOCK_PACKET:
            side, high, low, kept, whole = struct.unpack_from("<IIIII", data, 8)
            assert kept == whole and side < n_interfaces
            found.append(Packet(SIDES[side], high << 32 | low, data[28:28 + kept],
                                options(data[28 + (kept + 3) // 4 * 4:size - 4])))
        data = data[size:]
    return found


def frames_of(path):
    with open(path, "rb") as file:
        data = file.read()[24:]
    found = []
    while data:
        seconds, us, size, _ = struct.unpack_from("<IIII", data)
        found.append((seconds * 10**9 + us * 1000, data[16:16 + size]))
        data = data[16 + size:]
    return found


def outcomes():
    with open(DEF, encoding="ascii") as file:
        return re.findall(r"(?m)^OUTCOME\((\w+),", file.read())


class Comment(unittest.TestCase):
    def one(self, name, work):
        case = golden.Case(name)
        config = os.path.join(work, "config.yaml")
        with open(config, "w", encoding="utf-8") as file:
            file.write(case.config)
        argv = [PROGRAM, "--config", config, "--comment", work + "/all", "--counters", "-"]
        given = {}
        for side in SIDES:
            given[side] = [(at_us * 1000, frame) for at_us, frame in getattr(case, side)]
            if given[side]:
                with open(work + "/" + side, "wb") as file:
                    file.write(capture(getattr(case, side)))
                argv += ["--" + side, work + "/" + side]
            argv += ["--write-" + side, work + "/left-" + side]
        argv += [word for word in case.args if word != "run:"]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""), name)
        with open(work + "/all", "rb") as file:
            found = packets(file.read())
        self.judge(name, found, given, {side: frames_of(work + "/left-" + side)
                                        for side in SIDES}, json.loads(done.stdout))

    def judge(self, name, found, given, left, counters):
        n_neighbours = counters.get("answered_neighbour", 0)
        said = collections.Counter()
        for side in SIDES:
            came = [(p.at_ns, p.frame) for p in found
                    if p.side == side and p.options[2][0] == INBOUND]
            went = [(p.at_ns, p.frame) for p in found
                    if p.side == side and p.options[2][0] == OUTBOUND]
            self.assertEqual(len(came) + (n_neighbours if side == "outside" else 0),
                             len(given[side]), name)
            if n_neighbours == 0:
                self.assertEqual(came, given[side], name)
            self.assertEqual(went, left[side], name)
        for packet in found:
            text = packet.options[1].decode()
            if packet.options[2][0] == INBOUND:
                said[text.split(";")[0]] += 1
                self.assertIn("; why: ", text)
            else:
                self.assertTrue(text.startswith(("sent for ", "sent; by a timer")), text)
        said["answered_neighbour"] += n_neighbours
        self.assertEqual({each: said[each] for each in outcomes()},
                         {each: counters[each] for each in outcomes()}, name)

    def test_comments_add_up_to_the_counters(self):
        n_cases = 0
        for name in golden.cases():
            with tempfile.TemporaryDirectory(prefix="programs-") as work:
                self.one(name, work)
            n_cases += 1
        self.assertGreater(n_cases, 50)


if __name__ == "__main__":
    unittest.main()
