"""Plays scenes: programs, box and captures of one scene, and many scenes at a time, each in a process of its own.

In: a scene dict and a folder. Out, in that folder (`make_scene`): captures/SCENE/{client,...,server}.pcap, logs/SCENE.jsonl (what
the box did), logs/SCENE.scene.json, logs/SCENE.played.jsonl, logs/SCENE.truth.jsonl. `run_all` prints a line for each scene, with
whatever fared otherwise than scene and log explain, and says how many scenes had such surprises. `missing` names what is not
installed; nothing is installed here.
"""
import json
import multiprocessing
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

import captured
import certificates
import truth
from lines import read_lines, write_lines
from network import Network

HERE = pathlib.Path(__file__).resolve().parent
NEEDS = {"ip": "iproute2", "tcpdump": "tcpdump", "openssl": "openssl", "nginx": "nginx", "caddy": "caddy", "gnutls-serv": "gnutls-bin",
         "sysctl": "procps"}
BROWSERS = ["chromium", "chromium-browser", "google-chrome"]
MODULES = {"aioquic": "python3-aioquic", "cryptography": "python3-cryptography"}
PARTS = ("captures", "logs")
LEAD_SECONDS = 4.0  # from the start of the programs to second 0 of the scene
FORKING = multiprocessing.get_context("fork")  # what a scene's process gets need not be pickled
GRACE_SECONDS = 30.0  # after which clients that do not end are ended


# ---------------------------------------------------------------- what must be there

def missing(with_browser=False):
    """What the lab needs and does not find, with the Debian package that has it."""
    found = []
    if not sys.platform.startswith("linux"):
        found.append("Linux")
    elif os.geteuid() != 0:
        found.append("root (network namespaces, captures)")
    elif not os.path.exists("/dev/net/tun"):
        found.append("/dev/net/tun (kernel module tun)")
    if sys.version_info < (3, 9):
        found.append("Python 3.9 or newer")
    found += ["%s (package %s)" % (tool, package) for tool, package in NEEDS.items() if not shutil.which(tool)]
    if with_browser and not any(shutil.which(tool) for tool in BROWSERS):
        found.append("chromium (package chromium)")
    for module, package in MODULES.items():
        try:
            __import__(module)
        except ImportError:
            found.append("Python module %s (package %s)" % (module, package))
    return found


# ---------------------------------------------------------------- one scene

def names_of(scene, program=None):
    return [name for server in scene["servers"] if program in (None, server["program"]) for name in server["names"]]


def program(scene, name):
    """The path of a program of the scene: some scenes bring their own (`programs`: a folder)."""
    return str(HERE / scene.get("programs", "") / name)


def start_servers(network, work):
    """Returns when all servers take connections."""
    ready = work / "servers.ready"
    argv = [sys.executable, program(network.scene, "servers.py"), str(work / "scene.json"), str(work / "certs"), network.wishes,
            str(ready)]
    with open(work / "servers.err", "w") as errors:
        process = network.run_in("server", argv, stdout=errors, stderr=errors)
    end = time.monotonic() + 30
    while not ready.exists():
        if process.poll() is not None or time.monotonic() > end:
            raise RuntimeError("the servers did not start: " + (work / "servers.err").read_text()[-600:])
        time.sleep(0.05)
    return process


def start_client(network, work, client):
    argv = [sys.executable, program(network.scene, "clients.py"), str(work / "scene.json"), client["id"], str(work / "certs"),
            network.wishes, str(work / ("played-%s.jsonl" % client["id"]))]
    with open(work / ("%s.err" % client["id"]), "w") as errors:
        return network.run_in(client["id"], argv, stdout=errors, stderr=errors)


