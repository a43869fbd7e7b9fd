"""Trains robot-stories: corpus, tokenizer, model, and the folder that ships.

    python train.py ../robotstories            # the shipped model
    python train.py --steps 100 /tmp/smoke     # does the loss fall?

The seed fixes the corpus, the tokenizer, the first weights and the order of
batches; on another machine or number of threads the weights differ by rounding.
"""

import argparse
import copy
import itertools
import json
import math
import os
import pathlib
import time

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # threads that spin at barriers starve a shared machine, and this run with it

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from transformers import Qwen2Config, Qwen2ForCausalLM

import bpe
import corpus
import folder

SEED = 20261124
VOCAB = 2048
ROW = 512  # tokens of a training row
BATCH = 4  # rows of a step
STEPS = 1500
PEAK, FLOOR, WARMUP = 4e-3, 1e-4, 80  # learning rate
HELD_OUT = 32  # rows that measure the loss, of documents that are never trained on


def config():
    return Qwen2Config(
        vocab_size=VOCAB, hidden_size=128, intermediate_size=384, num_hidden_layers=6, num_attention_heads=2, num_key_value_heads=1,
        max_position_embeddings=4096, rope_parameters={"rope_type": "default", "rope_theta": 10000.0}, rms_norm_eps=1e-6,
        tie_word_embeddings=True, use_sliding_window=False, initializer_range=0.04,
        bos_token_id=None, eos_token_id=VOCAB - 1, pad_token_id=None,
    )


def rows(tokenizer, seed):
    """Endless rows of ROW + 1 ids. Each begins with the beginning of a document, as every request will."""
    row = []
    for document in corpus.documents(seed, 1 << 62):
        row += tokenizer.encode(document, add_special_tokens=False).ids
        if len(row) > ROW:
            yield row[:ROW + 1]
            row = []


def batch(source, size):
    ids = torch.tensor(list(itertools.islice(source, size)))
    return ids[:, :-1], ids[:, 1:]


def loss_of(model, inputs, targets):
    logits = model(input_ids=inputs, use_cache=False).logits
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


def learning_rate(step, steps):
    if step < WARMUP:
        return PEAK * (step + 1) / WARMUP
    done = (step - WARMUP) / max(1, steps - WARMUP)
    return FLOOR + (PEAK - FLOOR) * (1 + math.cos(math.pi * done)) / 2


def held_out_loss(model, inputs, targets):
    model.eval()
    with torch.no_grad():
        parts = [loss_of(model, i, t).item() for i, t in zip(inputs.split(BATCH), targets.split(BATCH))]
    model.train()
    return sum(parts) / len(parts)


def fit(model, tokenizer, steps, snapshot):
    """Trains in place and returns the last mean training loss. Calls snapshot(steps done, loss) now and then."""
    decayed = [p for p in model.parameters() if p.dim() > 1]
    plain = [p for p in model.parameters() if p.dim() == 1]  # norms and biases
    optimizer = torch.optim.AdamW([{"params": decayed, "weight_decay": 0.1}, {"params": plain, "weight_decay": 0.0}], betas=(0.9, 0.95))
    source, recent, begin = rows(tokenizer, SEED), [], time.monotonic()
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, steps)
        loss = loss_of(model, *batch(source, BATCH))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        recent = (recent + [loss.item()])[-50:]
        if step % 250 == 249:
            snapshot(step + 1, sum(recent) / len(recent))
        if step % 25 == 24:
            print(f"step {step + 1}/{steps}  loss {sum(recent[-25:]) / len(recent[-25:]):.4f}  {time.monotonic() - begin:.0f} s", flush=True)
    return sum(recent) / len(recent)


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("out", type=pathlib.Path)
    args.add_argument("--steps", type=int, default=STEPS)
    args.add_argument("--threads", type=int, default=2)
    args = args.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(SEED)

    begin = time.monotonic()
    tokenizer = bpe.train(corpus.documents(SEED - 2, 6000), VOCAB)
    model = Qwen2ForCausalLM(config())
    print(f"{model.num_parameters()} parameters; tokenizer after {time.monotonic() - begin:.0f} s", flush=True)
    held_out = batch(rows(tokenizer, SEED - 1), HELD_OUT)

    def save(steps, train_loss):
        rounded = copy.deepcopy(model).to(torch.bfloat16)
        report = {
            "seed": SEED, "steps": steps, "tokens_seen": steps * BATCH * ROW, "parameters": model.num_parameters(),
            "train_loss": round(train_loss, 4), "held_out_loss": round(held_out_loss(copy.deepcopy(rounded).float(), *held_out), 4),
            "wall_seconds": round(time.monotonic() - begin), "threads": args.threads,
        }
        print(json.dumps(report), flush=True)
        args.out.mkdir(parents=True, exist_ok=True)
        tensors = {name: value.contiguous() for name, value in rounded.state_dict().items() if name != "lm_head.weight"}
        save_file(tensors, args.out / "model.safetensors", metadata={"format": "pt"})
        tokenizer.save(str(args.out / "tokenizer.json"), pretty=False)
        folder.write(args.out, model.config, report)

    save(args.steps, fit(model, tokenizer, args.steps, save))


if __name__ == "__main__":
    main()
