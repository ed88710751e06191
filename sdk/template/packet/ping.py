#!/usr/bin/env python3
"""Pings an IPv4 address through my-protocol on this machine: ping.py PORT ADDRESS"""

import socket
import struct
import sys


def checksum(data):
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


def ping(address):
    """An ICMP echo request from 10.0.0.2, whose numbers are 1 and 1."""
    icmp = struct.pack(">BBHHH", 8, 0, checksum(struct.pack(">BBHHH", 8, 0, 0, 1, 1)), 1, 1)
    ends = socket.inet_aton("10.0.0.2") + socket.inet_aton(address)
    head = [0x45, 0, 20 + len(icmp), 0, 0, 64, 1, 0]
    head[-1] = checksum(struct.pack(">BBHHHBBH", *head) + ends)
    return struct.pack(">BBHHHBBH", *head) + ends + icmp


def main():
    port, address = int(sys.argv[1]), sys.argv[2]
    with socket.create_connection(("127.0.0.1", port), timeout=5) as stream:
        packet = ping(address)
        stream.sendall(struct.pack(">H", len(packet)) + packet)
        size, = struct.unpack(">H", stream.recv(2, socket.MSG_WAITALL))
        answer = stream.recv(size, socket.MSG_WAITALL)
    print(f"{address}: " + (f"an answer, {answer[8]} hops" if answer[20] == 0 else "prohibited"))


if __name__ == "__main__":
    main()
