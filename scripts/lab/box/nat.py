"""Address translation in front of clients: other address, the same or other ports.

A client's `nat` is the address that the servers see, `nat_ports` is "keep" (default) or "shift". Clients may share an
address. For every mapping a link in the folder of wishes lets the servers find a flow's wish under the outer address.
"""
import os


class Nat:
    def __init__(self, random, wishes):
        self.random, self.wishes = random, wishes
        self.outer, self.inner = {}, {}

    def outside(self, client, protocol, inside):
        """Outer (address, port) of an inner one, made anew where there is none."""
        if not client.nat or ":" in inside[0]:
            return inside
        key = (protocol, inside)
        if key not in self.outer:
            port = self.free_port(client, protocol, inside[1])
            self.outer[key] = (client.nat, port)
            self.inner[(protocol, client.nat, port)] = (client, inside)
            self.link(inside, self.outer[key])
        return self.outer[key]

    def free_port(self, client, protocol, port):
        if client.nat_ports == "shift":
            port = self.random.randint(1024, 65535)
        while (protocol, client.nat, port) in self.inner:
            port = self.random.randint(1024, 65535)
        return port

    def inside(self, protocol, address, port):
        """(client, inner (address, port)), or None where nothing is translated."""
        return self.inner.get((protocol, address, port))

    def link(self, inside, outside):
        if not self.wishes or inside == outside:
            return
        path = os.path.join(self.wishes, "%s_%d" % outside)
        if not os.path.lexists(path):
            os.symlink("%s_%d" % inside, path)
