# SPDX-License-Identifier: BSD-3-Clause
"""What goes over the lab's wires: nginx, curl, floods, captures."""

import contextlib
import os
import signal
import subprocess

from frames import trafgen_text
from lab import SERVER, address, wait_for

NGINX = """
daemon off;
worker_processes 1;
pid %(dir)s/nginx.pid;
error_log %(dir)s/error.log;
events { worker_connections 4096; }
http {
	access_log %(dir)s/access.log;
	client_body_temp_path %(dir)s/body;
	proxy_temp_path %(dir)s/proxy;
	fastcgi_temp_path %(dir)s/fastcgi;
	uwsgi_temp_path %(dir)s/uwsgi;
	scgi_temp_path %(dir)s/scgi;
	keepalive_timeout 60;
	keepalive_requests 100000;
	server {
		listen 80;
		listen [::]:80;
		listen 443 ssl;
		listen [::]:443 ssl;
		ssl_certificate %(dir)s/cert.pem;
		ssl_certificate_key %(dir)s/key.pem;
		root %(dir)s/www;
	}
}
"""


class Nginx:
    """A web server of the lab's own; ports 80 and 443, both families."""

    def __init__(self, lab):
        self.lab = lab
        self.dir = os.path.join(lab.work, "nginx")
        os.makedirs(os.path.join(self.dir, "www"), exist_ok=True)
        os.chmod(lab.work, 0o755)
        self.cert = os.path.join(self.dir, "cert.pem")
        self.write("hello", b"hello from behind\n")
        lab.run("server", "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                "-subj", "/CN=server.lab", "-addext", "subjectAltName=IP:%s,IP:%s"
                % (address(SERVER), address(SERVER, 6)),
                "-keyout", os.path.join(self.dir, "key.pem"), "-out", self.cert)
        conf = os.path.join(self.dir, "nginx.conf")
        with open(conf, "w") as file:
            file.write(NGINX % {"dir": self.dir})
        self.argv = ("nginx", "-p", self.dir, "-c", conf)
        self.process = None
        self.begin()

    def write(self, name, content):
        with open(os.path.join(self.dir, "www", name), "wb") as file:
            file.write(content)

    def begin(self):
        self.process = self.lab.spawn("server", "nginx", *self.argv)
        wait_for("nginx to listen", self.listens)

    def listens(self):
        if not self.process.running():
            raise RuntimeError("nginx ended:\n" + self.process.output())
        return ":443" in self.lab.run("server", "ss", "-Hltn", "sport = :443")

    def end(self):
        self.lab.end(self.process)

    def requests(self, path):
        """How often a path was asked for."""
        with open(os.path.join(self.dir, "access.log")) as log:
            return sum((" " + path + " ") in line for line in log)


def curl(lab, url, *options, seconds=10, node="client"):
    """One request by curl: (succeeded, seconds it took, body or error)."""
    with lab.inside(node):
        done = subprocess.run(("curl", "-sS", "--max-time", str(seconds), "-w", "\n%{time_total}")
                              + options + (url,), stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, check=False)
    body, _, taken = done.stdout.rpartition("\n")
    if done.returncode:
        return False, float(taken or seconds), done.stderr.strip()
    return True, float(taken), body


# One SYN of a random source. drnd() draws anew for every packet, and csumip() and
# csumtcp() are computed over what was drawn; the numbers are offsets in the frame.
# A flood goes through the list of such SYNs in turn.
SYN4 = """{
	%(dst)s, %(src)s, c16(0x0800),
	0x45, 0x00, c16(60), drnd(2), c16(0x4000), 64, 6, csumip(14, 33), %(source)s, %(to)s,
	drnd(2), c16(%(port)d), drnd(4), c32(0), 0xa0, 0x02, c16(64240), csumtcp(14, 34), c16(0),
	2, 4, c16(1460), 4, 2, 8, 10, drnd(4), c32(0), 1, 3, 3, 7
}
"""


# First bytes of unicast prefixes that are not the lab's.
ANYWHERE = ["%d, drnd(3)" % first for first in range(11, 224, 7) if first != 127]


def commas(raw):
    return ", ".join(str(byte) for byte in raw)


class Flood:
    """SYNs from spoofed sources, or other frames, by trafgen: bounded in number and so in
    time."""

    number = 0

    def __init__(self, lab, rate, seconds, port=80, sources=ANYWHERE, to=SERVER, node="attacker",
                 frames=None):
        """`rate` is in frames per second, 0 as fast as it goes. `sources`: templates of
        four bytes, as trafgen writes them. `frames`: of frames.py, instead of SYNs."""
        Flood.number += 1
        name = "flood%d" % Flood.number
        path = os.path.join(lab.work, name + ".cfg")
        mac = lambda text: commas(bytes.fromhex(text.replace(":", "")))
        with open(path, "w") as file:
            if frames is not None:
                file.write(trafgen_text(frames))
                sources = ()
            for source in sources:
                file.write(SYN4 % {"dst": mac(lab.mac("server")), "src": mac(lab.mac(node)),
                                   "source": source, "port": port,
                                   "to": commas(int(part) for part in address(to).split("."))})
        self.lab = lab
        self.node = node
        self.before = lab.link_counters(node, "eth0")["tx"]["packets"]
        count = rate * seconds if rate else 1000000 * seconds
        argv = ["timeout", "-k", "2", str(seconds + 10 if rate else seconds),
                "trafgen", "--no-sock-mem", "--notouch-irq", "--no-cpu-stats", "--cpus", "1",
                "--conf", path, "--dev", "eth0", "--num", str(count)]
        if rate:
            argv += ["--rate", "%dpps" % rate]
        self.process = lab.spawn(node, name, *argv)

    def sent(self):
        return self.lab.link_counters(self.node, "eth0")["tx"]["packets"] - self.before

    def running(self):
        return self.process.running()

    def wait(self):
        self.process.wait(600)
        self.end()

    def end(self):
        """Stop it; how many frames it sent."""
        self.lab.end(self.process, signal.SIGINT)
        return self.sent()

    def __enter__(self):
        wait_for("the flood to begin:\n" + self.process.output(), lambda: self.sent() > 100 or not self.running())
        return self

    def __exit__(self, *_):
        self.end()


@contextlib.contextmanager
def capture(lab, node, path, expression="", device="eth0", size=200):
    """tcpdump into a file for the length of a block; `size` bytes of each frame."""
    process = lab.spawn(node, "tcpdump-" + node, "tcpdump", "-U", "-i", device, "-s", str(size),
                        "-w", path, *expression.split())
    wait_for("tcpdump", lambda: "listening on" in process.output() or not process.running())
    try:
        yield
    finally:
        lab.end(process, signal.SIGINT)
