# SPDX-License-Identifier: BSD-3-Clause
"""A profile for TRex, stateless: SYNs from random sources.

    trex> start -f trex_syns.py -m 1mpps -p 0 -t --family 6 --mac 02:00:00:00:00:01
"""

import argparse

from trex_stl_lib.api import (CTRexVmInsFixHwCs, Ether, IP, IPv6, STLPktBuilder, STLStream, STLTXCont,
                              STLVM, TCP)

# What `-t` can change; the services are those of config/responder.yaml.
TO = {4: "198.18.0.1", 6: "2001:2::1"}
SOURCES = {4: ("11.0.0.1", "11.255.255.254"), 6: "2001:db8::"}


class Syns:
    """One stream; rate and port are the console's."""

    @staticmethod
    def options(tunables):
        parser = argparse.ArgumentParser()
        parser.add_argument("--family", type=int, choices=(4, 6), default=4)
        parser.add_argument("--to", help="the service's address (%s, %s)" % tuple(TO.values()))
        parser.add_argument("--port", type=int, default=80, help="the service's port")
        parser.add_argument("--mac", default="02:00:00:00:00:01", help="of the engine's port")
        return parser.parse_args(tunables)

    def get_streams(self, tunables=(), **_):
        options = self.options(tunables)
        to = options.to or TO[options.family]
        ip = IP(src="11.0.0.1", dst=to) if options.family == 4 else IPv6(src=SOURCES[6], dst=to)
        syn = Ether(dst=options.mac) / ip / TCP(dport=options.port, flags="S", window=64240, options=[
            ("MSS", 1460), ("SAckOK", b""), ("Timestamp", (1, 0)), ("NOP", None), ("WScale", 7)])
        vm = STLVM()
        if options.family == 4:
            vm.var("source", *SOURCES[4], size=4, op="random")
            vm.write("source", "IP.src")
        else:
            # The second half of the prefix, and the end of the interface identifier.
            vm.var("net", 0, 0xffffffff, size=4, op="random")
            vm.var("host", 1, 0xffffffff, size=4, op="random")
            vm.write("net", "IPv6.src", offset_fixup=4)
            vm.write("host", "IPv6.src", offset_fixup=12)
        vm.var("sport", 1024, 65535, size=2, op="random")
        vm.write("sport", "TCP.sport")
        vm.var("seq", 0, 0xffffffff, size=4, op="random")
        vm.write("seq", "TCP.seq")
        # Not fix_chksum(): that mends the header of IPv4 alone, and such SYNs are dropped.
        vm.fix_chksum_hw("IP" if options.family == 4 else "IPv6", "TCP",
                         CTRexVmInsFixHwCs.L4_TYPE_TCP)
        return [STLStream(packet=STLPktBuilder(pkt=syn, vm=vm), mode=STLTXCont())]


def register():
    return Syns()
