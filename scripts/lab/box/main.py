"""The forwarder: takes packets from the TAPs, lets them travel to the box and on, and asks the censor in between.

Client --near half-- box --far half-- servers. A client with `behind_box` false skips the censor, not the way.
The scene starts (second 0 of all its times) at the scene's `start`, or else when READY is written.
"""
import argparse
import heapq
import itertools
import json
import os
import random
import select
import signal
import time

from . import taps
from .censor import DROP, Censor, Delay, Instead
from .ends import Events, LoadBalancer
from .flows import Flows
from .log import Log
from .nat import Nat
from .packets import parse
from .path import FAR, NEAR, Paths

MANY = ("224.", "239.", "255.", "ff", "fe80")  # multicast, broadcast, the link's own
IDLE = 0.2


class Client:
    def __init__(self, told):
        self.id, self.ip, self.ip6 = told["id"], told["ip"], told.get("ip6")
        self.behind_box, self.hops = told.get("behind_box", True), told.get("hops_to_box", 1)
        nat = told.get("nat")
        nat = nat if isinstance(nat, dict) else {"ip": nat, "ports": told.get("nat_ports", "keep")}
        self.nat, self.nat_ports = nat["ip"], nat.get("ports", "keep")
        delay = told.get("box_delay_ms")
        self.box_delay = None if delay is None else delay / 1000


