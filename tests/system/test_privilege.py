# SPDX-License-Identifier: BSD-3-Clause
"""What the running engine may do, what its files let others do, and the systemd unit."""

import contextlib
import glob
import os
import pwd
import re
import shutil
import signal
import socket
import stat
import subprocess
import time

from bench import thorough
from engines import BUILD, Synfront, for_anybody
from injected import hang
from lab import ROOT, wait_for
from servers import ask, dial, echo

UNITS = os.path.join(BUILD, "config")
USER = "nobody"
# Of 100, as `systemd-analyze security` counts.
EXPOSURE_MAX = 40
CAP_NET_ADMIN, CAP_SYS_ADMIN = 12, 21
RESPONDER = """
ports:
  outside: {device: "net_af_xdp0,iface=x-outside"}
services:
  - {name: any, addresses: 198.18.0.0/24, ports: all, mode: respond}
memory: {connections: 16k, half_open: 1k, backends: 64, sources: 4k, held_connections: 64}
drain_timeout: 1s
instance: @INSTANCE@
eal: {hugepages: off}
"""


def threads(engine):
    """The status of each thread, as a dict of lists of words. (Those of telemetry's clients
    come and go.)"""
    for path in glob.glob("/proc/%d/task/*/status" % engine.process.popen.pid):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError), open(path) as file:
            yield {name: value.split() for name, _, value in
                   (line.partition(":") for line in file)}


def has_nothing_left(engine, user, group, keep=0):
    """All threads: this user, no capability but some, and no way to any other."""
    n_threads = 0
    for status in threads(engine):
        n_threads += 1
        assert status["NoNewPrivs"] == ["1"], status
        for name, may in (("CapInh", 0), ("CapPrm", keep), ("CapEff", keep), ("CapBnd", keep),
                          ("CapAmb", 0)):
            assert int(status[name][0], 16) == may, (status["Name"], name, status[name])
        assert status["Uid"] == [str(user)] * 4 and status["Gid"] == [str(group)] * 4, status
        assert status["Umask"] == ["0077"], status
    assert n_threads >= 4, n_threads


def test_capabilities_are_given_up(bench):
    """Every thread, DPDK's own too, is without capabilities once the ports are up."""
    has_nothing_left(bench.lab.engine, 0, 0)
    port = bench.serve("bulk", echo)
    with dial(bench.lab, port) as connection:
        assert ask(connection, b"with no capability") == b"with no capability"


def for_user(bench, text):
    """The configuration, such that the user can read all that a reload reads."""
    secret = os.path.join(bench.lab.work, "secret-of-user")
    shutil.copy(os.path.join(bench.lab.work, "secret"), secret)
    os.chmod(secret, 0o400)
    os.chown(secret, pwd.getpwnam(USER).pw_uid, -1)
    os.chmod(bench.lab.work, 0o711)
    return text.replace("@WORK@/secret", secret)


def test_user(bench):
    """With `user` it is that user in every thread, and everything goes on working."""
    lab, who = bench.lab, pwd.getpwnam(USER)
    engine = Synfront(for_user(bench, bench.config()) + "\nuser: %s\n" % USER, "unprivileged")
    bench.engine(engine)
    has_nothing_left(engine, who.pw_uid, who.pw_gid)
    port = bench.serve("bulk", echo)
    with dial(lab, port) as connection:
        assert ask(connection, b"before") == b"before"
        # A reload reads the file and the secret again.
        said = engine.reload(engine.text.replace("max_connections: 4", "max_connections: 5"))
        assert "not reloaded" not in said, said
        engine.control("drain")
        engine.control("drain", "off")
        # A TAP's link goes and comes.
        for state, word in (("down", "is down"), ("up", "is up again")):
            lab.run("box", "ip", "link", "set", "sf-inside", state)
            wait_for("the engine to see it", lambda word=word: word in engine.process.output())
        assert ask(connection, b"after it all") == b"after it all"
    process = engine.process
    process.kill(signal.SIGTERM)
    assert process.wait(60) == 0, process.output()[-2000:]
    assert "DOES NOT HOLD" not in process.output()
    # What is left in the runtime directory stops no start.
    engine.restart()
    has_nothing_left(engine, who.pw_uid, who.pw_gid)
    with dial(lab, port) as connection:
        assert ask(connection, b"again") == b"again"
    engine.restart(signal.SIGKILL)
    with dial(lab, port) as connection:
        assert ask(connection, b"and again") == b"and again"


