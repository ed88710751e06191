#!/usr/bin/env python3
"""One small list in every format, imported, and held name by name against what each format's own program answers:
dnsmasq, also as a reader of hosts files, and unbound, also with a response policy zone. Lists of names alone and of
Adblock rules have no program in Debian: those are held against the table here alone.

          resolver 127.0.0.1:5353  ------  upstream 127.0.0.9, which knows every name
"""

import json
import pathlib
import subprocess
import tempfile
import unittest

from harness import Net
from harness.case import main
from harness.gateway import PROGRAM
from harness.resolvers import Upstream, dnsmasq, unbound, why_missing

NAMES = ["ads.example", "www.ads.example", "good.ads.example", "www.good.ads.example", "bad.good.ads.example",
         "x.bad.good.ads.example", "self.ads.example", "www.self.ads.example", "own.ads.example", "one.example",
         "www.one.example", "below.example", "www.below.example", "a.b.below.example", "both.example",
         "x.both.example", "badads.example", "example", "other.example", "localhost.example"]

# What is blocked where a format can say all of it: ads.example and all below, good.ads.example not, but again
# bad.good.ads.example; self.ads.example not, but those below it; one.example alone; those below below.example.
FULL = {"ads.example", "www.ads.example", "bad.good.ads.example", "x.bad.good.ads.example", "www.self.ads.example",
        "one.example", "www.below.example", "a.b.below.example", "both.example", "x.both.example"}

LISTS = {
    "hosts": ("# a hosts file\n127.0.0.1 localhost\n::1 ip6-localhost ip6-loopback\n0.0.0.0 ads.example one.example\n"
              "127.0.0.1 both.example # c\n", {"ads.example", "one.example", "both.example"}),
    "domains": ("! a list\nads.example\n*.both.example\n.below.example\n# c\none.example ; c\n",
                {name for name in NAMES if name.endswith(("ads.example", "both.example", "below.example", "one.example"))
                 and name != "badads.example"}),
    # An exception counts before every block, and an important block before that.
    "adblock": ("[Adblock Plus 2.0]\n! Title: a list\n||ads.example^\n@@||good.ads.example^|\n"
                "||bad.good.ads.example^$important\n@@|self.ads.example^\n@@|own.ads.example^|\n|one.example^\n"
                "||*.below.example^\n||both.example^|\n", FULL),
    "dnsmasq": ("# a list\naddress=/ads.example/\nserver=/good.ads.example/#\naddress=/bad.good.ads.example/0.0.0.0\n"
                "server=/self.ads.example/127.0.0.9\naddress=/own.ads.example/192.0.2.1\nlocal=/*.below.example/ # c\n"
                "address=/both.example/#\nserver=/both.example/#\n",
                FULL - {"one.example", "www.self.ads.example"}),
    "rpz": ("$TTL 60\n@ IN SOA ns.rpz.local. root.rpz.local. (\n 1 3600 300 604800 60 )\n  IN NS ns.rpz.local.\n; c\n"
            "ads.example CNAME .\n*.ads.example CNAME .\ngood.ads.example CNAME rpz-passthru.\n"
            "*.good.ads.example CNAME rpz-passthru.\nbad.good.ads.example CNAME *.\n*.bad.good.ads.example CNAME *.\n"
            "self.ads.example CNAME rpz-passthru.\n*.self.ads.example CNAME .\nown.ads.example A 192.0.2.1\n"
            "one.example CNAME .\n*.below.example CNAME .\nboth.example A 0.0.0.0\n*.both.example CNAME .\n", FULL),
    "unbound": ('server:\n local-zone: "ads.example" static\n local-zone: "good.ads.example" transparent\n'
                ' local-zone: "bad.good.ads.example" always_nxdomain\n'
                ' local-data: "x.bad.good.ads.example A 192.0.2.1"\n local-data: "self.ads.example A 192.0.2.1"\n'
                ' local-data: "own.ads.example 60 IN A 192.0.2.1" # c\n local-data: "one.example A 0.0.0.0"\n'
                ' local-zone: "both.example" redirect\n local-data: "both.example A 0.0.0.0"\n',
                FULL - {"www.below.example", "a.b.below.example"}),
}

# More of one format's own, as (list, names): only held against its program.
DNSMASQ = ("address=/a.example/\naddress=/b.example/127.0.0.1\nserver=/b.example/#\nlocal=/c.example/\n"
           "server=/c.example/127.0.0.9\naddress=/d.example/192.0.2.1\naddress=/d.example/\naddress=/.e.example/0.0.0.0\n"
           "server=/x.e.example/#\naddress=/f.example/g.example/\n",
           ["a.example", "x.a.example", "b.example", "x.b.example", "c.example", "x.c.example", "d.example",
            "x.d.example", "e.example", "y.e.example", "x.e.example", "z.x.e.example", "f.example", "g.example"])
