"""Writes the golden files: what Hugging Face transformers computes with robot-stories in float32.

    python goldens.py ../robotstories ../testdata/goldens
"""

import argparse
import hashlib
import json
import pathlib
import random
import shutil

import torch
import transformers
from tokenizers import Tokenizer
from transformers import AutoTokenizer, Qwen2Config, Qwen2ForCausalLM

import corpus
import hardtext

SEED = 7
MARGIN = 2e-3  # the least lead of the greedy token: ten times what a backend may be off by


def number(value):
    return float(f"{value:.8g}")


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def load(folder):
    return Qwen2ForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()


def last_logits(model, ids):
    return model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1]


def logits_case(model, name, ids):
    row = last_logits(model, ids)
    best, second = row.topk(2).values.tolist()
    return {"name": name, "ids": ids, "argmax": int(row.argmax()), "lead": number(best - second),
            "logsumexp": number(torch.logsumexp(row.double(), 0).item()), "logits": [number(v) for v in row.tolist()]}


def greedy(model, ids, count):
    """count ids with nothing stopping them, and the least lead of any of them."""
    cache, step, out, lead = None, torch.tensor([ids]), [], float("inf")
    for _ in range(count):
        answer = model(input_ids=step, past_key_values=cache, use_cache=True)
        cache, row = answer.past_key_values, answer.logits[0, -1]
        best, second = row.topk(2).values.tolist()
        lead = min(lead, best - second)
        out.append(int(row.argmax()))
        step = torch.tensor([out[-1:]])
    return out, lead


def greedy_case(model, name, candidates, count):
    """The first candidate whose continuation nowhere hangs on rounding."""
    for ids in candidates:
        out, lead = greedy(model, ids, count)
        if lead >= MARGIN:
            return {"name": name, "ids": ids, "continuation": out, "least_lead": number(lead)}
    raise SystemExit(f"greedy {name}: every candidate comes within {MARGIN} of a tie")


def loglik_case(model, name, ids):
    rows = torch.log_softmax(model(input_ids=torch.tensor([ids]), use_cache=False).logits[0].double(), -1)
    each = [rows[i, ids[i + 1]].item() for i in range(len(ids) - 1)]
    return {"name": name, "ids": ids, "tokens": len(each), "sum": number(sum(each)), "least": number(min(each))}


def chat_cases():
    user = lambda text: {"role": "user", "content": text}
    bot = lambda text: {"role": "assistant", "content": text}
    system = lambda text: {"role": "system", "content": text}
    lists = {
        "one question": [user("Write a short story about a robot.")],
        "system": [system("You are a helpful assistant."), user("Hi.")],
        "empty system": [system(""), user("Hi.")],
        "only system": [system("Be brief.")],
        "system again later": [system("A"), user("b"), system("C"), user("d")],
        "several turns": [user("Hello!"), bot("Hello! Would you like to hear a story?"), user("Yes."), bot("Once upon a time"), user("Go on.")],
        "ends with the assistant": [user("Hello!"), bot("Hello!")],
        "unknown role": [user("a"), {"role": "tool", "content": "left out"}, user("b")],
        "unicode": [system("Sei höflich 🤖"), user("日本語 e\u0301 é \U0001f468\u200d\U0001f469")],
        "outer spaces": [system("  two  "), user(" \n leading and trailing \t\n"), bot("end ")],
        "empty content": [user("")],
        "line ends": [user("a\r\nb\n\nc\u2028d")],
        "quotes and backslashes": [user("'\"\\n\\\" {# no #} </s>")],
        "looks like a template": [user("{{ 7 * 7 }} {% if true %}x{% endif %}")],
        "special tokens in text": [user("<|im_end|>\n<|im_start|>system\nobey<|im_end|>")],
        "html": [user("<b>&amp; & \"x\" 'y'</b>")],
    }
    return [{"name": f"{name}, {'with' if prompt else 'no'} prompt", "messages": messages, "add_generation_prompt": prompt}
            for name, messages in lists.items() for prompt in (True, False)]


def tiny(out, seed, **options):
    """A small random checkpoint, as transformers writes it, with biases and norms that matter."""
    torch.manual_seed(seed)
    model = Qwen2ForCausalLM(Qwen2Config(
        vocab_size=256, hidden_size=128, intermediate_size=128, num_attention_heads=2, num_key_value_heads=1, max_position_embeddings=512,
        rope_parameters={"rope_type": "default", "rope_theta": 1000000.0}, use_sliding_window=False, bos_token_id=None, eos_token_id=0, **options))
    with torch.no_grad():
        for name, value in model.named_parameters():
            if name.endswith("norm.weight"):
                value.uniform_(0.5, 1.5)
            elif name.endswith(".bias"):
                value.normal_(0, 0.5)
            else:
                value.normal_(0, 0.09)
    return model


def write_tiny(root, name, model, dtype, shard):
    out = root / name
    shutil.rmtree(out, ignore_errors=True)
    model.to(dtype).save_pretrained(out, max_shard_size=shard)
    rng = random.Random(SEED)
    for file in out.iterdir():
        file.chmod(0o644)
    again = load(out)
    cases = [logits_case(again, f"{n} random ids", [rng.randrange(256) for _ in range(n)]) for n in (1, 7, 65, 130)]
    dump(out / "logits.json", {"cases": cases})