@thorough
def test_user_while_clients_ask(bench):
    """Clients of telemetry, for each of which DPDK makes a thread, come and go while
    privileges are given up: it starts, and no thread has kept any."""
    # Each worker makes it take longer.
    bench.options.workers, usual = 8, bench.options.workers
    try:
        path = second(bench, "asked")
    finally:
        bench.options.workers = usual
    who = pwd.getpwnam(USER)
    engine = Synfront("", "asked", taps=())
    engine.tag = "%s-asked" % bench.lab.id
    clients = []
    for _ in range(4 if bench.options.long else 2):
        engine.process = bench.lab.spawn("box", "asked", os.path.join(BUILD, "app/synfront"),
                                         "--config", path, "--user", USER)
        said = engine.process.output
        deadline = time.monotonic() + 60
        while "running" not in said():
            assert engine.process.running() and time.monotonic() < deadline, said()
            with contextlib.suppress(OSError):
                clients.append(hang("/run/dpdk/%s/dpdk_telemetry.v2" % engine.tag, ""))
            while len(clients) > 4:
                clients.pop(0).close()
            time.sleep(0.005)
        has_nothing_left(engine, who.pw_uid, who.pw_gid)
        for client in clients:
            client.close()
        clients.clear()
        assert bench.lab.end(engine.process) == 0, said()[-2000:]


def test_user_cannot_read_the_secret(bench):
    """It says at the start that reloads will be refused, and then refuses them."""
    engine = Synfront(bench.config() + "\nuser: %s\n" % USER, "locked-out")
    os.chmod(bench.lab.work, 0o711)
    bench.engine(engine)
    assert "a reload will be refused" in engine.process.output()
    port = bench.serve("bulk", echo)
    with dial(bench.lab, port) as connection:
        assert ask(connection, b"before") == b"before"
        said = engine.reload(engine.text)
        assert "not reloaded" in said and "secret" in said, said
        assert ask(connection, b"after") == b"after"


def test_unknown_user(bench):
    """A user that does not exist is an error of the start."""
    path = second(bench, "nobody-there")
    process = bench.lab.spawn("box", "nobody-there", os.path.join(BUILD, "app/synfront"),
                              "--config", path, "--user", "no-such-user")
    assert process.wait(60) == 3, process.output()
    assert "no-such-user" in process.output() and "running" not in process.output()


def test_af_xdp(bench):
    """What AF_XDP needs to take its program off the interface is kept, and it does so."""
    lab = bench.lab
    lab.run("box", "ip", "link", "add", "x-outside", "type", "veth", "peer", "name", "x-far")
    for device in ("x-outside", "x-far"):
        lab.run("box", "ip", "link", "set", device, "up")
    engine = Synfront(RESPONDER, "xdp", taps=())
    try:
        engine.begin(lab)
        has_nothing_left(engine, 0, 0, keep=1 << CAP_NET_ADMIN | 1 << CAP_SYS_ADMIN)
        assert "xdp" in lab.run("box", "ip", "link", "show", "dev", "x-outside")
        process = engine.process
        process.kill(signal.SIGTERM)
        assert process.wait(60) == 0, process.output()[-2000:]
        assert "xdp" not in lab.run("box", "ip", "link", "show", "dev", "x-outside")
    finally:
        engine.end()
        lab.run("box", "ip", "link", "del", "x-outside")


def second(bench, name):
    """The file of another engine with TAPs of its own."""
    text = for_user(bench, bench.config(replace=(
        ("iface=sf-outside", "iface=s3-outside"), ("iface=sf-inside", "iface=s3-inside"))))
    path = os.path.join(bench.lab.work, name + ".yaml")
    with open(path, "w") as file:
        file.write(text.replace("@INSTANCE@", "%s-%s" % (bench.lab.id, name))
                   .replace("@WORK@", bench.lab.work))
    return path


