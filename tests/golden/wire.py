# SPDX-License-Identifier: BSD-3-Clause
"""Frames and capture files for the golden cases: a frame as a dict, to bytes and back.

A frame that the engine generates has TTL 64, IP ID 0 with DF, no padding but up
to the 60 bytes of Ethernet, and its options in the order MSS, SACK-permitted,
timestamps, window scale (lib/wire/emit.h). A peer's frame is made with another TTL
and ID, so that one that only crossed can be told from one that was made.
"""
import ipaddress
import struct

FLAGS = {"FIN": 1, "SYN": 2, "RST": 4, "PSH": 8, "ACK": 16, "URG": 32, "ECE": 64, "CWR": 128}
FRAME_MIN = 60
MASK = 0xFFFFFFFF


def csum(data):
    if len(data) & 1:
        data += b"\0"
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def flags_of(text):
    bits = 0
    for name in text.split("-"):
        if name != "NONE":
            bits |= FLAGS[name]
    return bits


def flags_name(bits):
    return "-".join(n for n, b in FLAGS.items() if bits & b) or "NONE"


def options_bytes(f):
    """In the engine's order; a peer's look the same. 'raw' options come last."""
    out = b""
    if f.get("mss") is not None:
        out += struct.pack("!BBH", 2, 4, f["mss"])
    if f.get("ts") is not None:
        out += (b"\4\2" if f.get("sack") else b"\1\1") + struct.pack("!BBII", 8, 10, *f["ts"])
    elif f.get("sack"):
        out += b"\1\1\4\2"
    if f.get("wscale") is not None:
        out += struct.pack("!BBBB", 1, 3, 3, f["wscale"])
    if f.get("blocks"):
        out += struct.pack("!BBBB", 1, 1, 5, 2 + 4 * len(f["blocks"]))
        out += b"".join(struct.pack("!I", edge) for edge in f["blocks"])
    out += f.get("raw", b"")
    return out + b"\0" * (-len(out) % 4)


def pseudo(src, dst, proto, size):
    if len(src) == 4:
        return src + dst + struct.pack("!BBH", 0, proto, size)
    return src + dst + struct.pack("!IHBB", size, 0, 0, proto)


def ip_wrap(f, proto, body):
    src, dst = f["src"], f["dst"]
    if len(src) == 4:
        head = struct.pack("!BBHHHBBH4s4s", 0x45, f.get("tos", 0), 20 + len(body), f["id"],
                           f.get("fragment", 0x4000), f["ttl"], proto, 0, src, dst)
        check = csum(head) ^ 0xFFFF
        return head[:10] + struct.pack("!H", check) + head[12:] + body
    return struct.pack("!IHBB16s16s", 0x60000000 | f.get("tos", 0) << 20, len(body), proto,
                       f["ttl"], src, dst) + body


