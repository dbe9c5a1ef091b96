"""What a block's commands left: the files that they name, and an answer that can be read."""
import json
import re
import tomllib
import xml.etree.ElementTree

from syntax import values

NAMED = re.compile(r"(?:\s-o|\s>|--out|--plot|--fit-temperature|--sheet|world sample|convert \S+)\s+([\w./-]+)")
PICTURES = {".png": b"\x89PNG\r\n\x1a\n", ".jpg": b"\xff\xd8\xff"}
READERS = {".json": json.loads, ".toml": tomllib.loads, ".svg": xml.etree.ElementTree.fromstring}


def missing(text, folder, since):
    """The first of the files named in `text` that was not written since then, or is not what its name says."""
    named = re.sub(r"(?m)#.*$", "", text)
    for name in NAMED.findall(named):
        path = folder / name
        if not path.exists() or path.stat().st_mtime < since:
            return f"{name} was not written"
        files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
        if not files:
            return f"{name} is empty"
        for file in files:
            if file.suffix in PICTURES and not file.read_bytes().startswith(PICTURES[file.suffix]):
                return f"{file.relative_to(folder)} is no picture: {file.read_bytes()[:200]}"
            if file.suffix in READERS:
                try:
                    READERS[file.suffix](file.read_text())
                except (ValueError, xml.etree.ElementTree.ParseError) as error:
                    return f"{file.relative_to(folder)}: {error}"
    return None


def answered(said, example):
    """What is wrong with what was printed: JSON is whole, a stream ends well, an example of an answer has its keys."""
    events = re.findall(r"(?m)^event: (\w+)", said)
    if events and events[-1] not in ("result", "succeeded"):
        return f"the stream ends with the event {events[-1]}"
    if said.startswith("{"):
        try:
            # Where several commands answered, others follow.
            found, _ = json.JSONDecoder().raw_decode(said)
        except ValueError as error:
            return f"the answer is no JSON: {error}"
        return differing(values(example.text)[0], found) if example else None
    return "the README shows an answer in JSON, there is none" if example else None


def differing(example, found, where="the answer"):
    if isinstance(example, dict) and example:
        if not isinstance(found, dict) or example.keys() != found.keys():
            return f"{where} has {sorted(found)}, the README says {sorted(example)}"
        each = ((example[key], found[key], f"{where}.{key}") for key in example)
    elif isinstance(example, list) and example:
        each = [(example[0], found[0], f"{where}[0]")] if found else []
    else:
        return None
    return next((wrong for wrong in (differing(*pair) for pair in each) if wrong), None)
