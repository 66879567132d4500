#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Writes a GGUF of 138 million random weights in a given format, to measure how fast it is decoded.

usage: random_gguf.py FORMAT OUT.gguf      FORMAT as xlens spells it: q4_k, iq4_xs, mxfp4, ...
Needs numpy and gguf. A llama of 16 layers whose widths (768, 2048) are multiples of 256, so that
every matrix, the tied embedding too, has the format; without a tokenizer. Then, for example

  xlens generate OUT.gguf --ids 1,2,3 -n 96 --json [--precision native]      tokens_per_second
  llama-bench -m OUT.gguf -p 512 -n 96

What it says is noise: time it, do not read it.
"""

import sys

import gguf
import numpy as np

LAYERS, WIDTH, INNER, HEADS, KV_HEADS, VOCABULARY = 16, 768, 2048, 12, 4, 49152
SPREAD = 0.03  # standard deviation of the weights, about WIDTH ** -0.5

# Byte offsets of a block's binary16 scales: (of what is multiplied, of what is added).
HALVES = {
    "q4_0": ([0], []),
    "q4_1": ([0], [2]),
    "q5_0": ([0], []),
    "q5_1": ([0], [2]),
    "q8_0": ([0], []),
    "q2_k": ([80], [82]),
    "q3_k": ([108], []),
    "q4_k": ([0], [2]),
    "q5_k": ([0], [2]),
    "q6_k": ([208], []),
    "iq4_nl": ([0], []),
    "iq4_xs": ([0], []),
    "iq3_xxs": ([0], []),
    "iq3_s": ([0], []),
    "iq2_xxs": ([0], []),
    "iq2_xs": ([0], []),
    "iq2_s": ([0], []),
    "iq1_s": ([0], []),
    "tq1_0": ([52], []),
    "tq2_0": ([64], []),
}
PLAIN = ["f32", "f16", "bf16"]
OTHERS = ["mxfp4", "nvfp4", "iq1_m"]


def kind_of(name):
    return gguf.GGMLQuantizationType[name.upper()]


def with_scales(name, blocks, scale, added):
    """The blocks with these scales, in place."""
    for offsets, value in zip(HALVES[name], (scale, added)):
        for offset in offsets:
            half = np.array([value], "<f2").view(np.uint8)
            blocks[:, offset : offset + 2] = half
    return blocks


def random_blocks(name, count, rng):
    size = gguf.GGML_QUANT_SIZES[kind_of(name)][1]
    blocks = rng.integers(0, 256, (count, size), dtype=np.uint8)
    if name == "mxfp4":
        blocks[:, 0] = 127 - 7  # codes spread by 3
    elif name == "nvfp4":
        blocks[:, :4] = 1 << 3  # 2^-6, codes spread by 3
    elif name == "iq1_m":
        half = int(np.array([SPREAD / 6], "<f2").view("<u2")[0])
        words = blocks[:, 48:56].copy().view("<u2") & 0x0FFF
        for i in range(4):
            words[:, i] |= (half >> (4 * i) & 0xF) << 12
        blocks[:, 48:56] = words.view(np.uint8)
    else:
        # Scales for which a sample has mean 0, where something is added, and the right spread.
        def sample(scale, added):
            some = with_scales(name, blocks[:512].copy(), scale, added)
            return gguf.quants.dequantize(some, kind_of(name))

        added = 0.0
        if HALVES[name][1]:
            added = -float(sample(1, 0).mean() / sample(0, 1).mean())
        spread = float(sample(1, added).std())
        with_scales(name, blocks, SPREAD / spread, added * SPREAD / spread)
    return blocks


def random_matrix(name, rows, cols, rng):
    if name in PLAIN:
        values = (SPREAD * rng.standard_normal((rows, cols))).astype(np.float32)
        return gguf.quants.quantize(values, kind_of(name))
    block = gguf.GGML_QUANT_SIZES[kind_of(name)][0]
    return random_blocks(name, rows * cols // block, rng).reshape(rows, -1)


def main():
    known = [*PLAIN, *HALVES, *OTHERS]
    if len(sys.argv) != 3 or sys.argv[1] not in known:
        sys.exit(f"usage: {sys.argv[0]} FORMAT OUT.gguf, FORMAT one of {' '.join(known)}")
    name, path = sys.argv[1:]
    rng = np.random.default_rng(1)
    out = gguf.GGUFWriter(path, "llama")
    out.add_context_length(4096)
    out.add_embedding_length(WIDTH)
    out.add_block_count(LAYERS)
    out.add_feed_forward_length(INNER)
    out.add_head_count(HEADS)
    out.add_head_count_kv(KV_HEADS)
    out.add_layer_norm_rms_eps(1e-5)
    out.add_rope_dimension_count(WIDTH // HEADS)
    out.add_rope_freq_base(10000.0)
    out.add_vocab_size(VOCABULARY)
    out.add_tokenizer_model("none")

    def matrix(tensor, rows, cols):
        out.add_tensor(tensor, random_matrix(name, rows, cols, rng), raw_dtype=kind_of(name))

    def norm(tensor):
        out.add_tensor(tensor, np.ones(WIDTH, np.float32))

    matrix("token_embd.weight", VOCABULARY, WIDTH)
    kv = WIDTH // HEADS * KV_HEADS
    for layer in range(LAYERS):
        part = f"blk.{layer}."
        norm(part + "attn_norm.weight")
        matrix(part + "attn_q.weight", WIDTH, WIDTH)
        matrix(part + "attn_k.weight", kv, WIDTH)
        matrix(part + "attn_v.weight", kv, WIDTH)
        matrix(part + "attn_output.weight", WIDTH, WIDTH)
        norm(part + "ffn_norm.weight")
        matrix(part + "ffn_gate.weight", INNER, WIDTH)
        matrix(part + "ffn_up.weight", INNER, WIDTH)
        matrix(part + "ffn_down.weight", WIDTH, INNER)
    norm("output_norm.weight")
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


if __name__ == "__main__":
    main()
