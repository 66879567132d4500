# SPDX-License-Identifier: BSD-3-Clause
"""Writes model.gguf beside the hf/ folder of each `wikilm` checkpoint: the same tensors, by the
names of README.md. Needs no torch.

usage: python wikilm_gguf.py
"""

import json
import math
import re
from pathlib import Path

import gguf
import numpy as np
from safetensors.numpy import load_file

HERE = Path(__file__).parent
NAMES = [
    (r"embed_tokens\.embeddings\.(\d+)\.0", r"token_embd.\1"),
    (r"embed_tokens\.embeddings\.(\d+)\.1", r"token_embd_proj.\1"),
    (r"layers\.(\d+)\.self_attn_layer_norm", r"blk.\1.attn_norm"),
    (r"layers\.(\d+)\.self_attn\.([qkv])_proj", r"blk.\1.attn_\2"),
    (r"layers\.(\d+)\.self_attn\.out_proj", r"blk.\1.attn_output"),
    (r"layers\.(\d+)\.final_layer_norm", r"blk.\1.ffn_norm"),
    (r"layers\.(\d+)\.fc1", r"blk.\1.ffn_up"),
    (r"layers\.(\d+)\.fc2", r"blk.\1.ffn_down"),
    (r"layer_norm", "output_norm"),
    (r"adaptive_softmax\.head\.class_proj", "output_classes"),
]


def gguf_name(name):
    """The GGUF name of a tensor, or None for a tied copy or a leftover of fairseq."""
    for theirs, ours in NAMES:
        found = re.fullmatch(rf"decoder\.{theirs}\.(weight|bias)", name)
        if found:
            return f"{found.expand(ours)}.{found[found.lastindex]}"
    return None


def add_keys(writer, config):
    writer.add_name("golden")
    writer.add_vocab_size(config["vocab_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_layer_norm_eps(config["layer_norm_eps"])
    writer.add_array("wikilm.adaptive_cutoffs", config["adaptive_cutoffs"])
    writer.add_bool("wikilm.final_norm", config["final_norm"])
    writer.add_embedding_scale(
        math.sqrt(config["hidden_size"]) if config["scale_embedding"] else 1.0
    )
    writer.add_tokenizer_model("none")
    writer.add_pad_token_id(config["pad_token_id"])
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)


def write(folder):
    writer = gguf.GGUFWriter(folder / "model.gguf", "wikilm")
    add_keys(writer, json.loads((folder / "hf" / "config.json").read_text()))
    for name, weight in sorted(load_file(folder / "hf" / "model.safetensors").items()):
        if gguf_name(name):
            writer.add_tensor(gguf_name(name), np.ascontiguousarray(weight))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main():
    for name in ("wikilm", "wikilm_final_norm"):
        write(HERE / "models" / name)


if __name__ == "__main__":
    main()
