"""npedit's training step beside PyTorch's: the same losses first, then time of each part and peak memory.

    python3 -m pip install -r benches/requirements.txt
    python3 benches/train_side_by_side.py

Both sides train the same random bundle on the same row from the same noise and the same branches, in two processes that
take turns. Prints markdown; `benches/README.md` says what is compared with what.
"""

import argparse
import json
import os
import shutil
import sys
import tomllib
from pathlib import Path
from statistics import median

from side_by_side import REPOSITORY, best_formats, built, inputs, random_bundle
from sides import Side

INSTRUCTION = "replace the grey sky with a warm sunset"
CAPTION = "a row of houses under a warm sunset"
NEGATIVE = "low quality, artifacts"
SIDES = ["npedit", "pytorch"]
PARTS = ["fake score", "unroll and scores", "decode and judge", "backward and update"]
# The most that the two may differ, relative; probabilities absolutely.
TOLERANCE = 1e-3


def main():
    options = parse()
    work = options.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    binaries = built(["npedit", "train"])
    bundle = sized(random_bundle(binaries["npedit"], work, options.preset), work, options.side)
    image = Path(inputs(work, options.side)["image"])
    recipe = write_recipe(work, image, RECIPE)
    environment = dict(os.environ, RAYON_NUM_THREADS=str(options.threads), OMP_NUM_THREADS=str(options.threads))
    settings = write_settings(work, image, decode_format(bundle, environment, image, options.threads))
    peer = [sys.executable, REPOSITORY / "benches" / "peer" / "train.py", bundle, settings, "--threads", options.threads]
    commands = {"npedit": [binaries["train"], bundle, recipe], "pytorch": peer}
    sides = {name: Side(name, command, environment) for name, command in commands.items()}
    try:
        drawn = work / "drawn.safetensors"
        sides["npedit"].ask({"export": {"file": str(drawn), "side": options.side}})
        sides["pytorch"].ask({"load": str(drawn)})
        loaded = {name: side.resident_mib() for name, side in sides.items()}
        rounds = [{name: side.ask("step") for name, side in sides.items()} for _ in range(options.runs + 1)]
    finally:
        for side in sides.values():
            side.close()
    print(validation(rounds))
    print(speed(rounds, loaded))


RECIPE = {
    "steps": 100,
    "optimiser.learning_rate": 1e-4,
    "fake_score.learning_rate": 1e-4,
    "fake_score.updates": 1,
    "batch.size": 1,
    "batch.micro": 1,
    "data.do_nothing_share": 0.0,
}


def write_recipe(work, image, settings):
    """A recipe and its one row."""
    row = {
        "image": str(image),
        "instruction": INSTRUCTION,
        "edited_caption": CAPTION,
        "edit_type": "background",
    }
    (work / "rows.jsonl").write_text(json.dumps(row) + "\n")
    lines = {**settings, "data.rows": "rows.jsonl"}
    recipe = work / "recipe.toml"
    recipe.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in lines.items()))
    return recipe


def write_settings(work, image, decode_format):
    """What the peer cannot read from the recipe."""
    questions = tomllib.loads((REPOSITORY / "configs" / "questions.toml").read_text())["default"]
    settings = {
        "image": str(image),
        "instruction": INSTRUCTION,
        "edited_caption": CAPTION,
        "negative_caption": NEGATIVE,
        "questions": [
            questions[kind]["text"].replace("{instruction}", INSTRUCTION) for kind in ("edit", "preservation")
        ],
        "updates": RECIPE["fake_score.updates"],
        "learning_rate": RECIPE["optimiser.learning_rate"],
        "clip_norm": 2.0,
        "scale": 1.0,
        "guidance_scale": 3.5,
        "judge_weight": 0.02,
        "dmd_weight": 1.0,
        "decode_format": decode_format,
    }
    path = work / "settings.json"
    path.write_text(json.dumps(settings))
    return path


def sized(bundle, work, side):
    """The bundle, for pictures of another area."""
    copy = work / f"{bundle.name}-{side}"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(bundle, copy, copy_function=os.link)
    settings = json.loads((bundle / "npedit.json").read_text())
    (copy / "npedit.json").unlink()
    (copy / "npedit.json").write_text(json.dumps({**settings, "target_area_px": side * side}))
    return copy


def decode_format(bundle, environment, image, threads):
    """The memory format in which the peer's decoder is faster."""
    worker = [sys.executable, REPOSITORY / "benches" / "peer" / "worker.py", bundle, "--threads", threads]
    times = best_formats(worker, environment, {"image": str(image)})["decode"]
    return min(times, key=times.get)


def validation(rounds):
    """Terms of both sides, step by step."""
    lines = ["| step | term | npedit | PyTorch | apart |", "|--:|---|--:|--:|--:|"]
    worst = 0.0
    for index, answers in enumerate(rounds):
        ours, theirs = (answers[name]["report"] for name in SIDES)
        for term in ("fake_score", "dmd", "judge", "p_yes_edit", "p_yes_identity", "loss", "grad_norm"):
            apart = abs(ours[term] - theirs[term])
            if not term.startswith("p_yes"):
                apart /= abs(theirs[term])
            worst = max(worst, apart)
            lines.append(f"| {index + 1} | {term} | {ours[term]:.6g} | {theirs[term]:.6g} | {apart:.1e} |")
    if worst > TOLERANCE:
        raise SystemExit("\n".join([*lines, "", f"the two sides do not compute the same step: {worst:.1e} apart"]))
    return "\n".join([*lines, "", f"Largest difference: {worst:.1e}.", ""])


def speed(rounds, loaded):
    """Milliseconds and MiB of both sides, with ratios; the first round warms up and counts for memory alone."""
    lines = ["| | npedit ms | PyTorch ms | ratio | range | npedit peak MiB | PyTorch peak MiB | ratio |"]
    lines.append("|---|--:|--:|--:|---|--:|--:|--:|")
    for name, parts in {**{part: [part] for part in PARTS}, "**step**": PARTS}.items():
        pairs = [[sum(answers[side]["ms"][part] for part in parts) for side in SIDES] for answers in rounds[1:]]
        ratios = [ours / theirs for ours, theirs in pairs]
        ours, theirs = (median(column) for column in zip(*pairs))
        times = f"{ours:.0f} | {theirs:.0f} | {median(ratios):.2f} | {min(ratios):.2f}-{max(ratios):.2f}"
        lines.append(f"| {name} | {times} | {peaks(rounds, parts, dict.fromkeys(SIDES, 0))} |")
    lines.append(f"| step, above loaded | | | | | {peaks(rounds, PARTS, loaded)} |")
    return "\n".join(lines)


def peaks(rounds, parts, above):
    """Largest resident memory of both sides during `parts`, above what is not to count, and its ratio."""
    ours, theirs = (
        max(answers[side]["peak_mib"][part] for answers in rounds for part in parts) - above[side] for side in SIDES
    )
    return f"{ours:.0f} | {theirs:.0f} | {ours / theirs:.2f}"


def parse():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--side", type=int, default=256, help="picture side in pixels")
    arguments.add_argument("--runs", type=int, default=5, help="timed steps of each side")
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--preset", default="small")
    work = REPOSITORY / "target" / "train-side-by-side"
    arguments.add_argument("--work", type=Path, default=work, help="bundle, picture and noise are kept here")
    return arguments.parse_args()


if __name__ == "__main__":
    main()
