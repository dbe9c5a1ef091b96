"""docker/compose.yaml, profile by profile, as Docker Compose itself reads it: `compose.py DOCKER_COMPOSE...`."""
import hashlib
import json
import os
import pathlib
import re
import shutil
import stat
import subprocess
import sys
import tempfile

from report import check, require

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROFILES = {
    "default": {"npedit"},
    "cuda": {"npedit-cuda"},
    "scale": {"gateway", "serve", "worker", "postgres", "objects", "bucket", "prometheus", "grafana"},
}
PORTS = {"npedit": {8080}, "npedit-cuda": {8080}, "gateway": {8080}, "prometheus": {9090}, "grafana": {3000}}
OURS = {"npedit", "npedit-cuda", "serve", "worker"}
# What is kept, in named volumes; a replica of the scale profile keeps nothing but in the image's own volume.
KEPT = {
    "npedit": {"/data", "/models"}, "npedit-cuda": {"/data", "/models"}, "postgres": {"/var/lib/postgresql"},
    "objects": {"/data"}, "prometheus": {"/prometheus"}, "grafana": {"/var/lib/grafana"},
}
# One listens on nothing, the other ends.
UNCHECKED = {"worker", "bucket"}

# A copy: secrets are made in it.
work = pathlib.Path(tempfile.mkdtemp())
for folder in ("docker", "configs"):
    shutil.copytree(ROOT / folder, work / folder, ignore=shutil.ignore_patterns("secrets*"))
environment = {"PATH": os.environ["PATH"], "HOME": str(work)}


def compose(*args, **more):
    command = [*sys.argv[1:], "-f", "docker/compose.yaml", *args]
    return subprocess.run(command, cwd=work, env={**environment, **more}, capture_output=True, text=True)


def config(profile, **more):
    """The services of a profile; `default` is what runs without a flag."""
    flags = [] if profile == "default" else ["--profile", profile]
    run = compose(*flags, "config", "--format", "json", **more)
    check(f"docker compose config, profile {profile}", run.returncode == 0 and not run.stderr, run.stderr)
    return json.loads(run.stdout)


print(compose("version").stdout.strip())
for profile in ("cuda", "scale"):
    missing = compose("--profile", profile, "config")
    check(f"without secrets the profile {profile} does not start, and names the file",
          missing.returncode != 0 and "secrets/keys.env" in missing.stderr, missing.stderr)

made = subprocess.run(["docker/make-secrets"], cwd=work, capture_output=True, text=True)
secrets = work / "docker/secrets"
check("docker/make-secrets makes them", made.returncode == 0, made.stderr)
modes = {path.name: oct(stat.S_IMODE(path.stat().st_mode)) for path in [secrets, *secrets.iterdir()]}
check("in a directory for its owner alone", modes.pop("secrets") == "0o700" and set(modes.values()) == {"0o644"}, modes)
drawn = "\n".join((secrets / name).read_text() for name in ("postgres_password", "grafana_password", "s3.json"))
random = re.findall(r"\b[0-9a-f]{64}\b", drawn)
keys = [(secrets / name).read_text() for name in ("api_key", "metrics_key")]
check("six of 256 random bits, none twice", len(set(random)) == 4 and len(set(keys)) == 2 and all(len(key) == 68 for key in keys), modes)
hashes = [hashlib.sha256(key.encode()).hexdigest() for key in keys]
check("the service gets the hashes of the keys alone", all(h in (secrets / "keys.env").read_text() for h in hashes)
      and not any(key in (secrets / "keys.env").read_text() for key in keys))
again = subprocess.run(["docker/make-secrets"], cwd=work, capture_output=True, text=True)
check("and keeps those that are there", again.returncode == 1 and "stays as it is" in again.stderr, again.stderr)

raw = (work / "docker/compose.yaml").read_text()
baked = [line for line in raw.splitlines() if re.search(r"(PASSWORD|SECRET|TOKEN|ACCESS_KEY\w*):\s*\S", line)]
check("no secret stands in compose.yaml", not baked, baked)

