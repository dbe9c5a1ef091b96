"""Pictures in and out: files, 8-bit RGB, and pixels in [-1, 1]."""

import numpy as np
import torch
from PIL import Image


def open_rgb(path):
    """Picture file -> decoded RGB image"""
    return Image.open(path).convert("RGB")


def to_pixels(image):
    """RGB image -> pixels [1, 3, H, W] in [-1, 1]"""
    values = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None]
    return values.float() / 255.0 * 2.0 - 1.0


def resize(image, size):
    """Lanczos on 8 bit; size: (width, height)"""
    return image.resize(size, Image.Resampling.LANCZOS)


def reference_size(width, height, resolution):
    """The Python reference's rule: exact height, width rounded (half to even) to 16."""
    return round(int(width * resolution / height) / 16) * 16, resolution


def to_bytes(pixels):
    """pixels [B, 3, H, W] -> uint8 array [B, H, W, 3]"""
    values = ((pixels.float() + 1.0) * 127.5).round().clamp(0, 255)
    return values.to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()


def write(path, picture):
    """uint8 array [H, W, 3] -> PNG file"""
    Image.fromarray(picture).save(path)
