"""Adapters of npedit in diffusers and PEFT: does the plain transformer answer the same velocity everywhere?

    python3 -m pip install -r benches/requirements.txt
    python3 benches/adapter_interop.py [--bundle DIR] [--adapter DIR]

Without arguments: a random bundle, and a random adapter of every linear layer of the blocks. npedit writes the adapter
in both layouts. Diffusers reads one (`ZImagePipeline.load_lora_weights`), PEFT the other (`PeftModel.from_pretrained`),
npedit both; all compute the velocity of the same seeded latents and caption. A second adapter, made of the first, has
other ranks and alphas on some modules and scales by the square root of the rank.
Prints a table; ends with an error where a velocity is off by more than the tolerance, or an adapter changes nothing.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
# The script's own directory has a kernels.py, which transformers would take for the package of that name.
sys.path = [entry for entry in sys.path if Path(entry or ".").resolve() != REPOSITORY / "benches"]

import torch
from diffusers import ZImagePipeline, ZImageTransformer2DModel
from diffusers.utils import logging as diffusers_logging
from peft import PeftModel
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from transformers.utils import logging as transformers_logging

TOLERANCE = 1e-4
# An adapter has to move the velocity by this many tolerances to prove anything.
VISIBLE = 100
RANK = 4
# Lists of blocks, whose linear layers take branches in npedit.
BLOCKS = ("layers.", "noise_refiner.", "context_refiner.")
# Tokens of the caption and side of the latents: with none, and with some, padded to a multiple of 32.
INPUTS = {"whole": (32, 16), "padded": (21, 12)}
WEIGHTS, SETTINGS = "adapter_model.safetensors", "adapter_config.json"


class Editor(torch.nn.Module):
    """What PEFT adapters of NP-Edit are trained on: a module whose `transformer` is adapted."""

    def __init__(self, transformer):
        super().__init__()
        self.transformer = transformer


def main():
    options = parse()
    diffusers_logging.disable_progress_bar()
    transformers_logging.disable_progress_bar()
    # A tensor that does not fit, or a setting that is not known, is only a warning there.
    warnings.simplefilter("error", UserWarning)
    torch.set_grad_enabled(False)
    with tempfile.TemporaryDirectory() as work:
        rows = compare(with_random(options, Path(work)), Path(work))
    width = max(len(row[0]) for row in rows)
    print(f"{'adapter, inputs':{width}}  off from base   diffusers    PEFT  (largest difference from npedit)")
    for name, moved, errors in rows:
        print(f"{name:{width}}  {moved:13.3e}   {errors['diffusers']:.2e}   {errors['peft']:.2e}")
    bad = [name for name, moved, errors in rows if not good(name, moved, errors)]
    if bad:
        sys.exit(f"missed: {', '.join(bad)} (tolerance {TOLERANCE})")
    print(f"all within {TOLERANCE}")


def parse():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--bundle", type=Path, help="in diffusers layout")
    arguments.add_argument("--adapter", type=Path, help="any that npedit reads")
    target = Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target"))
    arguments.add_argument("--build", type=Path, default=target / "debug", help="where npedit and its examples are built")
    return arguments.parse_args()


def with_random(options, work):
    """Makes what the options do not name."""
    if options.bundle is None:
        options.bundle = work / "bundle"
        npedit(options, "bundle", "random", options.bundle)
    if options.adapter is None:
        options.adapter = random_adapter(options.bundle, work / "random")
    return options


def random_adapter(bundle, directory):
    """Of every linear layer of the transformer's blocks, as PEFT writes it."""
    transformer = ZImageTransformer2DModel.from_pretrained(bundle / "transformer")
    random = torch.Generator().manual_seed(0)
    tensors, modules = {}, []
    for name, module in transformer.named_modules():
        if isinstance(module, torch.nn.Linear) and name.startswith(BLOCKS):
            modules.append(name)
            stem = f"base_model.model.transformer.{name}"
            a = torch.randn(RANK, module.in_features, generator=random)
            tensors[f"{stem}.lora_A.weight"] = a / module.in_features**0.5
            tensors[f"{stem}.lora_B.weight"] = torch.randn(module.out_features, RANK, generator=random) / 10
    directory.mkdir()
    save_file(tensors, directory / WEIGHTS)
    settings = {"peft_type": "LORA", "r": RANK, "lora_alpha": RANK, "target_modules": modules}
    (directory / SETTINGS).write_text(json.dumps(settings))
    return directory


