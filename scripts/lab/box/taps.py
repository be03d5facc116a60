"""TAP interfaces in other namespaces: frames of IP packets in and out."""
import ctypes
import fcntl
import os
import struct

CLONE_NEWNET = 0x40000000
TUNSETIFF, SIOCGIFHWADDR = 0x400454CA, 0x8927
IFF_TAP_NO_PI = 0x0002 | 0x1000
GATEWAY = bytes.fromhex("0254530000b0")
TYPES = {4: b"\x08\x00", 6: b"\x86\xdd"}


def enter(namespace):
    """Moves this process into a namespace (os.setns is newer than Python 3.9)."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open(namespace) as handle:
        if libc.setns(handle.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns " + namespace)


class Tap:
    def __init__(self, place):
        namespace, interface = place.rsplit(":", 1)
        enter(namespace if "/" in namespace else "/run/netns/" + namespace)
        self.fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(self.fd, TUNSETIFF, struct.pack("16sH22x", interface.encode(), IFF_TAP_NO_PI))
        answer = fcntl.ioctl(self.fd, SIOCGIFHWADDR, struct.pack("16s24x", interface.encode()))
        self.mac = answer[18:24]

    def read(self, most=64):
        """The IP packets that wait."""
        for _ in range(most):
            try:
                frame = os.read(self.fd, 65535)
            except BlockingIOError:
                return
            if frame[12:14] in TYPES.values():
                yield frame[14:]

    def write(self, packet):
        """False if the interface takes nothing."""
        try:
            os.write(self.fd, self.mac + GATEWAY + TYPES[packet.version] + bytes(packet.raw))
        except OSError:
            return False
        return True
