"""What can be said of a command without running it: its grammar, its subcommands and flags, the files that it names."""
import functools
import json
import pathlib
import re
import shlex
import subprocess
import tomllib

ROOT = pathlib.Path(__file__).resolve().parents[2]
ENDS = {";", "|", "||", "&", "&&", "(", ")", ">", "<"}


class Syntax:
    def __init__(self, npedit):
        self.npedit = npedit
        tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
        self.top = {name.split("/")[0] for name in tracked if "/" in name}

    def block(self, block):
        """Why it cannot be right; nothing where it may be."""
        try:
            if block.language == "json":
                values(block.text)
            elif block.language == "toml":
                tomllib.loads(block.text)
            elif block.language == "python":
                compile(block.text, "README.md", "exec")
        except (ValueError, SyntaxError) as error:
            return f"not {block.language}: {error}"
        return self.commands(block.text) if block.language == "sh" else None

    def commands(self, text):
        parsed = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True)
        if parsed.returncode != 0:
            return parsed.stderr
        for line in text.replace("\\\n", " ").splitlines():
            wrong = self.line(line)
            if wrong:
                return f"{line.strip()}\n{wrong}"
        return None

    def line(self, line):
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        words = list(lexer)
        for at, word in enumerate(words):
            end = next((i for i in range(at, len(words)) if words[i] in ENDS), len(words))
            if word == "npedit" or word.endswith("/npedit"):
                wrong = self.arguments(words[at + 1:end])
            elif words[at:at + 4] == ["cargo", "run", "--release", "--"]:
                wrong = self.arguments(words[at + 4:end])
            elif word.endswith(".py"):
                wrong = options(word, words[at + 1:end])
            else:
                wrong = None
            wrong = wrong or self.path(word)
            if wrong:
                return wrong
        return None

    def arguments(self, words):
        """Subcommands and flags against what `--help` lists."""
        command = []
        for word in words:
            help_ = self.help(tuple(command))
            if word.startswith("-") or "\nCommands:" not in help_:
                break
            if not re.search(rf"(?m)^  {re.escape(word)}  ", help_.split("\nCommands:")[1].split("\nOptions:")[0]):
                return f"npedit {' '.join(command)} has no command {word!r}"
            command.append(word)
        known = set(re.findall(r"(?m)^ +(?:-\w, )?(--[a-z0-9-]+)|^ +(-\w)\b", self.help(tuple(command))))
        known = {flag for pair in known for flag in pair} | set(re.findall(r"(?m)^ +(-\w), --", self.help(tuple(command))))
        unknown = [word for word in words if re.match(r"--?[a-z]", word) and word.split("=")[0] not in known]
        return f"npedit {' '.join(command)} has no flag {', '.join(unknown)}" if unknown else None

    @functools.cache
    def help(self, command):
        return subprocess.run([self.npedit, *command, "--help"], capture_output=True, text=True, check=True).stdout

    def path(self, word):
        """Files of this repository are there, or left to the reader to make (.gitignore)."""
        for name in re.findall(r"(?<![\w/:.-])(?:\./)?([.\w-]+/[\w./-]+)", word):
            if name.split("/")[0] in self.top and not (ROOT / name).exists() and subprocess.run(
                    ["git", "check-ignore", "-q", name], cwd=ROOT).returncode != 0:
                return f"the repository has no {name}"
        return None


def options(script, words):
    """Flags of a Python script, in whose text they must stand; `-m pip` and the like are others' own."""
    text = (ROOT / script).read_text() if (ROOT / script).exists() else None
    unknown = [word for word in words if word.startswith("--") and text is not None and f'"{word}"' not in text]
    return f"{script} has no flag {', '.join(unknown)}" if unknown else None


def values(text):
    """JSON, one value or one a line; `...` stands for more of the same."""
    whole = re.sub(r",?\s*\.\.\.(?=\s*[\]}])", "", text)
    try:
        return [json.loads(whole)]
    except ValueError:
        return [json.loads(line) for line in whole.splitlines()]