def test_supervisor_is_notified(bench):
    """READY=1 when it runs, STOPPING=1 when it drains; `--user` on the command line."""
    lab = bench.lab
    for number, address in enumerate((os.path.join(lab.work, "notify"), "\0%s-notify" % lab.id)):
        name = "notifier%d" % number
        path = second(bench, name)
        with lab.socket("box", socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
            supervisor.bind(address)
            supervisor.settimeout(20)
            if address[0] == "/":
                os.chmod(address, 0o777)
            process = lab.spawn(
                "box", name, os.path.join(BUILD, "app/synfront"), "--config", path, "--user", USER,
                env=dict(os.environ, NOTIFY_SOCKET=address.replace("\0", "@")))
            assert supervisor.recv(4096).split(b"\n")[0] == b"READY=1"
            assert "running" in process.output()
            process.kill(signal.SIGTERM)
            said = supervisor.recv(4096)
            while said.startswith(b"STATUS="):
                said = supervisor.recv(4096)
            assert said == b"STOPPING=1", said
            assert process.wait(60) == 0, process.output()[-2000:]


def test_files_are_for_nobody_else(bench):
    """The runtime directory, the telemetry socket, and whatever it made and has open."""
    engine = bench.lab.engine
    directory = "/run/dpdk/" + engine.tag
    made = [directory] + [os.path.join(directory, name) for name in os.listdir(directory)]
    assert any(name.endswith("dpdk_telemetry.v2") for name in made), made
    pid = engine.process.popen.pid
    for link in glob.glob("/proc/%d/fd/*" % pid):
        with contextlib.suppress(OSError):
            target = os.readlink(link)
            # Its log is the lab's, and what was opened as a device is the system's.
            if target.startswith("/") and not target.startswith(("/dev/", bench.lab.work)):
                made.append(target)
    for path in made:
        with contextlib.suppress(FileNotFoundError):
            mode = os.lstat(path).st_mode
            assert not mode & (stat.S_IRWXG | stat.S_IRWXO), (path, oct(mode))


def test_ctl_of_another_user(bench):
    """It says what is missing, and not that nothing runs; root and the engine's user ask on."""
    engine = bench.lab.engine
    with for_anybody("synfrontctl") as folder:
        program = os.path.join(folder, "synfrontctl")
        who = pwd.getpwnam(USER)
        done = subprocess.run((program, "--instance", engine.tag, "info"), cwd="/", timeout=60,
                              user=who.pw_uid, group=who.pw_gid, extra_groups=[], check=False,
                              env={"PATH": os.environ["PATH"]}, capture_output=True, text=True)
    assert done.returncode == 1, done
    assert re.search("permission denied on .*%s.*: run as root or the engine's user" % engine.tag,
                     done.stderr), done.stderr
    assert "running" not in done.stderr, done.stderr
    engine.control("info")


def unit(bench, name):
    """The unit with the path of this build's program in it."""
    path = os.path.join(bench.lab.work, name + ".service")
    with open(os.path.join(UNITS, name + ".service")) as file, open(path, "w") as out:
        text, count = re.subn(r"(?m)^(Exec\w+=)/\S*/(synfront[\w-]*) ", r"\1%s/\2 " % os.path.join(
            os.path.abspath(BUILD), "app"), file.read())
        assert count > 0, text
        out.write(text)
    return path


def analyze(*argv):
    done = subprocess.run(("systemd-analyze",) + argv, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=60, check=False)
    return done.returncode, done.stdout


def test_unit(bench):
    """systemd finds nothing wrong with the units, and little that they leave open."""
    names = ["synfront"]
    # Where clang or libbpf is missing, it is not built.
    if os.path.exists(os.path.join(BUILD, "app/synfront-adopt")):
        names.append("synfront-adopt")
    for name in names:
        is_confined(bench, unit(bench, name))


def is_confined(bench, path):
    status, said = analyze("verify", "--man=no", path)
    assert status == 0 and not said.strip(), said
    status, said = analyze("security", "--offline=true", "--no-pager",
                           "--threshold=%d" % EXPOSURE_MAX, path)
    assert status == 0, said
    for word in ("NoNewPrivileges", "ProtectSystem", "CapabilityBoundingSet"):
        assert word in said, said
    bench.record("systemd-analyze security, " + os.path.basename(path),
                 exposure=said.strip().splitlines()[-1])