class Box:
    def __init__(self, scene, log_path, wishes, places):
        self.scene, self.wishes = scene, wishes
        self.random = random.Random("%s box" % scene.get("seed"))
        self.log = Log(log_path, time.time() - time.monotonic())
        self.clients = {told["id"]: Client(told) for told in scene["clients"]}
        self.nat = Nat(self.random, wishes)
        self.flows = Flows()
        self.paths = Paths(scene, self.random)
        self.events = Events(scene.get("events") or [])
        self.door = LoadBalancer(self)
        self.censor = Censor(scene, self) if scene.get("censor") else None
        self.taps = {name: taps.Tap(place) for name, place in places.items()}
        self.queue, self.counter = [], itertools.count()
        self.running = True

    # Time

    def begin(self):
        self.start = self.scene.get("start") or time.time()
        zero = self.start - self.log.epoch
        for event in self.events.resets:
            self.later(zero + event.get("at", event.get("from", 0)), self.door.reset_all, event.get("server_ip"))

    def seconds(self, now):
        """Seconds of the scene."""
        return self.log.epoch + now - self.start

    def later(self, due, step, *told):
        """Calls step(*told, now) when it is due."""
        heapq.heappush(self.queue, (due, next(self.counter), step, told))

    def run(self):
        by_fd = {tap.fd: name for name, tap in self.taps.items()}
        while self.running:
            wait = min(IDLE, max(0.0, self.queue[0][0] - time.monotonic())) if self.queue else IDLE
            ready = select.select(list(by_fd), [], [], wait)[0]
            for fd in ready:
                self.read(by_fd[fd])
            self.run_due()
            if not ready:
                self.log.flush()

    def run_due(self):
        while self.queue and self.queue[0][0] <= time.monotonic():
            due, _, step, told = heapq.heappop(self.queue)
            step(*told, time.monotonic())

    def read(self, name):
        for raw in self.taps[name].read():
            packet = parse(raw)
            if packet is None or packet.target.startswith(MANY):
                continue
            if name == "server":
                self.from_server(packet, time.monotonic())
            else:
                self.from_client(self.clients[name], packet, time.monotonic())

    # What the parts ask

    def wish(self, flow):
        return flow.read_wish(self.wishes) if flow else {}

    def hops_of(self, flow):
        return self.paths.of(flow.server_ip).hops(self.seconds(time.monotonic()))

    def inject(self, flow, forged, to, delay, event, words):
        direction = "s2c" if to == "client" else "c2s"
        self.later(time.monotonic() + delay, self.onward, flow, forged, direction, flow.client, event, words)

    def from_door(self, flow, made, to):
        """A packet of the device at the servers' door."""
        now = time.monotonic()
        if to == "client":
            hops = self.hops_of(flow) + flow.client.hops
            self.log.packet("own_reset", flow, made, "s2c", now, to=to, ttl=made.ttl - hops)
            self.travel(FAR, flow, made, "s2c", flow.client, now, self.at_box)
        else:
            self.log.packet("own_reset", flow, made, "c2s", now, to=to)
            self.deliver("server", flow, made, "c2s", now)

    # The way of a packet

    def from_client(self, client, packet, now):
        flow = self.enter(client, packet, now)
        if self.vanished(client, flow, packet, "c2s", now):
            return
        self.travel(NEAR, flow, packet, "c2s", client, now, self.at_box)

    def enter(self, client, packet, now):
        """Translates addresses; the flow, or None."""
        if packet.sport is None:
            flow = self.flows.of_quote(packet)
            self.translate_error(client, packet)
            return flow or self.flows.of_quote(packet)
        inside = (packet.source, packet.sport)
        outside = self.nat.outside(client, packet.protocol, inside)
        if outside != inside:
            packet.readdress(source=outside[0], sport=outside[1])
        return self.flows.of_client(client, packet, inside, now)

    def translate_error(self, client, packet):
        """A client's ICMP packet, and what it quotes, behind a NAT."""
        if not client.nat or packet.version == 6:
            return
        quote = packet.quoted()
        packet.readdress(source=client.nat)
        if quote:
            address, port = self.nat.outside(client, quote[0], quote[3:5])
            packet.readdress_quote(target=address, dport=port)

    def from_server(self, packet, now):
        flow = self.flows.of_server(packet) if packet.sport is not None else self.flows.of_quote(packet)
        client = flow.client if flow else self.client_at(packet)
        if client is None or (packet.sport is not None and self.door.see(flow, packet, "s2c", now)):
            return
        if self.outage(flow, packet, "s2c", now):
            return
        self.travel(FAR, flow, packet, "s2c", client, now, self.at_box)

    def client_at(self, packet):
        mapped = self.nat.inside(packet.protocol, packet.target, packet.dport)
        if mapped:
            return mapped[0]
        return next((client for client in self.clients.values() if packet.target in (client.ip, client.ip6)), None)

    def server_of(self, flow, packet, direction):
        if flow:
            return flow.server_ip
        return packet.target if direction == "c2s" else packet.source

    def outage(self, flow, packet, direction, now):
        if not self.events.out(self.server_of(flow, packet, direction), self.seconds(now)):
            return False
        self.log.packet("outage", flow, packet, direction, now)
        return True

    def vanished(self, client, flow, packet, direction, now):
        if not self.events.gone(client, flow, self.wish(flow), now, self.seconds(now)):
            return False
        self.log.packet("vanished", flow, packet, direction, now)
        return True

    def travel(self, half, flow, packet, direction, client, now, then, event=None, words=None):
        """One half of the way; `event` is logged with the values on arrival."""
        server_ip = self.server_of(flow, packet, direction)
        due, why = self.paths.travel(half, direction, client, server_ip, packet, now, self.seconds(now))
        if due is None:
            event = "mtu" if why == "mtu" else "lost"
            self.log.packet(event, flow, packet, direction, now, **dict(words or {}, reason=why, half=half))
            return
        if event:
            self.log.packet(event, flow, packet, direction, now, arrives=due, **words)
        self.later(due, then, flow, packet, direction, client)

    def at_box(self, flow, packet, direction, client, now):
        if flow and packet.sport is not None:
            flow.sides[direction].see(packet)
        fate = None
        if self.censor and client.behind_box and flow and packet.sport is not None:
            fate = self.censor.judge(flow, packet, direction, now)
        if fate == DROP:
            return
        if isinstance(fate, Delay):
            self.later(now + fate.seconds, self.onward, flow, packet, direction, client, None, None)
        elif isinstance(fate, Instead):
            self.onward(flow, fate.packet, direction, client, "rewritten", fate.words, now)
        else:
            self.onward(flow, packet, direction, client, None, None, now)

    def onward(self, flow, packet, direction, client, event, words, now):
        if direction == "c2s" and self.outage(flow, packet, direction, now):
            return
        half = FAR if direction == "c2s" else NEAR
        self.travel(half, flow, packet, direction, client, now, self.arrive, event, words)

    def arrive(self, flow, packet, direction, client, now):
        if direction == "c2s":
            if packet.sport is None or not self.door.see(flow, packet, direction, now):
                self.deliver("server", flow, packet, direction, now)
        elif not self.vanished(client, flow, packet, direction, now):
            self.leave_nat(client, packet)
            self.deliver(client.id, flow, packet, direction, now)

    def leave_nat(self, client, packet):
        """Back to the client's own address and port."""
        if not client.nat or packet.version == 6:
            return
        if packet.sport is not None:
            mapped = self.nat.inside(packet.protocol, packet.target, packet.dport)
            if mapped:
                packet.readdress(target=mapped[1][0], dport=mapped[1][1])
            return
        quote = packet.quoted()
        mapped = self.nat.inside(*quote[:3]) if quote else None
        packet.readdress(target=client.ip)
        if mapped:
            packet.readdress_quote(source=mapped[1][0], sport=mapped[1][1])

    def deliver(self, name, flow, packet, direction, now):
        if not self.taps[name].write(packet):
            self.log.packet("lost", flow, packet, direction, now, reason="interface")


def arguments():
    parser = argparse.ArgumentParser(description="forwarder and middlebox of one scene")
    parser.add_argument("--wishes")
    for word in ("scene", "log", "ready"):
        parser.add_argument(word)
    parser.add_argument("places", nargs="+", metavar="NAMESPACE:INTERFACE=CLIENT or server=NAMESPACE:INTERFACE")
    return parser.parse_args()


def read_places(words):
    """TAP of each client id and of "server"."""
    places = {}
    for word in words:
        left, _, right = word.partition("=")
        places["server" if left == "server" else right] = right if left == "server" else left
    return places


def main():
    told = arguments()
    with open(told.scene) as source:
        box = Box(json.load(source), told.log, told.wishes, read_places(told.places))
    signal.signal(signal.SIGTERM, lambda *_: setattr(box, "running", False))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    box.begin()
    with open(told.ready + ".new", "w") as ready:
        ready.write("%f\n" % box.start)
    os.rename(told.ready + ".new", told.ready)
    try:
        box.run()
    finally:
        box.log.flush()
