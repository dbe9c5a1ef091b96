"""Edits a picture with the published openai package, first at once, then with previews while it is made.

    pip install openai
    python examples/edit.py examples/cat.jpg 'make it winter'

NPEDIT_BASE_URL names another server than http://127.0.0.1:8080, NPEDIT_API_KEY the key where it wants one.
"""
import argparse
import base64
import os
import pathlib
import sys

import openai

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("picture", type=pathlib.Path)
parser.add_argument("instruction")
parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("."), help="directory for the results")
parser.add_argument("--seed", type=int, default=7)
args = parser.parse_args()

client = openai.OpenAI(
    base_url=os.environ.get("NPEDIT_BASE_URL", "http://127.0.0.1:8080") + "/v1",
    api_key=os.environ.get("NPEDIT_API_KEY", "none"),
)


def save(name, b64_json):
    path = args.out / name
    path.write_bytes(base64.b64decode(b64_json))
    print(f"wrote {path}")


# What OpenAI's API has no name for goes in extra_body, and comes back in model_extra.
own = {"seed": args.seed, "steps": 4}
try:
    answer = client.images.edit(image=args.picture, prompt=args.instruction, extra_body=own)
    save("edited.png", answer.data[0].b64_json)
    print(f"seed {answer.data[0].model_extra['seed']}, {answer.size}, request {answer._request_id}")
    for warning in answer.model_extra["warnings"]:
        print(f"warning: {warning['message']}")

    with client.images.edit(image=args.picture, prompt=args.instruction, stream=True, partial_images=2, extra_body=own) as events:
        for event in events:
            if event.type == "image_edit.partial_image":
                save(f"preview-{event.partial_image_index}.png", event.b64_json)
            elif event.type == "image_edit.completed":
                save("streamed.png", event.b64_json)
except openai.APIStatusError as error:
    sys.exit(f"{error.code}: {error.message}")
except openai.APIConnectionError:
    sys.exit(f"nothing answers at {client.base_url}: start `npedit serve`, or set NPEDIT_BASE_URL")
