"""Holds the PyTorch peer against recorded tensors of the NP-Edit reference.

    python3 benches/peer/validate.py [VARIANT_DIRECTORY ...]

Prints one line per comparison; exits 1 if any is outside the tolerance recorded in `cases.json`.
"""

import json
import re
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

import pictures
from model import Peer

REPOSITORY = Path(__file__).resolve().parents[2]


class Report:
    def __init__(self, variant, tolerances):
        self.variant, self.tolerances, self.failed, self.compared = variant, tolerances, 0, 0

    def line(self, case, tensor, deviation, tolerance, ok):
        self.compared += 1
        self.failed += not ok
        verdict = "ok" if ok else "FAIL"
        print(f"parity {self.variant} edit {case} {tensor} dev={deviation:.3g} tol={tolerance:g} {verdict}")

    def relative(self, case, tensor, got, expected):
        tolerance = self.number("txt, latents, velocities, hidden states", "rel")
        deviation = ((got - expected).abs().max() / expected.abs().max()).item()
        self.line(case, tensor, deviation, tolerance, deviation <= tolerance)

    def absolute(self, case, tensor, got, expected):
        tolerance = self.number("decoded", "abs")
        deviation = (got - expected).abs().max().item()
        self.line(case, tensor, deviation, tolerance, deviation <= tolerance)

    def picture(self, case, tensor, got, expected):
        off = np.abs(got.astype(int) - expected.astype(int))
        identical = (off == 0).mean()
        tolerance = self.number("uint8 image", "abs")
        least = float(re.search(r">= ([0-9.]+) %", self.tolerances["uint8 image"])[1]) / 100
        self.line(case, tensor, off.max(), tolerance, off.max() <= tolerance and identical >= least)

    def exact(self, case, tensor, same):
        self.line(case, tensor, 0.0 if same else float("inf"), 0.0, bool(same))

    def number(self, key, kind):
        return float(re.match(rf"{kind} ([0-9.e-]+)", self.tolerances[key])[1])


def check_case(peer, directory, tensors, case, report):
    name, expected = case["id"], case["expected"]
    recorded = lambda key: tensors[f"out.edit.{name}.{key}"]
    given = lambda key: tensors[f"in.edit.{name}.{key}"].squeeze(-3)

    images = [pictures.open_rgb(directory / image) for image in case["images"]]
    images = [pictures.resize(i, pictures.reference_size(*i.size, case["resolution"])) for i in images]
    for index, (got, png) in enumerate(zip(images, expected["preprocessed_pngs"])):
        same = np.array_equal(np.array(got), np.array(pictures.open_rgb(directory / png)))
        report.exact(name, f"preprocessed.{index}", same)
    reference = peer.encode_reference(torch.cat([pictures.to_pixels(image) for image in images]))
    report.relative(name, "ref_latents", reference, recorded("ref_latents").squeeze(2))

    texts = [peer.encode_text(instruction) for instruction in case["instructions"]]
    for item, (instruction, text) in enumerate(zip(case["instructions"], texts)):
        report.exact(name, f"template.{item}", peer.template(instruction) == expected["templated_text"][item])
        ids = peer.token_ids(instruction)[0]
        report.exact(name, f"input_ids.{item}", torch.equal(ids, recorded("input_ids")[item, : len(ids)]))
        report.exact(name, f"txt_lens.{item}", len(ids) == expected["txt_lens"][item])
        if f"out.edit.{name}.txt" in tensors:
            report.relative(name, f"txt.{item}", text, recorded("txt")[item, : len(text)])
        else:
            report.relative(name, f"txt_first16.{item}", text[:16], recorded("txt_first16")[item])
            report.relative(name, f"txt_last16.{item}", text[-16:], recorded("txt_last16")[item])

    for mode in case["modes"]:
        conditioning = peer.prepare(reference, texts, attend_padding=mode == "fa4")
        velocities, steps = [], []

        def observe(_step, velocity, latents):
            velocities.append(velocity)
            steps.append(latents)

        latents = peer.denoise(
            given("noise"), given("step_noise"), case["timesteps"], conditioning, case["eta"], observe
        )
        decoded = peer.decode(latents)
        for key, got in {"v": torch.stack(velocities), "x": torch.stack(steps)}.items():
            if f"out.edit.{name}.{mode}.ddim.{key}" in tensors:
                report.relative(name, f"{mode}.ddim.{key}", got, recorded(f"{mode}.ddim.{key}").squeeze(3))
        if f"out.edit.{name}.{mode}.ddim.decoded" in tensors:
            report.absolute(name, f"{mode}.ddim.decoded", decoded, recorded(f"{mode}.ddim.decoded").squeeze(2))
        for item, png in enumerate(expected[f"png_{mode}"]):
            wanted = np.array(pictures.open_rgb(directory / png))
            report.picture(name, f"{mode}.png.{item}", pictures.to_bytes(decoded)[item], wanted)


def check_variant(directory):
    cases = json.loads((directory / "cases.json").read_text())
    tensors = load_file(directory / "cases.safetensors")
    report = Report(directory.name, cases["tolerances"])
    with torch.inference_mode():
        peer = Peer(directory / "bundle", directory / "student.pt")
        for case in cases["edit"]:
            check_case(peer, directory, tensors, case, report)
    print(f"{directory.name}: compared {report.compared}, outside tolerance {report.failed}")
    return report.compared > 0 and report.failed == 0


def main():
    roots = [Path(argument) for argument in sys.argv[1:]] or [REPOSITORY / "tests" / "golden"]
    variants = [found.parent for root in roots for found in sorted(root.rglob("cases.json"))]
    variants = [directory for directory in variants if (directory / "student.pt").exists()]
    if not variants:
        raise SystemExit(f"no Z-Image variant (cases.json beside student.pt) under {roots}: give its directory")
    torch.set_num_threads(2)
    if not all([check_variant(directory) for directory in variants]):
        raise SystemExit(1)


main()
