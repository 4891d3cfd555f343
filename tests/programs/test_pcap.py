# SPDX-License-Identifier: BSD-3-Clause
"""synfront-pcap over generated captures: of either byte order and clock, cut by a snap length,
with the largest frames, with nothing in them for days."""
import os
import struct
import unittest

import golden
from captures import ENDS_EARLY, KINDS, START_S, Run, arp, capture, segment

PROGRAM = os.path.join(os.environ["SYNFRONT_BUILD_DIR"], "app", "synfront-pcap")
DAY_S = 86400
US = 1000000
START_US = START_S * US


def run(*args, **keys):
    return Run(PROGRAM, *args, **keys)


def tcp(frames):
    """Without those that only fill a gap."""
    return [(at_us, frame) for at_us, frame in frames if frame != arp()]


class Files(unittest.TestCase):
    def test_every_kind_gives_the_same(self):
        frames = [(START_US + 123456, segment("SYN", mss=1460)),
                  (START_US + 5 * US + 999999, segment("ACK", 1001, 77))]
        first = None
        for kind in KINDS:
            done = run(capture(frames, kind), args=("--until", "40"))
            self.assertEqual((done.status, done.said), (0, ""), kind)
            self.assertEqual(done.count("received"), 2)
            self.assertEqual(done.left["inside"][0], frames[0], kind)
            first = first or done.left
            self.assertEqual(done.left, first, kind)

    def test_cut_frames_are_counted_and_passed_over(self):
        data = segment("PSH-ACK", 1001, 5, port=9000, data=b"x" * 500)
        frames = [(START_US, segment("SYN", port=9000)), (START_US + 10, data),
                  (START_US + 20, segment("ACK", 1501, 5, port=9000)), (START_US + 30, data)]
        for kind in KINDS:
            done = run(capture(frames, kind, snap=96))
            self.assertEqual(done.status, 0, kind)
            self.assertEqual((done.count("received"), done.count("truncated")), (2, 2))
            self.assertEqual(done.left["inside"], [frames[0], frames[2]])
            self.assertIn("2 of 4 frames are not whole", done.said)

    def test_whole_frames_cut_nothing(self):
        done = run(capture([(START_US, segment("SYN"))], snap=96))
        self.assertEqual((done.count("truncated"), done.said), (0, ""))

    def test_largest_frames(self):
        """65,535 bytes of TCP to a service, and as much as a capture file can hold."""
        head = len(segment("ACK", 1, 1, port=9000, data=b"x" * 100)) - 100
        frames = [(START_US, segment("ACK", 1, 1, port=9000, data=b"x" * (65535 - head))),
                  (START_US + 1, arp()[:14] + b"y" * (262144 - 14))]
        self.assertEqual([len(frame) for _, frame in frames], [65535, 262144])
        done = run(capture(frames))
        self.assertEqual((done.status, done.said), (0, ""))
        self.assertEqual(done.left["inside"], frames)
        self.assertEqual(done.count("passed_bypass"), 1)

    def test_times_without_a_sign(self):
        """Seconds beyond 2^31, which are after 2038."""
        at_us = (0xFFFFFFFF - 100) * US
        done = run(capture([(START_US, arp()), (at_us, arp())]), args=("--until", "10"))
        self.assertEqual((done.status, done.said), (0, ""))
        self.assertEqual([at for at, _ in done.left["inside"]], [START_US, at_us])

    def test_time_beyond_all_reason_is_an_error(self):
        done = run(capture([((1 << 33) * US, arp())], "little pcapng"))
        self.assertEqual(done.status, 1)
        self.assertIn("2106", done.said)

    def test_broken_file_is_an_error(self):
        whole = capture([(START_US, arp())])
        for broken in (whole[:20], whole[:3], b"no capture at all, whatever it says" * 2,
                       whole + struct.pack("<IIII", START_S, 0, 0xfffffff0, 0xfffffff0) * 9):
            done = run(broken)
            self.assertEqual(done.status, 1)
            self.assertIn("synfront-pcap: ", done.said)

    def test_file_that_ends_early_is_run_to_there(self):
        """Cut in the last record: its header, its first byte, its last; and in the first."""
        frames = [(START_US, segment("SYN", mss=1460)), (START_US + US, arp()),
                  (START_US + 2 * US, arp())]
        for kind in KINDS:
            ends = [len(capture(frames[:n], kind)) for n in range(4)]
            whole = capture(frames, kind)
            full = run(capture(frames[:2], kind))
            for cut in (ends[2] + 1, ends[2] + 17, ends[3] - 1):
                done = run(whole[:cut])
                self.assertEqual(done.status, ENDS_EARLY, kind)
                self.assertIn("that begins at byte %d, behind 2 whole" % ends[2], done.said)
                self.assertEqual((done.left, done.counters), (full.left, full.counters), kind)
            done = run(whole[:ends[0] + 9], capture(frames[1:2], kind))
            self.assertEqual((done.status, done.count("received")), (ENDS_EARLY, 1), kind)
            self.assertIn("begins at byte %d, behind 0 whole" % ends[0], done.said)

    def test_pipe_that_ends_early_is_run_to_there(self):
        whole = capture([(START_US, arp()), (START_US + US, arp())])
        done = run(b"", args=("--outside", "/dev/stdin"), stdin=whole[:-3])
        self.assertEqual((done.status, done.count("received")), (ENDS_EARLY, 1))
        self.assertIn("ends inside a record, behind 1 whole", done.said)


