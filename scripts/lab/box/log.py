"""The box's log: one JSON object per line for every packet that was touched.

`ttl` is what the box saw; of injected and rewritten packets it is the TTL on arrival, and `arrives` the time of that. Client address
and port are the client's own; behind a NAT `nat_ip` and `nat_port` give the outer ones.
"""
import json

from .packets import flag_letters


class Log:
    def __init__(self, path, epoch):
        self.file = open(path, "a")
        self.epoch = epoch  # from the box's clock to seconds since 1970

    def row(self, event, flow, now, **more):
        row = {"time": round(self.epoch + now, 6), "event": event}
        row.update(ends_of(flow) if flow else {})
        row.update(more)
        self.file.write(json.dumps(row) + "\n")

    def packet(self, event, flow, packet, direction, now, **more):
        fields = {"dir": direction, "protocol": packet.protocol}
        if flow is None:
            client, server = ("source", "target") if direction == "c2s" else ("target", "source")
            fields.update(client_ip=getattr(packet, client), server_ip=getattr(packet, server))
        tcp = packet.protocol == "tcp"
        fields.update(flags=flag_letters(packet.flags) if tcp else None, seq=packet.seq, ack=packet.ack,
                      len=len(packet.payload), ipid=packet.ipid, ttl=packet.ttl)
        fields.update({"rule": None, "trigger": None}, **more)
        if "arrives" in fields:
            fields["arrives"] = round(self.epoch + fields["arrives"], 6)
        self.row(event, flow, now, **fields)

    def flush(self):
        self.file.flush()


def ends_of(flow):
    row = {"protocol": flow.protocol, "client_ip": flow.inside[0], "client_port": flow.inside[1],
           "server_ip": flow.server_ip, "server_port": flow.server_port}
    if flow.inside != flow.outside:
        row.update(nat_ip=flow.outside[0], nat_port=flow.outside[1])
    return row
