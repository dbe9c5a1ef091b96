"""PyTorch's time of the operations in kernels.rs, same shapes: prints `name<TAB>ms` (best of several runs).

    python benches/kernels.py [threads]
"""

import sys
import time

import torch
import torch.nn.functional as F

torch.set_num_threads(int(sys.argv[1]) if len(sys.argv) > 1 else 2)
torch.set_grad_enabled(False)


def best_ms(run, seconds=1.0):
    run()
    best, spent = float("inf"), 0.0
    while spent < seconds:
        start = time.perf_counter()
        run()
        took = time.perf_counter() - start
        best, spent = min(best, took), spent + took
    return best * 1e3


def linear(rows, inputs, outputs):
    x, w, b = torch.randn(1, rows, inputs), torch.randn(outputs, inputs), torch.randn(outputs)
    return lambda: F.linear(x, w, b)


def attention(tokens, heads, size):
    q, k, v = (torch.randn(1, tokens, heads, size).transpose(1, 2) for _ in range(3))
    return lambda: F.scaled_dot_product_attention(q, k, v)


def conv(inputs, outputs, side, kernel, stride):
    x = torch.randn(1, inputs, side, side)
    w, b = torch.randn(outputs, inputs, kernel, kernel), torch.randn(outputs)
    if stride == 2:
        return lambda: F.conv2d(F.pad(x, (0, 1, 0, 1)), w, b, stride=2)
    return lambda: F.conv2d(x, w, b, padding=kernel // 2)


def group_norm_silu(channels, side):
    x, w, b = torch.randn(1, channels, side, side), torch.randn(channels), torch.randn(channels)
    return lambda: F.silu(F.group_norm(x, 32, w, b, 1e-6))


def rms_norm(rows, width):
    x, w = torch.randn(1, rows, width), torch.randn(width)
    return lambda: F.rms_norm(x, (width,), w, 1e-5)


def silu_mul(rows, width):
    gate, up = torch.randn(1, rows, width), torch.randn(1, rows, width)
    return lambda: F.silu(gate) * up


def rope(tokens, heads, size):
    x = torch.randn(1, tokens, heads, size)
    freqs = torch.polar(torch.ones(tokens, size // 2), torch.randn(tokens, size // 2))[None, :, None]
    return lambda: torch.view_as_real(torch.view_as_complex(x.reshape(1, tokens, heads, -1, 2)) * freqs).flatten(3)


def gelu(rows, width):
    x = torch.randn(1, rows, width)
    return lambda: F.gelu(x, approximate="tanh")


MAKE = {
    "linear": linear,
    "attention": attention,
    "conv": conv,
    "group_norm_silu": group_norm_silu,
    "rms_norm": rms_norm,
    "silu_mul": silu_mul,
    "rope": rope,
    "gelu": gelu,
}

for line in open(__file__.replace("kernels.py", "kernels.txt")):
    name, *sizes = line.split()
    print(f"{line.strip()}\t{best_ms(MAKE[name](*map(int, sizes))):.3f}", flush=True)
