"""Judges edits with transformers on demand: one JSON request per line in, one JSON answer out.

Spoken to by `score_side_by_side.py`; `score.rs` speaks the same protocol for npedit.

    {"reference": FILE, "edited": FILE, "questions": [TEXT, ..], "way": "together" | "separate" | "backward"}
    -> {"ms": .., "p_yes": [..], "gradient_norm": .. | null}

together   both questions in one right-padded batch, image features computed once, fused causal attention without a mask,
           logits of the answer positions alone
separate   the plain pattern: one call of the whole model for each question, `logits_to_keep=1`
backward   together, with the gradient of the mean loss in the edited pixels; the reference's features take no gradient
"""

import argparse
import json
import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from transformers import InternVLForConditionalGeneration

import pictures


class Judge:
    def __init__(self, directory):
        self.model = InternVLForConditionalGeneration.from_pretrained(
            directory, dtype=torch.float32, attn_implementation="sdpa"
        ).eval()
        self.model.requires_grad_(False)
        self.tokenizer = Tokenizer.from_file(str(directory / "tokenizer.json"))
        config = self.model.config
        self.image_token = config.image_token_id
        self.size = tuple(config.vision_config.image_size)
        settings = json.loads((directory / "preprocessor_config.json").read_text())
        self.mean, self.std = (torch.tensor(settings[key]).view(1, 3, 1, 1) for key in ("image_mean", "image_std"))
        self.tokens = self.size[0] * self.size[1] // config.vision_config.patch_size[0] ** 2 // 4
        self.yes, self.no = (self.tokenizer.encode(word, add_special_tokens=False).ids[0] for word in ("Yes", "No"))

    def pixel_values(self, pixels):
        unit = (pixels * 0.5 + 0.5).clamp(0, 1)
        normal = (unit - self.mean) / self.std
        return F.interpolate(normal, self.size, mode="bicubic", antialias=True, align_corners=False)

    def ids(self, question):
        context = self.tokenizer.id_to_token(self.image_token) * self.tokens
        images = "".join(f"Image-{number}: <img>{context}</img>\n" for number in (1, 2))
        text = f"<|im_start|>user\n{images}{question}<|im_end|>\n<|im_start|>assistant\n"
        return torch.tensor(self.tokenizer.encode(text).ids)

    def features(self, values):
        outputs = self.model.get_image_features(pixel_values=values)
        return getattr(outputs, "pooler_output", outputs)

    def margins(self, features, questions):
        rows = [self.ids(question) for question in questions]
        last = torch.tensor([len(row) - 1 for row in rows])
        ids = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
        embeddings = self.model.get_input_embeddings()(ids)
        places = (ids == self.image_token).unsqueeze(-1).expand_as(embeddings)
        embeddings = embeddings.masked_scatter(places, features.repeat(len(rows), 1, 1))
        states = self.model.model.language_model(inputs_embeds=embeddings, use_cache=False).last_hidden_state
        logits = self.model.lm_head(states[torch.arange(len(rows)), last])
        return logits[:, self.yes] - logits[:, self.no]

    def together(self, reference, edited, questions):
        values = torch.cat([self.pixel_values(reference), self.pixel_values(edited)])
        return self.margins(self.features(values), questions)

    def separate(self, reference, edited, questions):
        values = torch.cat([self.pixel_values(reference), self.pixel_values(edited)])
        margins = []
        for question in questions:
            ids = self.ids(question).unsqueeze(0)
            logits = self.model(input_ids=ids, pixel_values=values, logits_to_keep=1, use_cache=False).logits[0, -1]
            margins.append(logits[self.yes] - logits[self.no])
        return torch.stack(margins)

    def backward(self, reference, edited, questions):
        edited = edited.clone().requires_grad_()
        with torch.no_grad():
            reference = self.features(self.pixel_values(reference))
        features = torch.cat([reference, self.features(self.pixel_values(edited))])
        margins = self.margins(features, questions)
        F.softplus(-margins).mean().backward()
        return margins.detach(), edited.grad.norm().item()


def score(judge, request):
    reference, edited = (pictures.to_pixels(pictures.open_rgb(request[key])) for key in ("reference", "edited"))
    gradient = None
    start = time.perf_counter()
    if request["way"] == "backward":
        margins, gradient = judge.backward(reference, edited, request["questions"])
    else:
        with torch.inference_mode():
            margins = getattr(judge, request["way"])(reference, edited, request["questions"])
    p_yes = margins.sigmoid().tolist()
    return {"ms": (time.perf_counter() - start) * 1e3, "p_yes": p_yes, "gradient_norm": gradient}


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("bundle", type=Path)
    arguments.add_argument("--threads", type=int, default=2)
    options = arguments.parse_args()
    torch.set_num_threads(options.threads)
    judge = Judge(options.bundle / "judge")
    answer({"ready": True, "torch": torch.__version__})
    for line in sys.stdin:
        answer(score(judge, json.loads(line)))


def answer(value):
    print(json.dumps(value), flush=True)


if __name__ == "__main__":
    main()
