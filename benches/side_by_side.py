"""npedit beside PyTorch on the same edits: speed of each stage, memory, cold start.

    python3 -m pip install -r benches/requirements.txt
    python3 benches/side_by_side.py

Both sides load the same random bundle and edit the same picture from the same noise, in two processes that
take turns. Prints markdown and writes everything measured to a JSON file; `benches/README.md` says what is
compared with what.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from statistics import median

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file

import cold_start
import report
from sides import Side

REPOSITORY = Path(__file__).resolve().parents[1]
SIGMAS = [1.0, 0.9474, 0.8571, 0.6667]
INSTRUCTION = "Replace the grey sky with a warm sunset and leave the houses as they are."
LATENT_CHANNELS = 16
VAE_FACTOR = 8


def main():
    options = parse()
    work = options.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    binaries = built(["npedit", "edit"], ["--features", "cuda"] if options.device == "cuda" else [])
    bundle = options.bundle or random_bundle(binaries["npedit"], work, options.preset)
    environment = dict(os.environ, RAYON_NUM_THREADS=str(options.threads), OMP_NUM_THREADS=str(options.threads))
    place = ["--device", options.device, "--dtype", options.dtype]
    worker = [sys.executable, REPOSITORY / "benches" / "peer" / "worker.py", bundle, *place, "--threads", options.threads]
    commands = {"npedit": [binaries["edit"], bundle, *place], "pytorch": worker}
    if options.compile:
        commands["compiled"] = [*worker, "--compile"]

    results = {"machine": machine(options), "sizes": {}}
    for size in options.sizes:
        request = inputs(work, size)
        formats = best_formats(commands["pytorch"], environment, request)
        chosen = [f"--{half}-format={min(times, key=times.get)}" for half, times in formats.items()]
        here = {name: command if name == "npedit" else [*command, *chosen] for name, command in commands.items()}
        results["sizes"][size] = {"vae_formats_ms": formats, **turns(here, environment, request, options.runs)}
    if options.device == "cpu":
        results["cold_start_ms"] = cold_start.measure(binaries["npedit"], work)
    options.json.write_text(json.dumps(results, indent=1) + "\n")
    print(report.markdown(results))


def parse():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--sizes", type=int, nargs="+", default=[256, 512], help="picture sides in pixels")
    arguments.add_argument("--runs", type=int, default=5, help="timed edits of each side and size")
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--preset", default="small", help="random bundle to make when --bundle is not given")
    arguments.add_argument("--bundle", type=Path, help="a bundle directory to use instead")
    arguments.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    arguments.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    arguments.add_argument("--compile", action="store_true", help="a third side: the peer under torch.compile")
    work = REPOSITORY / "target" / "side-by-side"
    arguments.add_argument("--work", type=Path, default=work, help="bundle, pictures and noise are kept here")
    arguments.add_argument("--json", type=Path, default=work / "results.json")
    return arguments.parse_args()


def built(names, features=()):
    """Release builds of the binary and of a bench that works on demand -> their paths by name"""
    binary, bench = names
    command = ["cargo", "build", "--release", "--bin", binary, "--bench", bench, *features]
    done = subprocess.run(
        [*command, "--message-format=json-render-diagnostics"], cwd=REPOSITORY, check=True, stdout=subprocess.PIPE
    )
    messages = [json.loads(line) for line in done.stdout.splitlines()]
    return {m["target"]["name"]: m["executable"] for m in messages if m.get("executable")}


def random_bundle(npedit, work, preset):
    """Made once: written beside its place, then renamed."""
    bundle = work / preset
    if not bundle.exists():
        unfinished = work / f"{preset}.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        subprocess.run([npedit, "bundle", "random", unfinished, "--preset", preset], check=True)
        unfinished.rename(bundle)
    return bundle


def inputs(work, size):
    """One picture and its noise; every run and both sides use the same."""
    random = torch.Generator().manual_seed(size)
    grid = (1, LATENT_CHANNELS, size // VAE_FACTOR, size // VAE_FACTOR)
    noise = {
        "noise": torch.randn(grid, generator=random),
        "step_noise": torch.randn((len(SIGMAS), *grid), generator=random),
    }
    save_file(noise, work / f"noise-{size}.safetensors")
    rows, columns = np.mgrid[0:size, 0:size] / size
    waves = [np.sin(9 * rows + 5 * np.sin(7 * columns + phase)) for phase in (0.0, 1.0, 2.0)]
    Image.fromarray(((np.stack(waves, axis=-1) + 1.0) * 127.5).astype(np.uint8)).save(work / f"picture-{size}.png")
    return {
        "image": str(work / f"picture-{size}.png"),
        "instruction": INSTRUCTION,
        "noise": str(work / f"noise-{size}.safetensors"),
        "sigmas": SIGMAS,
    }


def best_formats(command, environment, request):
    """Times of the peer's VAE in both memory formats, in a process of its own, so that it costs no memory later."""
    with Side("formats", command, environment) as side:
        return side.ask({"compare_formats": request["image"]})


def turns(commands, environment, request, runs):
    """A warm-up edit each, then `runs` rounds in which every side edits once."""
    sides = {name: Side(name, command, environment) for name, command in commands.items()}
    try:
        requests = {name: {**request, "picture": f"{request['image']}.{name}.png"} for name in sides}
        memory = {}
        for name, side in sides.items():
            loaded = side.resident_mib()
            side.forget_peak()
            side.ask(requests[name])
            memory[name] = {"loaded": loaded, "peak": side.peak_mib()}
        rounds = [{name: side.ask(requests[name])["ms"] for name, side in sides.items()} for _ in range(runs)]
    finally:
        for side in sides.values():
            side.close()
    pictures = {name: np.array(Image.open(requests[name]["picture"]).convert("RGB")).astype(int) for name in sides}
    off = np.abs(pictures["npedit"] - pictures["pytorch"])
    same = {"largest_difference": int(off.max()), "identical_share": float((off == 0).mean())}
    return {"rounds": rounds, "memory_mib": memory, "pictures": same}


def machine(options):
    info = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    models = [line.split(":", 1)[1].strip() for line in info.splitlines() if line.startswith("model name")]
    accelerator = torch.cuda.get_device_name() if options.device == "cuda" else None
    return {
        "cpu": models[0] if models else platform.processor(),
        "threads": options.threads,
        "accelerator": accelerator,
        "dtype": options.dtype,
        "bundle": str(options.bundle.name if options.bundle else options.preset),
        "torch": torch.__version__,
        "steps": len(SIGMAS),
    }


if __name__ == "__main__":
    main()
