"""Peak memory of a training step against unroll depth and block count, with and without recomputation.

    python3 -m pip install -r benches/requirements.txt
    python3 benches/train_memory.py

Trains the denoiser of random bundles with distribution matching alone, so that the unrolled steps are what a step's memory
goes to. Each measurement is a process of its own: its peak during the second step, above what it holds when loaded. Prints
markdown.

With recomputation, a step is predicted to hold one block's full activations, and one boundary tensor for each block and
unrolled step, beside what it holds anyway (branches' gradients and moments, what one block needs while it computes). The
first two are counted from the shapes; the last is fitted, one number for each block count.
"""

import argparse
import json
import os
import shutil
from pathlib import Path

from safetensors.torch import load_file, save_file

from side_by_side import REPOSITORY, built, inputs, random_bundle
from sides import Side
from train_side_by_side import RECIPE, sized, write_recipe

MIB = 2**20
FLOAT = 4
PATCHED = 16  # pixels a token's side stands for
CAPTION = 32  # tokens


def main():
    options = parse()
    work = options.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    binaries = built(["npedit", "train"])
    small = sized(random_bundle(binaries["npedit"], work, "small"), work, options.side)
    image = Path(inputs(work, options.side)["image"])
    print("| blocks | unrolled steps | kept, MiB | recomputed, MiB | predicted, MiB | measured / predicted |")
    print("|--:|--:|--:|--:|--:|--:|")
    for count in options.blocks:
        bundle = deepened(small, work, count)
        config = json.loads((bundle / "transformer" / "config.json").read_text())
        block, boundary = counted(config, options.side)
        blocks = config["n_layers"] + config["n_refiner_layers"]
        peaks = {}
        for recompute in (False, True):
            for depth in options.depths:
                extra = {"memory.recompute": recompute, "unroll.depth": depth, "losses.judge": 0.0}
                recipe = write_recipe(work, image, {**RECIPE, **extra})
                peaks[recompute, depth] = peak([binaries["train"], bundle, recipe], options.threads)
        counts = {depth: block + blocks * depth * boundary for depth in options.depths}
        anyway = sum(peaks[True, depth] - counts[depth] for depth in options.depths) / len(options.depths)
        for depth in options.depths:
            kept, again = (peaks[recompute, depth] for recompute in (False, True))
            predicted = anyway + counts[depth]
            row = f"| {blocks} | {depth} | {kept:.0f} | {again:.0f} | {predicted:.0f} | {again / predicted:.2f} |"
            print(row, flush=True)


def deepened(bundle, work, layers):
    """The bundle with so many main layers, its own over and over."""
    copy = work / f"{bundle.name}-{layers}"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(bundle, copy, copy_function=os.link)
    place = copy / "transformer"
    config = json.loads((place / "config.json").read_text())
    weights = load_file(place / "diffusion_pytorch_model.safetensors")
    own = config["n_layers"]
    others = {name: value for name, value in weights.items() if not name.startswith("layers.")}
    for layer in range(layers):
        prefix = f"layers.{layer % own}."
        of_layer = {name: value for name, value in weights.items() if name.startswith(prefix)}
        others |= {f"layers.{layer}.{name.removeprefix(prefix)}": value.clone() for name, value in of_layer.items()}
    for name in ("config.json", "diffusion_pytorch_model.safetensors"):
        (place / name).unlink()
    (place / "config.json").write_text(json.dumps({**config, "n_layers": layers}))
    save_file(others, place / "diffusion_pytorch_model.safetensors")
    return copy


def counted(config, side):
    """MiB of one block's activations, and of its input."""
    width = config["dim"]
    hidden = width // 3 * 8
    tokens = 2 * (side // PATCHED) ** 2 + CAPTION
    # width: input; scaled norm; q, k, v, two normalised, two rotated; attended, projected, gated, sum; scaled norm; down,
    # gated, sum. hidden: gate, up, product.
    return (17 * width + 3 * hidden) * tokens * FLOAT / MIB, width * tokens * FLOAT / MIB


def peak(command, threads):
    """Of the second step, above loaded, in MiB."""
    environment = dict(os.environ, RAYON_NUM_THREADS=str(threads))
    with Side("npedit", command, environment) as side:
        loaded = side.resident_mib()
        side.ask("step")
        return max(side.ask("step")["peak_mib"].values()) - loaded


def parse():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--blocks", type=int, nargs="+", default=[4, 8, 16], help="main layers")
    arguments.add_argument("--depths", type=int, nargs="+", default=[1, 2, 4])
    arguments.add_argument("--side", type=int, default=256)
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--work", type=Path, default=REPOSITORY / "target" / "train-side-by-side")
    return arguments.parse_args()


if __name__ == "__main__":
    main()