UNBOUND = ('\n'.join(['local-zone: "a.example" refuse', 'local-data: "ok.a.example A 192.0.2.1"',
                      'local-zone: "b.example" always_null', 'local-data: "ok.b.example A 192.0.2.1"',
                      'local-zone: "c.example" redirect', 'local-data: "c.example A 192.0.2.1"',
                      'local-zone: "d.example" static', 'local-zone: "t.d.example" always_transparent',
                      'local-data: "n.t.d.example A 0.0.0.0"', 'local-zone: "tt.d.example" typetransparent',
                      'local-data: "n.tt.d.example A 0.0.0.0"', 'local-zone: "e.example" redirect',
                      'local-zone: "f.example" always_nodata', 'local-zone: "i.f.example" inform',
                      'local-data: "g.example AAAA 2001:db8::1"', 'local-data: "h.g.example A 0.0.0.0"']) + "\n",
           [*(f"{more}{letter}.example" for letter in "abcdef" for more in ("", "x.", "ok.")), "t.d.example",
            "n.t.d.example", "x.t.d.example", "tt.d.example", "n.tt.d.example", "x.tt.d.example", "i.f.example",
            "x.i.f.example", "h.g.example", "x.h.g.example"])
RPZ = ("$TTL 60\n$ORIGIN rpz.local.\n@ SOA ns. root. 1 3600 300 604800 60\n@ NS ns.\na.example CNAME .\n*.b.example CNAME rpz-passthru.\n"
       "b.example CNAME .\n*.c.example CNAME *.\nx.c.example CNAME rpz-passthru.\n*.d.example A 0.0.0.0\n"
       "y.d.example A 192.0.2.1\n$ORIGIN e.example.rpz.local.\nz CNAME .\n",
       ["a.example", "x.a.example", "b.example", "x.b.example", "c.example", "x.c.example", "y.c.example",
        "d.example", "x.d.example", "y.d.example", "e.example", "z.e.example"])


@unittest.skipIf(why_missing(), why_missing())
class ListFormats(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.net = Net()
        cls.addClassCleanup(cls.net.close)
        cls.net.namespace("resolver")
        upstream = Upstream(cls.net, "resolver")
        cls.addClassCleanup(upstream.stop)

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.base = pathlib.Path(folder.name)
        (self.base / "gatehouse.toml").write_text(f'[gateway]\nstate_dir = "{self.base}"\n')
        self.cli("init")

    def cli(self, *words, status=0, **options):
        done = subprocess.run([str(PROGRAM), "policy", *words, "--config", str(self.base / "gatehouse.toml")],
                              capture_output=True, text=True, timeout=60, **options)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done.stdout

    def take_in(self, format, text, *more):
        report = json.loads(self.cli("import", "ads", "-", "--json", "--format", format, *more, input=text))
        self.assertEqual((report["rejected"], report["too_wide"], report["rejected_exceptions"]), (0, 0, 0), report)
        told = json.loads(self.cli("import", "auto", "-", "--json", "--action", "monitor", input=text))
        self.assertEqual(told["format"], format)
        self.assertEqual(told["file"], report["file"])

    def blocked(self, names):
        """Those that the policy keeps from clients."""
        out = set()
        for name in names:
            done = subprocess.run([str(PROGRAM), "policy", "explain", "--json", "--config",
                                   str(self.base / "gatehouse.toml"), "udp", "9.9.9.9:53", "--domain", name],
                                  capture_output=True, text=True, timeout=60)
            verdict = json.loads(done.stdout)
            if verdict["reason"] == "domain":
                out.add(name)
        return out

    def assert_same(self, own, names, blocked):
        """A resolver, and what is blocked here."""
        self.addCleanup(own.stop)
        self.assertEqual({name: own.blocks(name) for name in names}, {name: name in blocked for name in names})

    def check(self, format, own):
        text, expected = LISTS[format]
        self.take_in(format, text)
        self.assertEqual(self.blocked(NAMES), expected)
        if own:
            self.assert_same(own(text), NAMES, expected)

    def check_more(self, format, own, more):
        text, names = more
        self.take_in(format, text)
        blocked = self.blocked(names)
        self.assertTrue(blocked and blocked != set(names))
        self.assert_same(own(text), names, blocked)

    def dnsmasq(self, text):
        return dnsmasq(self.net, "resolver", self.base, text)

    def unbound(self, text):
        return unbound(self.net, "resolver", self.base, text)

    def rpz(self, text):
        return unbound(self.net, "resolver", self.base, zone=text)

    def test_hosts_as_dnsmasq_reads_them(self):
        self.check("hosts", lambda text: dnsmasq(self.net, "resolver", self.base, "", hosts=text))

    def test_domains(self):
        self.check("domains", None)

    def test_adblock(self):
        self.check("adblock", None)

    def test_dnsmasq(self):
        self.check("dnsmasq", self.dnsmasq)

    def test_rpz_as_unbound_reads_it(self):
        self.check("rpz", self.rpz)

    def test_unbound(self):
        self.check("unbound", self.unbound)

    def test_more_of_dnsmasq(self):
        self.check_more("dnsmasq", self.dnsmasq, DNSMASQ)

    def test_more_of_unbound(self):
        self.check_more("unbound", self.unbound, UNBOUND)

    def test_more_of_rpz(self):
        self.check_more("rpz", self.rpz, RPZ)

    def test_match_sets_only_what_a_format_leaves_open(self):
        for format, (text, expected) in LISTS.items():
            for match in ("exact", "suffix"):
                with self.subTest(format=format, match=match):
                    self.take_in(format, text, "--match", match)
                    # Of domains `one.example` and `ads.example`, of hosts all: what stands below them is open.
                    opened = {"hosts": ("ads.example", "one.example", "both.example"),
                              "domains": ("ads.example", "one.example")}.get(format, ())
                    below = {name for name in NAMES for of in opened if name.endswith("." + of)}
                    want = expected - below if match == "exact" else expected | below
                    self.assertEqual(self.blocked(NAMES), want)


if __name__ == "__main__":
    main()
