"""A test case with socks5 in the usual topology, and with names and pages in its internet."""

from .case import GATEWAY, INTERNET, GatewayTest
from .dns import DnsServer
from .socks5 import CONNECT, SocksRefused, WebServer, ask

PROXY = (GATEWAY[0], 1080)
OPEN = {"address": "0.0.0.0:1080", "auth": "none"}
CLOSED = {"address": "127.0.0.1:1081", "auth": "token"}
RESOLVER = "93.184.0.53"
NAMES = {
    "page.example": [INTERNET[0]],
    "both.example": [INTERNET[1], INTERNET[0]],
    "half.example": ["2a00:a::99", INTERNET[0]],  # nobody has that address
    "inner.example": ["127.0.0.1"],
    "metadata.example": ["169.254.169.254"],
    "several.example": ["10.77.0.1", INTERNET[0]],
}
PAGE = "<!doctype html><title>t</title><p id=a>before</p><script>document.getElementById('a').textContent='it'+' runs'" \
       ";</script><img src=/image.png>"


class Socks5(GatewayTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.dns = DnsServer(cls.net, "internet", [RESOLVER], NAMES)
        cls.addClassCleanup(cls.dns.stop)
        cls.web = WebServer(cls.net, "internet", "0.0.0.0", 8080, {"/": PAGE, "/hello": "hello"})
        cls.addClassCleanup(cls.web.stop)
        cls.web6 = WebServer(cls.net, "internet", INTERNET[1], 8080, {"/hello": "hello over IPv6"})
        cls.addClassCleanup(cls.web6.stop)

    def start(self, policy=None, listen=None, extra="", nofile=None, **table):
        listen = listen or [OPEN]
        options = {"dns_resolvers": [RESOLVER], **table.pop("options", {})}
        self.running = self.gateway(policy=policy, extra=extra, nofile=nofile,
                                    plugins={"socks5": {"listen": listen, "options": options, **table}})
        return self.running

    def curl(self, *words, namespace="client", check=True):
        done = self.net.run(namespace, ["curl", "-sS", "--max-time", "20", *words], check=False)
        if check:
            self.assertEqual(done.returncode, 0, done.stderr)
        return done

    def connect(self, host, port=8080, namespace="client", proxy=PROXY, **login):
        stream = self.net.connect(namespace, *proxy)
        self.addCleanup(stream.close)
        ask(stream, CONNECT, host, port, **login)
        return stream

    def refusal(self, host, port=8080, command=CONNECT):
        """The code of the reply that refuses it."""
        stream = self.net.connect("client", *PROXY)
        self.addCleanup(stream.close)
        with self.assertRaises(SocksRefused) as refused:
            ask(stream, command, host, port)
        self.assertEqual(refused.exception.step, "reply")
        return refused.exception.code

    def in_force(self):
        self.assert_soon(self.running.policy_in_force, "the edit is in force")
