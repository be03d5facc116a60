"""Headless Chromium loads one page: a row for each connection that it made, as its own network log tells them.

In: a flow (name, server_ip), the client's address, the folder of wishes (`keys`: hashes of the servers' keys, which it is told to
trust). Out: rows as in `session`, with `protocol` and `server_port`. The log does not tell the ports of TCP connections that never
opened: those are read from the kernel's table while the browser runs. Where nothing was found, one row without a port says so.
The profile is thrown away.
"""
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
SWITCHES = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--no-default-browser-check",
    "--disable-background-networking", "--disable-component-update", "--disable-default-apps", "--disable-domain-reliability",
    "--disable-extensions", "--disable-sync", "--disable-breakpad", "--metrics-recording-only", "--no-pings",
    "--disable-features=OptimizationHints,MediaRouter,DialMediaRouteProvider,AutofillServerCommunication,"
    "CertificateTransparencyComponentUpdater,NetworkTimeServiceQuerying,InterestFeedContentSuggestions",
    "--safebrowsing-disable-auto-update", "--password-store=basic", "--use-mock-keychain", "--mute-audio",
    "--dns-prefetch-disable", "--net-log-capture-mode=Default",
]
PARTS = 3  # that a page needs
SYN_SENT, LOOK_EVERY = "02", 0.01


class Browser:
    def __init__(self, flow, address, wishes):
        self.flow, self.address, self.wishes = flow, address, wishes

    def run(self):
        self.start = time.time()
        folder = tempfile.mkdtemp(prefix="lab-browser-")
        try:
            page, unopened = self.load(folder)
            return self.rows(read_log(os.path.join(folder, "net.json")), page, unopened)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def load(self, folder):
        """The document that it ended with (or None), and the ports that `Watch` found."""
        program = next((found for found in map(shutil.which, PROGRAMS) if found), None)
        if program is None:
            raise FileNotFoundError("no Chromium")
        with open(os.path.join(self.wishes, "keys")) as source:
            keys = ",".join(json.load(source))
        milliseconds = int(self.flow["patience"] * 1000)
        argv = [program, *SWITCHES, "--user-data-dir=" + folder, "--log-net-log=" + os.path.join(folder, "net.json"),
                "--ignore-certificate-errors-spki-list=" + keys,
                "--host-resolver-rules=MAP %s %s,MAP * ~NOTFOUND" % (self.flow["name"], bracketed(self.flow["server_ip"])),
                "--timeout=%d" % milliseconds, "--dump-dom", "https://%s/" % self.flow["name"]]
        environment = dict(os.environ, HOME=folder, XDG_CONFIG_HOME=folder, XDG_CACHE_HOME=folder)
        process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment, start_new_session=True)
        watch = Watch(self.flow, self.address, process.pid)
        try:
            page = process.communicate(timeout=self.flow["patience"] + 15)[0]
        except subprocess.TimeoutExpired:
            page = None
        finally:
            found = watch.end()
            end_group(process)
        return page, found

    def rows(self, log, page, unopened):
        outcome, says = self.judge(log, page)
        early = time.time() - self.start < self.flow["patience"] - 1
        rows = [self.row(made, *log.judge_one(made, outcome, says, early)) for made in log.used()]
        opened = {row["client_port"] for row in rows if row["protocol"] == "tcp"}
        for port, when in unopened.items():
            if port not in opened:
                made = {"local": "%s:%d" % (bracketed(self.address), port), "protocol": "tcp", "time": when,
                        "remote": "%s:%d" % (bracketed(self.flow["server_ip"]), self.flow["port"])}
                rows.append(self.row(made, "failed", "browser: the connection did not open"))
        return rows or [dict(self.flow, client_ip=self.address, client_port=None, start=self.start, protocol="tcp",
                             seconds=round(time.time() - self.start, 3), outcome=outcome, says=says)]

    def row(self, made, outcome, says):
        (local, port), (remote, server_port) = host_of(made["local"]), host_of(made["remote"])
        return dict(self.flow, client_ip=local, client_port=port, server_ip=remote, server_port=server_port, start=made["time"],
                    protocol=made["protocol"], seconds=round(time.time() - made["time"], 3), outcome=outcome, says=says)

    def judge(self, log, page):
        """The page with all its parts worked; the page alone, or some parts, is degraded."""
        if not page or b"<title>page</title>" not in page:
            return "failed", "browser: " + (log.errors[-1] if log.errors else "no page")
        missing = PARTS - len(log.finished & {"/part-%d" % number for number in range(PARTS)})
        return ("worked", "ok") if missing <= 0 else ("degraded", "browser: %d parts missing" % missing)


