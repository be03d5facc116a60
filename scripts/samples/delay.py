#!/usr/bin/env python3
"""Joins two TAP interfaces and delays every frame by 15 to 25 ms.

    delay.py NAMESPACE:INTERFACE NAMESPACE:INTERFACE

Not every kernel has netem. Frames keep their order.
"""
import collections
import ctypes
import fcntl
import os
import random
import select
import struct
import sys
import time

CLONE_NEWNET = 0x40000000
TUNSETIFF = 0x400454CA
IFF_TAP_NO_PI = 0x0002 | 0x1000


def enter(namespace):
    """Moves this process into a namespace (os.setns is newer than Python 3.9)."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open(namespace) as handle:
        if libc.setns(handle.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns " + namespace)


def open_tap(place):
    namespace, interface = place.rsplit(":", 1)
    enter(namespace)
    tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH22x", interface.encode(), IFF_TAP_NO_PI))
    return tap


class Way:
    """One direction: frames wait in a queue until they are due."""

    def __init__(self, source, target):
        self.source, self.target = source, target
        self.queue = collections.deque()
        self.last_due = 0.0

    def take(self):
        frame = os.read(self.source, 65535)
        # Never before the frame ahead of it: the order is kept.
        self.last_due = max(self.last_due, time.monotonic() + random.uniform(0.015, 0.025))
        self.queue.append((self.last_due, frame))

    def deliver(self):
        while self.queue and self.queue[0][0] <= time.monotonic():
            os.write(self.target, self.queue.popleft()[1])


def shuttle(ways):
    by_source = {way.source: way for way in ways}
    while True:
        dues = [way.queue[0][0] for way in ways if way.queue]
        patience = max(0.0, min(dues) - time.monotonic()) if dues else None
        for source in select.select(list(by_source), [], [], patience)[0]:
            by_source[source].take()
        for way in ways:
            way.deliver()


def main():
    left, right = (open_tap(place) for place in sys.argv[1:3])
    shuttle([Way(left, right), Way(right, left)])


main()
