"""Prometheus' settings and Grafana's dashboard: every query names a metric and labels that npedit exports: `monitoring.py`."""
import json
import pathlib
import re
import shutil
import subprocess
import tempfile

from report import check, require, skipped

ROOT = pathlib.Path(__file__).resolve().parents[2]
DASHBOARD = ROOT / "docker/grafana/npedit.json"
ALERTS = ROOT / "docker/alerts.yml"
SUFFIXES = {"counter": [""], "gauge": [""], "histogram": ["_bucket", "_sum", "_count"]}
# What Prometheus adds itself.
ADDED = {"up": {"job", "instance"}}
WORDS = set("""sum avg max min by without rate increase histogram_quantile absent label_values or and unless on ignoring
le job instance""".split())


def exported():
    """Names and labels of npedit's metrics, as its sources have them."""
    found = dict(ADDED)
    for source in (ROOT / "src").rglob("*.rs"):
        text = source.read_text().split("#[cfg(test)]")[0]
        for kind, call in re.findall(r"\b(counter|gauge|histogram)!\(([^;]*?)\)\s*\.", text):
            name = re.match(r'\s*"(\w+)"', call)[1]
            labels = set(re.findall(r'"(\w+)"\s*=>', call))
            if "&labels" in call:
                made = text[:text.index(call)].rpartition("let labels")[2]
                labels |= set(re.findall(r'\("(\w+)",', made))
            for suffix in SUFFIXES[kind]:
                found.setdefault(name + suffix, set()).update(labels | {"job", "instance"} | ({"le"} if suffix == "_bucket" else set()))
    return found


def queries():
    """`(where, query)` of the dashboard's panels and of the alerts."""
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel.get("targets", []):
            yield f"panel {panel['title']!r}", target["expr"]
    for name, query in re.findall(r"- alert: (\w+)\n\s+expr: (.*)", ALERTS.read_text()):
        yield f"alert {name}", query


def concrete(query):
    """The query as Grafana sends it when all replicas are shown."""
    return query.replace("$instance", ".*").replace("$__rate_interval", "1m")


def names(query):
    """The metrics that a query names, each with the labels that its braces name."""
    bare = re.sub(r'"[^"]*"', '""', query)
    bare = re.sub(r"\b(by|without) ?\([^)]*\)", "", bare)
    for name, braces in re.findall(r"\b([a-z_][a-z0-9_]*)\b(?!\s*\()(\{[^}]*\})?", re.sub(r"\[[^\]]*\]", "", bare)):
        if name not in WORDS and not re.search(r"\{[^}]*\b" + name + r"\s*(=|!)", bare):
            yield name, set(re.findall(r"(\w+)\s*[=!]", braces))


def grouped(query):
    return {label.strip() for labels in re.findall(r"\bby ?\(([^)]*)\)", query) for label in labels.split(",")}


def main():
    known, shown = exported(), set()
    asked = list(queries())
    for where, query in asked:
        used = list(names(query))
        require(f"{where} names a metric", used, query)
        for name, labels in used:
            require(f"{where}: npedit exports {name}", name in known, query)
            require(f"{where}: {name} has the labels {labels}", labels <= known[name], (query, known[name]))
            shown.add(name)
        all_labels = set().union(*(known[name] for name, _ in used))
        require(f"{where}: groups by labels that there are", grouped(query) <= all_labels, (query, all_labels))
    check(f"{len(asked)} queries name metrics and labels that npedit exports", len(asked) > 20, len(asked))
    hidden = {re.sub("_(bucket|sum|count)$", "", name) for name in known} - {re.sub("_(bucket|sum|count)$", "", n) for n in shown}
    check("and every metric that it exports is shown", not hidden, hidden)

    board = json.loads(DASHBOARD.read_text())
    ids = [panel["id"] for panel in board["panels"]]
    source = re.search(r"uid: (\S+)", (ROOT / "docker/grafana/datasource.yml").read_text())[1]
    uids = set(re.findall(r'"uid": "([^"]+)"', DASHBOARD.read_text())) - {board["uid"]}
    check("panels have ids of their own and the provisioned data source", len(set(ids)) == len(ids) and uids == {source}, uids)
    boxes = [panel["gridPos"] for panel in board["panels"]]
    cells = [(x, y) for box in boxes for x in range(box["x"], box["x"] + box["w"]) for y in range(box["y"], box["y"] + box["h"])]
    check("no panel covers another, none leaves the grid", len(set(cells)) == len(cells) and max(x for x, _ in cells) < 24)

    if not shutil.which("promtool"):
        skipped("promtool", "Debian's package prometheus is not installed")
        return
    run = subprocess.run(["promtool", "check", "config", "--syntax-only", ROOT / "docker/prometheus.yml"], capture_output=True, text=True)
    check("promtool check config", run.returncode == 0, run.stdout + run.stderr)
    run = subprocess.run(["promtool", "test", "rules", "alerts_test.yml"], cwd=pathlib.Path(__file__).parent, capture_output=True, text=True)
    check("promtool test rules: the alerts fire when they should, and not before", run.returncode == 0, run.stdout + run.stderr)
    rules = [{"record": f"q{i}", "expr": concrete(query)} for i, (_, query) in enumerate(asked)]
    with tempfile.NamedTemporaryFile("w", suffix=".yml") as file:
        # JSON is YAML.
        json.dump({"groups": [{"name": "queries", "rules": rules}]}, file)
        file.flush()
        run = subprocess.run(["promtool", "check", "rules", file.name], capture_output=True, text=True)
    check("promtool reads every query", run.returncode == 0, run.stdout + run.stderr)


if __name__ == "__main__":
    main()
