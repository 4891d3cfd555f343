# SPDX-License-Identifier: BSD-3-Clause
"""A pcap of SYNs from random sources, as an ordinary client would send them."""

import random
import struct
import sys

ETHERNET, IPV4, IPV6, TCP = 1, 0x0800, 0x86dd, 6
DESTINATION = {4: bytes((198, 18, 0, 1)), 6: bytes.fromhex("20010002000000000000000000000001")}
MSS, SACK, TIMESTAMPS, SCALE = b"\x02\x04\x05\xb4", b"\x04\x02", b"\x08\x0a", b"\x01\x03\x03\x07"


def checksum(raw):
    """RFC 1071."""
    raw += b"\0" * (len(raw) % 2)
    total = sum(struct.unpack("!%dH" % (len(raw) // 2), raw))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def syn(random_, family=4, port=80, options=True):
    """One frame with true checksums."""
    if family == 4:
        source = bytes((random_.randrange(11, 127),)) + random_.randbytes(3)
    else:
        source = b"\x20\x01\x0d\xb8" + random_.randbytes(12)
    to = DESTINATION[family]
    more = MSS + SACK + TIMESTAMPS + random_.randbytes(4) + bytes(4) + SCALE if options else b""
    tcp = struct.pack("!HHIIBBHHH", random_.randrange(1024, 65536), port,
                      random_.getrandbits(32), 0, (20 + len(more)) // 4 << 4, 2, 64240, 0, 0)
    tcp += more
    pseudo = source + to + struct.pack("!II", len(tcp), TCP)
    tcp = tcp[:16] + struct.pack("!H", checksum(pseudo + tcp)) + tcp[18:]
    if family == 4:
        ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tcp), random_.getrandbits(16), 0x4000, 64,
                         TCP, 0) + source + to
        ip = ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:]
    else:
        ip = struct.pack("!IHBB", 6 << 28, len(tcp), TCP, 64) + source + to
    frame = b"\x02\0\0\0\0\1\x02\0\0\0\0\2" + struct.pack("!H", IPV4 if family == 4 else IPV6)
    return (frame + ip + tcp).ljust(60, b"\0")


def write_pcap(path, number, family=4, options=True):
    """A file of so many SYNs, the same in every run."""
    random_ = random.Random(number)
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, ETHERNET))
        for _ in range(number):
            frame = syn(random_, family, options=options)
            file.write(struct.pack("<IIII", 0, 0, len(frame), len(frame)) + frame)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: syns.py FILE NUMBER")
    write_pcap(sys.argv[1], int(sys.argv[2]))
