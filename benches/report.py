"""Markdown of what `side_by_side.py` measured."""

from statistics import median

STAGES = ["text", "encode", "denoise", "decode"]


def markdown(results):
    machine = results["machine"]
    where = machine["accelerator"] or f"{machine['cpu']}, {machine['threads']} threads"
    lines = [f"{where}, {machine['dtype']}, bundle `{machine['bundle']}`, {machine['steps']} steps, torch {machine['torch']}.", ""]
    for size, measured in results["sizes"].items():
        lines += speed(size, measured)
    lines += memory(results["sizes"])
    if "cold_start_ms" in results:
        starts = sorted(results["cold_start_ms"])
        lines += [f"Cold start of `npedit serve` to ready: median {median(starts):.0f} ms ({starts[0]:.0f}-{starts[-1]:.0f}, {len(starts)} starts)."]
    return "\n".join(lines)


def speed(size, measured):
    rounds = measured["rounds"]
    others = [name for name in rounds[0] if name != "npedit"]
    head = f"| {size} x {size} px | npedit ms |" + "".join(f" {name} ms | ratio (min-max) |" for name in others)
    lines = [head, "|---|--:|" + "--:|--:|" * len(others)]
    for stage in [*STAGES, "total"]:
        times = {name: [of_stage(one[name], stage) for one in rounds] for name in rounds[0]}
        cells = [stage, f"{median(times['npedit']):.0f}"]
        for name in others:
            ratios = [ours / theirs for ours, theirs in zip(times["npedit"], times[name])]
            cells += [f"{median(times[name]):.0f}", f"{median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"]
        lines.append("| " + " | ".join(cells) + " |")
    same = measured["pictures"]
    lines += [
        "",
        f"{len(rounds)} rounds; pictures differ by at most {same['largest_difference']} of 255, "
        f"{100 * same['identical_share']:.2f} % of values identical.",
        "",
    ]
    return lines


def of_stage(ms, stage):
    return sum(ms.values()) if stage == "total" else ms[stage]


def memory(sizes):
    lines = ["| memory, MiB | npedit | pytorch | ratio |", "|---|--:|--:|--:|"]
    for size, measured in sizes.items():
        ours, theirs = measured["memory_mib"]["npedit"], measured["memory_mib"]["pytorch"]
        above = [side["peak"] - side["loaded"] for side in (ours, theirs)]
        rows = {
            "after loading": (ours["loaded"], theirs["loaded"]),
            "peak of an edit": (ours["peak"], theirs["peak"]),
            "peak above loaded": tuple(above),
        }
        for name, (a, b) in rows.items():
            lines.append(f"| {size} px, {name} | {a:.0f} | {b:.0f} | {a / b:.2f} |")
    return [*lines, ""]
