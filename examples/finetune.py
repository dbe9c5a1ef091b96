"""Edit, score, fine-tune and edit again on plain HTTP, with Python's standard library alone.

    python examples/finetune.py examples/cat.jpg 'make it bigger'

The server needs a judge. NPEDIT_BASE_URL names another one than http://127.0.0.1:8080, NPEDIT_API_KEY the key where it wants one.
"""
import argparse
import base64
import json
import os
import pathlib
import sys
import time
import urllib.error
import urllib.request
import uuid

BASE_URL = os.environ.get("NPEDIT_BASE_URL", "http://127.0.0.1:8080")
KEY = os.environ.get("NPEDIT_API_KEY")
ENDED = ("succeeded", "failed", "cancelled")


def ask(method, path, body=None, **headers):
    """The open answer of one request; what the server refuses ends the program with its own words."""
    request = urllib.request.Request(BASE_URL + path, method=method)
    if KEY:
        request.add_header("Authorization", f"Bearer {KEY}")
    for name, value in headers.items():
        request.add_header(name.replace("_", "-"), value)
    if body is not None:
        request.add_header("Content-Type", "application/json")
        request.data = json.dumps(body).encode()
    try:
        return urllib.request.urlopen(request, timeout=900)
    except urllib.error.HTTPError as error:
        problem = json.load(error)
        fields = "".join(f"\n  {field['pointer']}: {field['message']}" for field in problem.get("errors", []))
        sys.exit(f"{method} {path}: {error.code} {problem['error']['code']}: {problem['detail']}{fields}")
    except urllib.error.URLError as error:
        sys.exit(f"nothing answers at {BASE_URL} ({error.reason}): start `npedit serve`, or set NPEDIT_BASE_URL")


def answer(method, path, body=None, **headers):
    with ask(method, path, body, **headers) as response:
        return json.load(response)


def text(picture):
    return base64.b64encode(picture).decode()


def edit(picture, instruction, **fields):
    """The edited picture."""
    made = answer("POST", "/v1/edit", {"image": text(picture), "instruction": instruction, "seed": 7, **fields})
    return base64.b64decode(made["images"][0]["b64_json"])


def score(reference, edited, instruction):
    judged = answer("POST", "/v1/score", {"reference": text(reference), "edited": text(edited), "instruction": instruction})
    return {name: round(judged[name], 3) for name in ("edit_success", "preservation", "overall")}


def events(job):
    """Everything that happens to a job until it ends; a connection that is cut goes on after the last event."""
    last = 0
    while True:
        try:
            with ask("GET", f"/v1/finetune/{job}/events", Accept="text/event-stream", Last_Event_ID=str(last)) as stream:
                for line in stream:
                    # `id:` and `event:` say what stands in the data too; a line with `:` alone keeps the connection open.
                    if line.startswith(b"data:"):
                        event = json.loads(line[len(b"data:"):])
                        last = event["seq"]
                        yield event
        except OSError as error:
            print(f"the stream was cut ({error}); going on after event {last}")
        if answer("GET", f"/v1/finetune/{job}")["status"] in ENDED:
            return
        time.sleep(1)


parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("picture", type=pathlib.Path)
parser.add_argument("instruction")
parser.add_argument("--dataset", default="demo", help="name or id of a set; `demo` is built in")
parser.add_argument("--recipe", help="the server's own choice where it is absent")
parser.add_argument("--steps", type=int, help="the recipe's own where it is absent")
parser.add_argument("--publish-as", default="demo-adapter")
parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("."), help="directory for the results")
args = parser.parse_args()
picture = args.picture.read_bytes()

before = edit(picture, args.instruction)
(args.out / "before.png").write_bytes(before)
print("before:", score(picture, before, args.instruction))

rows = answer("GET", f"/v1/datasets/{args.dataset}")["report"]["rows"]
print(f"the set {args.dataset} has {rows} rows")
wanted = {"dataset": args.dataset, "publish_as": args.publish_as}
if args.recipe:
    wanted["recipe"] = args.recipe
if args.steps:
    wanted["overrides"] = {"steps": args.steps}
# However often this request is sent, it makes one job.
job = answer("POST", "/v1/finetune", wanted, Idempotency_Key=str(uuid.uuid4()))
print(f"job {job['id']}: {job['progress']['steps']} steps of {job['recipe']}")
for event in events(job["id"]):
    if event["kind"] == "step":
        print(f"step {event['data']['step']}: loss {event['data']['loss']:.4f}")
    else:
        print(event["kind"])

job = answer("GET", f"/v1/finetune/{job['id']}")
if job["status"] != "succeeded":
    sys.exit(f"the job {job['status']}: {job['error'] and job['error']['message']}")
print("promoted" if job["promoted"] else "not promoted:", "; ".join(job["reasons"]))

adapter = job["adapter"]["id"]
with ask("GET", f"/v1/adapters/{adapter}/weights?format=diffusers") as weights:
    (args.out / "adapter.safetensors").write_bytes(weights.read())
print(f"wrote {args.out / 'adapter.safetensors'}")

# The alias stands for the adapter once it is promoted; its id always does.
after = edit(picture, args.instruction, adapter=args.publish_as if job["promoted"] else adapter)
(args.out / "after.png").write_bytes(after)
print("after:", score(picture, after, args.instruction))
