"""Every command of the README, in its order: `readme.py NPEDIT README [PYTHON]`, PYTHON being one that has the package openai."""
import pathlib
import shutil
import sys
import time

from blocks import Mistake, blocks, inline, links
from effects import answered, missing
from place import Place
from syntax import ROOT, Syntax

# Not on every machine; a block that needs one of them is skipped without it.
PROGRAMS = ("curl", "jq")


class Count:
    def __init__(self):
        self.run, self.checked, self.skipped, self.failed = 0, {}, 0, set()

    def fail(self, line, text, why):
        self.failed.add(line)
        print(f"FAILED  line {line}: {why}\n" + "".join(f"        | {shown}\n" for shown in text.strip().splitlines()), flush=True)


def lacking(block, python):
    """What this machine does not have for it."""
    if block.language == "python" and python is None:
        return "openai-python cannot be installed here"
    return next((f"no {name} here" for name in PROGRAMS if f"{name} " in block.text and shutil.which(name) is None), None)


def check(syntax, text, every, count):
    for block in every:
        wrong = syntax.block(block)
        if wrong:
            count.fail(block.line, block.text, wrong)
        elif block.not_run:
            count.checked.setdefault(block.not_run, []).append(block.line)
            print(f"checked line {block.line}: not run: {block.not_run}")
    commands = 0
    for line, code in inline(text):
        commands += code.startswith("npedit ")
        wrong = syntax.line(code) if code.startswith("npedit ") else syntax.path(code)
        if wrong:
            count.fail(line, code, wrong)
    for line, path in links(text):
        if not (ROOT / path).exists():
            count.fail(line, path, "the repository has no such file")
    print(f"checked {commands} commands between backticks")


def run(place, every, python, count):
    for block, after in zip(every, [*every[1:], None]):
        place.enter(block.section)
        if block.file:
            place.keep(block)
        if block.line in count.failed:
            continue
        if not block.runs:
            wrong = place.settings(block)
            if wrong:
                count.fail(block.line, block.text, wrong)
            continue
        lacks = lacking(block, python)
        if lacks:
            count.skipped += 1
            print(f"skipped line {block.line}: {lacks}")
            continue
        began = time.time()
        done = place.run(block, python)
        # An example of an answer stands right after its command.
        example = after if after and after.language == "json" and not after.file else None
        wrong = f"exit code {done.returncode}" if done.returncode else None
        wrong = wrong or missing(block.text, place.folder, int(began)) or answered(done.stdout, example)
        if wrong:
            server = f"\nthe server says:\n{place.server_log()}"
            count.fail(block.line, block.text, f"{wrong}\n{done.stderr[-3000:]}{done.stdout[-1500:]}{server if done.returncode else ''}")
        else:
            count.run += 1
            print(f"ok      line {block.line}: {block.text.splitlines()[0]} ({time.time() - began:.1f} s)", flush=True)


def main(npedit, readme, python=None):
    count, text = Count(), pathlib.Path(readme).read_text()
    try:
        every = blocks(text)
    except Mistake as mistake:
        sys.exit(f"FAILED  {readme}, {mistake}")
    check(Syntax(npedit), text, every, count)
    place = Place(npedit, every)
    try:
        run(place, every, python, count)
        for slow in place.unused() if not count.skipped else []:
            count.fail(0, slow, "tests/readme/place.py makes this quicker, but the README does not say it; change one of them")
    finally:
        place.leave()
    reasons = "; ".join(f"{len(lines)} {why}" for why, lines in count.checked.items())
    checked = sum(len(lines) for lines in count.checked.values())
    print(f"{count.run} run, {checked} syntax-checked ({reasons}), {count.skipped} skipped, {len(count.failed)} failed")
    sys.exit(1 if count.failed else 0)


main(*sys.argv[1:])
