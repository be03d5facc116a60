"""What a capture of the lab holds: a capture file in, payload bytes that reached the servers out.

    reached(PATH, SERVERS) -> {(protocol, client ip, client port, server ip, server port): bytes}
"""
import collections

import pcap


def reached(path, servers):
    """Payload bytes towards the servers' addresses, for every flow that the capture holds."""
    found = collections.Counter()
    link, records = pcap.read(path)
    for record in records:
        packet = pcap.parse(record.data, link)
        if packet and packet.dst in servers:
            found[(packet.protocol, packet.src, packet.sport, packet.dst, packet.dport)] += packet.payload_len
    return found
