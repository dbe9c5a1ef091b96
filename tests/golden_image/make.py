"""Writes lanczos.json: what Pillow's Image.resize(LANCZOS) answers on noise.

Run with Pillow 13: `python make.py > lanczos.json`. The input of case i is the byte stream
state = state * 1664525 + 1013904223 (mod 2^32), starting at i, byte = state >> 24, row-major RGB.
"""

import hashlib
import json
import random

import PIL
from PIL import Image

SIZES = [
    # width, height -> width, height
    (1, 1, 1, 1), (1, 1, 16, 16), (1, 9, 2, 30), (5, 1, 16, 3), (9, 1, 1, 1), (64, 64, 1, 1),
    (37, 23, 16, 16), (37, 23, 100, 100), (37, 23, 80, 10), (37, 23, 10, 80), (37, 23, 37, 23),
    (100, 50, 99, 50), (100, 50, 100, 20), (100, 50, 101, 49), (100, 50, 99, 51), (100, 50, 101, 50),
    (97, 203, 203, 97), (20, 300, 21, 20), (300, 20, 20, 300), (2, 2, 3, 3), (3, 3, 2, 2),
    (640, 480, 512, 384), (600, 450, 592, 448), (48, 64, 61, 83), (255, 257, 16, 512),
    # the order of the two passes turns on (height - to_height) > 2 * (width - to_width)
    (60, 60, 50, 41), (60, 60, 50, 40), (60, 60, 50, 39), (60, 60, 60, 40), (60, 60, 61, 59), (60, 60, 70, 61),
    (700, 900, 600, 699), (700, 900, 600, 700), (900, 30, 890, 9), (900, 30, 890, 10), (30, 900, 29, 897),
]


def noise(seed: int, count: int) -> bytes:
    state, out = seed, bytearray(count)
    for i in range(count):
        state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
        out[i] = state >> 24
    return bytes(out)


def main() -> None:
    draw = random.Random(0)
    sizes = SIZES + [tuple(draw.randint(1, 150) for _ in range(4)) for _ in range(75)]
    cases = []
    for i, (width, height, to_width, to_height) in enumerate(sizes):
        image = Image.frombytes("RGB", (width, height), noise(i, width * height * 3))
        out = image.resize((to_width, to_height), Image.LANCZOS)
        digest = hashlib.sha256(out.tobytes()).hexdigest()
        cases.append({"from": [width, height], "to": [to_width, to_height], "sha256": digest})
    rows = ",\n".join("    " + json.dumps(case) for case in cases)
    print(f'{{\n  "pillow": "{PIL.__version__}",\n  "cases": [\n{rows}\n  ]\n}}')


main()
