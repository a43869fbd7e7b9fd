"""Makes synthetic-*.json: what Hugging Face transformers computes, in float64, for the
synthetic models of this package's tests.

    PACELINE_KEEP=DIR go test ./engine/ref -run TestAgainstTransformers
    python engine/ref/testdata/synthetic.py DIR engine/ref/testdata

The first command leaves the models in DIR. Made with torch 2.9.1, transformers 5.23.0.
"""
import json
import os
import sys

import torch
from transformers import AutoModelForCausalLM

models, out = sys.argv[1:]
for name in sorted(os.listdir(models)):
    ids, x = [], 1
    for _ in range(200):  # the generator of Numerical Recipes
        x = (x * 1664525 + 1013904223) % 2**32
        ids.append((x >> 16) % 512)
    model = AutoModelForCausalLM.from_pretrained(
        os.path.join(models, name), dtype=torch.float64, attn_implementation="eager"
    ).eval()
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0].double()
    logprobs = torch.log_softmax(logits, -1)
    with open(os.path.join(out, f"synthetic-{name}.json"), "w") as f:
        json.dump(
            {
                "ids": ids,
                "logits": [float(f"{v:.9g}") for v in logits[-1].tolist()],
                "logprobs": [float(f"{logprobs[i, ids[i + 1]].item():.9g}") for i in range(len(ids) - 1)],
            },
            f,
        )
        f.write("\n")