def wait_for(processes, until):
    """Ends what runs longer than it should; how many that were."""
    late = 0
    for process in processes:
        try:
            process.wait(max(0.1, until - time.time()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            late += 1
    return late


def play(scene, out, work):
    """Plays a scene; (what was played, the box's log, what went wrong)."""
    trouble = []
    log = out / "logs" / (scene["scene"] + ".jsonl")
    log.unlink(missing_ok=True)
    certificates.make_certificates(str(work / "certs"), names_of(scene), names_of(scene, "gnutls"), random.Random(scene["seed"]),
                                   scene.get("also_certified"), scene.get("short_chains"))
    with Network(scene, str(work)) as network:
        scene["start"] = time.time() + LEAD_SECONDS + 0.4 * len(scene["servers"])
        (work / "scene.json").write_text(json.dumps(scene))
        start_servers(network, work)
        network.start_captures(str(out / "captures" / scene["scene"]))
        network.start_box(str(log))
        clients = [start_client(network, work, client) for client in scene["clients"]]
        if time.time() > scene["start"] + 0.3:
            trouble.append("the programs were not ready at second 0")
        late = wait_for(clients, scene["start"] + scene["seconds"] + GRACE_SECONDS)
        if late:
            trouble.append("%d clients did not end by themselves" % late)
        dropped = {name: count for name, count in network.stop_captures().items() if count}
        if dropped:
            trouble.append("packets missing from captures: %s" % dropped)
        scene["captured_until"] = network.captured_until
        network.stop_box()
        played = collect_played(scene, network, work)
    add_reached(scene, played, out / "captures" / scene["scene"] / "server.pcap")
    return played, read_lines(log), trouble


def add_reached(scene, played, capture):
    """How many payload bytes of each flow the servers' side saw."""
    bytes_of = captured.reached(capture, {server["ip"] for server in scene["servers"]})
    for row in played:
        client = row.get("nat_ip") or row["client_ip"], row.get("nat_port") or row["client_port"]
        row["reached_server"] = bytes_of[(row["protocol"], *client, row["server_ip"], row.get("server_port", row["port"]))]


def collect_played(scene, network, work):
    played = []
    for client in scene["clients"]:
        for row in read_lines(work / ("played-%s.jsonl" % client["id"])):
            played.append(dict(row, **behind_nat(client, row, network.wishes)))
    return sorted(played, key=lambda row: row["start"])


def behind_nat(client, row, wishes):
    """Address and port that the servers see: the box leaves a link from the outer pair to the inner one."""
    if not client["nat"] or ":" in row["client_ip"]:
        return {}
    mine = "%s_%s" % (row["client_ip"], row["client_port"])
    for link in pathlib.Path(wishes).glob(client["nat"] + "_*"):
        if link.is_symlink() and os.readlink(link) == mine:
            return {"nat_ip": client["nat"], "nat_port": int(link.name.rsplit("_", 1)[1])}
    return {"nat_ip": client["nat"], "nat_port": row["client_port"]}


def make_scene(scene, out, keep, judge, report):
    """A scene from programs to truth, in a process of its own, which gives its namespaces their names.

    `judge` has the functions `rows` and `surprises` of the module `truth`; `report` is a queue that is told how it went.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    begun = time.monotonic()
    work = pathlib.Path(tempfile.mkdtemp(prefix="lab-%s-" % scene["scene"]))
    rows, trouble = [], []
    try:
        played, log, trouble = play(scene, out, work)
        rows = judge.rows(scene, played, log)
        trouble += judge.surprises(scene, played, log)
        write_logs(scene, out, played, rows)
    except Exception as error:
        trouble.append("%s: %s" % (type(error).__name__, error))
        (work / "error.txt").write_text(traceback.format_exc())
    finally:
        if keep:
            trouble.append("(work folder: %s)" % work) if trouble else None
        else:
            shutil.rmtree(work, ignore_errors=True)
    report.put((scene["scene"], summary(rows), time.monotonic() - begun, trouble))


def write_logs(scene, out, played, rows):
    (out / "logs" / (scene["scene"] + ".scene.json")).write_text(json.dumps(scene, indent=1))
    write_lines(out / "logs" / (scene["scene"] + ".played.jsonl"), played)
    write_lines(out / "logs" / (scene["scene"] + ".truth.jsonl"), rows)


def summary(rows):
    """Flows, interfered flows, and how many of them show at the client's."""
    mine = [row for row in rows if row["vantage"] == "client"]
    interfered = [row for row in mine if row["label"] not in ("ok", "unreachable")]
    return len(mine), len(interfered), len({row["label"] for row in interfered})


# ---------------------------------------------------------------- many scenes

def run_all(draws, out, jobs, keep=False, judge_of=lambda scene: truth):
    """Draws and plays scenes, `jobs` at a time; the names of those with surprises. `draws`: functions that give a scene."""
    for part in PARTS:
        (out / part).mkdir(parents=True, exist_ok=True)
    waiting, report, running, bad = list(draws), FORKING.Queue(), {}, set()
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                scene = waiting.pop(0)()
                process = FORKING.Process(target=make_scene, args=(scene, out, keep, judge_of(scene), report))
                process.start()
                running[scene["scene"]] = process
            bad |= collect(report, running)
    finally:
        for process in running.values():
            process.terminate()
            process.join()
    return bad


def collect(report, running):
    """Takes in scenes that ended; those of them that had surprises."""
    bad = set()
    time.sleep(0.2)
    ended = [name for name, process in running.items() if not process.is_alive() and report.empty()]
    while not report.empty():
        name, (flows, interfered, _), seconds, trouble = report.get()
        running.pop(name).join()
        print("%-24s %3d flows, %3d interfered, %4.0f s%s" % (name, flows, interfered, seconds, "" if not trouble else "  SURPRISES"))
        for line in trouble:
            print("    " + line)
        sys.stdout.flush()
        bad |= {name} if trouble else set()
    for name in ended:
        if name in running:
            running.pop(name).join()
            print("%-24s ended without a word" % name)
            bad.add(name)
    return bad
