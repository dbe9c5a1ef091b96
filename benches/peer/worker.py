"""Runs edits of the PyTorch peer on demand: one JSON request per line in, one JSON answer out.

Spoken to by `side_by_side.py`; `edit.rs` speaks the same protocol for npedit.

    {"image": FILE, "instruction": TEXT, "noise": FILE.safetensors, "sigmas": [...], "picture": FILE.png}
    -> {"ms": {"preprocess": .., "text": .., "encode": .., "denoise": .., "decode": .., "postprocess": ..}}

    {"compare_formats": FILE}   times the VAE in both memory formats, keeps the faster one of each half
    -> {"encode": {"contiguous": ms, "channels_last": ms}, "decode": {...}}
"""

import argparse
import json
import sys
import time
from statistics import median

import torch
from safetensors.torch import load_file

import pictures
from model import Peer

FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
FORMAT_RUNS = 3


class Stages:
    """Wall time of named stages; on an accelerator each one ends when its work is done."""

    def __init__(self, device):
        self.device, self.ms, self.since = device, {}, time.perf_counter()

    def end(self, name):
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        now = time.perf_counter()
        self.ms[name] = (now - self.since) * 1e3
        self.since = now


def edit(peer, request):
    picture = pictures.open_rgb(request["image"])
    noise = {name: value.to(peer.device, peer.dtype) for name, value in load_file(request["noise"]).items()}
    stages = Stages(peer.device)
    pixels = pictures.to_pixels(picture)
    stages.end("preprocess")
    text = peer.encode_text(request["instruction"])
    stages.end("text")
    reference = peer.encode_reference(pixels)
    stages.end("encode")
    conditioning = peer.prepare(reference, [text])
    latents = peer.denoise(noise["noise"], noise["step_noise"], request["sigmas"], conditioning)
    stages.end("denoise")
    result = pictures.to_bytes(peer.decode(latents))[0]
    stages.end("decode")
    stages.ms["postprocess"] = 0.0
    pictures.write(request["picture"], result)
    return {"ms": stages.ms}


def compare_formats(peer, image):
    pixels = pictures.to_pixels(pictures.open_rgb(image))
    latents = peer.encode_reference(pixels)
    times = {"encode": {}, "decode": {}}
    for name, memory_format in FORMATS.items():
        peer.use_vae_formats(memory_format, memory_format)
        for half, run in {"encode": lambda: peer.encode_reference(pixels), "decode": lambda: peer.decode(latents)}.items():
            run()
            stages = Stages(peer.device)
            samples = []
            for _ in range(FORMAT_RUNS):
                run()
                stages.end("run")
                samples.append(stages.ms["run"])
            times[half][name] = median(samples)
    peer.use_vae_formats(*(FORMATS[min(times[half], key=times[half].get)] for half in ("encode", "decode")))
    return times


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("bundle")
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--device", default="cpu")
    arguments.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    arguments.add_argument("--encode-format", default="contiguous", choices=FORMATS)
    arguments.add_argument("--decode-format", default="contiguous", choices=FORMATS)
    arguments.add_argument("--compile", action="store_true", help="torch.compile the blocks and the VAE")
    options = arguments.parse_args()

    torch.set_num_threads(options.threads)
    peer = Peer(options.bundle, device=options.device, dtype=getattr(torch, options.dtype))
    peer.use_vae_formats(FORMATS[options.encode_format], FORMATS[options.decode_format])
    if options.compile:
        peer.compile()
    answer({"ready": True, "torch": torch.__version__})
    with torch.inference_mode():
        for line in sys.stdin:
            request = json.loads(line)
            answer(compare_formats(peer, request["compare_formats"]) if "compare_formats" in request else edit(peer, request))


def answer(value):
    print(json.dumps(value), flush=True)


main()
