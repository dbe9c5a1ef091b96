"""npedit's judge beside transformers on the same edits: speed of scoring, and of its gradient.

    python3 -m pip install -r benches/requirements.txt
    python3 benches/score_side_by_side.py

Both sides load the judge of the same random bundle and answer the same two questions about the same two pictures, in two
processes that take turns. Prints markdown; `benches/README.md` says what is compared with what.
"""

import argparse
import json
import os
import sys
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image

from side_by_side import REPOSITORY, built, random_bundle
from sides import Side

QUESTIONS = [
    "You see an original picture first and an edited version of it second.\n"
    "The edit was meant to do this: replace the grey sky with a warm sunset\n"
    "Does the second picture show that change, carried out completely? If the two pictures look the same, answer No.\n"
    "Answer with Yes or No.",
    "You see an original picture first and an edited version of it second.\n"
    "The edit was meant to do this: replace the grey sky with a warm sunset\n"
    "Setting that change aside, is everything else in the second picture the same as in the first?\n"
    "Answer with Yes or No.",
]
# name, what npedit does, what the peer does
ROWS = [
    ("score", "together", "together"),
    ("score, peer calls the model once for each question", "together", "separate"),
    ("score and gradient in the pixels", "backward", "backward"),
]


def main():
    options = parse()
    work = options.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    binaries = built(["npedit", "score"])
    bundle = options.bundle or random_bundle(binaries["npedit"], work, options.preset)
    environment = dict(os.environ, RAYON_NUM_THREADS=str(options.threads), OMP_NUM_THREADS=str(options.threads))
    worker = REPOSITORY / "benches" / "peer" / "judge.py"
    commands = {
        "npedit": [binaries["score"], bundle],
        "transformers": [sys.executable, worker, bundle, "--threads", options.threads],
    }
    request = {**pictures(work, options.side), "questions": QUESTIONS}
    sides = {name: Side(name, command, environment) for name, command in commands.items()}
    try:
        rows = [measure(sides, request, row, options.runs) for row in ROWS]
    finally:
        for side in sides.values():
            side.close()
    print(f"Judge of the `{options.preset}` preset, {options.side} px, {options.threads} threads, median of {options.runs}.\n")
    print("| | npedit ms | transformers ms | ratio | range | largest difference of p_yes |")
    print("|---|--:|--:|--:|---|--:|")
    for row in rows:
        print(row)


def measure(sides, request, row, runs):
    name, *ways = row
    requests = {side: {**request, "way": way} for side, way in zip(sides, ways)}
    first = {side: sides[side].ask(requests[side]) for side in sides}
    apart = max(abs(a - b) for a, b in zip(*(answer["p_yes"] for answer in first.values())))
    if first["npedit"]["gradient_norm"] and first["transformers"]["gradient_norm"]:
        ours, theirs = (first[side]["gradient_norm"] for side in sides)
        name += f" (norms {ours:.6g} and {theirs:.6g})"
    rounds = [[sides[side].ask(requests[side])["ms"] for side in sides] for _ in range(runs)]
    ratios = [ours / theirs for ours, theirs in rounds]
    ours, theirs = (median(column) for column in zip(*rounds))
    spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
    return f"| {name} | {ours:.0f} | {theirs:.0f} | {median(ratios):.2f} | {spread} | {apart:.1e} |"


def pictures(work, side):
    """A picture and an edited one; both sides see the same files."""
    rows, columns = np.mgrid[0:side, 0:side] / side
    paths = {}
    for name, phase in (("reference", 0.0), ("edited", 0.7)):
        waves = [np.sin(9 * rows + 5 * np.sin(7 * columns + phase + channel)) for channel in range(3)]
        path = work / f"{name}-{side}.png"
        Image.fromarray(((np.stack(waves, axis=-1) + 1.0) * 127.5).astype(np.uint8)).save(path)
        paths[name] = str(path)
    return paths


def parse():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--side", type=int, default=512, help="side of the pictures in pixels")
    arguments.add_argument("--runs", type=int, default=5, help="timed scores of each side")
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--preset", default="small", help="random bundle to make when --bundle is not given")
    arguments.add_argument("--bundle", type=Path, help="a bundle directory with a judge to use instead")
    arguments.add_argument("--work", type=Path, default=REPOSITORY / "target" / "score-side-by-side")
    return arguments.parse_args()


if __name__ == "__main__":
    main()
