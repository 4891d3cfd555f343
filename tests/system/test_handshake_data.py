# SPDX-License-Identifier: BSD-3-Clause
"""What clients send while their handshake is under way."""

from scapy.layers.inet import TCP

from bench import anywhere
from lab import wait_for
from raw import End, payload
from servers import echo


@anywhere
def test_request_in_third_segment(bench):
    """The ACK carries the request, more than the SYN-ACK's window allows."""
    for service in ("state", "cookie", "lazy"):
        port = bench.serve(service, echo)
        with End(bench.lab, port) as end:
            end.syn()
            end.syn_ack()
            message = b"r" * 1400
            end.write(message)
            assert end.read(1400) == message
            for _ in range(6):
                end.write(message)
            assert end.read(6 * 1400) == message * 6
            end.reset()


def test_request_ignores_the_window(bench):
    """Data far beyond the window of the SYN-ACK is lost, and repaired by resending."""
    port = bench.serve("state", echo)
    with End(bench.lab, port) as end:
        end.syn()
        window = end.syn_ack()[TCP].window
        pieces = [bytes([65 + number % 26]) * 1400 for number in range(window // 1400 + 4)]
        for piece in pieces:
            end.write(piece)
        total = b"".join(pieces)
        start = (end.snd_nxt - len(total)) & 0xffffffff
        got, acknowledged = b"", start

        def fetch():
            nonlocal got, acknowledged
            packet = end.get(need="A", timeout=1)
            if packet is None:
                # A client's retransmission timer: from the first byte not acknowledged.
                done = (acknowledged - start) & 0xffffffff
                for offset in range(done, len(total), 1400):
                    end.send("PA", total[offset:offset + 1400], seq=start + offset)
                return False
            if (packet[TCP].ack - start) & 0xffffffff <= len(total):
                acknowledged = packet[TCP].ack
            data = payload(packet)
            if data and packet[TCP].seq == end.rcv_nxt:
                got += data
                end.rcv_nxt = (end.rcv_nxt + len(data)) & 0xffffffff
                end.send("A")
            return len(got) >= len(total)

        wait_for("all data back", fetch, 30, 0)
        assert got == total
        end.reset()


@anywhere
def test_syn_with_data(bench):
    """Data in the SYN is neither acknowledged nor lost for good."""
    for service in ("state", "cookie"):
        port = bench.serve(service, echo)
        with End(bench.lab, port) as end:
            end.syn(data=b"early!")
            answer = end.syn_ack()
            assert answer[TCP].ack == (end.iss + 1) & 0xffffffff
            assert not payload(answer)
            end.send("A")
            end.echoes(b"early!")
            end.reset()


def test_wait_for_data(bench):
    """The server hears of the client only with its first byte."""
    port = bench.serve("lazy", echo)
    with End(bench.lab, port) as end:
        end.open()
        end.silence(0.5)
        assert bench.server.accepted == 0
        end.echoes()
        assert bench.server.accepted == 1
        end.reset()
