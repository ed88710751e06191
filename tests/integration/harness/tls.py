"""Certificates of the test's own, and clients that speak TLS, the HTTP opening and WebSocket to the gateway."""

import base64
import hashlib
import os
import pathlib
import ssl
import struct
import subprocess

MASK = b"\x01\x02\x03\x04"


class Authority:
    """Signs certificates; its files are in `folder`."""

    def __init__(self, folder, name="authority"):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.certificate, self.key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        openssl("req", "-x509", *P256, "-days", "30", "-subj", f"/CN={name}", "-keyout", self.key, "-out",
                self.certificate)

    def issue(self, name, alternatives="DNS:gate.example", days=30, common_name=None):
        """(certificate, key) as files; an existing pair of that name is replaced, the key last."""
        request, key = self.folder / f"{name}.csr", self.folder / f"{name}.key"
        certificate, fresh = self.folder / f"{name}.pem", self.folder / f"{name}.key.new"
        extension = self.folder / f"{name}.ext"
        extension.write_text(f"subjectAltName={alternatives}\n")
        openssl("req", *P256, "-subj", f"/CN={common_name or name}", "-keyout", fresh, "-out", request)
        openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key, "-CAcreateserial", "-days",
                str(days), "-extfile", extension, "-out", f"{certificate}.new")
        os.chmod(fresh, 0o600)
        os.rename(f"{certificate}.new", certificate)
        os.rename(fresh, key)
        return certificate, key

    def context(self, shown=None):
        """For a client that trusts this authority. `shown`: its certificate and key."""
        out = ssl.create_default_context(cafile=self.certificate)
        if shown:
            out.load_cert_chain(*shown)
        return out


P256 = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


def openssl(*arguments):
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"openssl {' '.join(map(str, arguments))}: {done.stderr}")
    return done.stdout


class Refused(Exception):
    """An HTTP opening that was not switched: its status, its fields and its body."""

    def __init__(self, status, head, body):
        super().__init__(f"{status}: {body}")
        self.status, self.head, self.body = status, head, body


def open_http(stream, plugin="udpgw", token=None, upgrade=None, fields=()):
    """Asks for `plugin` on a connected stream. @return what came behind the answer. Raises Refused."""
    head = [f"GET /{plugin} HTTP/1.1", "Host: gate.example", "Connection: Upgrade", f"Upgrade: {upgrade or plugin}"]
    key = base64.b64encode(os.urandom(16)).decode()
    if upgrade == "websocket":
        head += ["Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {key}"]
    if token:
        head.append(f"Authorization: Bearer {token}")
    stream.sendall("\r\n".join([*head, *fields, "", ""]).encode())
    got = b""
    while b"\r\n\r\n" not in got:
        part = stream.recv(4096)
        if not part:
            raise Refused(0, got.decode(errors="replace"), "the stream has ended")
        got += part
    head, rest = got.split(b"\r\n\r\n", 1)
    text = head.decode()
    status = int(text.split()[1])
    if status != 101:
        size = next(int(field[15:]) for field in text.lower().split("\r\n") if field.startswith("content-length:"))
        while len(rest) < size and (part := stream.recv(4096)):
            rest += part
        raise Refused(status, text, rest.decode())
    if upgrade == "websocket":
        wanted = base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest())
        assert f"sec-websocket-accept: {wanted.decode()}".lower() in text.lower(), text
    return rest


class WebSocket:
    """A stream within WebSocket messages: what harness.Udpgw needs of a socket."""

    def __init__(self, stream, rest=b""):
        self.stream, self.rest, self.pongs, self.closed_with = stream, rest, [], None

    def settimeout(self, seconds):
        self.stream.settimeout(seconds)

    def sendall(self, data, opcode=2):
        size = len(data)
        length = bytes([0x80 | size]) if size < 126 else \
            b"\xfe" + struct.pack(">H", size) if size < 65536 else b"\xff" + struct.pack(">Q", size)
        masked = (int.from_bytes(data, "big") ^ int.from_bytes((MASK * (size // 4 + 1))[:size], "big")) \
            .to_bytes(size, "big")
        self.stream.sendall(bytes([0x80 | opcode]) + length + MASK + masked)

    def recv(self, _):
        """The content of what has come; b"" when it has ended."""
        while True:
            content, got = b"", False
            while (frame := self._take()) is not None:
                opcode, payload = frame
                if opcode == 8:
                    self.closed_with = payload
                    return content
                if opcode == 10:
                    self.pongs.append(payload)
                else:
                    content, got = content + payload, True
            if got:
                return content
            part = self.stream.recv(1 << 20)
            if not part:
                return b""
            self.rest += part

    def _take(self):
        if len(self.rest) < 2:
            return None
        size, at = self.rest[1], 2
        if size == 126:
            if len(self.rest) < 4:
                return None
            (size,), at = struct.unpack_from(">H", self.rest, 2), 4
        elif size == 127:
            if len(self.rest) < 10:
                return None
            (size,), at = struct.unpack_from(">Q", self.rest, 2), 10
        if len(self.rest) < at + size:
            return None
        opcode, payload = self.rest[0] & 15, self.rest[at:at + size]
        self.rest = self.rest[at + size:]
        return opcode, payload

    def close(self):
        self.stream.close()
