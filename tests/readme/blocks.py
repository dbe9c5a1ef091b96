"""The fenced blocks of a Markdown file, with what the comment before each says about it."""
import dataclasses
import re

MARK = re.compile(r"<!-- (not run|file): (.+) -->$")
LANGUAGES = {"sh", "json", "toml", "python", "text"}


class Mistake(Exception):
    """Of the README; its text names the line."""


@dataclasses.dataclass(frozen=True)
class Block:
    line: int
    """Of its first line of text, counted from 1."""
    section: str
    language: str
    text: str
    not_run: str | None
    """Why it is only checked."""
    file: str | None
    """The file that the text tells the reader to have."""

    @property
    def runs(self):
        return self.language in ("sh", "python") and self.not_run is None


def blocks(text):
    every, section, mark = [], "", None
    lines = iter(enumerate(text.splitlines(), 1))
    for number, line in lines:
        if mark and not line.startswith("```"):
            raise Mistake(f"line {number - 1}: the mark {mark[0]!r} stands before no block; put it on the line above a fence")
        if line.startswith("```"):
            language = line[3:].strip()
            if language not in LANGUAGES:
                raise Mistake(f"line {number}: a block of {language or 'no language'}; name one of {', '.join(sorted(LANGUAGES))}")
            body = []
            for _, inner in lines:
                if inner.startswith("```"):
                    break
                body.append(inner)
            else:
                raise Mistake(f"line {number}: this block is never closed")
            kind, value = mark.groups() if mark else (None, None)
            every.append(Block(number + 1, section, language, "\n".join(body) + "\n", value if kind == "not run" else None,
                               value if kind == "file" else None))
            mark = None
        elif line.startswith("## "):
            section = line[3:]
        else:
            mark = MARK.match(line)
            if line.startswith("<!--") and not mark:
                raise Mistake(f"line {number}: {line!r} is no mark; write <!-- not run: WHY --> or <!-- file: NAME -->")
    if mark:
        raise Mistake(f"the mark {mark[0]!r} at the end stands before no block")
    return every


def inline(text):
    """`(line, code)` of what stands between backticks outside of blocks."""
    return found(r"`([^`]+)`", text)


def links(text):
    """`(line, path)` of files of the repository that are linked to or shown."""
    return found(r"\]\((?!https?:|#)([^)#]+)", text)


def found(pattern, text):
    prose = re.sub(r"(?ms)^```.*?^```$", lambda block: "\n" * block[0].count("\n"), text)
    for match in re.finditer(pattern, prose):
        yield prose.count("\n", 0, match.start()) + 1, " ".join(match[1].split())
