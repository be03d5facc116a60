#!/usr/bin/env python3
"""All server programs of a scene, in the namespace of the servers.

    servers.py SCENE CERTS WISHES READY

In: the scene, the folder of certificates, the folder of wishes. Out: READY is written when every port takes connections; the
trusted authority's certificate and the hashes of the servers' keys are put into WISHES for the clients (`ca.pem`, `keys`).
Runs until it gets SIGTERM, then ends all programs. Plays the events `crash` (the programs of an address are killed) and
`server_full` (they are stopped for a while, and few connections fit into the backlog), at seconds after the scene's `start`,
or after the moment that the first client writes to WISHES/begin.
"""
import base64
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

import programs

HERE = os.path.dirname(os.path.abspath(__file__))
START_SECONDS, FULL_BACKLOG = 25, 2
SOMAXCONN = "/proc/sys/net/core/somaxconn"


class Host:
    """The programs at one address."""

    def __init__(self, scene_path, number, server, certs, wishes, work):
        self.server, self.work = server, os.path.join(work, str(number))
        os.makedirs(self.work)
        self.ready, source = os.path.join(self.work, "ready"), os.path.join(self.work, "source")
        argv = [sys.executable, os.path.join(HERE, "own.py"), scene_path, str(number), certs, wishes, source, self.ready]
        self.running = [self.run(argv, dict(os.environ))]
        if server["program"] in programs.COMMANDS:
            self.running.append(self.run(*programs.COMMANDS[server["program"]](server, certs, self.work, source)))

    def run(self, argv, environment):
        with open(os.path.join(self.work, "err"), "a") as errors:
            return subprocess.Popen(argv, env=environment, stdout=errors, stderr=errors, stdin=subprocess.DEVNULL)

    def is_ready(self):
        if any(process.poll() is not None for process in self.running):
            raise RuntimeError("%s at %s ended: %s" % (self.server["program"], self.server["ip"], self.errors()))
        return os.path.exists(self.ready) and all(listens(self.server["ip"], port) for port in self.ports())

    def ports(self):
        return [] if self.server["program"] in ("dns", "relay") else [self.server.get("port", 443), 80]

    def errors(self):
        with open(os.path.join(self.work, "err")) as source:
            return source.read()[-500:]

    def signal(self, number):
        for process in self.running:
            if process.poll() is None:
                process.send_signal(number)

    def end(self):
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGKILL)
        for process in self.running:
            process.wait()


def listens(address, port):
    """Whether a TCP port is open at an address, without connecting to it (that would be a packet)."""
    family, table = (socket.AF_INET6, "tcp6") if ":" in address else (socket.AF_INET, "tcp")
    packed = socket.inet_pton(family, address)
    words = [packed[at:at + 4][::-1].hex().upper() for at in range(0, len(packed), 4)]
    wanted = "%s:%04X" % ("".join(words), port)
    with open("/proc/net/" + table) as source:
        return any(line.split()[1] == wanted and line.split()[3] == "0A" for line in source.readlines()[1:])


def key_hash(key):
    """How a browser is told of a key: SHA-256 of its public half."""
    argv = ["openssl", "pkey", "-in", key, "-pubout", "-outform", "DER"]
    public = subprocess.run(argv, check=True, stdout=subprocess.PIPE).stdout
    return base64.b64encode(hashlib.sha256(public).digest()).decode()


def tell_clients(scene, certs, wishes):
    shutil.copy(os.path.join(certs, "ca.pem"), os.path.join(wishes, "ca.pem"))
    names = sorted({name for server in scene["servers"] for name in server["names"]})
    with open(os.path.join(wishes, "keys"), "w") as target:
        json.dump(sorted({key_hash(os.path.join(certs, name + ".key")) for name in names}), target)


def start_hosts(hosts, scene, scene_path, certs, wishes, work):
    """A program takes over the kernel's limit of the backlog when it opens its ports: it is low for those that will be full."""
    full = {event["server_ip"] for event in scene.get("events") or [] if event["kind"] == "server_full"}
    usual = read_limit()
    for group in (True, False):
        if full:
            set_limit(FULL_BACKLOG if group else usual)
        for number, server in enumerate(scene["servers"]):
            if (server["ip"] in full) == group:
                hosts.append(Host(scene_path, number, server, certs, wishes, work))
        wait_for(hosts)


def read_limit():
    with open(SOMAXCONN) as source:
        return int(source.read())


def set_limit(value):
    with open(SOMAXCONN, "w") as target:
        target.write(str(value))


def wait_for(hosts):
    end = time.monotonic() + START_SECONDS
    while not all(host.is_ready() for host in hosts):
        if time.monotonic() > end:
            late = [host.server["ip"] + ": " + host.errors() for host in hosts if not host.is_ready()]
            raise RuntimeError("servers not ready: " + "; ".join(late))
        time.sleep(0.05)


def begin(scene, wishes):
    """Second 0 of the scene, as epoch seconds."""
    if scene.get("start"):
        return float(scene["start"])
    path = os.path.join(wishes, "begin")
    while not os.path.exists(path):
        time.sleep(0.05)
    with open(path) as source:
        return float(source.read())


def play_events(scene, wishes, hosts):
    start = begin(scene, wishes)
    steps = []
    for event in scene.get("events") or []:
        if event["kind"] == "crash":
            steps.append((event.get("from", event.get("at")), event["server_ip"], signal.SIGKILL))
        elif event["kind"] == "server_full":
            steps += [(event["from"], event["server_ip"], signal.SIGSTOP), (event["to"], event["server_ip"], signal.SIGCONT)]
    for second, address, number in sorted(steps):
        time.sleep(max(0.0, start + second - time.time()))
        for host in hosts:
            if host.server["ip"] == address:
                host.signal(number)


def main():
    scene_path, certs, wishes, ready = (os.path.abspath(path) for path in sys.argv[1:])
    with open(scene_path) as source:
        scene = json.load(source)
    work = tempfile.mkdtemp(prefix="lab-servers-")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    hosts = []
    try:
        tell_clients(scene, certs, wishes)
        start_hosts(hosts, scene, scene_path, certs, wishes, work)
        threading.Thread(target=play_events, args=(scene, wishes, hosts), daemon=True).start()
        open(ready, "w").close()
        threading.Event().wait()
    finally:
        for host in hosts:
            host.end()
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
