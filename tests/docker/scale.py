"""The profile `scale` outside Docker: replicas behind the gateway, a worker, Prometheus: `scale.py NPEDIT PICTURE`.

Where NPEDIT_TEST_POSTGRES and NPEDIT_TEST_S3 name stores (.ci/services), the replicas share them and a worker trains; else each
has its own.
"""
import base64
import concurrent.futures
import http.client
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
import urllib.parse
import urllib.request

import monitoring
from nameserver import NameServer
from report import check, require, skipped
from services import PATIENCE, REPLICAS, ROOT, Services, until

# What only shows after something has gone wrong, or after an adapter was used.
RARE = ("edit_rejected_total", "adapter_", "status=~")
npedit, picture = sys.argv[1:]


def body(seed, **more):
    return {"image": base64.b64encode(pathlib.Path(picture).read_bytes()).decode(), "instruction": "make it blue", "seed": seed, **more}


def edits_at_once(services):
    """Statuses of eight edits through the gateway."""
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        return list(pool.map(lambda seed: services.through_gateway("/v1/edit", body(seed, judge=True))[0], range(8)))


def ready(services, host):
    return until(lambda: services.at(host, "/health/ready")[0] == 200)


def gateway(services):
    names = NameServer(REPLICAS)
    config = services.adapted("haproxy.cfg", {
        "127.0.0.11:53": f"127.0.0.1:{names.port}", "bind :8080": f"bind 127.0.0.1:{services.gateway}",
        "bind :8081": f"bind 127.0.0.1:{services.health}", "serve:8080": f"serve:{services.port}",
    })
    run = subprocess.run(["haproxy", "-c", "-f", config], capture_output=True, text=True)
    check("haproxy reads docker/haproxy.cfg", run.returncode == 0, run.stdout + run.stderr)

    def health():
        return services.ask(("127.0.0.1", services.health), "/")[0]

    services.start("haproxy", ["haproxy", "-db", "-f", config])
    check("the gateway is not healthy without a replica", until(lambda: health() == 503), services.log("haproxy"))
    first = services.replica(REPLICAS[0])
    check("and is when one is ready", until(lambda: health() == 200), services.log(REPLICAS[0]))
    services.replica(REPLICAS[1])
    check("a second one joins", ready(services, REPLICAS[1]), services.log(REPLICAS[1]))
    time.sleep(3)
    return first


def route(services):
    with urllib.request.urlopen(f"http://127.0.0.1:{services.gateway}/health/ready") as answer:
        check("health is for everybody", answer.status == 200)
    wrong = services.through_gateway("/v1/edit", body(1), Authorization="Bearer npe_wrong")[0]
    check("an edit needs the operator's key", wrong == 401, wrong)
    statuses = edits_at_once(services)
    shares = {host: services.edits(host) for host in REPLICAS}
    check(f"eight edits at once are answered, by both replicas: {shares}", set(statuses) == {200} and min(shares.values()) > 0, statuses)
    check("the replicas' metrics are not for the outside", services.through_gateway("/metrics")[0] == 404)

    later = [services.through_gateway("/v1/edit", body(seed), Prefer="respond-async") for seed in range(6)]
    places = [headers["location"] for status, headers, _ in later if status == 202]

    def finished(place):
        status = services.through_gateway(place)[0]
        require(f"{place} is known", status in (200, 202), status)
        return status == 200

    found = [until(lambda place=place: finished(place)) for place in places]
    check("answers for later are found at the replica that has them", len(found) == 6 and all(found), later)


def stream(services):
    connection = http.client.HTTPConnection("127.0.0.1", services.gateway, timeout=PATIENCE)
    connection.request("POST", "/v1/edit", json.dumps(body(1, steps=8)), {
        "Authorization": f"Bearer {services.key}", "Content-Type": "application/json", "Accept": "text/event-stream"})
    seen = [(time.monotonic(), line) for line in connection.getresponse() if line.startswith(b"event:")]
    steps = [at for at, line in seen if b"step" in line]
    require("there are eight steps", len(steps) == 8, seen)
    spread = steps[-1] - steps[0]
    check(f"events come as they happen: eight steps over {spread * 1000:.0f} ms", spread > 0.02, seen)


