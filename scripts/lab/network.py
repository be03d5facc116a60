"""The network of one scene: namespaces, TAPs, captures, and the box between them.

In: a scene. Out: a `Network` to run programs in; captures of every client and of the servers' side in a folder.

    with Network(scene, work_dir) as network:
        network.start_box(log)
        network.start_captures(folder)
        network.run_in("server", [...]); network.run_in("client", [...]).wait()
        network.stop_captures()

Every client has a namespace with one TAP; all servers' addresses stand on `lo` of one namespace with one TAP. Neighbours are
fixed, so that no address resolution stretches the first round trip. `network.start` is the second 0 of the scene's times
(once the box runs) and `network.wishes` the folder in which programs tell each other what a flow is to do.
"""
import json
import os
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
GATEWAY_MAC = "02:54:53:00:00:b0"
GATEWAY, GATEWAY6 = "192.0.2.1", "fe80::b0"
FILTER = "tcp or udp or icmp or icmp6"


def call(*words):
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        raise RuntimeError("%s: %s" % (" ".join(words), done.stdout.strip()))
    return done.stdout


def wait_until(true, process, what, patience=15.0):
    end = time.monotonic() + patience
    while not true():
        if process.poll() is not None or time.monotonic() > end:
            raise RuntimeError("%s did not start" % what)
        time.sleep(0.02)


