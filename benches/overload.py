"""Ten times more edits than the service can make: `overload.py [--seconds 60] [--factor 10] [--deadline 2] [--size 64]`.

Starts `target/release/npedit serve` on the built-in bundle, measures how many edits a second it makes for clients that wait for
their answers, then sends so many times more at a steady pace, each on a connection of its own, without waiting for answers.
Prints latency of the accepted and of the refused requests, memory over the flood, and what one request takes a second after it.
"""
import argparse
import asyncio
import base64
import http.client
import json
import os
import socket
import statistics
import struct
import subprocess
import tempfile
import time
import zlib
from collections import Counter

parser = argparse.ArgumentParser()
parser.add_argument("--seconds", type=float, default=60)
parser.add_argument("--factor", type=float, default=10)
parser.add_argument("--deadline", type=int, default=2, help="server.edit_timeout_secs")
parser.add_argument("--size", type=int, default=64)
parser.add_argument("--npedit", default="target/release/npedit")
options = parser.parse_args()


def png(size, shade):
    row = b"\0" + bytes((shade, 90, 160)) * size
    chunk = lambda name, data: struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    head = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(row * size)) + chunk(b"IEND", b"")


def request(number):
    image = base64.b64encode(png(options.size, number % 256)).decode()
    body = json.dumps({"image": image, "instruction": f"make it {number % 997}", "seed": number}).encode()
    head = f"POST /v1/edit HTTP/1.1\r\nhost: x\r\nconnection: close\r\naccept: image/png\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def send(bytes_, found):
    start = time.perf_counter()
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(bytes_)
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.read()
        status = int(head[9:12])
        if status in (429, 503) and b"retry-after:" not in head.lower():
            status = "refused without retry-after"
        writer.close()
    except (OSError, asyncio.IncompleteReadError) as error:
        status = type(error).__name__
    found.append((status, (time.perf_counter() - start) * 1000))


def resident():
    with open(f"/proc/{server.pid}/status") as lines:
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


async def waiting_clients(clients, seconds):
    """Edits a second of clients that send the next one when they have their answer."""
    found, end = [], time.perf_counter() + seconds

    async def client(at):
        while time.perf_counter() < end:
            await send(request(at), found)
            at += clients

    start = time.perf_counter()
    await asyncio.gather(*(client(at) for at in range(clients)))
    return sum(status == 200 for status, _ in found) / (time.perf_counter() - start)


async def flood(rate):
    found, tasks, memory = [], set(), []
    start, sent = time.perf_counter(), 0
    while (now := time.perf_counter() - start) < options.seconds:
        while sent < now * rate:
            task = asyncio.create_task(send(prepared[sent % len(prepared)], found))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            sent += 1
        memory.append(resident())
        await asyncio.sleep(0.01)
    if tasks:
        await asyncio.wait(tasks, timeout=options.deadline + 5)
    return found, sent, memory


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] if values else float("nan")


with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
environment = os.environ | {"NPEDIT__SERVER__EDIT_TIMEOUT_SECS": str(options.deadline)}
data = tempfile.TemporaryDirectory()
command = [options.npedit, "serve", "--port", str(port), "--data-dir", data.name]
server = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
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
    prepared = [request(number) for number in range(2000)]
    asyncio.run(waiting_clients(4, 3))
    capacity = asyncio.run(waiting_clients(4, 10))
    before = resident()
    rate = options.factor * capacity
    print(f"capacity {capacity:.1f} edits/s; flood of {rate:.0f}/s for {options.seconds:.0f} s, deadline {options.deadline} s")
    found, sent, memory = asyncio.run(flood(rate))
    print(f"sent {sent} ({sent / options.seconds / capacity:.1f} x capacity): {dict(Counter(status for status, _ in found))}")
    done = [ms for status, ms in found if status == 200]
    refused = [ms for status, ms in found if status in (429, 503)]
    print(f"accepted: {len(done) / options.seconds:.1f}/s, p50 {percentile(done, 0.5):.0f} ms, p99 {percentile(done, 0.99):.0f} ms")
    print(f"refused: p50 {percentile(refused, 0.5):.1f} ms, p99 {percentile(refused, 0.99):.1f} ms, most {max(refused, default=0):.1f} ms")
    print(f"memory: {before:.0f} MiB before, {max(memory):.0f} MiB at most, {resident():.0f} MiB after")
    time.sleep(1)
    after = []
    for number in range(20):
        asyncio.run(send(request(number), after))
    alone = [ms for status, ms in after if status == 200]
    print(f"a second later: {len(alone)} of 20 succeed, median {statistics.median(alone):.0f} ms")
finally:
    server.terminate()
    print("exit", server.wait())
