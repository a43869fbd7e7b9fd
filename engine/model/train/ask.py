"""Asks the model, with transformers, and prints its answers.

    python ask.py ../robotstories "Write a short story about a robot." --seeds 3
"""

import argparse

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("model")
    args.add_argument("text", nargs="?", default="Write a short story about a robot.")
    args.add_argument("--seeds", type=int, default=2, help="sampled answers beside the greedy one")
    args.add_argument("--tokens", type=int, default=600, help="at most so many tokens")
    args = args.parse_args()
    torch.set_num_threads(2)
    tokenizer = AutoTokenizer.from_pretrained(args.model)
    model = AutoModelForCausalLM.from_pretrained(args.model, dtype=torch.float32).eval()
    prompt = tokenizer.apply_chat_template([{"role": "user", "content": args.text}], add_generation_prompt=True, return_tensors="pt", return_dict=True)
    length = prompt["input_ids"].shape[1]
    for seed in range(args.seeds + 1):
        torch.manual_seed(seed)
        how = {"do_sample": False, "temperature": None, "top_p": None} if seed == 0 else {"do_sample": True, "temperature": 0.7, "top_p": 0.9}
        ids = model.generate(**prompt, max_new_tokens=args.tokens, **how)[0, length:].tolist()
        ended = ids[-1] in model.generation_config.eos_token_id
        text = tokenizer.decode(ids, skip_special_tokens=True)
        same = tokenizer.encode(text, add_special_tokens=False) == ids[:len(ids) - ended]
        print(f"--- {'greedy' if seed == 0 else f'seed {seed}'}: {len(ids)} tokens, {'ended by itself' if ended else 'cut'}, "
              f"{'same' if same else 'OTHER'} ids when tokenized again\n{text}\n")


if __name__ == "__main__":
    main()
