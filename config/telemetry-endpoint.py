# SPDX-License-Identifier: BSD-3-Clause
"""What dpdk-telemetry-exporter.py of DPDK needs to export synfront to Prometheus or Carbon. With its
other endpoints it also runs beside an older DPDK, since both speak over the same socket:

    dpdk-telemetry-exporter.py -s /run/dpdk/synfront/dpdk_telemetry.v2
"""

# Column of a list of telemetry: metric, what it says, and its type.
SERVICES = {
    "cookie_mode": ("service_cookie_mode", "1 while cookies answer", "gauge"),
    "half_open": ("service_half_open", "Half-open entries", "gauge"),
    "connections": ("service_connections", "Connecting and established", "gauge"),
    "syn": ("service_syn", "SYNs", "counter"),
    "syn_ack": ("service_syn_ack", "SYN-ACKs", "counter"),
    "opened": ("service_opened", "Connections opened", "counter"),
    "refused": ("service_refused", "Connections refused", "counter"),
}
PORTS = {
    "link_downs": ("port_link_downs", "How often the link went down", "counter"),
    "received": ("port_received", "Frames received", "counter"),
    "sent": ("port_sent", "Frames sent", "counter"),
    "tx_full": ("port_tx_full", "Frames that found the transmit ring full", "counter"),
    "port_missed": ("port_missed", "Frames that the port had no room for", "counter"),
    "port_no_buffer": ("port_no_buffer", "Frames that found no buffer", "counter"),
    "port_rx_errors": ("port_rx_errors", "Frames received with errors", "counter"),
    "port_tx_errors": ("port_tx_errors", "Frames that the port could not send", "counter"),
}
MEMORY = {
    "entries": ("memory_entries", "Entries that a table has room for", "gauge"),
    "used": ("memory_used", "Entries in use", "gauge"),
    "size": ("memory_bytes", "What the table takes", "gauge"),
}
LINK = ("port_link_up", "1 while the link is up", "gauge")
COUNTER = ("counter", "As synfrontctl stats has it", "counter")
LIVE = ("live", "Connections that a drain would wait for", "gauge")


def info():
    """Each metric with what it says and its type."""
    every = [*SERVICES.values(), *PORTS.values(), *MEMORY.values(), LINK, COUNTER, LIVE]
    return {name: (text, kind) for name, text, kind in every}


def rows(sock, path):
    """The rows of a list, which comes as columns and in pages."""
    start = 0
    while True:
        answer = sock.cmd(path, start)
        columns = {name: cells for name, cells in answer.items() if name != "next"}
        for cells in zip(*columns.values()):
            yield dict(zip(columns, cells))
        start = answer["next"]
        if start == 0:
            return


def metrics(sock):
    """(metric, value, labels) of all that runs."""
    found = [(COUNTER[0], value, {"name": name})
             for name, value in sock.cmd("/synfront/stats").items()]
    found.append((LIVE[0], sock.cmd("/synfront/info")["remaining"], {}))
    for path, key, label, columns in (("services", "name", "service", SERVICES),
                                      ("ports", "side", "port", PORTS),
                                      ("memory", "table", "table", MEMORY)):
        for row in rows(sock, "/synfront/" + path):
            labels = {label: row[key]}
            unknown = row.get("unknown", "").split()
            found += [(columns[name][0], value, labels)
                      for name, value in row.items() if name in columns and name not in unknown]
            if "link" in row:
                found.append((LINK[0], int(row["link"] == "up"), labels))
    return found
