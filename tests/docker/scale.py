"""The profile `scale` outside Docker: replicas behind the gateway, a worker, Prometheus: `scale.py NPEDIT PICTURE`.

The files of docker/ run as they are, but for addresses and times. Where NPEDIT_TEST_POSTGRES and NPEDIT_TEST_S3 name stores
(.ci/services), the replicas share them and a worker trains; else each has its own.
"""
import base64
import concurrent.futures
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

import monitoring
from nameserver import NameServer
from report import check, require, skipped

ROOT = pathlib.Path(__file__).resolve().parents[2]
REPLICAS = ["127.0.0.2", "127.0.0.3"]
PATIENCE = 180
# What only shows after something has gone wrong, or after an adapter was used.
RARE = ("edit_rejected_total", "adapter_", "status=~")

STORES = {"NPEDIT_TEST_POSTGRES", "NPEDIT_TEST_S3"} <= os.environ.keys()
# An untrained bundle learns nothing, so it may as well be quick about it.
RECIPE = """
steps = 3
[batch]
size = 2
micro = 1
[tuning]
rank = 2
[fake_score]
updates = 1
rank = 2
[samples]
every = 0
rows = 1
"""

npedit, picture = sys.argv[1:]
work = pathlib.Path(tempfile.mkdtemp())
running = []


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


PORT, GATE, HEALTH, METRICS = (free_port() for _ in range(4))


def start(name, command, **environment):
    log = open(work / f"{name}.log", "a")
    process = subprocess.Popen(command, stdout=log, stderr=log, cwd=work, env={**os.environ, **environment})
    running.append(process)
    return process


def adapted(file, changes):
    """A file of docker/ with other addresses; each of them must be in it."""
    text = (ROOT / "docker" / file).read_text()
    for old, new in changes.items():
        require(f"docker/{file} says {old!r}", old in text)
        text = text.replace(old, new)
    (work / file).write_text(text)
    return work / file


def secrets():
    """As docker/make-secrets makes them: what the service is told, and the operator's key."""
    shutil.copy(ROOT / "docker/make-secrets", work)
    subprocess.run([work / "make-secrets"], check=True, capture_output=True)
    name, _, keys = (work / "secrets/keys.env").read_text().strip().partition("=")
    return {name: keys}, (work / "secrets/api_key").read_text()


def shared():
    """Settings of replicas and worker: those of docker/compose.yaml, with stores that are at hand."""
    settings = {**hashes, "NPEDIT__MODEL__REFERENCE": str(work / "bundle"), "NPEDIT__FINETUNE__RUN": "workers",
                "NPEDIT__FINETUNE__RECIPES_DIR": str(work / "recipes"), "NPEDIT__FINETUNE__REGRESSION_EDITS": "2",
                "NPEDIT__FINETUNE__MAX_HELD_OUT": "2", "NPEDIT__LOG__FORMAT": "json"}
    if STORES:
        settings |= {"NPEDIT__STORAGE__DATABASE_URL": os.environ["NPEDIT_TEST_POSTGRES"],
                     "NPEDIT__STORAGE__OBJECTS_URL": os.environ["NPEDIT_TEST_S3"] + "/scale"}
    return settings


def replica(host):
    return start(host, [npedit, "serve"], **shared(), NPEDIT__SERVER__HOST=host, NPEDIT__SERVER__PORT=str(PORT),
                 NPEDIT__STORAGE__DATA_DIR=str(work / f"data-{host}"), NPEDIT__SERVER__DRAIN_DELAY_SECS="6")


def ask(port, path, body=None, host="127.0.0.1", **headers):
    """Status, headers and body of one request."""
    connection = http.client.HTTPConnection(host, port, timeout=PATIENCE)
    sent = None if body is None else json.dumps(body)
    more = {"Authorization": f"Bearer {key}"} | ({"Content-Type": "application/json"} if sent else {})
    connection.request("POST" if sent else "GET", path, sent, more | {k.replace("_", "-"): v for k, v in headers.items()})
    answer = connection.getresponse()
    found = answer.status, dict(answer.getheaders()), answer.read()
    connection.close()
    return found


