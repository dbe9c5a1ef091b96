"""Drives a running server with the published openai-python client, as an application does: `edits.py BASE_URL PNG`."""
import base64
import io
import struct
import sys
import zlib

import openai

base_url, path = sys.argv[1], sys.argv[2]
client = openai.OpenAI(base_url=f"{base_url}/v1", api_key="unused", max_retries=0)
picture = open(path, "rb").read()
width, height = struct.unpack(">II", picture[16:24])


def png(mask_rows):
    """RGBA rows as a PNG."""
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    raw = b"".join(b"\0" + row for row in mask_rows)
    head = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")


def check(what, holds):
    print(("ok    " if holds else "FAILED") + " " + what)
    if not holds:
        sys.exit(1)


def bytes_of(image):
    return base64.b64decode(image.b64_json)


models = client.models.list().data
check("models.list names the editor", models[0].object == "model" and models[0].id)
model = models[0].id

one = client.images.edit(model=model, image=io.BytesIO(picture), prompt="make it blue", extra_body={"seed": 3, "steps": 2})
check("one file", bytes_of(one.data[0]).startswith(b"\x89PNG") and one.size == f"{width}x{height}")
check("usage", one.usage.total_tokens == one.usage.input_tokens + one.usage.output_tokens > 0)
check("extra_body reaches the model", one.data[0].model_extra["seed"] == 3 and one.model_extra["receipt"]["steps"] == 2)
check("request id", one._request_id)

listed = client.images.edit(image=[picture], prompt="make it blue", n=2, output_format="jpeg", output_compression=80,
                            extra_body={"seed": 3, "steps": 2})
check("a list of one, n, output_format", len(listed.data) == 2 and bytes_of(listed.data[0]).startswith(b"\xff\xd8"))

rows = [b"\0\0\0\0" * (width // 2) + b"\0\0\0\xff" * (width - width // 2)] * height
masked = client.images.edit(image=picture, mask=png(rows), prompt="make it blue", extra_body={"seed": 3, "steps": 2})
check("mask", masked.model_extra["mask"]["max_difference_outside"] == 0)

events = list(client.images.edit(image=picture, prompt="make it blue", stream=True, partial_images=2,
                                 extra_body={"seed": 3, "steps": 3}))
check("events", [event.type for event in events] == ["image_edit.partial_image"] * 2 + ["image_edit.completed"])
check("partial images are numbered", [event.partial_image_index for event in events[:2]] == [0, 1])
whole = client.images.edit(image=picture, prompt="make it blue", extra_body={"seed": 3, "steps": 3})
check("the streamed image is the whole one", events[-1].b64_json == whole.data[0].b64_json and events[-1].usage.total_tokens)


def refused(kind, **fields):
    try:
        client.images.edit(**{"image": picture, "prompt": "make it blue"} | fields)
    except kind as error:
        return error
    return None


error = refused(openai.BadRequestError, prompt="x", n=1000)
check("a bad value is a BadRequestError with its field", error and error.code == "invalid_request" and error.param == "n")
check("its message says what to do", "whole number" in error.message)
error = refused(openai.NotFoundError, model="gpt-image-1")
check("an unknown model is a NotFoundError", error and error.code == "model_not_found")
error = refused(openai.BadRequestError, background="transparent")
check("what cannot be honoured is refused", error and error.code == "unsupported_value")
error = refused(openai.UnprocessableEntityError, image=b"no picture")
check("bytes are sniffed", error and error.code == "unsupported_image_format")
warned = client.images.edit(image=picture, prompt="make it blue", input_fidelity="high", extra_body={"steps": 1})
check("what has no effect is a warning", warned.model_extra["warnings"][0]["code"] == "parameter_without_effect")
