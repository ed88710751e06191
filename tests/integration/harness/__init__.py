"""What every integration test stands on: namespaces, a gateway, a udpgw client, a DNS server, an echo host.

Python 3 standard library only. A test file is one ctest entry and ends with `main()`.
"""

from .case import CLIENT, GATEWAY, INTERNET, GatewayTest, eventually, main
from .dns import DnsServer, SilentServer, answer, query
from .echo import UdpEcho
from .gateway import BUILD, Gateway
from .net import Net
from .policy import Policy
from .udpgw import Frame, Udpgw, frame

__all__ = [
    "BUILD", "CLIENT", "GATEWAY", "INTERNET", "DnsServer", "Frame", "Gateway", "GatewayTest", "Net", "Policy",
    "SilentServer", "UdpEcho", "Udpgw", "answer", "eventually", "frame", "main", "query",
]
