"""The NP-Edit training step in PyTorch on demand: one JSON request per line in, one JSON answer out.

Spoken to by `train_side_by_side.py`; `train.rs` speaks the same protocol for npedit.

    {"load": FILE}   branches, levels and noise, as npedit drew them
    "step"           one step -> {"ms": {PART: ..}, "peak_mib": {PART: ..}, "report": {TERM: .., "loss": .., "grad_norm": ..}}

Layers are diffusers' and transformers' own. One frozen transformer carries the branches of generator and fake score, as
PEFT's multiple adapters do, and is the teacher without them. Activation checkpointing, non-reentrant: every transformer
block, the decoder's blocks and the judge's layers, by the libraries' own switches where they have one.
"""

import argparse
import json
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch.utils.checkpoint import checkpoint

import pictures
from judge import Judge
from model import Peer, TOKEN_MULTIPLE, ceil_to, grid

DMD_LEVELS = (0.02, 0.98)
RAMP_START, RAMP_STEPS = 0.1, 2000.0


class Adapted(torch.nn.Module):
    """A frozen Linear with low-rank branches beside it, of which one or none takes part."""

    active = None

    def __init__(self, base, scale):
        super().__init__()
        self.base, self.scale = base, scale
        self.branches = torch.nn.ModuleDict()

    def add(self, name, a, b):
        low = torch.nn.ParameterDict({"a": torch.nn.Parameter(a), "b": torch.nn.Parameter(b)})
        self.branches[name] = low

    def forward(self, x):
        y = self.base(x)
        if Adapted.active is None:
            return y
        low = self.branches[Adapted.active]
        return y + F.linear(F.linear(x, low["a"]) * self.scale, low["b"])


@contextmanager
def adapted(name):
    before, Adapted.active = Adapted.active, name
    try:
        yield
    finally:
        Adapted.active = before


class TrainedPeer(Peer):
    def run(self, block, *arguments):
        if not torch.is_grad_enabled():
            return block(*arguments)
        name = Adapted.active

        def again(*arguments):
            # the backward pass may run under another branch
            with adapted(name):
                return block(*arguments)

        return checkpoint(again, *arguments, use_reentrant=False)

    def add_branches(self, tensors, scale):
        """tensors: {OWNER.MODULE.lora_{A,B}.weight} -> {owner: parameters}"""
        owners = {}
        for key in sorted(tensors):
            if not key.endswith(".lora_A.weight"):
                continue
            owner, module = key.removesuffix(".lora_A.weight").split(".", 1)
            place, name = module.rsplit(".", 1)
            parent = self.transformer.get_submodule(place)
            layer = getattr(parent, name)
            if not isinstance(layer, Adapted):
                layer = Adapted(layer, scale)
                setattr(parent, name, layer)
            layer.add(owner, tensors[key], tensors[key.replace("lora_A", "lora_B")])
            owners.setdefault(owner, []).extend(layer.branches[owner].parameters())
        return owners

    def alone(self, latents, sigma, text):
        """Text-to-image form: latents [1, C, h, w], sigma [1], text [L, D] -> noise - x0 [1, C, h, w]"""
        model = self.transformer
        rows, columns = latents.shape[2] // self.patch, latents.shape[3] // self.patch
        tokens, length = rows * columns, ceil_to(len(text), TOKEN_MULTIPLE)
        pad = -tokens % TOKEN_MULTIPLE
        positions = torch.cat(
            [
                grid(torch.tensor([length + 1]), rows, columns),
                torch.zeros(pad, 3, dtype=torch.long),
                grid(torch.arange(1, length + 1), 1, 1),
            ]
        )
        rope = model.rope_embedder(positions)[None]
        image_rope, caption_rope = rope[:, : tokens + pad], rope[:, tokens + pad :]
        caption = torch.cat([model.cap_embedder(text), model.cap_pad_token.expand(length - len(text), -1)])[None]
        for layer in model.context_refiner:
            caption = self.run(layer, caption, None, caption_rope)
        image = self.embed_patches(self.patchify(latents))
        if pad:
            image = torch.cat([image, model.x_pad_token.expand(1, pad, -1)], dim=1)
        time = self.time_embedding(sigma)
        for layer in model.noise_refiner:
            image = self.run(layer, image, None, image_rope, time)
        unified = torch.cat([image, caption], dim=1)
        for layer in model.layers:
            unified = self.run(layer, unified, None, rope, time)
        output = self.final_layer(unified[:, :tokens], c=time)
        return -self.unpatchify(output, *latents.shape[2:])


