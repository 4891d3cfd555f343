# SPDX-License-Identifier: BSD-3-Clause
#
# Pktgen-DPDK: whom to flood, and how fast. The only file to change. It fills in the others:
#
#     sed -f target.sed range4.pkt > flood.pkt

# Pktgen's port, in the line that says how a SYN is told from other TCP. From pktgen 24.10 on it
# is instead:  s/^@SYN@$/range @PORT@ tcp flags clr,syn/
s/^@SYN@$/range @PORT@ tcp flag clr all\nrange @PORT@ tcp flag set syn/
s/@PORT@/0/g

# The engine's port, as `synfrontctl ports` says. One in promiscuous mode takes any.
s/@ENGINE_MAC@/02:00:00:00:00:01/g
# Answers go there.
s/@MY_MAC@/02:00:00:00:00:02/g

# A service of the engine's: here of responder.yaml.
s/@SERVICE4@/198.18.0.1/g
s/@SERVICE6@/2001:2::1/g
s/@SERVICE_PORT@/80/g

# Percent of the link's speed, as the port's driver names it: 100 is as fast as it goes.
s/@RATE@/100/g
