"""Writes tests/golden_lpips/lpips.safetensors: LPIPS of the `lpips` package over torchvision's VGG16, with weights that
are a hash of their place (the same one as in src/models/lpips/tests.rs), on two small pairs of pictures.

    pip install torch torchvision safetensors lpips
    python3 benches/peer/lpips_golden.py
"""
from pathlib import Path

import lpips
import numpy as np
import torch
from safetensors.torch import save_file

OUT = Path(__file__).parents[2] / "tests/golden_lpips/lpips.safetensors"


def hashed(count, start):
    x = (np.arange(count, dtype=np.uint64) + start).astype(np.uint32)
    for _ in range(2):
        x = (x ^ (x >> np.uint32(16))) * np.uint32(0x045D9F3B)
    return (x ^ (x >> np.uint32(16))).astype(np.float64) / 2**32


def drawn(name, shape):
    start = 0
    for byte in name.encode():
        start = (start * 31 + byte) % 2**32
    fan_in = int(np.prod(shape[1:]))
    scale, shift = (1.0, 0.0) if name.startswith("lin") else ((24.0 / fan_in) ** 0.5, -0.5)
    values = (scale * (hashed(int(np.prod(shape)), start) + shift)).astype(np.float32)
    return torch.from_numpy(values).reshape(shape)


model = lpips.LPIPS(net="vgg", pretrained=False, pnet_rand=True, verbose=False)
# the package cuts VGG16 into slices whose layers keep torchvision's numbers
state = {}
for name, tensor in model.state_dict().items():
    if name.startswith("net.slice"):
        _, _, layer, kind = name.split(".")
        state[name] = drawn(f"features.{layer}.{kind}", tensor.shape)
    elif name.startswith("lin") and not name.startswith("lins"):
        state[name] = drawn(name, tensor.shape)
        state[f"lins.{name[3]}.model.1.weight"] = state[name]
    else:
        state.setdefault(name, tensor)
model.load_state_dict(state)

pictures = torch.from_numpy(hashed(2 * 2 * 3 * 37 * 32, 7).astype(np.float32)) * 2 - 1
a, b = pictures.reshape(2, 2, 3, 37, 32)
a = a.clone().requires_grad_()
distances = model(a, b).flatten()
distances.sum().backward()
OUT.parent.mkdir(exist_ok=True)
save_file(
    {"a": a.detach(), "b": b.contiguous(), "distances": distances.detach(), "gradient": a.grad},
    OUT,
)
print(distances.tolist(), a.grad.abs().max().item())