def tcp_bytes(f):
    opts = options_bytes(f)
    tcp = struct.pack("!HHIIBBHHH", f["sport"], f["dport"], f["seq"] & MASK, f["ack"] & MASK,
                      (20 + len(opts)) // 4 << 4, f["flags"], f["win"], 0, f.get("urg", 0))
    tcp += opts + f.get("data", b"")
    check = csum(pseudo(f["src"], f["dst"], 6, len(tcp)) + tcp) ^ 0xFFFF
    # A wrong checksum is wrong by a constant, and stays wrong by it when rewritten.
    if f.get("badsum"):
        check = csum(struct.pack("!HH", check, 0x0101))
    return tcp[:16] + struct.pack("!H", check) + tcp[18:]


def icmp_bytes(f):
    """An error with type, code, the 4 bytes behind the checksum, and the quoted packet."""
    kind, code = f["icmp"]
    body = struct.pack("!BBHI", kind, code, 0, f.get("mtu", 0)) + f["quote"]
    if len(f["src"]) == 4:
        check = csum(body) ^ 0xFFFF
    else:
        check = csum(pseudo(f["src"], f["dst"], 58, len(body)) + body) ^ 0xFFFF
    return body[:2] + struct.pack("!H", check) + body[4:]


def encode_ip(f):
    if "icmp" in f:
        return ip_wrap(f, 1 if len(f["src"]) == 4 else 58, icmp_bytes(f))
    if f["flags"] is None:  # a later fragment
        return ip_wrap(f, 6, f.get("data", b""))
    return ip_wrap(f, 6, tcp_bytes(f))


def encode(f):
    frame = f["dmac"] + f["smac"]
    for tpid, vlan in f.get("tags", ()):
        frame += struct.pack("!HH", tpid, vlan)
    frame += struct.pack("!H", 0x0800 if len(f["src"]) == 4 else 0x86DD)
    frame += encode_ip(f)
    return frame + b"\0" * (FRAME_MIN - len(frame))


def decode_options(data):
    out, i = [], 0
    while i < len(data):
        kind = data[i]
        if kind in (0, 1):
            out.append("eol" if kind == 0 else "nop")
            i += 1
            continue
        size = data[i + 1] if i + 1 < len(data) else 0
        if size < 2 or i + size > len(data):
            return out + ["bad " + data[i:].hex()]
        value = data[i + 2:i + size]
        if kind == 2 and size == 4:
            out.append("mss %d" % struct.unpack("!H", value))
        elif kind == 3 and size == 3:
            out.append("wscale %d" % value[0])
        elif kind == 4 and size == 2:
            out.append("sack")
        elif kind == 8 and size == 10:
            out.append("ts %d %d" % struct.unpack("!II", value))
        elif kind == 5:
            out.append("blocks " + ",".join(str(e) for e in struct.unpack(
                "!%dI" % (len(value) // 4), value)))
        else:
            out.append("option %d %s" % (kind, value.hex()))
        i += size
    return out


def decode(frame):
    """Field -> readable value, in the order of the wire; as far as it can be read."""
    out = {"length": len(frame), "dmac": frame[:6].hex(":"), "smac": frame[6:12].hex(":")}
    at, tags = 12, []
    kind, = struct.unpack_from("!H", frame, at)
    while kind in (0x8100, 0x88A8):
        tags.append("%04x.%d" % (kind, struct.unpack_from("!H", frame, at + 2)[0]))
        at += 4
        kind, = struct.unpack_from("!H", frame, at)
    out["tags"] = " ".join(tags)
    at += 2
    if kind == 0x0800:
        head = struct.unpack_from("!BBHHHBBH4s4s", frame, at)
        out.update({"tos": head[1], "ip length": head[2], "ip id": head[3],
                    "ip fragment": "0x%04x" % head[4], "ttl": head[5], "proto": head[6],
                    "ip checksum": "0x%04x" % head[7]})
        src, dst, end, at = head[8], head[9], at + head[2], at + (head[0] & 15) * 4
    elif kind == 0x86DD:
        head = struct.unpack_from("!IHBB16s16s", frame, at)
        out.update({"ip head": "0x%08x" % head[0], "ip length": head[1], "proto": head[2],
                    "ttl": head[3]})
        src, dst, end, at = head[4], head[5], at + 40 + head[1], at + 40
    else:
        out["rest"] = frame[at:].hex()
        return out
    out["src"], out["dst"] = (str(ipaddress.ip_address(a)) for a in (src, dst))
    if out["proto"] != 6 or end - at < 20 or int(str(out.get("ip fragment", "0")), 0) & 0x1FFF:
        out["rest"] = frame[at:end].hex()
        return out
    tcp = struct.unpack_from("!HHIIBBHHH", frame, at)
    size = (tcp[4] >> 4) * 4
    out.update({"sport": tcp[0], "dport": tcp[1], "seq": tcp[2], "ack": tcp[3],
                "flags": flags_name(tcp[5]), "win": tcp[6], "checksum": "0x%04x" % tcp[7],
                "urg": tcp[8], "options": " ".join(decode_options(frame[at + 20:at + size])),
                "data": frame[at + size:end].decode("ascii", "backslashreplace")})
    if frame[end:].strip(b"\0"):
        out["padding"] = frame[end:].hex()
    return out


def summary(frame):
    d = decode(frame)
    if "flags" not in d:
        return "%s > %s proto %s, %d bytes" % (d.get("src"), d.get("dst"), d.get("proto"),
                                               d["length"])
    return "%s.%d > %s.%d %s seq %d ack %d win %d <%s> %d bytes of data" % (
        d["src"], d["sport"], d["dst"], d["dport"], d["flags"], d["seq"], d["ack"], d["win"],
        d["options"], len(d["data"]))


def pcap_read(path):
    """[(time in microseconds, frame)]"""
    with open(path, "rb") as file:
        data = file.read()
    order = "<" if data[:4] == b"\xd4\xc3\xb2\xa1" else ">"
    out, at = [], 24
    while at < len(data):
        s, us, size, _ = struct.unpack_from(order + "IIII", data, at)
        out.append((s * 1000000 + us, data[at + 16:at + 16 + size]))
        at += 16 + size
    return out


def pcap_bytes(frames):
    out = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1)
    for at_us, frame in frames:
        out += struct.pack("<IIII", at_us // 1000000, at_us % 1000000, len(frame), len(frame))
        out += frame
    return out
