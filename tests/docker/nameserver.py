"""Docker's name server, as far as the gateway asks it: the addresses of `serve`."""
import socket
import struct
import threading

A, TTL = 1, 1


class NameServer:
    """Answers on 127.0.0.1 with `addresses`, which may change."""

    def __init__(self, addresses):
        self.addresses = list(addresses)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            query, client = self.socket.recvfrom(512)
            end = query.index(b"\0", 12) + 5
            question, kind = query[12:end], struct.unpack(">H", query[end - 4:end - 2])[0]
            addresses = self.addresses if kind == A else []
            head = query[:2] + struct.pack(">HHHHH", 0x8180, 1, len(addresses), 0, 0)
            records = (struct.pack(">HHHIH", 0xC00C, A, 1, TTL, 4) + socket.inet_aton(address) for address in addresses)
            self.socket.sendto(head + question + b"".join(records), client)
