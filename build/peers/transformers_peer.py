"""One measurement of Hugging Face transformers as a process of its own; prints one line of JSON.

    python transformers_peer.py MODEL_FOLDER f32|bf16 THREADS PROMPT_TOKENS DECODE_TOKENS
"""

import argparse
import json
import time

import torch
import transformers
from transformers import Qwen2ForCausalLM


def main():
    p = argparse.ArgumentParser()
    p.add_argument("model")
    p.add_argument("dtype", choices=["f32", "bf16"])
    p.add_argument("threads", type=int)
    p.add_argument("prompt", type=int)
    p.add_argument("decode", type=int)
    a = p.parse_args()

    torch.set_num_threads(a.threads)
    dtype = {"f32": torch.float32, "bf16": torch.bfloat16}[a.dtype]
    began = time.perf_counter()
    model = Qwen2ForCausalLM.from_pretrained(a.model, dtype=dtype).eval()
    load = time.perf_counter() - began
    vocab = model.config.vocab_size

    def ids(n, salt):
        return torch.tensor([[(i * 7919 + salt) % vocab for i in range(n)]])

    with torch.inference_mode():
        # As llama-bench does: one run of the same shape warms what is made once.
        model(ids(a.prompt, 17), use_cache=True, logits_to_keep=1)
        began = time.perf_counter()
        out = model(ids(a.prompt, 13), use_cache=True, logits_to_keep=1)
        token = out.logits[:, -1].argmax(-1, keepdim=True)
        prefill = time.perf_counter() - began
        past, first = out.past_key_values, [token.item()]
        began = time.perf_counter()
        for _ in range(a.decode):
            out = model(token, past_key_values=past, use_cache=True)
            past = out.past_key_values
            token = out.logits[:, -1].argmax(-1, keepdim=True)
            first.append(token.item())
        decode = time.perf_counter() - began
    print(
        json.dumps(
            {
                "versions": f"transformers {transformers.__version__}, torch {torch.__version__}",
                "load_seconds": load,
                "prompt_tokens": a.prompt,
                "prefill_tok_per_s": a.prompt / prefill,
                "decode_tokens": a.decode,
                "decode_tok_per_s": a.decode / decode if a.decode else 0.0,
                "first_ids": first[:8],
            }
        )
    )


if __name__ == "__main__":
    main()