def stop(process, how=signal.SIGTERM):
    """Ends a program that this network started."""
    if process.poll() is None:
        process.send_signal(how)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Network:
    def __init__(self, scene, work_dir):
        self.scene, self.work_dir = scene, os.path.abspath(work_dir)
        self.wishes = os.path.join(self.work_dir, "wishes")
        self.ids = [client["id"] for client in scene["clients"]]
        self.captures, self.running, self.made = {}, [], []
        self.box = self.start = self.captured_until = None

    def __enter__(self):
        os.makedirs(self.wishes, exist_ok=True)
        try:
            self.build()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for process in reversed(self.running):
            stop(process)
        for process in self.captures.values():
            stop(process, signal.SIGINT)
        if self.box:
            stop(self.box)
        for name in self.made:
            subprocess.run(["ip", "netns", "del", name], stderr=subprocess.DEVNULL)
        self.made = []

    # Namespaces

    def namespace(self, name):
        return "lab-%d-%s" % (os.getpid(), name)

    def build(self):
        self.add_namespace("middlebox")
        for number, client in enumerate(self.scene["clients"]):
            self.add_host(client["id"], 16 + number, client.get("ttl"))
            self.add_addresses(client["id"], "eth0", [client["ip"], client.get("ip6")])
        self.add_host("server", 5, self.scene.get("server_ttl"))
        self.add_addresses("server", "lo", self.server_addresses())

    def server_addresses(self):
        censor = self.scene.get("censor") or {}
        addresses = [server["ip"] for server in self.scene["servers"]] + list(self.scene.get("addresses") or [])
        return dict.fromkeys(addresses + [censor.get("mitm_ip")])

    def add_namespace(self, name):
        call("ip", "netns", "add", self.namespace(name))
        self.made.append(self.namespace(name))
        call("ip", "-n", self.namespace(name), "link", "set", "lo", "up")

    def add_host(self, name, number, ttl):
        self.add_namespace(name)
        ns = self.namespace(name)
        settings = ["net.ipv6.conf.all.accept_dad=0", "net.ipv6.conf.default.accept_dad=0",
                    "net.ipv6.conf.default.router_solicitations=0", "net.ipv6.conf.default.accept_ra=0",
                    "net.ipv4.tcp_no_metrics_save=1"]
        settings += ["net.ipv4.ip_default_ttl=%d" % ttl] if ttl else []
        call("ip", "netns", "exec", ns, "sysctl", "-qw", *settings)
        call("ip", "-n", ns, "tuntap", "add", "dev", "eth0", "mode", "tap")
        call("ip", "-n", ns, "link", "set", "eth0", "address", "02:54:53:00:00:%02x" % number, "txqueuelen", "5000")
        call("ip", "-n", ns, "link", "set", "eth0", "up")
        for family, gateway in (("-4", GATEWAY), ("-6", GATEWAY6)):
            call("ip", "-n", ns, "neigh", "replace", gateway, "lladdr", GATEWAY_MAC, "dev", "eth0", "nud", "permanent")
            if family == "-6":
                call("ip", "-n", ns, family, "route", "add", "default", "via", gateway, "dev", "eth0", "onlink")

    def add_addresses(self, name, interface, addresses):
        ns = self.namespace(name)
        for address in addresses:
            if address and ":" in address:
                call("ip", "-n", ns, "addr", "add", address + "/128", "dev", interface, "nodad")
            elif address:
                call("ip", "-n", ns, "addr", "add", address + "/32", "dev", interface)
        call("ip", "-n", ns, "route", "add", "default", "via", GATEWAY, "dev", "eth0", "onlink")

    # Programs

    def run_in(self, name, argv, **options):
        """Starts a program in the namespace of a client or of "server"."""
        process = subprocess.Popen(["ip", "netns", "exec", self.namespace(name)] + list(argv), **options)
        self.running.append(process)
        return process

    def start_box(self, log):
        scene, ready = os.path.join(self.work_dir, "scene.json"), os.path.join(self.work_dir, "box.ready")
        with open(scene, "w") as target:
            json.dump(self.scene, target)
        if os.path.exists(ready):
            os.remove(ready)
        places = ["%s:eth0=%s" % (self.namespace(name), name) for name in self.ids]
        places.append("server=%s:eth0" % self.namespace("server"))
        argv = [sys.executable, os.path.join(HERE, "box.py"), "--wishes", self.wishes, scene, os.path.abspath(log), ready]
        with open(os.path.join(self.work_dir, "box.err"), "w") as errors:
            self.box = subprocess.Popen(["ip", "netns", "exec", self.namespace("middlebox")] + argv + places, stderr=errors)
        wait_until(lambda: os.path.exists(ready), self.box, "the box (see box.err)")
        with open(ready) as source:
            self.start = float(source.read())

    def stop_box(self):
        """Ends the box, which completes its log; an error if it had ended by itself."""
        ended = self.box.poll()
        stop(self.box)
        if ended is not None:
            raise RuntimeError("the box ended in mid-scene (see box.err)")

    # Captures

    def start_captures(self, folder):
        os.makedirs(folder, exist_ok=True)
        for name in self.ids + ["server"]:
            self.start_capture(name, os.path.join(os.path.abspath(folder), name + ".pcap"))

    def start_capture(self, name, path):
        notes = os.path.join(self.work_dir, "tcpdump-%s.log" % name)
        how = {} if name == "server" else self.scene.get("client_capture") or {}
        precision = "nano" if how.get("nanoseconds") else "micro"
        with open(notes, "w") as errors:
            argv = ["tcpdump", "-i", how.get("interface", "eth0"), "--time-stamp-precision", precision, "-s", "0", "-U", "-B", "16384",
                    "-Z", "root", "-w", path, FILTER]
            process = subprocess.Popen(["ip", "netns", "exec", self.namespace(name)] + argv, stderr=errors)
        self.captures[name] = process
        wait_until(lambda: "listening on" in read(notes), process, "tcpdump of " + name)

    def stop_captures(self):
        """Ends the captures; how many packets the kernel dropped from each.

        The box goes on until `stop_box`: what it logs after `captured_until` is in no capture.
        """
        self.captured_until = time.time()
        time.sleep(1.0)  # the kernel hands packets over in blocks, with some delay
        dropped = {}
        for name, process in self.captures.items():
            stop(process, signal.SIGINT)
            notes = read(os.path.join(self.work_dir, "tcpdump-%s.log" % name))
            dropped[name] = next((int(line.split()[0]) for line in notes.splitlines() if "dropped by kernel" in line), 0)
        self.captures = {}
        return dropped


def read(path):
    with open(path) as source:
        return source.read()
