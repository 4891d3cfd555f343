# SPDX-License-Identifier: BSD-3-Clause
"""Frames of the conformance tests, to bytes and back, with what no kernel would send.

A frame is a dict with the keys of tests/golden/wire.py and, here:
    ext       IPv6 extension headers before TCP: hop, dst, rt, frag (atomic), esp, none
    ipopt     bytes of IPv4 options, a multiple of 4
    doff      the TCP header length as it is written, in words
    reserved  the four bits beside it; the last one is AE (RFC 9768)
    iplen     added to the IP length field
    split     sizes of the fragments' payloads but the last, each a multiple of 8
    swap      the fragments leave in reverse order
    overlap   each later fragment begins so many bytes early
"""
import ipaddress
import os
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
                                "golden"))
# pylint: disable=wrong-import-position
import wire

MASK = 0xFFFFFFFF
NEXT = {"hop": 0, "dst": 60, "rt": 43, "frag": 44, "esp": 50, "none": 59}
TCP, ICMP, ICMP6, FRAGMENT = 6, 1, 58, 44
OUTSIDE, INSIDE = 0, 1
FLAGS = dict(wire.FLAGS)
# Keys of a frame whose checksums are wrong.
SPOILT = {"badsum", "badip", "iplen", "doff", "cut"}
ECHO = {4: (8, 0), 6: (128, 129)}


def tcp_bytes(f):
    data = bytearray(wire.tcp_bytes(f))
    if "doff" in f or "reserved" in f:
        doff = f.get("doff", data[12] >> 4)
        data[12] = doff << 4 | f.get("reserved", 0)
        data[16:18] = b"\0\0"
        check = wire.csum(wire.pseudo(f["src"], f["dst"], TCP, len(data)) + bytes(data)) ^ 0xFFFF
        data[16:18] = struct.pack("!H", check)
    return bytes(data)


def ip4(f, proto, body, fragment=0x4000):
    options = f.get("ipopt", b"")
    head = struct.pack("!BBHHHBBH4s4s", 0x40 | 5 + len(options) // 4, f.get("tos", 0),
                       20 + len(options) + len(body) + f.get("iplen", 0), f.get("id", 0),
                       fragment, f.get("ttl", 64), proto, 0, f["src"], f["dst"]) + options
    check = wire.csum(head) ^ (0xFFFF if not f.get("badip") else 0xFEFF)
    return head[:10] + struct.pack("!H", check) + head[12:] + body


def ip6(f, proto, body):
    return struct.pack("!IHBB16s16s", 0x60000000 | f.get("tos", 0) << 20,
                       (len(body) + f.get("iplen", 0)) & 0xFFFF, proto, f.get("ttl", 64),
                       f["src"], f["dst"]) + body


def chained(names, proto, body):
    """Extension headers in front of a payload: the first one's number, and the bytes."""
    for name in reversed(names):
        if name in ("hop", "dst"):
            body = struct.pack("!BBBBI", proto, 0, 1, 4, 0) + body
        elif name == "rt":
            body = struct.pack("!BBBBI", proto, 0, 0, 0, 0) + body
        elif name == "frag":
            body = struct.pack("!BBHI", proto, 0, 0, 0x5F5F) + body
        elif name == "long":  # says that it is longer than all that follows
            body = struct.pack("!BBBBI", proto, 255, 1, 4, 0) + body
        proto = NEXT.get(name, NEXT["dst"])
    return proto, body


def pieces(f, body):
    """(offset, bytes, more) of each fragment."""
    out, at = [], 0
    for size in f["split"]:
        out.append((at, body[at:at + size], 1))
        at += size - f.get("overlap", 0)
    out.append((at, body[at:], 0))
    return list(reversed(out)) if f.get("swap") else out


