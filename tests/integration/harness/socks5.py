"""A SOCKS5 client (RFC 1928, RFC 1929), over any connected socket, and what the tests let it reach."""

import http.server
import socket
import struct
import threading

from .net import family_of

CONNECT, BIND, ASSOCIATE = 1, 2, 3
SUCCEEDED, FAILURE, NOT_ALLOWED, NO_NETWORK, NO_HOST, REFUSED, _, NO_COMMAND, NO_ADDRESS = range(9)


class SocksRefused(Exception):
    """The server's answer; `code` is that of the reply, or of the method or login."""

    def __init__(self, step, code):
        super().__init__(f"{step}: {code}")
        self.step, self.code = step, code


def destination(host, port):
    """The address field: digits as an address, all else as a name."""
    for kind, family in ((b"\x01", socket.AF_INET), (b"\x04", socket.AF_INET6)):
        try:
            return kind + socket.inet_pton(family, host) + struct.pack(">H", port)
        except OSError:
            pass
    return b"\x03" + bytes([len(host)]) + host.encode() + struct.pack(">H", port)


def read_destination(data):
    """((host, port), what stands behind it)."""
    size, family = (4, socket.AF_INET) if data[0] == 1 else (16, socket.AF_INET6)
    return ((socket.inet_ntop(family, data[1:1 + size]), *struct.unpack_from(">H", data, 1 + size)),
            data[3 + size:])


def exactly(stream, size):
    data = b""
    while len(data) < size:
        part = stream.recv(size - len(data))
        if not part:
            raise SocksRefused("closed", data)
        data += part
    return data


def ask(stream, command, host, port, password=None, user="bob"):
    """Greets, logs in and asks; returns the bound address."""
    method = 0 if password is None else 2
    stream.sendall(bytes([5, 1, method]))
    if (chosen := exactly(stream, 2)[1]) != method:
        raise SocksRefused("method", chosen)
    if password is not None:
        stream.sendall(b"\x01" + b"".join(bytes([len(text)]) + text.encode() for text in (user, password)))
        if (status := exactly(stream, 2)[1]) != 0:
            raise SocksRefused("login", status)
    stream.sendall(bytes([5, command, 0]) + destination(host, port))
    head = exactly(stream, 4)
    bound, _ = read_destination(head[3:] + exactly(stream, 6 if head[3] == 1 else 18))
    if head[1] != SUCCEEDED:
        raise SocksRefused("reply", head[1])
    return bound


class UdpForward:
    """A port of a namespace's loopback whose datagrams go through an association to one far host, for programs that know
    no SOCKS."""

    def __init__(self, net, namespace, server, far, port):
        self.stream = net.connect(namespace, *server)
        relay = ask(self.stream, ASSOCIATE, "0.0.0.0", 0)
        self.near = net.socket(namespace, socket.AF_INET, socket.SOCK_DGRAM)
        self.near.bind(("127.0.0.1", port))
        self.outer = net.socket(namespace, family_of(relay[0]), socket.SOCK_DGRAM)
        self.outer.connect(relay)
        self.header = b"\0\0\0" + destination(*far)
        self.asker = None
        self.threads = [threading.Thread(target=run, daemon=True) for run in (self._up, self._down)]
        for thread in self.threads:
            thread.start()

    def _up(self):
        try:
            while True:
                payload, self.asker = self.near.recvfrom(65536)
                if not payload and self.stopped:
                    return
                self.outer.send(self.header + payload)
        except OSError:
            pass

    def _down(self):
        try:
            while True:
                _, payload = read_destination(self.outer.recv(65536)[3:])
                self.near.sendto(payload, self.asker)
        except (OSError, IndexError):
            pass

    stopped = False

    def stop(self):
        self.stopped = True
        for one in (self.near, self.outer):
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            one.close()
        self.stream.close()


class _Pages(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = self.server.pages.get(self.path)
        if self.path.startswith("/bytes/"):
            body = bytes(int(self.path[7:]))
        self.server.asked.append((self.headers.get("Host"), self.path))
        self.send_response(200 if body is not None else 404)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"done")

    def log_message(self, *_):
        pass


class _QuietServer(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        pass  # clients of tests go away


class WebServer:
    """HTTP at an address of a namespace: `pages` by path, and /bytes/N. Remembers what was `asked`: (Host, path)."""

    def __init__(self, net, namespace, host, port, pages=None):
        self.server = _QuietServer((host, port), _Pages, bind_and_activate=False)
        self.server.socket.close()
        self.server.socket = net.socket(namespace, family_of(host), socket.SOCK_STREAM)
        self.server.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.server.server_name, self.server.server_port = host, port
        self.server.socket.bind((host, port))
        self.server.socket.listen(128)
        self.server.pages, self.server.asked = {path: text.encode() for path, text in (pages or {}).items()}, []
        self.asked = self.server.asked
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(5)