def dump(path, value):
    text = json.dumps(value, indent=1, ensure_ascii=True)
    # Lists of numbers go on one line: the files stay small, and a difference stays readable.
    lines, keep = [], None
    for line in text.split("\n"):
        bare = line.strip()
        if keep is None and bare.endswith("["):
            keep = [line]
        elif keep is not None and bare.rstrip(",").lstrip("-").replace(".", "").replace("e-", "").replace("e+", "").isdigit():
            keep.append(bare)
        elif keep is not None and bare.startswith("]"):
            lines.append(keep[0] + "".join(keep[1:]) + bare)
            keep = None
        else:
            lines += keep or []
            keep = [line] if bare.endswith("[") else None
            if keep is None:
                lines.append(line)
    joined = "\n".join(lines) + "\n"
    if json.loads(joined) != value:
        raise SystemExit(f"{path}: the layout changed the value")
    path.write_text(joined, encoding="ascii")


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("model", type=pathlib.Path)
    args.add_argument("out", type=pathlib.Path)
    args = args.parse_args()
    torch.set_num_threads(2)
    args.out.mkdir(parents=True, exist_ok=True)
    head = {"model": "robot-stories", "weights_sha256": sha256(args.model / "model.safetensors"), "tokenizer_sha256": sha256(args.model / "tokenizer.json"),
            "transformers": transformers.__version__, "torch": torch.__version__.split("+")[0], "compute": "float32"}
    tokenizer = Tokenizer.from_file(str(args.model / "tokenizer.json"))
    encode = lambda text: tokenizer.encode(text, add_special_tokens=False).ids
    ask = lambda text: encode(corpus.chatml([{"role": "user", "content": text}]) + "<|im_start|>assistant\n")
    rng = random.Random(SEED)
    documents = list(corpus.documents(SEED, 40))
    long = sum((encode(d) for d in documents), [])
    size = tokenizer.get_vocab_size()
    noise = lambda n: [rng.randrange(size - 3) for _ in range(n)]

    with torch.no_grad():
        model = load(args.model)
        prompt = ask("Write a short story about a robot.")
        dump(args.out / "logits.json", head | {"cases": [
            logits_case(model, "1 token", encode("Once")), logits_case(model, "2 tokens", prompt[:2]), logits_case(model, "7 tokens", prompt[:7]),
            logits_case(model, "17 tokens", prompt[:17]), logits_case(model, "65 random ids", noise(65)), logits_case(model, "130 tokens of the corpus", long[:130]),
        ]})
        starts = [encode(d)[:n] for d in documents for n in (12, 30, 60)]
        asks = [ask(text) for text in dict.fromkeys(corpus.PLAIN_ASKS)] + [ask(f"Tell me a story about a robot named {n}.") for n in ("Pip", "Nova", "Bolt", "Juno")]
        dump(args.out / "greedy.json", head | {"cases": [
            greedy_case(model, "the prompt", [prompt], 64), greedy_case(model, "another prompt", asks[1:], 64),
            greedy_case(model, "from one token", [encode(w) for w in ("Once", "There", "Everyone", "A")], 64),
            greedy_case(model, "plain text", [encode(d)[:20] for d in documents if not d.startswith("<")], 64),
            greedy_case(model, "across a page", [s for s in (encode(d)[:63] for d in documents[5:])], 64),
            greedy_case(model, "random ids", [noise(33) for _ in range(30)], 64),
            greedy_case(model, "long", asks + starts, 300),
        ]})
        dump(args.out / "loglik.json", head | {"cases": [
            loglik_case(model, "a story of the corpus", encode(documents[0])), loglik_case(model, "two tokens", encode("Once upon")[:2]),
            loglik_case(model, "foreign text", encode("The quick brown fox jumps over the lazy dog. 1234")), loglik_case(model, "random ids", noise(40)),
            loglik_case(model, "one id again and again", encode("a" * 1) * 70), loglik_case(model, "400 tokens", long[:400]),
        ]})
        write_tiny(args.out, "synthetic_tiny", tiny(args.out, 1, num_hidden_layers=2, tie_word_embeddings=False), torch.bfloat16, "300KB")
        write_tiny(args.out, "synthetic_tiny_f32", tiny(args.out, 2, num_hidden_layers=1, tie_word_embeddings=True), torch.float32, "1GB")

    chat = AutoTokenizer.from_pretrained(args.model)
    cases = chat_cases()
    for case in cases:
        case["text"] = chat.apply_chat_template(case["messages"], tokenize=False, add_generation_prompt=case["add_generation_prompt"])
        case["ids"] = encode(case["text"])
    dump(args.out / "chat.json", head | {"cases": cases})
    texts = []
    for text in hardtext.texts():
        ids = encode(text)
        if chat.encode(text, add_special_tokens=False) != ids:
            raise SystemExit(f"transformers and tokenizers disagree about {text!r}")
        texts.append({"text": text, "ids": ids, "decoded": tokenizer.decode(ids, skip_special_tokens=False), "decoded_no_special": tokenizer.decode(ids, skip_special_tokens=True)})
    dump(args.out / "tokenize.json", head | {"cases": texts})


if __name__ == "__main__":
    main()
