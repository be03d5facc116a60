"""Bytes from a socket: `exactly` so many, or an error where the other side has left."""


def exactly(sock, count):
    data = b""
    while len(data) < count:
        part = sock.recv(count - len(data))
        if not part:
            raise ConnectionError("the client left")
        data += part
    return data