class Output(unittest.TestCase):
    def test_full_disk_is_an_error(self):
        done = run(capture([(START_US, arp())]), args=("--write-inside", "/dev/full"))
        self.assertEqual(done.status, 1)
        self.assertIn("/dev/full", done.said)


def later(frames, by_us):
    return [(at_us + by_us, frame) for at_us, frame in frames]


class Gaps(unittest.TestCase):
    """Where nothing comes for long, time goes on in leaps."""

    def test_timers_fire_as_if_frames_came(self):
        """Each golden case, with its pauses and half a minute more: the same, to the
        microsecond, as with frames that cross 66 times a second."""
        n_timed = 0
        for name in golden.cases():
            case = golden.Case(name)
            # A drain is looked at when a frame comes; and no gap is filled for a month.
            if "--drain-at" in case.args or case.end_us - case.begin_us > 100 * US:
                continue
            begin_us = case.begin_us - 1
            end_us = case.end_us + 30 * US
            filling = [(at_us, arp()) for at_us in range(begin_us, end_us, 15000)]
            ends = [(begin_us, arp()), (end_us, arp())]
            gap, full = (run(capture(sorted(case.outside + more, key=lambda frame: frame[0])),
                             capture(case.inside) if case.inside else b"",
                             config=case.config)
                         for more in (ends, filling + ends[1:]))
            self.assertEqual((gap.status, full.status), (0, 0), gap.said + full.said)
            for side in ("outside", "inside"):
                self.assertEqual(tcp(gap.left[side]), tcp(full.left[side]), name)
            different = {key for key in gap.counters if gap.counters[key] != full.counters[key]}
            self.assertLessEqual(different, {"received", "sent_inside", "passed_other",
                                             "drop_no_inside"}, name)
            n_timed += any(at_us > case.end_us for at_us, _ in gap.left["outside"])
        self.assertGreater(n_timed, 5)

    def test_months_of_nothing(self):
        """What waits for a time ends at it, and what comes after is as new."""
        case = golden.Case("proxy-v4")
        by_us = 100 * DAY_S * US
        done = run(capture(case.outside + later(case.outside, by_us)), capture(case.inside),
                   config=case.config, args=("--until", str(200 * DAY_S)))
        self.assertEqual((done.status, done.said), (0, ""))
        self.assertEqual([done.count(name) for name in ("connections", "half_open", "remaining")],
                         [0, 0, 0])
        self.assertEqual(done.count("completed"), 1)
        # The second time the server is silent, and its clients know no cookie of that day.
        self.assertEqual(done.count("half_open_expired"), 2)
        again = [at_us for at_us, _ in done.left["outside"] if at_us >= case.begin_us + by_us]
        self.assertGreaterEqual(len(again), 4)
        self.assertLess(again[-1] - again[0], 60 * US)

    def test_a_century_with_a_large_table(self):
        case = golden.Case("proxy-v4")
        begun = later(case.outside, 1000 - case.begin_us)
        answered = later(case.inside, 1000 - case.begin_us)
        done = run(capture(begun + [((1 << 32) * US - US, arp())]), capture(answered),
                   config=case.config.replace("connections: 1k", "connections: 256k", 1))
        self.assertEqual((done.status, done.said), (0, ""))
        self.assertEqual(done.count("connections"), 0)


if __name__ == "__main__":
    unittest.main()
