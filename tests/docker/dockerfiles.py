"""The Dockerfiles by rules, and the CPU image outside Docker: `dockerfiles.py HADOLINT [BINARY]`.

With BINARY (a built npedit) the image is put together and run in a root of its own: its commands, its user, its libraries.
"""
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

import rootfs
from report import check, require, skipped

ROOT = pathlib.Path(__file__).resolve().parents[2]
MAX_BYTES = 70 * 1024 * 1024
hadolint, *binary = sys.argv[1:]


def instructions(path):
    """`(word, rest)` of each instruction, with lines joined and comments left out."""
    lines = [line for line in path.read_text().splitlines() if not line.lstrip().startswith("#")]
    text = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [tuple(line.split(maxsplit=1)) for line in text.splitlines() if line.strip()]


def stages(path):
    found = []
    for word, rest in instructions(path):
        if word == "FROM":
            found.append([])
        found[-1].append((word, rest))
    return found


def values(stage, word):
    return [rest for name, rest in stage if name == word]


def environment(stage):
    return dict(pair.split("=", 1) for rest in values(stage, "ENV") for pair in shlex.split(rest))


def packed():
    """Files of the build context, by .dockerignore: nothing but what `!` names."""
    rules = [line for line in (ROOT / ".dockerignore").read_text().split("\n") if line and not line.startswith("#")]
    require("the first rule leaves everything out, the others name what is let in",
            rules[0] == "*" and all(rule.startswith("!") for rule in rules[1:]), rules)
    tracked = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True)
    names = [rule[1:] for rule in rules[1:]]
    return [f for f in tracked.stdout.splitlines() if any(f == n or f.startswith(n + "/") for n in names)]


def embedded():
    """What the sources read while they are compiled."""
    for source in (ROOT / "src").rglob("*.rs"):
        for path in re.findall(r'include_(?:str|bytes)!\(\s*"([^"]+)"', source.read_text()):
            yield (source.parent / path).resolve()
        for path in re.findall(r'#\[folder = "([^"]+)"\]', source.read_text()):
            yield ROOT / path


paths = {"CPU": ROOT / "docker/Dockerfile", "CUDA": ROOT / "docker/Dockerfile.cuda"}
last = {}
for name, path in paths.items():
    run = subprocess.run([hadolint, "--failure-threshold", "style", path], capture_output=True, text=True)
    check(f"{name}: hadolint", run.returncode == 0, run.stdout + run.stderr)
    *_, final = every = stages(path)
    last[name] = final
    bases = [values(stage, "FROM")[0].split()[0] for stage in every]
    loose = [base for base in bases if base.rpartition(":")[2] in (base, "latest")]
    check(f"{name}: from {', '.join(bases)}", not loose and len(every) > 1, loose)
    check(f"{name}: runs as user 65532", values(final, "USER") == ["65532:65532"], values(final, "USER"))
    exec_form = [json.loads(rest) for word in ("ENTRYPOINT", "CMD", "VOLUME") for rest in values(final, word)]
    check(f"{name}: npedit serve, /data and /models as volumes, without a shell",
          exec_form == [["npedit"], ["serve"], ["/data", "/models"]], exec_form)
    health = values(final, "HEALTHCHECK")
    check(f"{name}: npedit health", len(health) == 1 and health[0].endswith('CMD ["npedit", "health"]'), health)
    fetched = re.findall(r"^ADD |curl|wget", path.read_text(), re.M) if name == "CUDA" else []
    check(f"{name}: fetches nothing but packages", not fetched, fetched)
check("both images have the same settings", environment(last["CPU"]) == environment(last["CUDA"]))

files = packed()
lost = [str(p) for p in embedded() if not any((ROOT / f) == p or p in (ROOT / f).parents for f in files)]
check(f"the build context has {len(files)} files, among them all that the sources embed", not lost, lost)

work = pathlib.Path(tempfile.mkdtemp())
for file in files:
    (work / "src" / file).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(ROOT / file, work / "src" / file)
run = subprocess.run(["cargo", "metadata", "--locked", "--no-deps", "--format-version", "1"], cwd=work / "src",
                     capture_output=True, text=True)
targets = [t["name"] for t in json.loads(run.stdout or '{"packages":[{"targets":[]}]}')["packages"][0]["targets"]]
check("Cargo reads the context as a package with the program npedit", "npedit" in targets, run.stderr)

build = stages(paths["CPU"])[0]
packages, compiled = [re.sub(r"--mount=\S+\s+", "", rest) for rest in values(build, "RUN")]
wanted = re.search(r"apt-get install (.*?) &&", packages)[1]
if "bookworm" in pathlib.Path("/etc/os-release").read_text() and shutil.which("apt-get"):
    run = subprocess.run(f"apt-get install --simulate {wanted}", shell=True, capture_output=True, text=True)
    check(f"apt-get install {wanted}", run.returncode == 0, run.stderr)
else:
    skipped(f"apt-get install {wanted}", "this is not the image's Debian")

if not binary:
    skipped("the image's commands", "no binary was given (NPEDIT_DOCKER_BINARY)")
    sys.exit()

# The compiler's output is given; everything after it is the file's own text, with / moved to a folder.
cargo, *then = re.split(r"\s+&&\s+", compiled)
check(f"the build is one command of Cargo, here left out: {cargo}", cargo.startswith("cargo build --release --locked"), cargo)
(work / "src/target/release").mkdir(parents=True)
shutil.copy2(binary[0], work / "src/target/release/npedit")
for command in then:
    moved = re.sub(r"(?<= )/out", f"{work}/out", command)
    run = subprocess.run(moved, shell=True, cwd=work / "src", capture_output=True, text=True)
    check(command, run.returncode == 0, run.stderr)

image = work / "image"
for rest in values(last["CPU"], "COPY"):
    *flags, source, target = rest.split()
    start = work if "--from=build" in flags else work / "src"
    source = start / source.lstrip("/")
    (image / target.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
    copy = shutil.copytree if source.is_dir() else shutil.copy2
    copy(source, image / target.lstrip("/"))
    check(f"COPY {rest}", True)

program = image / "usr/local/bin/npedit"
symbols = subprocess.run(["readelf", "-SW", program], capture_output=True, text=True).stdout
size = sum(path.stat().st_size for path in image.rglob("*") if path.is_file())
if ".symtab" in symbols:
    skipped("the image's size", f"{binary[0]} is not stripped, so not of a release build")
else:
    check(f"everything above the base has {size / 2**20:.1f} MiB, at most 70", size <= MAX_BYTES, size)
rootfs.try_out(image, environment(last["CPU"]))
shutil.rmtree(work)
