"""Malformed and hostile requests, then a soak of mixed traffic: `hostile.py [--requests 20000] [--soak 1800] [--seed 0]`.

Starts `target/release/npedit serve` on the built-in bundle. Requests are good ones with something broken by a seeded generator:
bytes of images, JSON, multipart, headers, request lines, lengths; bodies that come slowly, stop half-way, or whose sender closes
one direction or both. Prints the answers by kind; a crash, a 500 or an answer that is no JSON problem ends it with 1.
The soak sends good edits, scores, look-ups and hostile requests in turn, and compares resident memory near its start and its end.
"""
import argparse
import asyncio
import base64
import http.client
import json
import random
import socket
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections import Counter, defaultdict

parser = argparse.ArgumentParser()
parser.add_argument("--requests", type=int, default=20000)
parser.add_argument("--soak", type=float, default=1800, help="seconds")
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--at-once", type=int, default=16)
parser.add_argument("--npedit", default="target/release/npedit")
options = parser.parse_args()
draw = random.Random(options.seed)


def png(size=64, shade=90):
    row = b"\0" + bytes((shade, 90, 160)) * size
    chunk = lambda name, data: struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    head = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(row * size)) + chunk(b"IEND", b"")


IMAGE = png()
ROUTES = ["/v1/edit", "/v1/score", "/v1/images/edits", "/v1/datasets", "/v1/finetune", "/v1/adapters"]


def broken(data, most=8):
    """Some bytes changed, taken out, doubled, or the end cut off."""
    data = bytearray(data)
    for _ in range(draw.randint(1, most)):
        at = draw.randrange(len(data) + 1)
        match draw.randrange(4):
            case 0 if at < len(data):
                data[at] = draw.randrange(256)
            case 1:
                del data[at : at + draw.randint(1, 20)]
            case 2:
                data[at:at] = data[at : at + draw.randint(1, 40)]
            case _ if draw.random() < 0.2:
                del data[at:]
    return bytes(data)


def value(depth=0):
    odd = [None, True, -1, 0, 1e308, 2**63, "", "x" * 5000, "\u0000", "hf:a/b", "../../etc/passwd", "NaN", [], {}]
    if depth < 3 and draw.random() < 0.3:
        return draw.choice([[value(depth + 1)], {draw.choice(["image", "items", "receipt", "x"]): value(depth + 1)}])
    return draw.choice(odd)


def fields(route, image):
    image = base64.b64encode(image).decode()
    match route:
        case "/v1/score":
            return {"reference": image, "edited": image, "instruction": "make the circle blue"}
        case "/v1/images/edits":
            return {"images": [{"image_url": f"data:image/png;base64,{image}"}], "prompt": "make the circle blue"}
        case "/v1/datasets":
            return {"items": [{"image": image, "instruction": "make the circle blue"}]}
        case "/v1/finetune":
            return {"dataset": "demo", "recipe": "finetune-demo", "validate_only": True}
        case _:
            return {"image": image, "instruction": "make the circle blue"}


def head(route, length, kind="application/json", extra=b""):
    return f"POST {route} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n".encode() + extra + b"\r\n"


def by_json(route):
    good = fields(route, IMAGE)
    for _ in range(draw.randint(1, 3)):
        good[draw.choice([*good, "n", "steps", "seed", "size", "adapter", "best_of", "mask", "stream", "overrides", "zz"])] = value()
    body = json.dumps(good).encode()
    return head(route, len(body)) + body


def by_json_bytes(route):
    body = broken(json.dumps(fields(route, IMAGE)).encode())
    return head(route, len(body)) + body


def by_image(route):
    body = json.dumps(fields(route, broken(IMAGE))).encode()
    return head(route, len(body)) + body


def by_multipart(route):
    parts = [b'--XX\r\ncontent-disposition: form-data; name="instruction"\r\n\r\nmake the circle blue\r\n']
    parts.append(b'--XX\r\ncontent-disposition: form-data; name="image"; filename="a.png"\r\n\r\n' + IMAGE + b"\r\n")
    body = broken(b"".join(draw.sample(parts, draw.randint(1, 2))) + b"--XX--\r\n")
    return head(route, len(body), "multipart/form-data; boundary=XX") + body


def by_headers(route):
    body = json.dumps(fields(route, IMAGE)).encode()
    names = [b"accept", b"prefer", b"cancel-after", b"content-type", b"authorization", b"idempotency-key", b"traceparent", b"x-request-id", b"range", b"expect"]
    odd = lambda: draw.choice([b"", b"\xff\xfe", b"x" * 9000, b"-1", b"1e9", b"*/*;q=nan", b"text/event-stream, image/png", b"respond-async", b"Bearer \x01", b"100-continue"])
    extra = b"".join(draw.choice(names) + b": " + odd() + b"\r\n" for _ in range(draw.randint(1, 5)))
    return head(route, len(body), extra=extra) + body


def by_request_line(route):
    methods = [b"POST", b"GET", b"PUT", b"DELETE", b"PATCH", b"TRACE", b"\x16\x03\x01"]
    target = draw.choice([route.encode(), broken(route.encode(), 3), b"/" + b"a" * 9000, b"/v1/finetune/%00", b"/v1/adapters/..%2f..", b"*", b"/v1/edit/results/x"])
    return draw.choice(methods) + b" " + target + b" HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


