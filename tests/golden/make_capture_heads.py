# SPDX-License-Identifier: BSD-3-Clause
"""Writes capture/NAME/heads.safetensors: what attention and FFN of tiny checkpoints compute, by
transformers' eager attention and hooks in double precision, all layers and positions, under the
names and in the shapes of `xlens capture`. Some seconds.

`tokens` (T) are the ids. A pattern's row has T weights; what a position does not read is 0.
"""

import json
from pathlib import Path

import numpy as np
import torch
import transformers
from safetensors.numpy import save_file

from make_families import Places
from make_heads import Heads

HERE = Path(__file__).parent
# Biases and LayerNorm; rotated, grouped heads; a window of 8, a cap and norms behind.
CHECKPOINTS = ("models/gpt2", "models/llama", "families/gemma2")
TOKENS = 12


@torch.no_grad()
def arrays_of(name):
    ids = json.loads((HERE / name / "golden.json").read_text(encoding="utf-8"))["ids"][:TOKENS]
    model = transformers.AutoModelForCausalLM.from_pretrained(
        HERE / name / "hf", dtype=torch.float64, attn_implementation="eager"
    ).eval()
    heads = Heads(model)
    _, attention = heads.run(ids)
    _, places = Places(model).run(ids)
    out = {"tokens": np.array(ids, dtype=np.int32)}
    size = attention[0]["outputs"].shape[1] // heads.count
    for layer, (record, place) in enumerate(zip(attention, places)):
        for array, key in (("queries", "queries"), ("keys", "keys"), ("values", "values"),
                           ("head_outputs", "outputs")):
            out[f"{array}.{layer}"] = record[key].reshape(len(ids), -1, size)
        out[f"pattern.{layer}"] = record["pattern"].transpose(0, 1)
        out[f"ffn_out.{layer}"] = place["ffn"]
    return {k: np.ascontiguousarray(x, dtype=None if k == "tokens" else np.float32)
            for k, x in out.items()}


def main():
    torch.set_num_threads(1)
    for name in CHECKPOINTS:
        arrays = arrays_of(name)
        folder = HERE / "capture" / name.split("/")[-1]
        folder.mkdir(exist_ok=True)
        save_file(arrays, folder / "heads.safetensors")
        print(name, {k: x.shape for k, x in arrays.items() if k.endswith((".0", "tokens"))})


if __name__ == "__main__":
    main()
