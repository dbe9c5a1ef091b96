"""Kills a training run at random moments and lets it go on: does it end as the undisturbed run does, byte for byte?

    python3 benches/train_kill.py

Trains the built-in bundle; needs no Python package beside those of `requirements.txt`.
"""

import argparse
import json
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

from side_by_side import REPOSITORY, built, inputs
from train_side_by_side import CAPTION, INSTRUCTION

# What a line of metrics.jsonl says of the machine, not of the run.
OF_THE_MACHINE = {"samples_per_sec", "wall_secs"}
RECIPE = """
steps = {steps}
seed = 7
batch.size = 2
batch.micro = 1
optimiser.learning_rate = 1e-3
optimiser.ema_decay = 0.9
fake_score.updates = 1
checkpoint.every = 4
samples.every = 10
samples.rows = 1
data.rows = "rows.jsonl"
"""


def main():
    options = parse()
    work = options.work.resolve()
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    command = [built(["npedit", "train"])["npedit"], "train", recipe(work, options.steps)]
    start = time.perf_counter()
    subprocess.run([*command, "--out", work / "undisturbed"], check=True, capture_output=True)
    duration = time.perf_counter() - start
    expected = result(work / "undisturbed", options.steps)
    print(f"Undisturbed: {options.steps} steps in {duration:.1f} s. Moments from seed {options.seed}.\n")
    print("| run | killed after s | steps done then | same end |")
    print("|--:|--:|--:|---|")
    moments = random.Random(options.seed)
    same = 0
    for run in range(1, options.runs + 1):
        moment = moments.uniform(0.0, duration)
        out = work / f"run-{run}"
        killed = kill_at(moment, [*command, "--out", out])
        done = len(lines(out)) if killed else options.steps
        if subprocess.run([*command, "--out", out], capture_output=True).returncode != 0:
            raise SystemExit(f"run {run} does not go on after the kill at {moment:.3f} s; look at {out}")
        equal = result(out, options.steps) == expected
        same += equal
        print(f"| {run} | {moment:.3f}{'' if killed else ' (had ended)'} | {done} | {'yes' if equal else 'NO'} |", flush=True)
    print(f"\n{same} of {options.runs} end with the undisturbed run's bytes.")
    if same < options.runs:
        raise SystemExit(1)


def recipe(work, steps):
    """A recipe on three rows of one picture."""
    image = inputs(work, 128)["image"]
    edits = [(INSTRUCTION, "background"), ("remove the red door", "remove"), ("make it winter", "style")]
    rows = [
        {"image": image, "instruction": text, "edited_caption": CAPTION, "edit_type": kind, "object": "the red door"}
        for text, kind in edits
    ]
    (work / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    path = work / "recipe.toml"
    path.write_text(RECIPE.format(steps=steps))
    return path


def kill_at(moment, command):
    """`kill -9` after so many seconds -> whether the run was still going"""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        process.wait(moment)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
    return process.wait() == -signal.SIGKILL


def lines(out):
    """Whole lines of the metrics: a kill may have cut the last one."""
    metrics = out / "metrics.jsonl"
    return metrics.read_text().split("\n")[:-1] if metrics.exists() else []


def result(out, steps):
    """Bytes of every file of the adapter, and what the metrics say of each step, which they name once."""
    metrics = [json.loads(line) for line in lines(out)]
    if [line["step"] for line in metrics] != list(range(1, steps + 1)):
        return None
    of_run = [{key: value for key, value in line.items() if key not in OF_THE_MACHINE} for line in metrics]
    files = sorted(path for path in (out / "adapter").rglob("*") if path.is_file())
    return {str(path.relative_to(out)): path.read_bytes() for path in files}, of_run


def parse():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--runs", type=int, default=20)
    arguments.add_argument("--steps", type=int, default=30)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--work", type=Path, default=REPOSITORY / "target" / "train-kill")
    return arguments.parse_args()


if __name__ == "__main__":
    main()
