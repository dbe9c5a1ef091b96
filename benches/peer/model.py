"""The NP-Edit editor in PyTorch, from diffusers' and transformers' own modules.

Every layer is the library's: `ZImageTransformer2DModel` (embedders, rope tables, blocks with fused
attention, final layer), `AutoencoderKL`, `Qwen3Model`. What diffusers has no path for is written
here: the reference image as first frame, AdaLN at two times, pad tokens that take part in
attention, and the stochastic sampler. Equations: `tests/golden/zimage/FORMAT.md`, part A.

Nothing that is constant over an edit is computed per step: rope tables, the refined caption, the
embedded reference tokens and all time embeddings come from `prepare`.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import AutoencoderKL, ZImageTransformer2DModel
from transformers import AutoTokenizer, Qwen3Model

MAX_TEXT_TOKENS = 512
TOKEN_MULTIPLE = 32


@dataclass
class Conditioning:
    """What stays the same over the steps of one edit."""

    reference_tokens: torch.Tensor  # [B, Nr, D], embedded
    image_pad: torch.Tensor | None  # [B, P, D]
    caption: torch.Tensor  # [B, Lp, D], refined
    image_rope: torch.Tensor  # [1, Si, head_dim / 2], complex
    rope: torch.Tensor  # [1, Si + Lp, head_dim / 2], complex
    image_mask: torch.Tensor | None  # [B, Si] bool, None = every token is a key
    mask: torch.Tensor | None  # [B, Si + Lp] bool
    clean: torch.Tensor  # [B, E], time embedding of the reference tokens


class Peer:
    """Editor, VAE and text encoder of one bundle, ready to run."""

    def __init__(self, bundle, generator=None, device="cpu", dtype=torch.float32):
        bundle = Path(bundle)
        self.device, self.dtype = torch.device(device), dtype
        self.tokenizer = AutoTokenizer.from_pretrained(bundle / "tokenizer")
        self.text = without_last_layer(load(Qwen3Model, bundle / "text_encoder", dtype)).to(device)
        self.vae = load(AutoencoderKL, bundle / "vae", dtype).to(device)
        self.use_vae_formats(torch.contiguous_format, torch.contiguous_format)
        self.transformer = load(ZImageTransformer2DModel, bundle / "transformer", dtype)
        if generator is not None:
            self.transformer.load_state_dict(generator_weights(Path(generator)), strict=True)
        self.transformer = self.transformer.to(device)
        self.patch = self.transformer.config.all_patch_size[0]
        key = f"{self.patch}-{self.transformer.config.all_f_patch_size[0]}"
        self.embed_patches = self.transformer.all_x_embedder[key]
        self.final_layer = self.transformer.all_final_layer[key]

    def use_vae_formats(self, encode, decode):
        """Memory formats of the two halves of the VAE, weights and activations."""
        self.encode_format, self.decode_format = encode, decode
        self.vae.encoder.to(memory_format=encode)
        self.vae.decoder.to(memory_format=decode)

    def compile(self):
        """torch.compile the repeated blocks and both halves of the VAE (an extra, not the bar)."""
        for layer in [*self.transformer.noise_refiner, *self.transformer.layers]:
            for module in (layer.attention, layer.feed_forward):
                module.compile(dynamic=False)
        self.vae.encoder.compile(dynamic=False)
        self.vae.decoder.compile(dynamic=False)

    # --- text -------------------------------------------------------------------------------

    def template(self, instruction):
        """Chat template with the empty think block."""
        turns = [{"role": "user", "content": instruction}]
        return self.tokenizer.apply_chat_template(
            turns, tokenize=False, add_generation_prompt=True, enable_thinking=False
        )

    def token_ids(self, instruction):
        """Token ids, truncated after templating. [1, L]"""
        encoded = self.tokenizer(
            self.template(instruction), truncation=True, max_length=MAX_TEXT_TOKENS, return_tensors="pt"
        )
        return encoded.input_ids.to(self.device)

    def encode_text(self, instruction):
        """Second-to-last hidden layer without the final norm. [L, D]"""
        return self.text(input_ids=self.token_ids(instruction), use_cache=False).last_hidden_state[0]

    # --- VAE --------------------------------------------------------------------------------

    def encode_reference(self, pixels):
        """pixels [B, 3, H, W] in [-1, 1] -> scaled posterior mean [B, C, h, w]"""
        pixels = pixels.to(self.device, self.dtype, memory_format=self.encode_format)
        mean = self.vae.encode(pixels).latent_dist.mean
        return self.vae.config.scaling_factor * (mean - self.vae.config.shift_factor)

    def decode(self, latents):
        """latents [B, C, h, w] -> pixels [B, 3, H, W], unclamped"""
        latents = latents / self.vae.config.scaling_factor + self.vae.config.shift_factor
        return self.vae.decode(latents.to(memory_format=self.decode_format)).sample

    # --- transformer ------------------------------------------------------------------------

    def run(self, block, *arguments):
        """Every transformer block passes here; training checkpoints it."""
        return block(*arguments)

    def patchify(self, latents):
        """[B, C, h, w] -> [B, h/p * w/p, p * p * C], a patch is (row, column, channel)"""
        batch, channels, height, width = latents.shape
        p = self.patch
        patches = latents.reshape(batch, channels, height // p, p, width // p, p)
        return patches.permute(0, 2, 4, 3, 5, 1).reshape(batch, -1, p * p * channels)

    def unpatchify(self, tokens, height, width):
        batch, p = tokens.shape[0], self.patch
        patches = tokens.view(batch, height // p, width // p, p, p, -1)
        return patches.permute(0, 5, 1, 3, 2, 4).reshape(batch, -1, height, width)

    def time_embedding(self, sigmas):
        """sigmas [N] -> [N, E]; the model counts time from noise (0) to clean (1)"""
        scaled = (1.0 - sigmas).to(self.device) * self.transformer.config.t_scale
        return self.transformer.t_embedder(scaled)

    def prepare(self, reference, texts, attend_padding=True):
        """reference latents [B, C, h, w] and one text [L, D] per item -> Conditioning"""
        model = self.transformer
        batch, _, height, width = reference.shape
        rows, columns = height // self.patch, width // self.patch
        tokens = rows * columns
        image_length = ceil_to(2 * tokens, TOKEN_MULTIPLE)
        caption_length = ceil_to(max(len(text) for text in texts), TOKEN_MULTIPLE)

        positions = torch.cat(
            [
                grid(torch.tensor([caption_length + 1, caption_length + 2]), rows, columns),
                torch.zeros(image_length - 2 * tokens, 3, dtype=torch.long),
                grid(torch.arange(1, caption_length + 1), 1, 1),
            ]
        ).to(self.device)
        rope = model.rope_embedder(positions)[None]

        lengths = [len(text) for text in texts]
        rows_of_text = torch.nn.utils.rnn.pad_sequence(list(texts), batch_first=True)
        caption = model.cap_pad_token.expand(batch, caption_length, -1).clone()
        embedded = model.cap_embedder(rows_of_text)
        for item, length in enumerate(lengths):
            caption[item, :length] = embedded[item, :length]

        image_mask = caption_mask = mask = None
        if not attend_padding:
            image_mask = (torch.arange(image_length) < 2 * tokens).expand(batch, -1).to(self.device)
            caption_mask = (torch.arange(caption_length) < torch.tensor(lengths)[:, None]).to(self.device)
            mask = torch.cat([image_mask, caption_mask], dim=1)
        for layer in model.context_refiner:
            caption = self.run(layer, caption, caption_mask, rope[:, image_length:])

        pad = image_length - 2 * tokens
        return Conditioning(
            reference_tokens=self.embed_patches(self.patchify(reference)),
            image_pad=model.x_pad_token.expand(batch, pad, -1) if pad else None,
            caption=caption,
            image_rope=rope[:, :image_length].contiguous(),
            rope=rope,
            image_mask=image_mask,
            mask=mask,
            clean=self.time_embedding(torch.zeros(batch)),
        )

    def velocity(self, latents, noisy, conditioning):
        """latents [B, C, h, w], time embedding noisy [B, E] -> noise - x0 [B, C, h, w]"""
        model, cond = self.transformer, conditioning
        target = self.embed_patches(self.patchify(latents))
        reference = cond.reference_tokens
        parts = [reference, target] if cond.image_pad is None else [reference, target, cond.image_pad]
        image = torch.cat(parts, dim=1)
        times = torch.cat([cond.clean, noisy])
        for layer in model.noise_refiner:
            image = self.run(two_time_block, layer, image, cond.image_rope, cond.image_mask, (times, reference.shape[1]))
        tokens = torch.cat([image, cond.caption], dim=1)
        for layer in model.layers:
            tokens = self.run(two_time_block, layer, tokens, cond.rope, cond.mask, (times, reference.shape[1]))
        start = reference.shape[1]
        output = self.final_layer(tokens[:, start : start + target.shape[1]], c=noisy)
        return -self.unpatchify(output, *latents.shape[2:])

    def denoise(self, noise, step_noise, sigmas, conditioning, eta=1.0, observe=None):
        """The stochastic sampler: noise [B, C, h, w] at sigma 1 -> latents [B, C, h, w].

        step_noise [S, B, C, h, w]; sigmas: the S noise levels, the last step goes to 0.
        """
        latents = noise
        embeddings = self.time_embedding(torch.tensor(sigmas, dtype=torch.float32))
        for step, sigma in enumerate(sigmas):
            following = sigmas[step + 1] if step + 1 < len(sigmas) else 0.0
            velocity = self.velocity(latents, embeddings[step].expand(len(latents), -1), conditioning)
            x0 = latents - sigma * velocity
            kept = max(following - eta * (sigma - following) * following / sigma, 0.0)
            fresh = max(following**2 - kept**2, 0.0) ** 0.5
            latents = (1 - following) * x0
            if following > 0.0:
                latents = latents + kept * (x0 + velocity) + fresh * step_noise[step]
            if observe is not None:
                observe(step, velocity, latents)
        return latents


def two_time_block(layer, x, rope, mask, modulation):
    """A diffusers block, its first `clean_tokens` modulated at the clean time, the rest at sigma.

    Same modules and equations as the block's own `forward` with a `noise_mask`; the two times are
    applied to two slices in place, because selecting a scale for every token (four tensors of
    x's size per block) was slower. x [B, S, D]; modulation: (times [2B, E], clean_tokens).
    """
    times, clean_tokens = modulation
    scale_attention, gate_attention, scale_mlp, gate_mlp = layer.adaLN_modulation(times).unsqueeze(1).chunk(4, dim=2)
    batch = x.shape[0]

    def by_time(values, factor):
        values[:, :clean_tokens].mul_(factor[:batch])
        values[:, clean_tokens:].mul_(factor[batch:])
        return values

    hidden = by_time(layer.attention_norm1(x), 1.0 + scale_attention)
    hidden = layer.attention(hidden, attention_mask=mask, freqs_cis=rope)
    x = x + by_time(layer.attention_norm2(hidden), gate_attention.tanh())
    hidden = by_time(layer.ffn_norm1(x), 1.0 + scale_mlp)
    hidden = by_time(layer.ffn_norm2(layer.feed_forward(hidden)), gate_mlp.tanh())
    return x.add_(hidden)


def grid(frames, rows, columns):
    """Positions (frame, row, column) in token order. [frames * rows * columns, 3]"""
    axes = torch.meshgrid(frames, torch.arange(rows), torch.arange(columns), indexing="ij")
    return torch.stack(axes, dim=-1).reshape(-1, 3)


def ceil_to(value, multiple):
    return -(-value // multiple) * multiple


def load(kind, directory, dtype):
    """`from_pretrained`, but a missing, unused or misshaped tensor is an error."""
    names = {"dtype": dtype} if kind is Qwen3Model else {"torch_dtype": dtype}
    model, info = kind.from_pretrained(directory, output_loading_info=True, **names)
    problems = {what: sorted(map(str, found)) for what, found in info.items() if found}
    # A tied output head is stored by some writers and is no part of the headless text model.
    if problems.get("unexpected_keys") == ["lm_head.weight"]:
        del problems["unexpected_keys"]
    if problems:
        raise SystemExit(f"{directory}: {kind.__name__} does not load strictly: {problems}")
    return model.eval().requires_grad_(False)


def generator_weights(path):
    """State dict of an editor checkpoint, without the `transformer.` prefix."""
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        weights = load_file(path)
    else:
        weights = torch.load(path, map_location="cpu", weights_only=True)
    return {name.removeprefix("transformer."): value for name, value in weights.items()}


def without_last_layer(text):
    """`last_hidden_state` becomes the second-to-last hidden layer: the last one never runs."""
    text.layers = text.layers[:-1]
    text.config.num_hidden_layers = len(text.layers)
    text.norm = torch.nn.Identity()
    return text