class Watch:
    """Ports from which the processes of one session (the browser's) began TCP connections to the flow's server."""

    def __init__(self, flow, address, session):
        self.session, self.running, self.found, self.foreign = session, True, {}, set()
        self.local, self.remote = table_word(address), "%s:%04X" % (table_word(flow["server_ip"]), flow["port"])
        self.table = "/proc/net/tcp" + ("6" if ":" in address else "")
        self.thread = threading.Thread(target=self.look, daemon=True)
        self.thread.start()

    def look(self):
        while self.running:
            with open(self.table) as source:
                for line in source.readlines()[1:]:
                    words = line.split()
                    if words[3] == SYN_SENT and words[2] == self.remote and words[1].startswith(self.local):
                        self.take(int(words[1].rpartition(":")[2], 16), words[9])
            time.sleep(LOOK_EVERY)

    def take(self, port, inode):
        if port in self.found or inode in self.foreign:
            return
        if inode in inodes_of(self.session):
            self.found[port] = time.time()
        else:
            self.foreign.add(inode)

    def end(self):
        """Port -> when it was first seen."""
        self.running = False
        self.thread.join()
        return self.found


def inodes_of(session):
    """The sockets that the processes of a session hold."""
    found = set()
    for process in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/stat" % process) as source:
                if int(source.read().rpartition(")")[2].split()[3]) != session:
                    continue
            folder = "/proc/%s/fd" % process
            links = [os.readlink(os.path.join(folder, name)) for name in os.listdir(folder)]
        except OSError:
            continue  # it ended meanwhile
        found.update(link[8:-1] for link in links if link.startswith("socket:["))
    return found


def table_word(address):
    """An address as the kernel's table writes it."""
    packed = socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)
    return "".join(packed[at:at + 4][::-1].hex().upper() for at in range(0, len(packed), 4))


def bracketed(address):
    return "[%s]" % address if ":" in address else address


def host_of(text):
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def end_group(process):
    """The browser and its helpers, which share a process group of their own."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


class Log:
    """Connections, requests that ended well, and errors, from a network log."""

    def __init__(self, told):
        self.names = {number: name for name, number in told["constants"]["logEventTypes"].items()}
        self.net_errors = {number: name for name, number in told["constants"]["netError"].items()}
        self.offset = int(told["constants"]["timeTickOffset"]) / 1000
        self.connections, self.finished, self.errors = [], set(), []
        self.remote, self.paths, self.sent, self.received = {}, {}, set(), set()
        for event in told["events"]:
            self.take(self.names.get(event["type"]), event["source"]["id"], event.get("params") or {}, event)

    def take(self, kind, source, params, event):
        when = self.offset + int(event["time"]) / 1000
        if kind in ("TCP_CONNECT_ATTEMPT", "UDP_CONNECT") and "address" in params:
            self.remote[source] = (params["address"], when)
        elif kind == "TCP_CONNECT" and "local_address" in params:
            self.connections.append({"protocol": "tcp", "source": source, "local": params["local_address"],
                                     "remote": params["remote_address"], "time": self.remote.get(source, (None, when))[1]})
        elif kind == "UDP_LOCAL_ADDRESS" and source in self.remote:
            address, since = self.remote[source]
            self.connections.append({"protocol": "udp", "source": source, "local": params["address"], "remote": address,
                                     "time": since})
        elif kind in ("SOCKET_BYTES_SENT", "UDP_BYTES_SENT"):
            self.sent.add(source)
        elif kind in ("SOCKET_BYTES_RECEIVED", "UDP_BYTES_RECEIVED"):
            self.received.add(source)
        elif kind == "URL_REQUEST_START_JOB" and "url" in params:
            self.paths[source] = "/" + params["url"].split("/", 3)[-1]
        elif kind == "REQUEST_ALIVE" and event["phase"] == 2 and not params.get("net_error") and source in self.paths:
            self.finished.add(self.paths[source].rpartition("-")[0] or self.paths[source])
        if params.get("net_error") and params["net_error"] in self.net_errors:
            self.errors.append(self.net_errors[params["net_error"]])

    def used(self):
        """All but datagram sockets that only asked the kernel for a route."""
        return [made for made in self.connections if made["protocol"] == "tcp" or made["source"] in self.sent]

    def judge_one(self, made, outcome, says, early):
        """A connection of its own may fare otherwise than the page."""
        if made["source"] not in self.sent:
            return "worked", "browser: opened and not used"
        if made["source"] not in self.received:
            return "failed", "browser: no answer"
        if outcome == "failed" and early:
            return "degraded", "browser: answered, and given up with the page"
        return outcome, says


def read_log(path):
    """The browser closes the log at its end; one that was cut short is closed here."""
    try:
        with open(path) as source:
            text = source.read()
    except FileNotFoundError:
        raise OSError("Chromium wrote no log") from None
    try:
        return Log(json.loads(text))
    except ValueError:
        return Log(json.loads(text.rstrip().rstrip(",") + "]}"))
