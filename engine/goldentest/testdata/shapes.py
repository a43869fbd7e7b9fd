"""Makes NAME.json: what Hugging Face transformers computes, in float64, for the models of
this package.

    PACELINE_DEEP=1 PACELINE_KEEP=DIR go test ./engine/ref -run TestShapes
    python engine/goldentest/testdata/shapes.py DIR engine/goldentest/testdata

The first command leaves the models in DIR. Made with torch 2.9.1, transformers 5.23.0.

Whatever the type of a model, transformers takes norms, rotary angles and the softmax of its
eager attention in float32. Here they are in float64 too, which changes none of the formulas:
an oracle then has to agree to the last digits. "as_shipped" is how far the logits of
transformers as it is lie from that, at most.
"""
import hashlib
import json
import os
import sys

import torch
from transformers import AutoModelForCausalLM
from transformers.models.qwen2 import modeling_qwen2

MOST, LEAST, LEAD = 12, 5, 0.004  # greedy tokens, and by how much the best must lead


def exact_norm(self, x):
    return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.variance_epsilon))


def exact_angles(self, x, position_ids, layer_type=None):
    rope = self.config.rope_parameters
    dim = getattr(self.config, "head_dim", None) or self.config.hidden_size // self.config.num_attention_heads
    frequency = rope["rope_theta"] ** -(torch.arange(0, dim, 2, dtype=torch.float64) / dim)
    angles = position_ids[:, :, None].double() * frequency
    angles = torch.cat((angles, angles), dim=-1)
    return angles.cos(), angles.sin()


def prompt(n, vocab):
    ids, x = [], 1
    for _ in range(n):  # the generator of Numerical Recipes
        x = (x * 1664525 + 1013904223) % 2**32
        ids.append((x >> 16) % vocab)
    return ids


def logits(model, ids):
    with torch.no_grad():
        return model(torch.tensor([ids])).logits[0]


def digits(values):
    return [float(f"{v:.9g}") for v in values.tolist()]


positions = {"long": [64, 4096, 8191]}
models, out = sys.argv[1:]
for name in sorted(os.listdir(models)):
    folder = os.path.join(models, name)
    files = {}
    for file in sorted(os.listdir(folder)):
        with open(os.path.join(folder, file), "rb") as f:
            files[file] = hashlib.sha256(f.read()).hexdigest()
    at = positions.get(name, [199])

    def load(attention):
        return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64, attn_implementation=attention).eval()

    model = load("eager")
    ids = prompt(at[-1] + 1, model.config.vocab_size)
    shipped = logits(model, ids)[at]

    norm, rotary = modeling_qwen2.Qwen2RMSNorm.forward, modeling_qwen2.Qwen2RotaryEmbedding.forward
    modeling_qwen2.Qwen2RMSNorm.forward, modeling_qwen2.Qwen2RotaryEmbedding.forward = exact_norm, exact_angles
    model = load("sdpa")
    all_logits = logits(model, ids)
    golden = {
        "files": files,
        "as_shipped": float(f"{(shipped - all_logits[at]).abs().max().item():.2g}"),
        "logits": [digits(all_logits[p]) for p in at],
        "continuation": [],
    }
    assert golden["as_shipped"] < 1e-2, golden["as_shipped"]
    if len(ids) <= 512:
        logprobs = torch.log_softmax(all_logits, -1)
        golden["logprobs"] = digits(logprobs[torch.arange(len(ids) - 1), torch.tensor(ids[1:])])
        last, text = all_logits[-1], list(ids)
        while len(golden["continuation"]) < MOST:
            best = last.topk(2).values
            if (best[0] - best[1]).item() < LEAD:
                break
            text.append(int(last.argmax()))
            golden["continuation"].append(text[-1])
            last = logits(model, text)[-1]
        assert len(golden["continuation"]) >= LEAST, (name, golden["continuation"])
    modeling_qwen2.Qwen2RMSNorm.forward, modeling_qwen2.Qwen2RotaryEmbedding.forward = norm, rotary
    print(name, "as shipped", golden["as_shipped"], "greatest", all_logits.abs().max().item(), golden["continuation"])
    with open(os.path.join(out, f"{name}.json"), "w") as f:
        json.dump(golden, f, separators=(",", ":"))
        f.write("\n")
