"""A relay of calls on UDP 3478: answers STUN requests, and for each media packet sends one of its own back."""
import socket

import stun


def bind(address):
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    sock.bind((address, 3478))
    return sock


def serve(sock):
    media = {}
    while True:
        try:
            message, peer = sock.recvfrom(2048)
            if stun.is_stun(message):
                sock.sendto(stun.success(message, peer), peer)
            elif message[:1] == b"\x80":
                sock.sendto(media.setdefault(peer, stun.Media()).packet(), peer)
        except OSError:
            continue  # an ICMP error for a client that has gone