def until(holds):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            if holds():
                return True
        except OSError:
            pass
        time.sleep(0.2)
    return False


def body(seed, **more):
    return {"image": base64.b64encode(pathlib.Path(picture).read_bytes()).decode(), "instruction": "make it blue", "seed": seed, **more}


def edits(host):
    """Edits that a replica has answered."""
    text = ask(PORT, "/metrics", host=host)[2].decode()
    lines = [line for line in text.splitlines() if line.startswith("http_requests_total") and '"/v1/edit"' in line]
    return sum(int(line.rsplit(" ", 1)[1]) for line in lines)


def gateway():
    names = NameServer(REPLICAS)
    config = adapted("haproxy.cfg", {
        "127.0.0.11:53": f"127.0.0.1:{names.port}", "bind :8080": f"bind 127.0.0.1:{GATE}",
        "bind :8081": f"bind 127.0.0.1:{HEALTH}", "serve:8080": f"serve:{PORT}",
    })
    run = subprocess.run(["haproxy", "-c", "-f", config], capture_output=True, text=True)
    check("haproxy reads docker/haproxy.cfg", run.returncode == 0, run.stdout + run.stderr)
    first = replica(REPLICAS[0])
    haproxy = start("haproxy", ["haproxy", "-db", "-f", config])
    check("the gateway is not healthy before a replica is ready", until(lambda: ask(HEALTH, "/")[0] == 503))
    check("and is when one is", until(lambda: ask(HEALTH, "/")[0] == 200), (work / "127.0.0.2.log").read_text())
    replica(REPLICAS[1])
    until(lambda: ask(PORT, "/health/ready", host=REPLICAS[1])[0] == 200)
    time.sleep(3)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda seed: ask(GATE, "/v1/edit", body(seed, judge=True))[0], range(8)))
    shares = {host: edits(host) for host in REPLICAS}
    with urllib.request.urlopen(f"http://127.0.0.1:{GATE}/health/ready") as answer:
        check("health is for everybody", answer.status == 200)
    wrong = ask(GATE, "/v1/edit", body(1), Authorization="Bearer npe_wrong")[0]
    check("an edit needs the operator's key", wrong == 401, wrong)
    check(f"eight edits at once are answered, by both replicas: {shares}", set(statuses) == {200} and min(shares.values()) > 0, statuses)
    check("the replicas' metrics are not for the outside", ask(GATE, "/metrics")[0] == 404)

    answers = [ask(GATE, "/v1/edit", body(seed), Prefer="respond-async") for seed in range(6)]
    places = [headers["location"] for status, headers, _ in answers if status == 202]
    found = [until(lambda: (status := ask(GATE, place)[0]) == 200 or require(place, status == 202, status)) for place in places]
    check("answers for later are found at the replica that has them", len(found) == 6 and all(found), answers)

    connection = http.client.HTTPConnection("127.0.0.1", GATE, timeout=PATIENCE)
    connection.request("POST", "/v1/edit", json.dumps(body(1, steps=8)), {
        "Authorization": f"Bearer {key}", "Content-Type": "application/json", "Accept": "text/event-stream"})
    seen = [(time.monotonic(), line) for line in connection.getresponse() if line.startswith(b"event:")]
    steps = [at for at, line in seen if b"step" in line]
    spread = steps[-1] - steps[0]
    check(f"events come as they happen: eight steps over {spread * 1000:.0f} ms", len(steps) == 8 and spread > 0.02, seen)
    return first, haproxy


