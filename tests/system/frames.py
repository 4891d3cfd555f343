# SPDX-License-Identifier: BSD-3-Clause
"""Templates of a flood's frames, as trafgen reads them.

A field is (text, size in bytes). drawn(n) draws anew for every packet, and the
checksums are computed over what was drawn. A flood goes through its list of
frames in turn.
"""

import socket

from lab import SERVER, address

FIN, SYN, RST, PSH, ACK, URG = 1, 2, 4, 8, 16, 32
ETHER_SIZE, IP4_SIZE, IP6_SIZE, FRAGMENT_SIZE = 14, 20, 40, 8
# First bytes of unicast prefixes that are not the lab's.
FIRST_BYTES = tuple(first for first in range(11, 224, 7) if first != 127)
# Options of a SYN by Linux: MSS, SACK permitted, timestamps, window scale.
LINUX = (2, 4, 5, 180, 4, 2, 8, 10), ("drnd(4)", 4), (0, 0, 0, 0, 1, 3, 3, 7)


def fixed(raw):
    return ", ".join(str(byte) for byte in raw), len(raw)


def drawn(size):
    return "drnd(%d)" % size, size


def number(value, size):
    return fixed(value.to_bytes(size, "big"))


def join(*fields):
    """One field of several; sequences of numbers are bytes."""
    fields = [field if field and isinstance(field[0], str) else fixed(field) for field in fields]
    fields = [field for field in fields if field[1]]
    return ", ".join(text for text, _ in fields), sum(size for _, size in fields)


def within(prefix, family):
    """An address whose bytes after those of the prefix are drawn."""
    prefix = join(prefix)
    return join(prefix, drawn((4 if family == 4 else 16) - prefix[1]))


def anywhere(family):
    """Sources all over the world, one field for each of some large prefixes."""
    if family == 4:
        return [within((first,), 4) for first in FIRST_BYTES]
    return [within((0x2a, first), 6) for first in FIRST_BYTES]


def host(text, family, size=16):
    """An address, or so many first bytes of it."""
    raw = socket.inet_pton(socket.AF_INET if family == 4 else socket.AF_INET6, text)
    return fixed(raw[:size])


class Sender:
    """Makes frames from a node of the lab to the server."""

    def __init__(self, lab, node="attacker"):
        macs = [bytes.fromhex(lab.mac(name).replace(":", "")) for name in ("server", node)]
        self.macs = join(*macs)

    def ip4(self, source, to, size, fragment):
        return join(self.macs, (8, 0, 0x45, 0), number(IP4_SIZE + size, 2), drawn(2),
                    number(0x4000 if fragment is None else fragment, 2), (64, 6),
                    ("csumip(%d, %d)" % (ETHER_SIZE, ETHER_SIZE + IP4_SIZE - 1), 2), source, to)

    def ip6(self, source, to, size, fragment):
        if fragment is None:
            return join(self.macs, (0x86, 0xdd, 0x60, 0, 0, 0), number(size, 2), (6, 64), source,
                        to)
        # IPv6 counts in the same units, three bits further up, and says "more" below.
        offset = (fragment & 0x1fff) << 3 | bool(fragment & 0x2000)
        return join(self.macs, (0x86, 0xdd, 0x60, 0, 0, 0), number(FRAGMENT_SIZE + size, 2),
                    (44, 64), source, to, (6, 0), number(offset, 2), drawn(4))

    def ip(self, family, source, to, size, fragment=None):
        """`fragment`: IPv4's flags and offset, of either family; None for a whole packet."""
        to = host(address(to, family) if isinstance(to, int) else to, family)
        return (self.ip4 if family == 4 else self.ip6)(source, to, size, fragment)

    def tcp(self, family, source, flags, to=SERVER, sport=None, dport=80, seq=None, ack=None,
            window=None, options=((),), data=(), urgent=0, header_size=None, fragment=None):
        """One frame. Ports are numbers or fields; seq and ack are drawn if not given
        (ack is 0 without ACK)."""
        options = join(*options)
        options = join(options, bytes(-options[1] % 4))
        data = join(data)
        port = lambda value: number(value, 2) if isinstance(value, int) else value
        size = 20 + options[1] + data[1]
        ip = self.ip(family, source, to, size, fragment)
        if ack is None:
            ack = drawn(4) if flags & ACK else number(0, 4)
        head = (header_size or 20 + options[1]) // 4 << 12 | flags
        checksum = ("csumtcp(%d, %d)" if family == 4 else "csumtcp6(%d, %d)") % (ETHER_SIZE, ip[1])
        return join(ip, port(sport or drawn(2)), port(dport), seq or drawn(4), ack,
                    number(head, 2), window or number(64240, 2), (checksum, 2), number(urgent, 2),
                    options, data)

    def piece(self, family, source, fragment, size, to=SERVER):
        """A fragment with drawn contents."""
        return join(self.ip(family, source, to, size, fragment), drawn(size))


def trafgen_text(frames):
    """A configuration for trafgen."""
    return "".join("{ %s }\n" % frame[0] for frame in frames)


def exact(raw):
    """A frame that was captured or made elsewhere."""
    return fixed(bytes(raw))


def odd_options():
    """Options of SYNs as nobody sends them: of wrong size, at the edge, twice, unknown."""
    yield (2, 4, 5, 180) * 10                               # MSS ten times
    yield (2, 3, 5)                                         # too short by a byte
    yield (2, 5, 5, 180, 0)                                 # too long
    yield (2, 0, 5, 180)                                    # size 0
    yield (2, 1)                                            # size 1
    yield (8, 255, 0, 0)                                    # past the end
    yield (1,) * 39 + (8,)                                  # a kind with no size after it
    yield (0,) + (255,) * 7                                 # ended at once, rubbish after
    yield (3, 3, 255, 1)                                    # scale 255
    yield (3, 3, 15, 3, 3, 0, 1, 1)                         # two scales
    yield (4, 2) * 20                                       # SACK permitted, often
    yield (5, 34) + (0, 0, 0, 1) * 8                        # SACK blocks in a SYN
    yield (8, 10) + (0,) * 8 + (8, 10) + (255,) * 8         # two timestamps
    yield (8, 9) + (1,) * 7                                 # a timestamp cut short
    yield (34, 2, 1, 1)                                     # TCP Fast Open, asking for a cookie
    yield (34, 18) + (7,) * 16                              # ... with one
    yield (30, 12, 0, 0x81) + (9,) * 8                      # MPTCP
    yield (172, 11) + (0,) * 9                              # AccECN
    yield (253, 4, 0xf9, 0x89)                              # an experiment
    yield (254, 40) + (85,) * 38                            # one that fills the header
    yield (19, 18) + (3,) * 16                              # MD5 (RFC 2385)
    yield (29, 16) + (3,) * 14                              # AO (RFC 5925)
    yield (2, 4, 0, 0, 3, 3, 14)                            # MSS 0
    yield (2, 4, 255, 255, 3, 3, 0)                         # MSS 65535


def every_mss():
    """Options that announce each MSS there is, in 65536 packets."""
    for high in range(256):
        yield join((2, 4, high), ("dinc(0, 255, 1)", 1))
