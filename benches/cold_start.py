"""Time from starting `npedit serve` on the embedded bundle to its first 200 on /health/ready."""

import http.client
import shutil
import socket
import subprocess
import time

STARTS = 10
GIVE_UP_SECS = 60.0
POLL_SECS = 0.002


def measure(npedit, work):
    """-> milliseconds of every start; each has a fresh data directory and its own port"""
    return [start(npedit, work / "cold-start-data") for _ in range(STARTS)]


def start(npedit, data):
    shutil.rmtree(data, ignore_errors=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [npedit, "serve", "--host", "127.0.0.1", "--port", str(port), "--data-dir", str(data)]
    since = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not ready(port):
            if process.poll() is not None or time.perf_counter() - since > GIVE_UP_SECS:
                raise SystemExit(f"`{' '.join(command)}` did not become ready; run it by hand to see why")
            time.sleep(POLL_SECS)
        return (time.perf_counter() - since) * 1e3
    finally:
        process.terminate()
        process.wait(timeout=30)


def ready(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/health/ready")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()
