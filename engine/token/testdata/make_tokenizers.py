"""Writes the small tokenizers that the tests open, and what Python makes of texts.

Each folder gets a tokenizer.json and a goldens.json: the ids of texts, and the
texts of random ids. Run with tokenizers 0.22.1:

    python make_tokenizers.py
"""

import json
import os
import random

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

here = os.path.dirname(os.path.abspath(__file__))

CORPUS = [
    "Write a short story about a robot. The robot was small, and it liked tea.",
    "Once upon a time there was a robot. It's the robot's story, isn't it?",
    "你好世界 naïve café déjà vu — “quotes” 👩‍👩‍👧 🤖🤖 12345\n\n\tcode();\r\n",
] * 3

TEXTS = [
    "",
    " ",
    "  \n\n ",
    "Write a short story about a robot.",
    "The robot's tea, isn't it?",
    "<|im_start|>user\nHello<|im_end|>\n",
    "<|im_start|><|im_end|><tool_call>x</tool_call>",
    "<|im_start |im_end|>",
    "你好世界 naïve café e\u0301 — “q”",
    "👩‍👩‍👧 🤖🇩🇪 \ufffd \u200b\u00a0",
    "12345 1,000.50 0x1F",
    "\t\tif (a<b) {\r\n  return 'x';\r\n}",
    "A" * 300,
    " ".join(["tea"] * 200),
    "Ω≈ç√∫ \u0001\u0007 ﷽ 𝔘𝔫𝔦",
]


def byte_level():
    t = Tokenizer(models.BPE(byte_fallback=False))
    t.normalizer = normalizers.NFC()
    pattern = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    t.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(pattern), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    t.decoder = decoders.ByteLevel()
    t.train_from_iterator(
        CORPUS, trainers.BpeTrainer(vocab_size=330, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    )
    t.add_special_tokens(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    t.add_tokens(["<tool_call>", "</tool_call>"])
    # These must have no effect: only an explicit argument makes transformers cut or pad.
    t.enable_truncation(16)
    t.enable_padding(length=32, pad_id=0, pad_token="!")
    return t


def byte_fallback():
    vocab = [("<unk>", 0.0), ("<s>", 0.0), ("</s>", 0.0)]
    vocab += [("<0x%02X>" % b, -20.0) for b in range(256)]
    vocab += [("▁", -3.0), ("▁robot", -2.0), ("▁tea", -2.5), ("▁a", -2.0), ("story", -3.0)]
    vocab += [(c, -5.0) for c in "abcdefghijklmnopqrstuvwxyzWT.,'éï"]
    t = Tokenizer(models.Unigram(vocab, unk_id=0, byte_fallback=True))
    t.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    t.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    t.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    t.add_special_tokens(["<unk>", "<s>", "</s>"])
    return t


for name, t in [("bytelevel", byte_level()), ("bytefallback", byte_fallback())]:
    folder = os.path.join(here, name)
    os.makedirs(folder, exist_ok=True)
    t.save(os.path.join(folder, "tokenizer.json"))
    t.no_truncation()
    t.no_padding()
    rng = random.Random(name)
    size = t.get_vocab_size()
    texts = [
        {"text": s, "ids": t.encode(s, add_special_tokens=False).ids, "special": t.encode(s, add_special_tokens=True).ids} for s in TEXTS
    ]
    sequences = []
    for i in range(60):
        # Ids above the vocabulary are ones that a padded model may give.
        ids = [rng.randrange(size + 5) for _ in range(rng.randrange(1, 40))]
        sequences.append({"ids": ids, "text": t.decode(ids, skip_special_tokens=False), "plain": t.decode(ids, skip_special_tokens=True)})
    with open(os.path.join(folder, "goldens.json"), "w", encoding="utf-8") as f:
        json.dump({"size": size, "texts": texts, "sequences": sequences}, f, ensure_ascii=True, separators=(",", ":"))
        f.write("\n")
