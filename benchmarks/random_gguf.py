#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Writes a GGUF of random weights in a given format, to measure how fast it is.

usage: random_gguf.py FORMAT OUT.gguf [SIZE]
FORMAT as xlens spells it: q4_k, iq4_xs, mxfp4, ...; or q4_k_m, llama.cpp's mixture with q6_k.
SIZE: 138m (the default), 1b, 3b, 8b (shapes of Llama 3.2 and 3.1), 1b-262k (1b with the
vocabulary of Gemma 3), or moe: 3.7 thousand million, 32 experts a layer, of which four are used.
Needs numpy and gguf. A llama whose widths are multiples of 256, so that every matrix, the
embedding too, has the format; without a tokenizer. Memory: a tensor at a time. Then, for example

  xlens generate OUT.gguf --ids 1,2,3 -n 96 --json [--precision native]      tokens_per_second
  llama-bench -m OUT.gguf -p 512 -n 96

What it says is noise: time it, do not read it.
"""

import sys
from dataclasses import dataclass

import gguf
import numpy as np



@dataclass(frozen=True)
class Size:
    layers: int
    width: int
    inner: int  # of an expert, where there are some
    heads: int
    kv_heads: int
    vocabulary: int
    tied: bool = True
    experts: int = 0
    used: int = 0
    rope_base: float = 500000.0


SIZES = {
    "138m": Size(16, 768, 2048, 12, 4, 49152, rope_base=10000.0),
    "1b": Size(16, 2048, 8192, 32, 8, 128256),
    "1b-262k": Size(16, 2048, 8192, 32, 8, 262144),
    "3b": Size(28, 3072, 8192, 24, 8, 128256),
    "8b": Size(32, 4096, 14336, 32, 8, 128256, tied=False),
    "moe": Size(16, 2048, 1024, 32, 8, 128256, experts=32, used=4),
}
SPREAD = 0.03  # standard deviation of the weights, about 768 ** -0.5

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


def more_bits(layer, layers):
    """Where llama.cpp's Q4_K_M gives attn_v and ffn_down 6 bits."""
    eighth = layers // 8
    return layer < eighth or layer >= 7 * eighth or (layer - eighth) % 3 == 2


def tensors(size, mixture):
    """(name, rows, columns, experts or 0, format or None for a norm) of every tensor; `mixture`
    names the format of most, or is q4_k_m."""
    most, high = ("q4_k", "q6_k") if mixture == "q4_k_m" else (mixture, mixture)
    kv = size.width // size.heads * size.kv_heads
    yield "token_embd.weight", size.vocabulary, size.width, 0, high if size.tied else most
    for layer in range(size.layers):
        part = f"blk.{layer}."
        some = high if more_bits(layer, size.layers) else most
        yield part + "attn_norm.weight", 0, size.width, 0, None
        yield part + "attn_q.weight", size.width, size.width, 0, most
        yield part + "attn_k.weight", kv, size.width, 0, most
        yield part + "attn_v.weight", kv, size.width, 0, some
        yield part + "attn_output.weight", size.width, size.width, 0, most
        yield part + "ffn_norm.weight", 0, size.width, 0, None
        if size.experts:
            yield part + "ffn_gate_inp.weight", size.experts, size.width, 0, "f32"
        kind = "_exps" if size.experts else ""
        yield part + f"ffn_gate{kind}.weight", size.inner, size.width, size.experts, most
        yield part + f"ffn_up{kind}.weight", size.inner, size.width, size.experts, most
        yield part + f"ffn_down{kind}.weight", size.width, size.inner, size.experts, some
    yield "output_norm.weight", 0, size.width, 0, None
    if not size.tied:
        yield "output.weight", size.vocabulary, size.width, 0, high


def write(path, size, mixture):
    rng = np.random.default_rng(1)
    out = gguf.GGUFWriter(path, "llama")
    out.add_context_length(8192)
    out.add_embedding_length(size.width)
    out.add_block_count(size.layers)
    out.add_feed_forward_length(size.inner)
    out.add_head_count(size.heads)
    out.add_head_count_kv(size.kv_heads)
    out.add_layer_norm_rms_eps(1e-5)
    out.add_rope_dimension_count(size.width // size.heads)
    out.add_rope_freq_base(size.rope_base)
    out.add_vocab_size(size.vocabulary)
    out.add_tokenizer_model("none")
    if size.experts:
        out.add_expert_count(size.experts)
        out.add_expert_used_count(size.used)

    def array(rows, columns, experts, name):
        if name is None:
            return np.ones(columns, np.float32)
        values = random_matrix(name, rows * max(experts, 1), columns, rng)
        return values.reshape(experts, rows, -1) if experts else values

    everything = list(tensors(size, mixture))
    for tensor, rows, columns, experts, name in everything:
        kind = kind_of(name or "f32")
        block, bytes_of = gguf.GGML_QUANT_SIZES[kind]
        shape = [n for n in (experts, rows, columns) if n > 0]
        stored = int(np.prod(shape)) // block * bytes_of
        out.add_tensor_info(tensor, shape, np.dtype(np.float32), stored, kind)
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_ti_data_to_file()
    for _, rows, columns, experts, name in everything:
        out.write_tensor_data(array(rows, columns, experts, name))
    out.close()


def main():
    known = [*PLAIN, *HALVES, *OTHERS, "q4_k_m"]
    words = sys.argv[1:]
    if len(words) == 2:
        words.append("138m")
    if len(words) != 3 or words[0] not in known or words[2] not in SIZES:
        sys.exit(
            f"usage: {sys.argv[0]} FORMAT OUT.gguf [SIZE], FORMAT one of {' '.join(known)}, "
            f"SIZE one of {' '.join(SIZES)}"
        )
    write(words[1], SIZES[words[2]], words[0])


if __name__ == "__main__":
    main()
