# SPDX-License-Identifier: BSD-3-Clause
"""What a capture says of the frames in it: checksums, and padding that has become data."""

import struct

LINK_ETHERNET = 1
ETH_IPV4, ETH_IPV6 = 0x0800, 0x86dd
ETH_VLAN = (0x8100, 0x88a8)
IPPROTO_TCP = 6


def frames(path):
    """Of a file of tcpdump's, those that are there whole."""
    with open(path, "rb") as file:
        data = file.read()
    order = "<" if data[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
    at = 24
    while at + 16 <= len(data):
        size, whole = struct.unpack(order + "II", data[at + 8:at + 16])
        if size == whole:
            yield data[at + 16:at + 16 + size]
        at += 16 + size


def ones_sum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return total


def place_of_type(frame):
    """Where the type stands that is none of a tag."""
    at = 12
    while struct.unpack_from("!H", frame, at)[0] in ETH_VLAN:
        at += 4
    return at


def fault_of(frame):
    """What is wrong with a TCP segment, None if nothing is, "" if it is none."""
    at = place_of_type(frame)
    kind, = struct.unpack_from("!H", frame, at)
    packet = frame[at + 2:]
    if kind == ETH_IPV4:
        head = (packet[0] & 15) * 4
        total, = struct.unpack_from("!H", packet, 2)
        protocol, addresses = packet[9], packet[12:20]
        if ones_sum(packet[:head]) != 0xffff:
            return "IPv4 header checksum"
    elif kind == ETH_IPV6:
        head = 40
        total = 40 + struct.unpack_from("!H", packet, 4)[0]
        protocol, addresses = packet[6], packet[8:40]
    else:
        return ""
    if protocol != IPPROTO_TCP:
        return ""
    if total > len(packet):
        return "length"
    tcp = packet[head:total]
    if ones_sum(addresses + struct.pack("!HH", protocol, len(tcp)) + tcp) != 0xffff:
        return "TCP checksum"
    data = tcp[(tcp[12] >> 4) * 4:]
    # Nobody here sends zeros.
    if data and not any(data):
        return "padding as data"
    return None


class Seen:
    """What a capture has of TCP segments."""

    def __init__(self, path):
        self.by_tags = [0] * 3  # how many with so many tags
        self.longest = 0
        self.faults = {}        # fault: (how many, the first in hexadecimal)
        for frame in frames(path):
            fault = fault_of(frame)
            if fault == "":
                continue
            self.by_tags[(place_of_type(frame) - 12) // 4] += 1
            self.longest = max(self.longest, len(frame))
            if fault:
                number, first = self.faults.get(fault, (0, frame.hex()))
                self.faults[fault] = number + 1, first

    def count(self):
        return sum(self.by_tags)