def good(name, moved, errors):
    fits = all(error <= TOLERANCE for error in errors.values())
    return fits and (name.startswith("base,") or moved >= VISIBLE * TOLERANCE)


def compare(options, work):
    inputs = {name: seeded(options.bundle, work / f"{name}.safetensors", *sizes) for name, sizes in INPUTS.items()}
    adapters = {"base": None, "adapter": options.adapter, "mixed ranks": mixed(options, work / "mixed")}
    rows, base = [], {}
    for adapter, source in adapters.items():
        files = {layout: convert(options, source, work / adapter, layout) for layout in ("diffusers", "peft")}
        models = {
            "diffusers": diffusers_model(options.bundle, files["diffusers"]),
            "peft": peft_model(options.bundle, files["peft"]),
        }
        for case, path in inputs.items():
            ours = {layout: velocity(options, path, file) for layout, file in files.items()}
            base.setdefault(case, ours["diffusers"])
            errors = {layout: largest(run(model, path) - ours[layout]) for layout, model in models.items()}
            rows.append((f"{adapter}, {case}", largest(ours["diffusers"] - base[case]), errors))
    return rows


def seeded(bundle, path, tokens, side):
    """Inputs that both sides read from one file."""
    config = ZImageTransformer2DModel.load_config(bundle / "transformer")
    random = torch.Generator().manual_seed(tokens)
    tensors = {
        "latents": torch.randn(1, config["in_channels"], side, side, generator=random),
        "sigma": torch.tensor([0.7]),
        "caption": torch.randn(1, tokens, config["cap_feat_dim"], generator=random),
    }
    save_file(tensors, path)
    return path


def mixed(options, directory):
    """The adapter with every second attention query at a lower rank, other alphas there, and rank-stabilised scales."""
    plain = convert(options, options.adapter, directory / "plain", "peft")
    tensors = load_file(plain / WEIGHTS)
    settings = json.loads((plain / SETTINGS).read_text())
    chosen = [name for name in settings["target_modules"] if name.endswith("attention.to_q")][::2]
    for module in chosen:
        stem = f"base_model.model.transformer.{module}"
        rank = settings["r"] - 1
        tensors[f"{stem}.lora_A.weight"] = tensors[f"{stem}.lora_A.weight"][:rank].contiguous()
        tensors[f"{stem}.lora_B.weight"] = tensors[f"{stem}.lora_B.weight"][:, :rank].contiguous()
        settings["rank_pattern"][module] = rank
        settings["alpha_pattern"][module] = 2.5
    settings["use_rslora"] = True
    save_file(tensors, plain / WEIGHTS)
    (plain / SETTINGS).write_text(json.dumps(settings))
    return plain


def convert(options, adapter, directory, layout):
    """What npedit writes; None for no adapter."""
    if adapter is None:
        return None
    out = directory / layout
    npedit(options, "adapter", "convert", adapter, out, "--to", layout)
    return out


def npedit(options, *arguments):
    subprocess.run([options.build / "npedit", *arguments], check=True, capture_output=True)


def diffusers_model(bundle, adapter):
    pipeline = ZImagePipeline.from_pretrained(bundle, dtype=torch.float32)
    if adapter is not None:
        pipeline.load_lora_weights(adapter)
    return pipeline.transformer.eval()


def peft_model(bundle, adapter):
    transformer = ZImageTransformer2DModel.from_pretrained(bundle / "transformer", dtype=torch.float32)
    if adapter is None:
        return transformer.eval()
    return PeftModel.from_pretrained(Editor(transformer), adapter).base_model.model.transformer.eval()


def run(model, path):
    """The velocity noise - x0 `[1, C, h, w]`; the model predicts x0 - noise and counts time from noise to clean."""
    tensors = load_file(path)
    latents = list(tensors["latents"].unsqueeze(2))
    answer = model(latents, 1.0 - tensors["sigma"], list(tensors["caption"]), return_dict=False)[0]
    return -torch.stack(list(answer)).squeeze(2)


def velocity(options, path, adapter):
    out = path.with_suffix(".velocity.safetensors")
    more = [] if adapter is None else [adapter]
    subprocess.run([options.build / "examples" / "velocity", options.bundle, path, out, *more], check=True)
    with safe_open(out, "pt") as file:
        return file.get_tensor("velocity")


def largest(tensor):
    return tensor.abs().max().item()


if __name__ == "__main__":
    main()