class Step:
    """A run of one row."""

    def __init__(self, bundle, settings):
        self.peer, self.settings = TrainedPeer(bundle), settings
        self.peer.vae.enable_gradient_checkpointing()
        self.peer.use_vae_formats(torch.contiguous_format, FORMATS[settings["decode_format"]])
        self.judge = Judge(bundle / "judge")
        # only in training mode do transformers' layers checkpoint; the judge has no dropout
        self.judge.model.train().activation_checkpointing_enable({"use_reentrant": False})
        with torch.no_grad():
            self.pixels = pictures.to_pixels(pictures.open_rgb(settings["image"]))
            self.reference = self.peer.encode_reference(self.pixels)
            names = ("instruction", "edited_caption", "negative_caption")
            self.instruction, self.caption, self.negative = (self.peer.encode_text(settings[name]) for name in names)
        self.index = 0

    def load(self, file):
        self.tensors = load_file(file)
        branches = {name: value for name, value in self.tensors.items() if ".lora_" in name}
        owners = self.peer.add_branches(branches, self.settings["scale"])
        options = {"lr": self.settings["learning_rate"], "betas": (0.0, 0.9), "eps": 1e-8, "weight_decay": 0.0}
        self.optimisers = {name: torch.optim.AdamW(owned, fused=True, **options) for name, owned in owners.items()}
        self.parameters = owners

    def drawn(self, name):
        return self.tensors[f"{self.index}.{name}"]

    def unroll(self, noise):
        """noise [S + 1, C, h, w] -> x0 [1, C, h, w]"""
        conditioning = self.peer.prepare(self.reference, [self.instruction])
        latents, levels = noise[:1], self.drawn("levels")
        embeddings = self.peer.time_embedding(levels.float())
        for step, sigma in enumerate(levels):
            velocity = self.peer.velocity(latents, embeddings[step : step + 1], conditioning)
            x0 = latents - sigma.float() * velocity
            if step + 1 < len(levels):
                following = levels[step + 1].float()
                latents = (1 - following) * x0 + following * noise[step + 1 : step + 2]
        return x0

    def learn(self, owner):
        parameters, optimiser = self.parameters[owner], self.optimisers[owner]
        norm = torch.nn.utils.clip_grad_norm_(parameters, self.settings["clip_norm"], foreach=True)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        return norm.item()

    def update_fake_score(self, update):
        with adapted("trained"), torch.no_grad():
            x0 = self.unroll(self.drawn(f"fake{update}.path"))
        level, noise = self.drawn(f"fake{update}.level").float(), self.drawn(f"fake{update}.noise")[:1]
        noisy = (1 - level) * x0 + level * noise
        with adapted("fake_score"):
            loss = F.mse_loss(self.peer.alone(noisy, level, self.caption), noise - x0)
        loss.backward()
        self.learn("fake_score")
        return loss.item()

    @torch.no_grad()
    def direction(self, x0):
        """Per-sample normalised direction of distribution matching. [1, C, h, w]"""
        least, most = DMD_LEVELS
        level = (least + (most - least) * self.drawn("dmd_level")).float()
        noisy = (1 - level) * x0 + level * self.drawn("dmd_noise")[:1]
        conditional = self.peer.alone(noisy, level, self.caption)
        negative = self.peer.alone(noisy, level, self.negative)
        real = negative + self.settings["guidance_scale"] * (conditional - negative)
        with adapted("fake_score"):
            fake = self.peer.alone(noisy, level, self.caption)
        to_real, to_fake = x0 - (noisy - level * real), x0 - (noisy - level * fake)
        return torch.nan_to_num((to_real - to_fake) / to_real.abs().mean().clamp(min=1e-8))

    def judged(self, x0):
        """Loss of the two answers, which are both to be Yes, and their probabilities; x0 receives a gradient."""
        pixels = self.peer.decode(x0)
        with torch.no_grad():
            reference = self.judge.features(self.judge.pixel_values(self.pixels))
        features = torch.cat([reference, self.judge.features(self.judge.pixel_values(pixels))])
        margins = self.judge.margins(features, self.settings["questions"])
        ramp = min(1.0, RAMP_START + (1 - RAMP_START) * self.index / RAMP_STEPS)
        loss = F.softplus(-ramp * margins).mean()
        (self.settings["judge_weight"] * loss).backward()
        return loss.item(), margins.detach().sigmoid().tolist()

    def take(self):
        parts, report = Parts(), {}
        losses = [self.update_fake_score(update) for update in range(self.settings["updates"])]
        report["fake_score"] = sum(losses) / max(len(losses), 1)
        parts.end("fake score")
        with adapted("trained"):
            x0 = self.unroll(self.drawn("path"))
        direction = self.direction(x0.detach())
        report["dmd"] = 0.5 * direction.square().mean().item()
        parts.end("unroll and scores")
        leaf = x0.detach().requires_grad_()
        report["judge"], (report["p_yes_edit"], report["p_yes_identity"]) = self.judged(leaf)
        parts.end("decode and judge")
        x0.backward(self.settings["dmd_weight"] * direction / x0.numel() + leaf.grad)
        report["grad_norm"] = self.learn("trained")
        parts.end("backward and update")
        report["loss"] = self.settings["dmd_weight"] * report["dmd"] + self.settings["judge_weight"] * report["judge"]
        self.index += 1
        return {"ms": parts.ms, "peak_mib": parts.peak_mib, "report": report}


FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


class Parts:
    """Wall time and peak resident memory of named parts."""

    def __init__(self):
        self.ms, self.peak_mib = {}, {}
        self.begin()

    def begin(self):
        Path("/proc/self/clear_refs").write_text("5")
        self.since = time.perf_counter()

    def end(self, name):
        self.ms[name] = (time.perf_counter() - self.since) * 1e3
        status = Path("/proc/self/status").read_text().splitlines()
        self.peak_mib[name] = next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM:"))
        self.begin()


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("bundle", type=Path)
    arguments.add_argument("settings", type=Path, help="JSON file")
    arguments.add_argument("--threads", type=int, default=2)
    options = arguments.parse_args()
    torch.set_num_threads(options.threads)
    step = Step(options.bundle, json.loads(options.settings.read_text()))
    answer({"ready": True, "torch": torch.__version__})
    for line in sys.stdin:
        request = json.loads(line)
        if request == "step":
            answer(step.take())
        else:
            step.load(request["load"])
            answer({})


def answer(value):
    print(json.dumps(value), flush=True)


if __name__ == "__main__":
    main()
