# SPDX-License-Identifier: BSD-3-Clause
"""Writes tests/golden/cache/: attention over keys and values that a cache has rounded.

attention.bin: float32, little-endian: queries (5, 4 heads of 32), keys and values (23 positions, 2
heads of 32), then for f16 and q8_0, and for each without and with a window of 6 keys, what torch's
scaled_dot_product_attention makes of the rounded keys and values in float64, (5, 128) each.

llama.json: logits of the checkpoint models/llama, whose keys (turned) and values transformers
rounds to f16 where its cache takes them. Run with torch and transformers: python make_cache.py
"""

import json
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModelForCausalLM, DynamicCache

from common import numbers, write_json

HEADS, KV_HEADS, SIZE, QUERIES, POSITIONS, WINDOW = 4, 2, 32, 5, 23, 6
HERE = Path(__file__).parent


def to_f16(x):
    return x.astype(np.float16).astype(np.float32)


def to_q8_0(x):
    """32 numbers share d, the float16 nearest to their largest magnitude / 127."""
    blocks = x.reshape(-1, 32)
    d = (np.abs(blocks).max(axis=1, keepdims=True) / np.float32(127)).astype(np.float16)
    d = d.astype(np.float32)
    codes = np.rint(np.divide(blocks, d, out=np.zeros_like(blocks), where=d > 0))
    return (np.clip(codes, -127, 127) * d).reshape(x.shape).astype(np.float32)


def attention(queries, keys, values, window):
    def heads(x, count):
        return torch.from_numpy(x.astype(np.float64)).reshape(len(x), count, SIZE).transpose(0, 1)

    at = np.arange(POSITIONS - QUERIES, POSITIONS)[:, None]
    seen = np.arange(POSITIONS)[None, :] <= at
    if window:
        seen &= np.arange(POSITIONS)[None, :] + window > at
    group = HEADS // KV_HEADS
    out = torch.nn.functional.scaled_dot_product_attention(
        heads(queries, HEADS),
        heads(keys, KV_HEADS).repeat_interleave(group, 0),
        heads(values, KV_HEADS).repeat_interleave(group, 0),
        attn_mask=torch.from_numpy(seen),
    )
    return out.transpose(0, 1).reshape(QUERIES, HEADS * SIZE).numpy()


def write_attention(folder):
    draw = np.random.default_rng(5)
    queries = draw.standard_normal((QUERIES, HEADS * SIZE), np.float32)
    keys, values = (draw.standard_normal((POSITIONS, KV_HEADS * SIZE), np.float32) for _ in "kv")
    keys[3] *= 300.0  # of very different scales
    values[4, :32] = 0.0
    values[5] *= 1e-5
    parts = [queries, keys, values]
    for rounded in (to_f16, to_q8_0):
        for window in (0, WINDOW):
            parts.append(attention(queries, rounded(keys), rounded(values), window))
    data = np.concatenate([p.ravel() for p in parts]).astype("<f4")
    (folder / "attention.bin").write_bytes(data.tobytes())


class HalfCache(DynamicCache):
    def update(self, key_states, value_states, *args, **kwargs):
        return super().update(
            key_states.half().float(), value_states.half().float(), *args, **kwargs
        )


def write_llama(folder):
    golden = json.loads((HERE / "models/llama/golden.json").read_text())
    model = AutoModelForCausalLM.from_pretrained(HERE / "models/llama/hf", dtype=torch.float32)
    with torch.no_grad():
        ids = torch.tensor([golden["ids"]])
        logits = model(ids, past_key_values=HalfCache(), use_cache=True).logits[0]
        exact = model(ids).logits[0]
    assert (logits - exact).abs().max() > 0
    rows = [{"position": p, "values": numbers(logits[p])} for p in (7, 15, 23)]
    write_json(folder / "llama.json", {"ids": golden["ids"], "logits": rows})


def main():
    folder = HERE / "cache"
    folder.mkdir(exist_ok=True)
    write_attention(folder)
    write_llama(folder)


if __name__ == "__main__":
    main()