def packets(f):
    """The IP packets that a frame stands for."""
    v4 = len(f["src"]) == 4
    if "echo" in f:
        proto = ICMP if v4 else ICMP6
        body = struct.pack("!BBHHH", ECHO[4 if v4 else 6][0], 0, 0, f["echo"], 0)
        head = b"" if v4 else wire.pseudo(f["src"], f["dst"], ICMP6, len(body))
        body = body[:2] + struct.pack("!H", wire.csum(head + body) ^ 0xFFFF) + body[4:]
    elif "icmp" in f:
        proto, body = (ICMP if v4 else ICMP6), wire.icmp_bytes(f)
    else:
        proto, body = TCP, tcp_bytes(f)
    if "split" not in f:
        if v4:
            return [ip4(f, proto, body)]
        first, body = chained(f.get("ext", ()), proto, body)
        return [ip6(f, first, body)]
    if v4:
        return [ip4(f, proto, data, at // 8 | more << 13) for at, data, more in pieces(f, body)]
    return [ip6(f, FRAGMENT, struct.pack("!BBHI", proto, 0, at | more, 0x77000 + f["id"]) + data)
            for at, data, more in pieces(f, body)]


def encode(f):
    """Whole frames, in the order in which they leave."""
    kind = struct.pack("!H", 0x0800 if len(f["src"]) == 4 else 0x86DD)
    out = []
    for packet in packets(f):
        frame = f["dmac"] + f["smac"] + kind + packet
        out.append((frame + bytes(max(0, 60 - len(frame))))[:len(frame) - f.get("cut", 0)]
                   if f.get("cut") else frame + bytes(max(0, 60 - len(frame))))
    return out


SIZES = {2: 4, 3: 3, 4: 2, 8: 10}


def options_of(data):
    """Kind -> value of each option; `kinds` in order. `broken`: they cannot be read."""
    out, i = {"kinds": []}, 0
    while i < len(data) and data[i] != 0:
        if data[i] == 1:
            i += 1
            continue
        if i + 1 >= len(data) or data[i + 1] < 2 or i + data[i + 1] > len(data):
            out["broken"] = True
            break
        kind, value = data[i], data[i + 2:i + data[i + 1]]
        i += data[i + 1]
        if len(value) + 2 != SIZES.get(kind, len(value) + 2):
            continue
        out["kinds"].append(kind)
        if kind == 2:
            out["mss"], = struct.unpack("!H", value)
        elif kind == 3:
            out["wscale"] = value[0]
        elif kind == 4:
            out["sack"] = True
        elif kind == 8:
            out["ts"] = struct.unpack("!II", value)
        elif kind == 5:
            n = len(value) // 4
            out["blocks"] = list(struct.unpack("!%dI" % n, value[:4 * n]))
        else:
            out.setdefault("other", []).append(kind)
    return out


def decode_tcp(body):
    """Fields of a TCP header and what follows; as much as is there of a quoted one."""
    out = dict(zip(("sport", "dport", "seq"), struct.unpack_from("!HHI", body)))
    if len(body) < 20:
        return out
    ack, doff, flags, win, _, urg = struct.unpack_from("!IBBHHH", body, 8)
    out.update(ack=ack, flags=flags, win=win, urg=urg, reserved=doff & 15)
    size = (doff >> 4) * 4
    if size >= 20:
        out["options"] = options_of(body[20:size])
        out["data"] = body[size:]
    return out


def ip_parts(packet):
    """(src, dst, protocol, payload, fields) of an IP packet, or None."""
    if packet[0] >> 4 == 4:
        size = (packet[0] & 15) * 4
        total, ident, fragment, ttl, proto = struct.unpack_from("!HHHBB", packet, 2)
        fields = {"tos": packet[1], "id": ident, "fragment": fragment & 0x3FFF, "ttl": ttl,
                  "header": packet[:size], "ext": []}
        return packet[12:16], packet[16:20], proto, packet[size:total], fields
    size, proto, ttl = struct.unpack_from("!HBB", packet, 4)
    body = packet[40:40 + size]
    fields = {"tos": packet[0] << 4 & 0xF0 | packet[1] >> 4, "fragment": 0, "ttl": ttl, "ext": []}
    while proto in (0, 43, 44, 60) and len(body) >= 8:
        if proto == FRAGMENT:
            at, = struct.unpack_from("!H", body, 2)
            fields["fragment"] = (at >> 3) | (at & 1) << 13
            fields["id"], = struct.unpack_from("!I", body, 4)
            step = 8
        else:
            step = 8 + body[1] * 8
        fields["ext"].append(proto)
        if step > len(body):
            proto = NEXT["none"]
            break
        proto, body = body[0], body[step:]
        if fields["fragment"] & 0x1FFF:
            break
    return packet[8:24], packet[24:40], proto, body, fields


def decode(frame):
    """A frame that came out; None if it is neither TCP nor ICMP. `wrong` says which of its
    checksums (IP, TCP, ICMP) is."""
    kind, = struct.unpack_from("!H", frame, 12)
    if kind not in (0x0800, 0x86DD):
        return None
    packet = frame[14:]
    src, dst, proto, body, fields = ip_parts(packet)
    out = dict(fields, src=src, dst=dst, proto=proto, family=4 if kind == 0x0800 else 6)
    if "header" in fields and wire.csum(fields["header"]) != 0xFFFF:
        out["wrong"] = "IPv4 header checksum wrong"
    if fields["fragment"] & 0x1FFF:
        return dict(out, later=body)
    if proto == TCP:
        if not fields["fragment"] & 0x2000 and \
                wire.csum(wire.pseudo(src, dst, TCP, len(body)) + body) != 0xFFFF:
            out["wrong"] = "TCP checksum wrong"
        if len(body) >= 8:
            out.update(decode_tcp(body))
        return out
    if proto == ICMP:
        if wire.csum(body) != 0xFFFF:
            out["wrong"] = "ICMP checksum wrong"
    elif proto == ICMP6:
        if wire.csum(wire.pseudo(src, dst, ICMP6, len(body)) + body) != 0xFFFF:
            out["wrong"] = "ICMPv6 checksum wrong"
    else:
        return None
    out["icmp"] = (body[0], body[1])
    if body[0] in (0, 8, 128, 129):
        out["echo"], = struct.unpack_from("!H", body, 4)
    elif body[0] in (1, 2, 3, 4, 11, 12) and len(body) >= 8 + 28:
        out["mtu"], = struct.unpack_from("!I", body, 4)
        inner = ip_parts(body[8:])
        out["quote"] = dict(src=inner[0], dst=inner[1], proto=inner[2])
        if inner[2] == TCP and len(inner[3]) >= 8:
            out["quote"].update(decode_tcp(inner[3][:20] if len(inner[3]) >= 20
                                           else inner[3][:8]))
    return out


def address(text):
    return ipaddress.ip_address(text).packed


def flow_of(packet, of_fragments):
    """To whom a packet goes: local address and port, remote address and port. A later
    fragment goes where its first one went; of_fragments remembers."""
    src, dst = packet["src"], packet["dst"]
    if "later" in packet:
        return of_fragments.get((src, dst, packet.get("id")))
    if "sport" in packet:
        key = dst, packet["dport"], src, packet["sport"]
        if packet["fragment"] & 0x2000:
            of_fragments[src, dst, packet.get("id")] = key
        return key
    quote = packet.get("quote", {})
    if "sport" in quote:
        return quote["src"], quote["sport"], quote["dst"], quote["dport"]
    return None


def flags_name(bits, reserved=0):
    names = [n for n in ("SYN", "FIN", "RST", "ACK", "URG", "ECE", "CWR") if bits & FLAGS[n]]
    return "-".join(names + (["AE"] if reserved & 1 else [])) or "NONE"


def flags_of(text):
    bits = reserved = 0
    for name in text.split("-"):
        if name == "AE":
            reserved |= 1
        elif name != "NONE":
            bits |= FLAGS[name]
    return bits, reserved
