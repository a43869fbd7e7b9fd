"""Writes a Qwen2 model folder as one GGUF file in bfloat16, for llama.cpp.

    python gguf_write.py MODEL_FOLDER OUT.gguf

llama.cpp's own converter refuses a tokenizer that it doesn't know by its digest, which a
synthetic model's is. This one takes the vocabulary as it is, since speed doesn't depend on
it, and copies the bits of the weights; vectors become float32, as llama.cpp wants them.
"""

import json
import pathlib
import struct
import sys

import gguf
import numpy as np

PARTS = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}
WHOLE = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight", "lm_head.weight": "output.weight"}


def read_json(path):
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def gguf_name(name):
    """The name of a tensor in GGUF: model.layers.3.mlp.up_proj.weight is blk.3.ffn_up.weight."""
    if name in WHOLE:
        return WHOLE[name]
    model, layers, layer, *rest, kind = name.split(".")
    part = PARTS.get(".".join(rest))
    if (model, layers) != ("model", "layers") or part is None:
        sys.exit(f"{name}: no tensor of a Qwen2 model is called so")
    return f"blk.{layer}.{part}.{kind}"


def tensors(folder):
    """Yields name and bits (uint16, in the tensor's shape) of every tensor of every shard."""
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        sys.exit(f"{folder} has no safetensors file")
    for path in files:
        data = np.memmap(path, mode="r")
        size = struct.unpack("<Q", data[:8].tobytes())[0]
        for name, t in sorted(json.loads(data[8 : 8 + size].tobytes()).items()):
            if name == "__metadata__":
                continue
            if t["dtype"] != "BF16":
                sys.exit(f"{path}: {name} is {t['dtype']}; this converter reads BF16 only")
            begin, end = t["data_offsets"]
            yield name, data[8 + size + begin : 8 + size + end].view(np.uint16).reshape(t["shape"])


def vocabulary(folder, size):
    """Tokens, their types and the merges; ids without a token are marked unused."""
    tokenizer = read_json(folder / "tokenizer.json")
    vocab = dict(tokenizer.get("model", {}).get("vocab", {}))
    kind = {}
    for t in tokenizer.get("added_tokens", []):
        vocab[t["content"]] = t["id"]
        kind[t["id"]] = gguf.TokenType.CONTROL
    tokens = [None] * size
    for text, i in vocab.items():
        if i < size:
            tokens[i] = text
    for i in range(size):
        if tokens[i] is None:
            tokens[i] = f"<unused{i}>"
            kind[i] = gguf.TokenType.UNUSED
    merges = [m if isinstance(m, str) else " ".join(m) for m in tokenizer.get("model", {}).get("merges", [])]
    # llama.cpp wants at least one merge.
    return tokens, [kind.get(i, gguf.TokenType.NORMAL) for i in range(size)], merges or [f"{tokens[0]} {tokens[1]}"]


def first(value, default):
    if isinstance(value, list):
        value = value[0] if value else None
    return default if value is None else value


def main(folder, out):
    config = read_json(folder / "config.json")
    if config.get("model_type") != "qwen2":
        sys.exit(f"{folder} is a model of type {config.get('model_type')}; this converter writes qwen2 only")
    theta = config.get("rope_theta") or (config.get("rope_parameters") or {}).get("rope_theta") or 1e4
    size = config["vocab_size"]
    w = gguf.GGUFWriter(out, "qwen2")
    w.add_context_length(config["max_position_embeddings"])
    w.add_embedding_length(config["hidden_size"])
    w.add_block_count(config["num_hidden_layers"])
    w.add_feed_forward_length(config["intermediate_size"])
    w.add_head_count(config["num_attention_heads"])
    w.add_head_count_kv(config["num_key_value_heads"])
    w.add_rope_freq_base(float(theta))
    w.add_layer_norm_rms_eps(config["rms_norm_eps"])
    w.add_vocab_size(size)
    w.add_file_type(gguf.LlamaFileType.MOSTLY_BF16)
    tokens, types, merges = vocabulary(folder, size)
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre("qwen2")
    w.add_token_list(tokens)
    w.add_token_types(types)
    w.add_token_merges(merges)
    w.add_bos_token_id(first(config.get("bos_token_id"), 0))
    w.add_eos_token_id(first(config.get("eos_token_id"), 1))
    w.add_add_bos_token(False)
    template = read_json(folder / "tokenizer_config.json").get("chat_template")
    if template:
        w.add_chat_template(template)
    for name, bits in tensors(folder):
        if bits.ndim == 1:
            w.add_tensor(gguf_name(name), (bits.astype(np.uint32) << 16).view(np.float32))
        elif name == "lm_head.weight" and config.get("tie_word_embeddings"):
            continue
        else:
            rows, columns = bits.shape
            w.add_tensor(gguf_name(name), bits.view(np.uint8).reshape(rows, 2 * columns), raw_dtype=gguf.GGMLQuantizationType.BF16)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: gguf_write.py MODEL_FOLDER OUT.gguf")
    main(pathlib.Path(sys.argv[1]), sys.argv[2])