for profile, expected in PROFILES.items():
    services = (whole := config(profile))["services"]
    check(f"{profile}: starts {', '.join(sorted(expected))} and nothing else", set(services) == expected, set(services))
    for name, service in services.items():
        ports = {port["target"] for port in service.get("ports", [])}
        require(f"{name}: publishes {sorted(PORTS.get(name, []))}", ports == PORTS.get(name, set()), ports)
        hosts = {port.get("host_ip") for port in service.get("ports", [])}
        require(f"{name}: on 127.0.0.1 alone", hosts <= {"127.0.0.1"}, hosts)
        tag = service["image"].rpartition(":")[2]
        require(f"{name}: the image has a tag of its own ({tag})", tag not in ("latest", service["image"]), service["image"])
        disabled = service.get("healthcheck", {}).get("disable", False)
        require(f"{name}: is checked for health, or cannot be", disabled == (name in UNCHECKED)
                and (disabled or name in OURS or service["healthcheck"]["test"]), service.get("healthcheck"))
        needed = service.get("depends_on", {})
        waits = {"bucket": "service_completed_successfully"}
        wrong = {on: how for on, how in needed.items() if how["condition"] != waits.get(on, "service_healthy")}
        require(f"{name}: waits for the health of {sorted(needed)}", not wrong, wrong)
        volumes = {v["target"] for v in service.get("volumes", []) if v["type"] == "volume"}
        require(f"{name}: keeps {sorted(KEPT.get(name, []))}", volumes == KEPT.get(name, set()), volumes)
        binds = [v for v in service.get("volumes", []) if v["type"] == "bind"]
        loose = [v["source"] for v in binds if not v.get("read_only") or not pathlib.Path(v["source"]).is_file()]
        require(f"{name}: mounts {len(binds)} files of the repository, read-only", not loose, loose)
        if name in OURS:
            hardened = (service["read_only"] and service["cap_drop"] == ["ALL"] and "/tmp" in service["tmpfs"]
                        and service["security_opt"] == ["no-new-privileges:true"] and not service.get("privileged"))
            require(f"{name}: read-only root, no capabilities, no new privileges", hardened, service)
            anonymous = "NPEDIT__AUTH__ALLOW_ANONYMOUS" in service["environment"]
            require(f"{name}: {'anonymous' if profile == 'default' else 'keys alone'}", anonymous == (profile == "default"))
            unknown = [k for k in service["environment"] if not k.startswith(("NPEDIT_", "AWS_")) and k != "HF_TOKEN"]
            require(f"{name}: its variables are npedit's, the store's and the hub's", not unknown, unknown)
        seen = [f"ports {sorted(ports)}" * bool(ports), f"volumes {sorted(volumes)}" * bool(volumes),
                f"after {sorted(needed)}" * bool(needed), "no health check" * disabled]
        check(f"{name}: {service['image']}; " + "; ".join(filter(None, seen)), True)
    lost = [s["file"] for s in whole.get("secrets", {}).values() if not pathlib.Path(s["file"]).is_file()]
    check(f"{profile}: every secret is a file that make-secrets made", not lost, lost)

# The one service whose command is a program: with a store in place that fails at first.
bucket = config("scale")["services"]["bucket"]
(work / "weed").write_text(f"""#!/bin/sh
read -r line
echo "$line" >>{work}/asked
case $(grep -c . {work}/asked)$line in
  1*|2*) exit 1;;
  *create*) touch {work}/made;;
  *list*) test ! -e {work}/made || echo '  npedit  size:0';;
esac
""")
(work / "weed").chmod(0o755)
command = [*bucket["entrypoint"], *(part.replace("$$", "$") for part in bucket["command"])]
run = subprocess.run(command, env={**environment, "PATH": f"{work}:{environment['PATH']}"}, capture_output=True, text=True)
asked = (work / "asked").read_text().split("\n")
check("bucket: looks, makes it, and ends when it is listed", run.returncode == 0 and asked[-2:] == ["s3.bucket.list", ""]
      and "s3.bucket.create -name npedit" in asked, (run.stderr, asked))

scaled = config("scale", NPEDIT_REPLICAS="5", NPEDIT_ADDRESS="0.0.0.0", NPEDIT_PORT="443")["services"]
port = scaled["gateway"]["ports"][0]
check("NPEDIT_REPLICAS, NPEDIT_ADDRESS and NPEDIT_PORT are heard", scaled["serve"]["deploy"]["replicas"] == 5
      and (port["host_ip"], port["published"]) == ("0.0.0.0", "443"), port)
cuda = config("cuda")["services"]["npedit-cuda"]
device = cuda["deploy"]["resources"]["reservations"]["devices"][0]
check("cuda: one NVIDIA GPU is reserved", device["driver"] == "nvidia" and device["capabilities"] == ["gpu"], device)
check("cuda: the image is built with the feature", cuda["build"]["dockerfile"].endswith("Dockerfile.cuda"), cuda["build"])
check("replicas and stores have no way out", scaled["serve"]["networks"].keys() == {"replicas"}
      and config("scale")["networks"]["replicas"]["internal"])
shutil.rmtree(work)
