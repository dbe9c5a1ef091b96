"""The image in a root of its own, as a container runtime would start it: read-only, as user 65532, without capabilities."""
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request

from report import check, skipped

# What distroless cc has of libraries that a program asks the loader for.
BASE = re.compile(r"^(ld-linux-x86-64|libc|libm|libdl|libpthread|librt|libgcc_s|libstdc\+\+|libgomp|libssl|libcrypto)\.so")
PATIENCE = 120
PORT = 18080

# In namespaces of its own: the image becomes /, and of everything else only /proc, an empty /tmp and the volumes.
ENTER = """
set -e
mount --bind "$IMAGE" "$IMAGE"
mount --bind "$DATA" "$IMAGE/data"
mount --bind "$MODELS" "$IMAGE/models"
mount -t tmpfs tmpfs "$IMAGE/tmp"
mount -t proc proc "$IMAGE/proc"
mount -o remount,bind,ro "$IMAGE"
exec env -i $SETTINGS "$PYTHON" "$ENTER" "$IMAGE" "$@"
"""


def libraries(image):
    """Copies the libraries of the image's programs into it; each of them must be one of the base's."""
    program = image / "usr/local/bin/npedit"
    found = subprocess.run(["ldd", program], capture_output=True, text=True).stdout
    paths = re.findall(r"(/\S+)", found)
    strange = [path for path in paths if not BASE.match(os.path.basename(path))]
    check(f"the program needs {', '.join(sorted(map(os.path.basename, paths)))}: the base has them all", not strange, strange)
    for path in paths:
        (image / path.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(os.path.realpath(path), image / path.lstrip("/"))


def try_out(image, settings):
    """Serves, asks the health check, edits, and stops."""
    for folder in ("tmp", "proc", "etc"):
        (image / folder).mkdir(exist_ok=True)
    libraries(image)
    volumes = {name: image.parent / f"volume-{name}" for name in ("data", "models")}
    for volume in volumes.values():
        volume.mkdir()
    if os.geteuid() != 0 or subprocess.run(["unshare", "-m", "true"]).returncode:
        skipped("the image in a root of its own", "this needs root and mount namespaces")
        return
    for volume in volumes.values():
        os.chown(volume, 65532, 65532)
    image.parent.chmod(0o755)
    # As a default container has it, but for the port.
    variables = {**settings, "PATH": "/usr/local/bin", "NPEDIT__AUTH__ALLOW_ANONYMOUS": "true", "NPEDIT__SERVER__PORT": str(PORT)}
    outer = {**os.environ, "IMAGE": str(image), "DATA": str(volumes["data"]), "MODELS": str(volumes["models"]),
             "PYTHON": sys.executable, "ENTER": str(pathlib.Path(__file__).with_name("enter.py")),
             "SETTINGS": " ".join(f"{name}={value}" for name, value in variables.items())}

    def start(*command, **more):
        line = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "bash", "-c", ENTER, "bash", *command]
        return subprocess.Popen(line, env=outer, text=True, **more)

    log = open(image.parent / "log", "w+")
    server = start("npedit", "serve", stderr=log)

    def healthy():
        return start("npedit", "health", stderr=subprocess.DEVNULL).wait() == 0

    end = time.monotonic() + PATIENCE
    while not (ready := healthy()) and server.poll() is None and time.monotonic() < end:
        time.sleep(0.3)
    log.seek(0)
    check("npedit serve runs with a read-only root, and npedit health says so", ready, log.read())
    url = f"http://127.0.0.1:{PORT}"
    with urllib.request.urlopen(f"{url}/v1/models") as answer:
        check("it answers, from the bundle inside it", json.load(answer)["object"] == "list")
    status = inside(server.pid)
    check("its process is user 65532, without capabilities, and can gain none",
          status["Uid"].split()[1] == "65532" and int(status["CapBnd"], 16) == 0 and status["NoNewPrivs"] == "1", status)
    kept = sorted(path.name for path in volumes["data"].iterdir())
    check(f"what it keeps is in the volume: {', '.join(kept)}", kept)
    stop(server)
    check("SIGTERM ends it with 0", server.wait(PATIENCE) == 0, server.returncode)


def children(pid):
    listed = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True).stdout.split()
    return [int(child) for child in listed]


def served_by(pid):
    """The program below `unshare`."""
    return children(pid)[0]


def inside(pid):
    lines = open(f"/proc/{served_by(pid)}/status").read().splitlines()
    return {name: value.strip() for name, value in (line.split(":", 1) for line in lines)}


def stop(server):
    os.kill(served_by(server.pid), signal.SIGTERM)