def observe(services):
    if not shutil.which("prometheus"):
        skipped("Prometheus", "Debian's package prometheus is not installed")
        return
    shutil.copy(ROOT / "docker/alerts.yml", services.work)
    text = (ROOT / "docker/prometheus.yml").read_text()
    # To the end: there is one job.
    found = text[text.index("    # Every replica"):]
    targets = json.dumps([f"{host}:{services.port}" for host in REPLICAS])
    config = services.adapted("prometheus.yml", {
        found: f"    static_configs: [{{targets: {targets}}}]\n", "/run/secrets/": f"{services.work}/secrets/",
        "scrape_interval: 15s": "scrape_interval: 1s", "evaluation_interval: 15s": "evaluation_interval: 1s",
    })
    services.start("prometheus", ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={services.work}/tsdb",
                                  f"--web.listen-address=127.0.0.1:{services.metrics}"])

    def prometheus(path):
        return services.ask(("127.0.0.1", services.metrics), path)

    def asked(path):
        return json.loads(prometheus(path)[2])

    def query(expression):
        return asked("/api/v1/query?" + urllib.parse.urlencode({"query": expression}))

    check("Prometheus starts", until(lambda: prometheus("/-/ready")[0] == 200), services.log("prometheus"))
    check("it scrapes both replicas", until(lambda: len(query("up == 1")["data"]["result"]) == 2), services.log("prometheus"))
    # Rates need two samples with edits between them.
    time.sleep(3)
    edits_at_once(services)
    time.sleep(3)
    empty = []
    for where, expression in monitoring.queries():
        answer = query(monitoring.concrete(expression))
        require(f"{where} is answered", answer["status"] == "success", answer)
        if where.startswith("panel") and not answer["data"]["result"] and not any(part in expression for part in RARE):
            empty.append(where)
    check("every panel has something to show", not empty, empty)
    rules = asked("/api/v1/rules")["data"]["groups"][0]["rules"]
    states = {rule["name"]: (rule["health"], rule["state"]) for rule in rules}
    check(f"{len(states)} alerts are evaluated, none fires", set(states.values()) == {("ok", "inactive")}, states)


def train(services):
    if not services.stores:
        skipped("the worker", "there are no shared stores; .ci/services starts them")
        return
    worker = services.worker()
    environment = {**os.environ, "NPEDIT_BASE_URL": f"http://127.0.0.1:{services.gateway}", "NPEDIT_API_KEY": services.key}
    command = [sys.executable, ROOT / "examples/finetune.py", picture, "make it bigger", "--out", services.work]
    run = subprocess.run(command, env=environment, capture_output=True, text=True)
    check("examples/finetune.py through the gateway, trained by the worker", run.returncode == 0,
          run.stdout + run.stderr + services.log("worker"))
    adapter = json.loads(services.through_gateway("/v1/adapters")[2])["data"][0]["id"]
    pictures = {services.at(host, "/v1/edit", body(7, adapter=adapter), Accept="image/png")[2] for host in REPLICAS}
    check("its adapter gives the same bytes at both replicas", len(pictures) == 1 and pictures.pop().startswith(b"\x89PNG"))
    worker.terminate()
    check("the worker stops with 0", worker.wait(PATIENCE) == 0, services.log("worker"))


def drain(services, first):
    statuses, end = [], time.monotonic() + 12
    first.send_signal(signal.SIGTERM)
    while time.monotonic() < end:
        statuses.append(services.through_gateway("/v1/edit", body(len(statuses)))[0])
    check(f"a replica stops amid {len(statuses)} edits, and none of them fails", set(statuses) == {200}, statuses)
    check("it drained and exited with 0", first.wait(PATIENCE) == 0, first.returncode)
    services.replica(REPLICAS[0])
    ready(services, REPLICAS[0])
    time.sleep(5)
    statuses = edits_at_once(services)
    check("one that comes back gets its share", set(statuses) == {200} and services.edits(REPLICAS[0]) > 0, statuses)


def main():
    if not shutil.which("haproxy"):
        skipped("the gateway", "Debian's package haproxy is not installed")
        return
    services = Services(npedit)
    try:
        first = gateway(services)
        route(services)
        stream(services)
        observe(services)
        train(services)
        drain(services, first)
    finally:
        services.stop()


if __name__ == "__main__":
    main()