def by_length(route):
    body = json.dumps(fields(route, IMAGE)).encode()
    length = draw.choice([0, 1, len(body) - 5, len(body) + 50, 10**12, -1])
    return head(route, length) + body


KINDS = {"json": by_json, "json bytes": by_json_bytes, "image": by_image, "multipart": by_multipart, "headers": by_headers, "request line": by_request_line, "length": by_length}
WAYS = ["whole", "whole", "whole", "whole", "slowly", "half", "half-closed", "closed"]


async def exchange(data, way):
    """Status, or what became of the connection; and the body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        if way == "slowly":
            step = max(1, len(data) // 5)
            for at in range(0, len(data), step):
                writer.write(data[at : at + step])
                await writer.drain()
                await asyncio.sleep(0.01)
        elif way in ("half", "closed"):
            writer.write(data[: draw.randrange(1, len(data))])
        else:
            writer.write(data)
        await writer.drain()
        if way == "closed":
            return "left", b""
        if way in ("half-closed", "half"):
            writer.write_eof()
        answer = await asyncio.wait_for(reader.read(), 60)
    except (OSError, asyncio.IncompleteReadError):
        return "reset", b""
    except asyncio.TimeoutError:
        return "no answer in 60 s", b""
    finally:
        writer.close()
    if not answer:
        return "closed", b""
    head_, _, body = answer.partition(b"\r\n\r\n")
    return int(head_[9:12]), body


def defect(status, body):
    """What is wrong with an answer, if anything is."""
    if status in (500, 502) or status == "no answer in 60 s":
        return f"answered {status}: {body[:300]}"
    if isinstance(status, int) and status >= 400 and body:
        try:
            problem = json.loads(body[body.index(b"{") : body.rindex(b"}") + 1])
            if "code" not in problem and "code" not in problem.get("error", {}):
                return f"{status} without a code: {body[:300]}"
        except ValueError:
            return f"{status} is no JSON: {body[:300]}"


async def hostile(found, defects):
    kind, way = draw.choice(list(KINDS)), draw.choice(WAYS)
    data = KINDS[kind](draw.choice(ROUTES))
    status, body = await exchange(data, way)
    found[f"{kind}, {way}" if way in ("closed", "half") else kind][status] += 1
    if wrong := defect(status, body):
        defects.append((kind, way, wrong, data[:400]))


def get(path):
    return f"GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode()


async def good(found, defects):
    route = draw.choice(["/v1/edit", "/v1/score", "/v1/images/edits", None])
    if route is None:
        path = draw.choice(["/health/ready", "/v1/models", "/metrics", "/openapi.json", "/v1/finetune", "/"])
        status, body = await exchange(get(path), "whole")
    else:
        body = json.dumps(fields(route, png(draw.choice([48, 64, 96]), draw.randrange(256)))).encode()
        status, body = await exchange(head(route, len(body)) + body, "whole")
    found[f"good {route or 'look-up'}"][status] += 1
    if status not in (200, 503):
        defects.append(("good", route, f"answered {status}: {body[:300]}", b""))


def resident():
    with open(f"/proc/{server.pid}/status") as lines:
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


async def flood(count, found, defects):
    slots = asyncio.Semaphore(options.at_once)

    async def one():
        async with slots:
            await hostile(found, defects)

    for done in range(0, count, 1000):
        await asyncio.gather(*(one() for _ in range(min(1000, count - done))))
        if server.poll() is not None:
            defects.append(("any", "any", f"the server ended with {server.returncode}", b""))
            return


async def soak(seconds, found, defects, memory):
    start = time.perf_counter()

    async def client():
        while time.perf_counter() - start < seconds and server.poll() is None:
            await draw.choice([good, good, good, hostile])(found, defects)

    async def watch():
        while time.perf_counter() - start < seconds:
            memory.append(resident())
            await asyncio.sleep(1)

    await asyncio.gather(watch(), *(client() for _ in range(4)))


def show(found):
    for kind, statuses in sorted(found.items()):
        print(f"  {kind:24} " + ", ".join(f"{status}: {count}" for status, count in sorted(statuses.items(), key=str)))


with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
data = tempfile.TemporaryDirectory()
server = subprocess.Popen([options.npedit, "serve", "--port", str(port), "--data-dir", data.name], stderr=subprocess.DEVNULL)
defects = []
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
    found = defaultdict(Counter)
    start = time.perf_counter()
    asyncio.run(flood(options.requests, found, defects))
    print(f"{sum(sum(statuses.values()) for statuses in found.values())} hostile requests in {time.perf_counter() - start:.0f} s")
    show(found)
    if options.soak > 0 and not defects:
        found, memory = defaultdict(Counter), []
        asyncio.run(soak(options.soak, found, defects, memory))
        print(f"soak of {options.soak:.0f} s")
        show(found)
        # the first tenth fills the caches
        tenth = max(1, len(memory) // 10)
        early, late = max(memory[tenth : 2 * tenth]), max(memory[-tenth:])
        print(f"memory: {early:.1f} MiB after a tenth, {late:.1f} MiB at the end, ratio {late / early:.3f}")
finally:
    server.terminate()
    print("exit", server.wait())
for kind, way, wrong, data in defects[:20]:
    print(f"DEFECT {kind}, {way}: {wrong}\n    {data!r}")
print(f"{len(defects)} defects")
sys.exit(bool(defects))
