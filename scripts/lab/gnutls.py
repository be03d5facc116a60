"""A server side of TLS by GnuTLS, called directly: `load(files)` gives credentials, `Session` speaks over a connected socket.

In: name -> (chain file, key file), a socket. Out: bytes as a socket gives them; errors are OSErrors. Blocking is left to the
socket's timeout. Each name has credentials of its own, set when the hello has told it: among many, GnuTLS prefers a key that
fits the cipher suite to a name that fits the client.
"""
import ctypes
import select

SERVER, CERTIFICATE, PEM, SHUT_WR, FATAL = 1, 1, 1, 1, 2
AGAIN, INTERRUPTED, TOO_SHORT, UNKNOWN_NAME = -28, -52, -110, -294
ON_HELLO = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)


class Datum(ctypes.Structure):
    _fields_ = [("data", ctypes.c_char_p), ("size", ctypes.c_uint)]


def library():
    lib = ctypes.CDLL("libgnutls.so.30")
    lib.gnutls_strerror.restype = ctypes.c_char_p
    for name in ("gnutls_record_send", "gnutls_record_recv"):
        getattr(lib, name).restype = ctypes.c_ssize_t
        getattr(lib, name).argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]
    return lib


LIB = None


def load(files):
    global LIB
    LIB = LIB or library()
    return {name: load_one(*pair) for name, pair in files.items()}


def load_one(chain, key):
    credentials = ctypes.c_void_p()
    check(LIB.gnutls_certificate_allocate_credentials(ctypes.byref(credentials)))
    check(LIB.gnutls_certificate_set_x509_key_file(credentials, chain.encode(), key.encode(), PEM))
    return credentials


def check(result):
    if result < 0:
        raise ConnectionError("GnuTLS: " + LIB.gnutls_strerror(result).decode())
    return result


class Session:
    def __init__(self, sock, credentials, refuse_name=False):
        self.sock, self.handle = sock, ctypes.c_void_p()
        check(LIB.gnutls_init(ctypes.byref(self.handle), SERVER))
        check(LIB.gnutls_set_default_priority(self.handle))
        self.credentials, self.refuse_name = credentials, refuse_name
        check(LIB.gnutls_credentials_set(self.handle, CERTIFICATE, next(iter(credentials.values()))))
        protocol = Datum(b"http/1.1", 8)
        check(LIB.gnutls_alpn_set_protocols(self.handle, ctypes.byref(protocol), 1, 0))
        self.callback = ON_HELLO(lambda _session: self.on_hello())
        LIB.gnutls_handshake_set_post_client_hello_function(self.handle, self.callback)
        LIB.gnutls_transport_set_int2(self.handle, sock.fileno(), sock.fileno())
        self.shake()

    def on_hello(self):
        """Called by GnuTLS between the client's hello and the choice of cipher suite and certificate."""
        if self.refuse_name:
            return UNKNOWN_NAME
        name, size, kind = ctypes.create_string_buffer(256), ctypes.c_size_t(256), ctypes.c_uint()
        LIB.gnutls_server_name_get(self.handle, name, ctypes.byref(size), ctypes.byref(kind), 0)
        chosen = self.credentials.get(name.value.decode("ascii", "replace"))
        return LIB.gnutls_credentials_set(self.handle, CERTIFICATE, chosen) if chosen else 0

    def shake(self):
        while True:
            result = LIB.gnutls_handshake(self.handle)
            if result in (AGAIN, INTERRUPTED):
                self.wait()
            elif result < 0 and LIB.gnutls_error_is_fatal(result):
                LIB.gnutls_alert_send_appropriate(self.handle, result)
                check(result)
            elif result >= 0:
                return

    def wait(self):
        """Until the socket is ready for what GnuTLS wants next."""
        writes = LIB.gnutls_record_get_direction(self.handle) == 1
        poll = select.poll()
        poll.register(self.sock, select.POLLOUT if writes else select.POLLIN)
        timeout = self.sock.gettimeout()
        if not poll.poll(None if timeout is None else timeout * 1000):
            raise TimeoutError("timed out")

    def call(self, function, data, size):
        while True:
            result = function(self.handle, data, size)
            if result in (AGAIN, INTERRUPTED):
                self.wait()
            elif result >= 0 or LIB.gnutls_error_is_fatal(int(result)):
                return result

    def recv(self, size):
        data = ctypes.create_string_buffer(size)
        result = self.call(LIB.gnutls_record_recv, data, size)
        if result == TOO_SHORT:
            return b""
        return data.raw[:check(result)]

    def sendall(self, data):
        at = 0
        while at < len(data):
            part = data[at:at + 16384]
            at += check(self.call(LIB.gnutls_record_send, part, len(part)))

    def bye(self):
        LIB.gnutls_bye(self.handle, SHUT_WR)

    def __del__(self):
        if self.handle:
            LIB.gnutls_deinit(self.handle)
