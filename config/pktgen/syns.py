# SPDX-License-Identifier: BSD-3-Clause
"""Captures of SYNs from random sources, for generators that replay them; and what came back.

    syns.py make FILE [--number N] [--family 4|6|46] [--mac MAC] [--from-mac MAC] [--to ADDRESS]...
                      [--port N] [--sources PREFIX]... [--plain] [--seed N]
    syns.py check ANSWERS [SYNS]

make: each SYN has its own source, port and sequence number, the options of an ordinary client
(--plain: none) and true checksums. The same arguments write the same file.

check: reads a capture of answers and counts SYN-ACKs, and frames of which a checksum is wrong. With
the SYNs it counts those that were answered: by the ports and addresses, and by the number that is
acknowledged. The status is 1 if a checksum is wrong, or a SYN unanswered.
"""

import argparse
import ipaddress
import random
import struct
import sys

# Whom and where, if nothing else is said: config/responder.yaml, and a MAC that a port in
# promiscuous mode takes. Sources: what is neither private nor the target's.
TO = {4: "198.18.0.1", 6: "2001:2::1"}
SOURCES = {4: "11.0.0.0/8", 6: "2001:db8::/32"}
MAC, FROM_MAC = "02:00:00:00:00:01", "02:00:00:00:00:02"

ETHERNET, TCP, SYN, ACK = 1, 6, 2, 16
IPV4, IPV6 = 0x0800, 0x86dd
PCAP = struct.Struct("<IHHiIII")
RECORD = struct.Struct("<IIII")
MAGIC = 0xa1b2c3d4
MSS, SACK, TIMESTAMPS, SCALE = b"\x02\x04\x05\xb4", b"\x04\x02", b"\x08\x0a", b"\x01\x03\x03\x07"


