# SPDX-License-Identifier: BSD-3-Clause
"""What scripts/bench --nic-help prints."""

TEXT = """\
Repeating this on NICs

Two machines, a link between them: a generator G and the engine E. Always run the
same generator against both of these on E, in turn and several times (A B A B),
and quote the ratio:

  A  synfront, mode respond (config/responder.yaml)
  B  dpdk-testpmd --forward-mode=macswap: what the card and the bus can do

On E: hugepages, and the card given to DPDK (here 0000:3b:00.0; Mellanox cards stay
with their kernel driver). CPU 2 should be isolated (isolcpus=2 nohz_full=2), on
the card's NUMA node.

  echo 1024 > /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages
  modprobe vfio-pci && dpdk-devbind.py --bind=vfio-pci 0000:3b:00.0

  A: in a copy of config/responder.yaml
         ports: { outside: { device: "0000:3b:00.0", rx_descriptors: 4k } }
         workers: { lcores: [2], idle: poll }
     and without its eal.args; then
     build/app/synfront --config responder.yaml
     build/app/synfrontctl --instance synfront-responder --watch 1 stats

  B: dpdk-testpmd -l 0,2 -a 0000:3b:00.0 -- --forward-mode=macswap --auto-start \\
         --rxd=4096 --txd=4096 --stats-period=1

  For n cores: `workers: { lcores: [2, 4, ...] }`, one receive queue each, against
  testpmd with --nb-cores=n --rxq=n --txq=n.

On G pktgen-DPDK or testpmd, which replay a pcap of SYNs with random sources: command
lines, what to read off, and traps are in config/pktgen/README.md.

On G without either: the generator of this tree, which also opens real connections and
says how long they took and how many were served (--rate 0: as fast as the port goes):

  build/tests/bench/generator -l 2 -a 0000:5e:00.0 -- --mac 02:00:00:00:00:01 \\
      --rate 10000000 --clients 4096 --client-rate 20000 --seconds 30

Wire limits in Mpps for frames of 64, 78 (SYN-ACK with 20 bytes of options) and 98
bytes (the same over IPv6): 10G 14.88, 12.76, 10.59; 25G 37.2, 31.9, 26.5;
100G 148.8, 127.6, 105.9. One core of the engine can outrun a 10G link: compare
the idle share (synfrontctl stats: empty_loops of loops) as well as the rate.

In a guest with virtio

Give the guest a vhost-user port of the host's switch, or of a testpmd on the host
(config/pktgen/syns.py makes the pcap):

  host:  dpdk-testpmd -l 1,2 --no-pci --file-prefix host \\
             --vdev net_pcap0,rx_pcap=syn.pcap,infinite_rx=1 \\
             --vdev net_vhost0,iface=/tmp/guest.sock \\
             -- --forward-mode=io --auto-start --no-flush-rx --total-num-mbufs=65536 \\
             --stats-period=1
  qemu:  -object memory-backend-memfd,id=m,size=4G,share=on -numa node,memdev=m \\
         -chardev socket,id=c,path=/tmp/guest.sock \\
         -netdev vhost-user,id=n,chardev=c \\
         -device virtio-net-pci,netdev=n,rx_queue_size=1024,tx_queue_size=1024
  guest: bind the device as config/OPERATING.md says under "On virtio"
         A  device: "0000:00:04.0" in the configuration, as above
         B  dpdk-testpmd -l 0,1 -a 0000:00:04.0 -- --forward-mode=macswap --auto-start

The same two ends without a guest, over virtio-user, are the first rows of scripts/bench.
"""
