"""The tiny editor beside its baselines: same start, batch and steps, each at several learning rates.

`tiny_baselines.py BUILD OUT [--steps 400] [--batch 32] [--rates 5e-4,1e-3,2e-3] [--methods npedit,supervised,...] [--device auto]
[--together 1] [--scenes 200]`

BUILD is a directory of `npedit world build` whose warm-up is done: its bundle is the start of every run and its scenes are the
data. Runs of OUT/runs that are done are left as they are, stopped ones go on. Afterwards every run is held against the oracle
(`npedit world eval --seed 1`), the best rate of each method is copied to OUT/best/METHOD.safetensors, and OUT/sweep.json holds
all figures. Flow-GRPO gets as many answers of the judge as the others: a batch of 32 is 4 photos with 8 edits each.
"""
import argparse
import concurrent.futures
import json
import pathlib
import shutil
import subprocess
import tomllib

METHODS = {
    "npedit": {},
    "dmd_only": {"losses": {"judge": 0.0}},
    "judge_only": {"losses": {"dmd": 0.0}, "fake_score": {"updates": 0}},
    "no_identity_question": {"losses": {"identity_question": False}},
    "full_vocabulary": {"losses": {"answer": "full_vocabulary"}},
    "supervised": {"stage": "supervised"},
    "flow_grpo": {"stage": "flow_grpo"},
}
# edits of one photo that Flow-GRPO compares
GROUP = 8
# what the recipes of the other stages have no use for
OF_EDITOR = ("losses", "teacher", "fake_score")

parser = argparse.ArgumentParser()
parser.add_argument("build", type=pathlib.Path)
parser.add_argument("out", type=pathlib.Path)
parser.add_argument("--steps", type=int, default=400)
parser.add_argument("--batch", type=int, default=32)
parser.add_argument("--rates", default="5e-4,1e-3,2e-3")
parser.add_argument("--methods", default=",".join(METHODS))
parser.add_argument("--device", default="auto")
parser.add_argument("--together", type=int, default=1, help="runs at a time")
parser.add_argument("--scenes", type=int, default=200, help="edits of the trained types that choose the rate")
parser.add_argument("--npedit", default="target/release/npedit")
options = parser.parse_args()


def toml(table):
    """Text of a recipe: values, then one level of tables."""
    value = lambda v: json.dumps(v) if isinstance(v, (str, bool)) else repr(v)
    lines = [f"{key} = {value(v)}" for key, v in table.items() if not isinstance(v, dict)]
    for name, part in table.items():
        if isinstance(part, dict):
            lines += ["", f"[{name}]"] + [f"{key} = {value(v)}" for key, v in part.items()]
    return "\n".join(lines) + "\n"


def recipe(method, rate):
    base = tomllib.loads(pathlib.Path("configs/recipes/tiny/6-editor.toml").read_text())
    base["steps"] = options.steps
    base["model"]["reference"] = str((options.build / "bundle").resolve())
    rows = "pairs" if method == "supervised" else "edits"
    base["data"]["rows"] = str((options.build / "scenes" / f"{rows}.jsonl").resolve())
    base["batch"] = {"size": options.batch, "micro": options.batch, "judged": options.batch}
    base["optimiser"] |= {"learning_rate": rate, "muon_learning_rate": rate, "last_learning_rate": rate / 20}
    base["fake_score"]["learning_rate"] = rate
    base["samples"]["every"] = 0
    for key, changed in METHODS[method].items():
        base[key] = base[key] | changed if isinstance(changed, dict) else changed
    if method in ("supervised", "flow_grpo"):
        for part in OF_EDITOR:
            del base[part]
        del base["batch"]["judged"]
        base["data"].pop("do_nothing_share", None)
    if method == "supervised":
        base["flow"] = {"shift": 3.0, "text_dropout": 0.0, "logit_normal_weight": False}
    if method == "flow_grpo":
        base["batch"]["size"] = max(1, options.batch // GROUP)
        base["grpo"] = {"group": GROUP}
    return toml(base)


def run(method, rate):
    out = options.out / "runs" / f"{method}-{rate:g}"
    if weights(out):
        return out
    out.parent.mkdir(parents=True, exist_ok=True)
    path = out.parent / f"{out.name}.toml"
    path.write_text(recipe(method, rate))
    command = [options.npedit, "train", str(path), "--out", str(out), "--device", options.device]
    with open(out.parent / f"{out.name}.log", "a") as log:
        ended = subprocess.run(command, stdout=log, stderr=log)
    print(f"{out.name}: {'done' if ended.returncode == 0 else f'ended with {ended.returncode}, see its log'}", flush=True)
    return out


def weights(out):
    found = sorted(out.glob("transformer/*.safetensors"))
    return found[0] if found else None


def held(runs):
    """Every run's oracle success on scenes of seed 1, by `world eval`."""
    candidates = options.out / "candidates"
    shutil.rmtree(candidates, ignore_errors=True)
    candidates.mkdir()
    for (method, rate), out in runs.items():
        if found := weights(out):
            shutil.copy(found, candidates / f"{method}@{rate:g}.safetensors")
    command = [options.npedit, "world", "eval", "--json", "--seed", "1", "--scenes", str(options.scenes), "--model"]
    command += [str(options.build / "bundle"), "--baselines", str(candidates), "--device", options.device]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)["methods"]


def main():
    rates = [float(rate) for rate in options.rates.split(",")]
    wanted = [(method, rate) for rate in rates for method in options.methods.split(",")]
    with concurrent.futures.ThreadPoolExecutor(options.together) as pool:
        runs = dict(zip(wanted, pool.map(lambda one: run(*one), wanted)))
    found = held(runs)
    sweep = {"steps": options.steps, "batch": options.batch, "scenes": options.scenes, "methods": {}}
    best = options.out / "best"
    best.mkdir(exist_ok=True)
    for method in options.methods.split(","):
        tried = {rate: found[f"{method}@{rate:g}"] for rate in rates if f"{method}@{rate:g}" in found}
        if not tried:
            continue
        rate = max(tried, key=lambda rate: tried[rate]["success"]["mean"])
        shutil.copy(weights(runs[method, rate]), best / f"{method}.safetensors")
        success = {f"{rate:g}": tried[rate]["success"] for rate in tried}
        sweep["methods"][method] = {"best": f"{rate:g}", "success": success}
        print(f"{method:22} best rate {rate:g}: " + ", ".join(f"{rate} {100 * s['mean']:.1f} %" for rate, s in success.items()))
    (options.out / "sweep.json").write_text(json.dumps(sweep, indent=1) + "\n")


main()