def checksum(raw):
    """RFC 1071. Of what carries its own checksum it is 0 if that is true."""
    raw += b"\0" * (len(raw) % 2)
    total = sum(struct.unpack("!%dH" % (len(raw) // 2), raw))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def pseudo_header(addresses, tcp_size):
    """`addresses`: source and destination as on the wire."""
    return addresses + struct.pack("!II", tcp_size, TCP)


def syn(random_, macs, to, sources, port, options=True):
    """One frame. `to` and `sources` are an address and a network of the same family; `macs` are
    destination and source."""
    size = to.max_prefixlen // 8
    source = (int(sources.network_address) |
              random_.getrandbits(to.max_prefixlen - sources.prefixlen)).to_bytes(size, "big")
    more = MSS + SACK + TIMESTAMPS + random_.randbytes(4) + bytes(4) + SCALE if options else b""
    tcp = struct.pack("!HHIIBBHHH", random_.randrange(1024, 65536), port,
                      random_.getrandbits(32), 0, (20 + len(more)) // 4 << 4, SYN, 64240, 0, 0)
    tcp += more
    addresses = source + to.packed
    tcp = tcp[:16] + struct.pack("!H", checksum(pseudo_header(addresses, len(tcp)) + tcp)) + tcp[18:]
    if to.version == 4:
        ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tcp), random_.getrandbits(16), 0x4000, 64,
                         TCP, 0) + addresses
        ip = ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:]
    else:
        ip = struct.pack("!IHBB", 6 << 28, len(tcp), TCP, 64) + addresses
    frame = macs + struct.pack("!H", IPV4 if to.version == 4 else IPV6) + ip + tcp
    return frame.ljust(60, b"\0")


def mac(text):
    raw = bytes.fromhex(text.replace(":", ""))
    if len(raw) != 6:
        raise ValueError(text)
    return raw


def write_pcap(path, number, families=(4,), options=True, macs=(MAC, FROM_MAC), to=(), sources=(),
               port=80, seed=None):
    """A file of so many SYNs, to each of the families and addresses in turn."""
    random_ = random.Random(number if seed is None else seed)
    macs = b"".join(map(mac, macs))
    pairs = []
    for family in families:
        of_family = lambda texts, parse: [parse(text) for text in texts
                                          if parse(text).version == family]
        nets = of_family(sources, ipaddress.ip_network) or [
            ipaddress.ip_network(SOURCES[family])]
        hosts = of_family(to, ipaddress.ip_address) or [ipaddress.ip_address(TO[family])]
        pairs.append([(host, net) for host in hosts for net in nets])
    with open(path, "wb") as file:
        file.write(PCAP.pack(MAGIC, 2, 4, 0, 0, 65535, ETHERNET))
        for i in range(number):
            mine = pairs[i % len(pairs)]
            host, net = mine[i // len(pairs) % len(mine)]
            frame = syn(random_, macs, host, net, port, options)
            file.write(RECORD.pack(0, 0, len(frame), len(frame)) + frame)


def read_pcap(path):
    """The frames of a file as tcpdump, testpmd and pktgen write them here."""
    with open(path, "rb") as file:
        head = file.read(PCAP.size)
        if len(head) < PCAP.size or PCAP.unpack(head)[0] not in (MAGIC, 0xa1b23c4d):
            raise ValueError("%s: no capture file of this machine's byte order" % path)
        while len(head := file.read(RECORD.size)) == RECORD.size:
            yield file.read(RECORD.unpack(head)[2])


def tcp_of(frame):
    """(addresses, segment, whether all checksums are true), or None if it is no TCP. Untagged,
    and no extension headers: that is how such answers are."""
    kind, = struct.unpack_from("!H", frame, 12)
    if kind == IPV4 and frame[23] == TCP:
        head = 4 * (frame[14] & 15)
        end = 14 + struct.unpack_from("!H", frame, 16)[0]
        addresses, start, good = frame[26:34], 14 + head, not checksum(frame[14:14 + head])
    elif kind == IPV6 and frame[20] == TCP:
        start = 54
        end = start + struct.unpack_from("!H", frame, 18)[0]
        addresses, good = frame[22:54], True
    else:
        return None
    segment = frame[start:end]
    return addresses, segment, good and not checksum(
        pseudo_header(addresses, len(segment)) + segment)


def key(addresses, segment, reverse=False):
    """Who talks with whom, as the client sees it."""
    half = len(addresses) // 2
    near, far = addresses[:half], addresses[half:]
    sport, dport = segment[:2], segment[2:4]
    return (far, near, dport, sport) if reverse else (near, far, sport, dport)


def check(answers, syns=None):
    """A dict of what was counted."""
    counts = dict.fromkeys(("frames", "syn_acks", "wrong_checksums", "answered"), 0)
    asked = {}
    for frame in read_pcap(syns) if syns else ():
        addresses, segment, _ = tcp_of(frame)
        asked[key(addresses, segment)] = struct.unpack_from("!I", segment, 4)[0]
    counts["asked"] = len(asked)
    for frame in read_pcap(answers):
        counts["frames"] += 1
        found = tcp_of(frame)
        if not found:
            continue
        addresses, segment, good = found
        counts["wrong_checksums"] += not good
        if segment[13] & (SYN | ACK) == SYN | ACK:
            counts["syn_acks"] += 1
            client = key(addresses, segment, reverse=True)
            acked, = struct.unpack_from("!I", segment, 8)
            if asked.get(client) == (acked - 1) & 0xffffffff:
                del asked[client]
                counts["answered"] += 1
    return counts


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("make", help="write a capture of SYNs")
    make.add_argument("file")
    make.add_argument("--number", type=int, default=65536, help="how many (%(default)s)")
    make.add_argument("--family", choices=("4", "6", "46"), default="4",
                      help="IPv4, IPv6, or both in turn (%(default)s)")
    make.add_argument("--mac", default=MAC, help="of the engine's port (%(default)s)")
    make.add_argument("--from-mac", default=FROM_MAC, help="answers go there (%(default)s)")
    make.add_argument("--to", action="append", default=[], metavar="ADDRESS",
                      help="of a service, of either family (%s, %s)" % tuple(TO.values()))
    make.add_argument("--port", type=int, default=80, help="of the service (%(default)s)")
    make.add_argument("--sources", action="append", default=[], metavar="PREFIX",
                      help="sources are drawn from it (%s, %s)" % tuple(SOURCES.values()))
    make.add_argument("--plain", action="store_true", help="no options: 60 bytes with IPv4")
    make.add_argument("--seed", type=int, help="for other sources (the number of SYNs)")
    checker = commands.add_parser("check", help="count answers, and wrong checksums")
    checker.add_argument("answers")
    checker.add_argument("syns", nargs="?")
    return parser.parse_args()


def main():
    options = parse_arguments()
    if options.command == "make":
        write_pcap(options.file, options.number, tuple(map(int, options.family)),
                   not options.plain, (options.mac, options.from_mac), options.to,
                   options.sources, options.port, options.seed)
        return 0
    counts = check(options.answers, options.syns)
    print("%(frames)d frames, %(syn_acks)d SYN-ACKs, %(wrong_checksums)d wrong checksums" % counts)
    if options.syns:
        print("%(answered)d of %(asked)d SYNs answered" % counts)
    return int(counts["wrong_checksums"] > 0 or (options.syns is not None and
                                                 counts["answered"] < counts["asked"]))


if __name__ == "__main__":
    sys.exit(main())
