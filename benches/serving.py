"""What serving costs and gains, on one machine, as ratios: `serving.py [--rounds 3] [--size 256]`.

Starts `target/release/npedit serve` on the built-in bundle; every figure is of requests over HTTP with Python's own client.
 * throughput: 1 client and 8 concurrent clients take turns, each request with its own picture, instruction and seed
 * repeat: the same picture and instruction again, beside pictures that were never seen (encode stages, and the whole request)
 * overhead: time of a request minus the stages that the answer names (queue included), which is HTTP, JSON, base64 and the client
"""
import argparse
import base64
import http.client
import json
import os
import random
import socket
import statistics
import struct
import subprocess
import threading
import time
import zlib

parser = argparse.ArgumentParser()
parser.add_argument("--rounds", type=int, default=3)
parser.add_argument("--size", type=int, default=256)
parser.add_argument("--requests", type=int, default=48)
parser.add_argument("--npedit", default="target/release/npedit")
options = parser.parse_args()


def png(seed):
    size, draw = options.size, random.Random(seed)
    base = [draw.randrange(256) for _ in range(3)]
    row = b"\0" + b"".join(bytes(((base[0] + x) % 256, base[1], (base[2] + x // 2) % 256)) for x in range(size))
    chunk = lambda name, data: struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    head = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(row * size)) + chunk(b"IEND", b"")


def body(seed):
    image = base64.b64encode(png(seed)).decode()
    return json.dumps({"image": image, "instruction": f"make it {seed % 10000:04}", "seed": seed % 1000})


with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
environment = os.environ | {"NPEDIT__ENGINE__QUEUE_DEPTH": "64"}
server = subprocess.Popen([options.npedit, "serve", "--port", str(port)], env=environment, stderr=subprocess.DEVNULL)


def post(connection, text):
    start = time.perf_counter()
    connection.request("POST", "/v1/edit", text, {"content-type": "application/json"})
    answer = json.loads(connection.getresponse().read())
    return (time.perf_counter() - start) * 1000, answer["timings_ms"]


def run(clients, bodies):
    """Seconds for all bodies, shared out among so many clients."""
    shares = [bodies[i::clients] for i in range(clients)]

    def client(share):
        connection = http.client.HTTPConnection("127.0.0.1", port)
        for text in share:
            post(connection, text)

    threads = [threading.Thread(target=client, args=(share,)) for share in shares]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - start


try:
    for _ in range(200):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port)
            connection.request("GET", "/health/ready")
            if connection.getresponse().status == 200:
                break
        except OSError:
            pass
        time.sleep(0.05)
    seeds = iter(range(1, 1 << 30))
    fresh = lambda count: [body(next(seeds)) for _ in range(count)]
    run(2, fresh(8))
    ratios = []
    for _ in range(options.rounds):
        one, eight = run(1, fresh(options.requests)), run(8, fresh(options.requests))
        ratios.append(one / eight)
        print(f"one client {options.requests / one:.1f}/s, eight {options.requests / eight:.1f}/s, ratio {one / eight:.2f}")
    print(f"throughput of 8 clients / 1: {statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})")

    connection = http.client.HTTPConnection("127.0.0.1", port)
    encode = lambda timings: timings["preprocess"] + timings["text"] + timings["encode"]
    cold, warm = [], []
    for text in fresh(options.requests):
        cold.append(post(connection, text))
        warm.append(post(connection, text))
    middle = statistics.median
    print(f"encode stages, ms: cold {middle(encode(t) for _, t in cold):.2f}, repeated {middle(encode(t) for _, t in warm):.3f}")
    repeats = [w / c for (w, _), (c, _) in zip(warm, cold)]
    print(f"whole request, repeated / cold: {middle(repeats):.2f} ({min(repeats):.2f}-{max(repeats):.2f})")
    outside = sorted(ms - (t["total"] - t["read"] - t["write"]) for ms, t in cold)
    print(f"outside the pipeline (read, decode, encode, JSON, client), ms: p50 {middle(outside):.2f}, p95 {outside[int(len(outside) * 0.95)]:.2f}")
    client = sorted(ms - t["total"] for ms, t in cold)
    print(f"of it after the answer's own clock (JSON, socket, client), ms: p50 {middle(client):.2f}")
finally:
    server.terminate()
    print("exit", server.wait())