def observe():
    if not shutil.which("prometheus"):
        skipped("Prometheus", "Debian's package prometheus is not installed")
        return
    shutil.copy(ROOT / "docker/alerts.yml", work)
    text = (ROOT / "docker/prometheus.yml").read_text()
    # To the end: one job.
    found = text[text.index("    # Every replica"):]
    config = adapted("prometheus.yml", {
        found: f"    static_configs: [{{targets: {json.dumps([f'{host}:{PORT}' for host in REPLICAS])}}}]\n",
        "/run/secrets/": f"{work}/secrets/", "scrape_interval: 15s": "scrape_interval: 1s", "evaluation_interval: 15s": "evaluation_interval: 1s",
    })
    start("prometheus", ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={work}/tsdb", f"--web.listen-address=127.0.0.1:{METRICS}"])

    def query(expression):
        return json.loads(ask(METRICS, "/api/v1/query?" + urllib.parse.urlencode({"query": expression}))[2])

    check("Prometheus scrapes both replicas", until(lambda: len(query("up == 1")["data"]["result"]) == 2))
    # Rates need two samples with an edit between them.
    time.sleep(3)
    for seed in range(4):
        ask(GATE, "/v1/edit", body(100 + seed, judge=True))
    time.sleep(3)
    empty = []
    for where, expression in monitoring.queries():
        answer = query(monitoring.concrete(expression))
        require(f"{where} is answered", answer["status"] == "success", answer)
        if where.startswith("panel") and not answer["data"]["result"] and not any(part in expression for part in RARE):
            empty.append(where)
    check("every panel has something to show", not empty, empty)
    groups = json.loads(ask(METRICS, "/api/v1/rules")[2])["data"]["groups"]
    states = {rule["name"]: (rule["health"], rule["state"]) for rule in groups[0]["rules"]}
    check(f"{len(states)} alerts are evaluated, none fires", set(states.values()) == {("ok", "inactive")}, states)


def train():
    """A job through the gateway, run by the worker; its adapter edits at both replicas."""
    if not STORES:
        skipped("the worker", "there are no shared stores; .ci/services starts them")
        return
    worker = start("worker", [npedit, "worker"], **shared(), NPEDIT__STORAGE__DATA_DIR=str(work / "data-worker"))
    environment = {**os.environ, "NPEDIT_BASE_URL": f"http://127.0.0.1:{GATE}", "NPEDIT_API_KEY": key}
    run = subprocess.run([sys.executable, ROOT / "examples/finetune.py", picture, "make it bigger", "--out", work],
                         env=environment, capture_output=True, text=True)
    check("examples/finetune.py through the gateway, trained by the worker", run.returncode == 0, run.stdout + run.stderr)
    adapter = json.loads(ask(GATE, "/v1/adapters")[2])["data"][0]["id"]
    pictures = {ask(PORT, "/v1/edit", body(7, adapter=adapter), host=host, Accept="image/png")[2] for host in REPLICAS}
    check("its adapter gives the same bytes at both replicas", len(pictures) == 1 and pictures.pop().startswith(b"\x89PNG"))
    worker.terminate()
    check("the worker stops with 0", worker.wait(PATIENCE) == 0, worker.returncode)


def drain(first):
    """A replica is stopped while requests come."""
    statuses, end = [], time.monotonic() + 12
    first.send_signal(signal.SIGTERM)
    while time.monotonic() < end:
        statuses.append(ask(GATE, "/v1/edit", body(len(statuses)))[0])
    check(f"a replica stops amid {len(statuses)} edits, and none of them fails", set(statuses) == {200}, statuses)
    check("it drained and exited with 0", first.wait(PATIENCE) == 0, first.returncode)
    replica(REPLICAS[0])
    until(lambda: ask(PORT, "/health/ready", host=REPLICAS[0])[0] == 200)
    time.sleep(5)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda seed: ask(GATE, "/v1/edit", body(seed))[0], range(8)))
    check("one that comes back gets its share", set(statuses) == {200} and edits(REPLICAS[0]) > 0, statuses)


if not shutil.which("haproxy"):
    skipped("the gateway", "Debian's package haproxy is not installed")
    sys.exit()
try:
    (work / "recipes").mkdir()
    (work / "recipes/finetune-demo.toml").write_text(RECIPE)
    hashes, key = secrets()
    subprocess.run([npedit, "bundle", "random", work / "bundle"], check=True, capture_output=True)
    first, haproxy = gateway()
    observe()
    train()
    drain(first)
    haproxy.terminate()
finally:
    for process in running:
        process.kill()
        process.wait()
    shutil.rmtree(work)
