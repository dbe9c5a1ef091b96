"""Programs of the profile `scale` outside Docker: the files of docker/ as they are, but for addresses and times."""
import http.client
import json
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time

from report import require

ROOT = pathlib.Path(__file__).resolve().parents[2]
REPLICAS = ["127.0.0.2", "127.0.0.3"]
PATIENCE = 180
# Nothing here looks at what was learnt, so it may as well be quick about it.
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


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(holds):
    """Waits for it; answers whether it came."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            if holds():
                return True
        except OSError:
            pass
        time.sleep(0.2)
    return False


class Services:
    """What runs, in a folder of its own, until `stop`."""

    def __init__(self, npedit):
        self.npedit = npedit
        self.work = pathlib.Path(tempfile.mkdtemp())
        self.running = []
        # Replicas listen on one port, each on its own address, as they do in Docker.
        self.port, self.gateway, self.health, self.metrics = (free_port() for _ in range(4))
        self.stores = {"NPEDIT_TEST_POSTGRES", "NPEDIT_TEST_S3"} <= os.environ.keys()
        (self.work / "recipes").mkdir()
        (self.work / "recipes/finetune-demo.toml").write_text(RECIPE)
        shutil.copy(ROOT / "docker/make-secrets", self.work)
        subprocess.run([self.work / "make-secrets"], check=True, capture_output=True)
        self.key = (self.work / "secrets/api_key").read_text()
        subprocess.run([npedit, "bundle", "random", self.work / "bundle"], check=True, capture_output=True)

    def start(self, name, command, **environment):
        log = open(self.work / f"{name}.log", "a")
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.work, env={**os.environ, **environment})
        self.running.append(process)
        return process

    def stop(self):
        for process in self.running:
            process.kill()
            process.wait()
        shutil.rmtree(self.work)

    def adapted(self, file, changes):
        """A file of docker/ with other addresses; each of them must be in it."""
        text = (ROOT / "docker" / file).read_text()
        for old, new in changes.items():
            require(f"docker/{file} says {old!r}", old in text)
            text = text.replace(old, new)
        (self.work / file).write_text(text)
        return self.work / file

    def settings(self, name):
        """Those of docker/compose.yaml, with stores that are at hand."""
        variable, _, keys = (self.work / "secrets/keys.env").read_text().strip().partition("=")
        settings = {
            variable: keys, "NPEDIT__FINETUNE__RUN": "workers", "NPEDIT__LOG__FORMAT": "json",
            "NPEDIT__STORAGE__DATA_DIR": str(self.work / f"data-{name}"), "NPEDIT__MODEL__REFERENCE": str(self.work / "bundle"),
            "NPEDIT__FINETUNE__RECIPES_DIR": str(self.work / "recipes"), "NPEDIT__FINETUNE__REGRESSION_EDITS": "2",
            "NPEDIT__FINETUNE__MAX_HELD_OUT": "2",
        }
        if self.stores:
            settings["NPEDIT__STORAGE__DATABASE_URL"] = os.environ["NPEDIT_TEST_POSTGRES"]
            settings["NPEDIT__STORAGE__OBJECTS_URL"] = os.environ["NPEDIT_TEST_S3"] + "/scale"
        return settings

    def replica(self, host):
        return self.start(host, [self.npedit, "serve"], **self.settings(host), NPEDIT__SERVER__HOST=host,
                          NPEDIT__SERVER__PORT=str(self.port), NPEDIT__SERVER__DRAIN_DELAY_SECS="6")

    def worker(self):
        return self.start("worker", [self.npedit, "worker"], **self.settings("worker"))

    def log(self, name):
        return (self.work / f"{name}.log").read_text()

    def ask(self, where, path, body=None, **headers):
        """Status, headers and body of one request to `(host, port)`, with the operator's key."""
        connection = http.client.HTTPConnection(*where, timeout=PATIENCE)
        sent = None if body is None else json.dumps(body)
        said = {"Authorization": f"Bearer {self.key}"} | ({"Content-Type": "application/json"} if sent else {}) | headers
        connection.request("POST" if sent else "GET", path, sent, said)
        answer = connection.getresponse()
        found = answer.status, dict(answer.getheaders()), answer.read()
        connection.close()
        return found

    def through_gateway(self, path, body=None, **headers):
        return self.ask(("127.0.0.1", self.gateway), path, body, **headers)

    def at(self, host, path, body=None, **headers):
        """Of one replica."""
        return self.ask((host, self.port), path, body, **headers)

    def edits(self, host):
        """Edits that a replica has answered."""
        text = self.at(host, "/metrics")[2].decode()
        lines = [line for line in text.splitlines() if line.startswith("http_requests_total") and '"/v1/edit"' in line]
        return sum(int(line.rsplit(" ", 1)[1]) for line in lines)
