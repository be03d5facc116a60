"""What servers do for a flow: wishes between client and servers, and the answer to a request as timed pieces.

In: a flow dict (the wish). Out: `tell` and `read_wish` (files ADDRESS_PORT in the folder of wishes, so that nothing of it is on
the wire), `pieces` (pairs of pause in seconds and bytes; a pause of None is for ever), `fits` (which program can do which act).
"""
import json
import os
import random
import time

# Acts that need a server of our own, which decides when its socket is closed and how.
OWN_SERVER = {"idle_rst", "reset_hello"}
# nginx can also be set up to reset: by its status 444, and by a body that it does not read.
NGINX_TOO = {"server_rst", "server_unread"}
OWN_PROGRAMS = ("openssl", "gnutls")
NEVER = {"hung", "poll_give_up"}


def fits(program, act):
    """Whether a server program can do its part of an act."""
    if program in OWN_PROGRAMS:
        return True
    return act not in OWN_SERVER and (program == "nginx" or act not in NGINX_TOO)


def tell(wishes, flow, address, port):
    path = os.path.join(wishes, "%s_%d" % (address, port))
    with open(path + ".part", "w") as target:
        json.dump(flow, target)
    os.replace(path + ".part", path)


def read_wish(wishes, address, port):
    """The flow behind an address and port, {} where none was told (a browser's, or a scanner's)."""
    for _ in range(3):
        try:
            with open(os.path.join(wishes, "%s_%d" % (address, port))) as source:
                return json.load(source)
        except (FileNotFoundError, ValueError):
            time.sleep(0.01)
    return {}


def head(length, kind="application/octet-stream", close=False):
    return ("HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\nConnection: %s\r\n\r\n" % (
        kind, length, "close" if close else "keep-alive")).encode()


def page():
    """For browsers: a page that needs three more things."""
    parts = "".join('<img src="/part-%d-%d.bin">' % (number, random.randint(4000, 40000)) for number in range(3))
    return ("<!DOCTYPE html><title>page</title><body>%s<p>%s" % (parts, os.urandom(1500).hex())).encode()


def whole(length, **more):
    return head(length, **more) + os.urandom(length)


def pieces(wish, request, close=False):
    """The answer to a request as (pause, bytes)."""
    act, size, wait = wish.get("act", "plain"), wish.get("size", 3000), wish.get("wait_s", 2.0)
    if not wish or wish.get("kind") == "browser":
        return for_browser(request)
    if act in NEVER:
        return [(None, b"")]
    if wish.get("kind") == "http" and random.random() < 0.25:
        return [(0, b"HTTP/1.1 301 Moved Permanently\r\nLocation: https://%s/\r\nContent-Length: 0\r\n\r\n" % wish["name"].encode())]
    if act == "slow":
        return [(wait, whole(size, close=close))]
    if act == "long_poll":
        return [(wait, whole(random.randint(20, 400), close=close))]
    if act in ("upload", "server_unread"):
        return [(random.uniform(0, 0.05), whole(random.randint(60, 300), close=close))]
    if act in ("trickle", "vanished"):
        return spread(size, random.randint(8, 16), min(5.0, 0.5 * wish.get("patience", 10)), close)
    if act == "idle_push":
        return pushes(size, wait, close)
    return [(0, whole(size, close=close))]


def spread(size, count, seconds, close):
    body = os.urandom(size)
    step = max(1, size // count)
    rest = [(seconds / count * random.uniform(0.5, 1.5), body[at:at + step]) for at in range(0, size, step)]
    return [(0, head(size, close=close))] + rest


def pushes(size, wait, close):
    """A first word, and after a silence a few more."""
    step = max(1, size // 4)
    sizes = [step, step, step, step]
    return [(0, head(sum(sizes), close=close) + os.urandom(step))] + [
        (wait * random.uniform(0.7, 1.0) if number == 0 else random.uniform(0.2, 0.8), os.urandom(step)) for number in range(3)]


def for_browser(request):
    path = request.split(b" ")[1] if request.count(b" ") > 1 else b"/"
    if path.startswith(b"/part-"):
        return [(0, whole(int(path.rpartition(b"-")[2].partition(b".")[0]), kind="application/octet-stream"))]
    if path == b"/":
        body = page()
        return [(0, head(len(body), kind="text/html; charset=utf-8") + body)]
    return [(0, b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")]
