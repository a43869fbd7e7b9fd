"""Measures what is installed of vLLM and transformers on a model folder: one line of JSON each.

Weights are made up by each library, in bfloat16; tokens are random ids. The workload is gpucheck's: 256 requests at once,
100 to 1,024 tokens of prompt and of output.
"""

import importlib.metadata
import importlib.util
import json
import random
import sys
import time


def workload(vocab, requests=256, least=100, most=1024):
    rng = random.Random(1)
    return [
        ([rng.randrange(vocab) for _ in range(rng.randint(least, most))], rng.randint(least, most))
        for _ in range(requests)
    ]


def vllm(folder):
    from vllm import LLM, SamplingParams

    engine = LLM(folder, dtype="bfloat16", load_format="dummy", skip_tokenizer_init=True, max_model_len=2048,
                 gpu_memory_utilization=0.5, enable_prefix_caching=False)
    vocab = engine.llm_engine.model_config.get_vocab_size()

    def run(prompts, lengths):
        params = [SamplingParams(temperature=0, max_tokens=n, ignore_eos=True, detokenize=False) for n in lengths]
        started = time.perf_counter()
        engine.generate([{"prompt_token_ids": p} for p in prompts], params, use_tqdm=False)
        return sum(lengths) / (time.perf_counter() - started)

    one = [1] * 16
    run([one], [64])
    return {"decode_tok_per_s": run([one], [512]), "workload_tok_per_s": run(*zip(*workload(vocab)))}


def transformers(folder):
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    if not torch.cuda.is_available():
        return {"why": "PyTorch sees no CUDA device"}
    model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder), dtype=torch.bfloat16).to("cuda").eval()
    ids = torch.ones((1, 16), dtype=torch.long, device="cuda")

    def run(n):
        torch.cuda.synchronize()
        started = time.perf_counter()
        with torch.inference_mode():
            model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, min_new_tokens=n, max_new_tokens=n)
        torch.cuda.synchronize()
        return n / (time.perf_counter() - started)

    run(16)
    return {"decode_tok_per_s": run(128)}


def main():
    folder = sys.argv[1]
    for name, measure in (("transformers", transformers), ("vllm", vllm)):
        if importlib.util.find_spec(name) is None:
            continue
        out = {"name": name, "version": importlib.metadata.version(name)}
        try:
            out.update(measure(folder))
        except Exception as e:  # a library that can't is told of, and no reason to leave the others out
            out["why"] = f"{type(e).__name__}: {e}"[:300]
        print("\n" + json.dumps(out), flush=True)


if __name__ == "__main__":
    main()
